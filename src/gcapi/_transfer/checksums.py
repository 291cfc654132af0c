"""Checksums of files in the object store: what its headers tell, and the check of a file whose parts arrive at once."""

from __future__ import annotations

import hashlib
import heapq
import logging
import re
import threading
import zlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from gcapi.exceptions import TransferError

#: The length of a block that is read again to hash it, in bytes.
READ_BACK_BLOCK = 512 * 1024
_MD5 = re.compile(r"[0-9a-f]{32}")
#: Headers with a checksum of the whole object, in base64, and their algorithms.
_CHECKSUM_HEADERS = {
    "x-amz-checksum-sha256": "sha256",
    "x-amz-checksum-sha1": "sha1",
    "x-amz-checksum-crc32": "crc32",
}
#: Present if the object is encrypted with a key of the customer's, so that its ETag is not its MD5 checksum.
_CUSTOMER_KEY_HEADER = "x-amz-server-side-encryption-customer-algorithm"
_ENCRYPTION_HEADER = "x-amz-server-side-encryption"


@dataclass(frozen=True)
class Checksum:
    """A checksum of a whole file.

    Attributes:
        algorithm: Its name, as `hashlib.new` takes it, or ``crc32``.
        value: The checksum in hexadecimal.
    """

    algorithm: str
    value: str


def checksum_of(headers: Mapping[str, str]) -> Checksum | None:
    """Return the checksum that the store tells of an object; `None` if it tells none that can be checked."""
    for name, algorithm in _CHECKSUM_HEADERS.items():
        # That of an object in several parts is made of their checksums, and ends in the number of parts.
        if (value := headers.get(name, "")) and "-" not in value:
            try:
                return Checksum(algorithm, b64decode(value, validate=True).hex())
            except Base64Error:
                continue
    md5 = md5_of(headers)
    return None if md5 is None else Checksum("md5", md5)


def md5_of(headers: Mapping[str, str]) -> str | None:
    """Return the MD5 checksum that the ETag in a response consists of, or `None` if it is something else."""
    md5 = md5_of_etag(headers.get("ETag", ""))
    has_key = _CUSTOMER_KEY_HEADER in headers or headers.get(_ENCRYPTION_HEADER, "").startswith(
        "aws:"  # with a key of the key management service
    )
    if md5 is not None and has_key:
        _log_encryption()
        return None
    return md5


def md5_of_etag(etag: str) -> str | None:
    """Return the MD5 checksum that an entity tag consists of, or `None` if it is something else."""
    bare = etag.strip('"').lower()
    return bare if _MD5.fullmatch(bare) else None


@cache  # said once
def _log_encryption() -> None:
    logging.getLogger("gcapi").warning(
        "The object store encrypts files with a key of its own, so that their ETags are no checksums. Only their"
        " lengths are verified."
    )


class _Crc32:
    """CRC-32 with the interface of `hashlib`."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, block: memoryview | bytes) -> None:
        """Add bytes."""
        self._value = zlib.crc32(block, self._value)

    def hexdigest(self) -> str:
        """Return the checksum in hexadecimal."""
        return f"{self._value:08x}"


class OrderedDigest:
    """The digest of a file whose ranges arrive in any order, in several threads.

    Blocks that arrive in the order of the file are hashed as they are written; of other ranges, each is read again as
    soon as it and all before it are complete.

    Args:
        checksum: What the digest should be; `None` if it is unknown, so that nothing is hashed.
        read: Called with an offset and a length, returns that part of what was written.
    """

    def __init__(self, checksum: Checksum | None, read: Callable[[int, int], bytes]) -> None:
        self._checksum = checksum
        self._read = read
        self._position = 0
        #: The complete ranges that are not hashed yet, as a heap of the first byte and the byte after the last.
        self._complete: list[tuple[int, int]] = []
        self._lock = threading.Lock()
        if checksum is not None:
            is_crc = checksum.algorithm == "crc32"
            self._digest = (
                _Crc32() if is_crc else hashlib.new(checksum.algorithm, usedforsecurity=False)
            )

    def add_block(self, offset: int, block: memoryview) -> None:
        """Hash a block that was written, if it is the next one, and no other thread is hashing."""
        if self._checksum is not None and self._lock.acquire(blocking=False):
            try:
                if offset == self._position:
                    self._update(block)
            finally:
                self._lock.release()

    def add_range(self, start: int, end: int) -> None:
        """Hash a range that is complete, once all before it are.

        Args:
            start: Its first byte.
            end: The byte after its last one.
        """
        if self._checksum is None:
            return
        with self._lock:
            heapq.heappush(self._complete, (start, end))
            while self._complete and self._complete[0][0] <= self._position:
                _, end = heapq.heappop(self._complete)
                while self._position < end:
                    self._update(
                        self._read(self._position, min(READ_BACK_BLOCK, end - self._position))
                    )

    def _update(self, block: memoryview | bytes) -> None:
        self._digest.update(block)
        self._position += len(block)

    def check(self, name: str) -> None:
        """Check the digest of the whole file.

        Args:
            name: The file's name for the message.

        Raises:
            TransferError: It differs from the checksum.
        """
        if self._checksum is not None and self._digest.hexdigest() != self._checksum.value:
            raise TransferError(
                f"{name} arrived with another checksum than it has in the store. Nothing was kept; download it again."
            )
