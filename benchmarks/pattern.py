"""The content of transfers: an infinite fixed pattern, any range of which can be produced and checked.

Its period is prime, so that a range at any other offset, even a round one, has different content.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024
#: The largest prime below 1 MiB.
PERIOD = 1_048_573
_BLOCK = random.Random("gcapi").randbytes(PERIOD)
_TWICE = memoryview(_BLOCK * 2)


def stretch(offset: int, length: int, piece: int = PERIOD) -> Iterator[memoryview]:
    """Yield a range in pieces of at most `piece` bytes, without copying.

    Args:
        offset: The start of the range.
        length: The length of the range.
        piece: At most `PERIOD`.
    """
    end = offset + length
    while offset < end:
        start, size = offset % PERIOD, min(piece, end - offset)
        yield _TWICE[start : start + size]
        offset += size


def md5(offset: int, length: int) -> str:
    """Return the hex MD5 of a range."""
    digest = hashlib.md5(usedforsecurity=False)
    for piece in stretch(offset, length):
        digest.update(piece)
    return digest.hexdigest()


def write(path: Path, offset: int, length: int) -> None:
    """Write a range to a file."""
    with path.open("wb") as file:
        for piece in stretch(offset, length):
            file.write(piece)


def file_md5(path: Path) -> str:
    """Return the hex MD5 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()
