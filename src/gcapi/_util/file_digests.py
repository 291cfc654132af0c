"""Digests of files, whose computation ends when the call is cancelled."""

import hashlib
from pathlib import Path

from gcapi._util.scheduler import current_token

_BLOCK_BYTES = 2**20


def file_digests(path: Path, *algorithms: str) -> list[str]:
    """Return digests of a file in hexadecimal; it is read once.

    Args:
        path: The file.
        algorithms: The names of the algorithms, as `hashlib.new` takes them.

    Raises:
        OSError: The file cannot be read.
    """
    token = current_token()
    digests = [hashlib.new(name, usedforsecurity=False) for name in algorithms]
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK_BYTES):
            token.raise_if_cancelled()
            for digest in digests:
                digest.update(block)
    return [digest.hexdigest() for digest in digests]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return file_digests(path, "sha256")[0]
