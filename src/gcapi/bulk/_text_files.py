"""Text files that are written part by part, because they may be too large for the memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gcapi._transfer.atomic_file import AtomicFile


def write_parts(target: Path, parts: Iterable[str]) -> Path:
    """Write a file in UTF-8 atomically, and replace the target if it exists.

    Returns:
        The target.

    Raises:
        OSError: The file cannot be written.
    """
    file = AtomicFile(target, overwrite=True)
    offset = 0
    try:
        for part in parts:
            data = part.encode()
            file.write(offset, memoryview(data))
            offset += len(data)
        return file.publish()
    finally:
        file.discard()
