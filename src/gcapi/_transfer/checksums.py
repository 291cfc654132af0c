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
from typing import Any

from gcapi._http.server_state import ServerState

#: How much is read again at once to hash it, in bytes: hashing more at once waits less often for the GIL.
READ_BACK_BLOCK = 4 * 1024 * 1024
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

    @property
    def is_etag(self) -> bool:
        """Return whether it is the ETag, which only looks like an MD5 checksum at some stores."""
        return self.algorithm == "md5"


def checksum_of(headers: Mapping[str, str], server: ServerState) -> Checksum | None:
    """Return the checksum that the store tells of an object; `None` if it tells none that can be checked.

    S3 sends `x-amz-checksum-…` only if the signature of the request asks for it.

    Args:
        headers: The headers of the response.
        server: The store.
    """
    for name, algorithm in _CHECKSUM_HEADERS.items():
        # That of an object in several parts is made of their checksums, and ends in the number of parts.
        if (value := headers.get(name, "")) and "-" not in value:
            try:
                return Checksum(algorithm, b64decode(value, validate=True).hex())
            except Base64Error:
                continue
    md5 = md5_of(headers, server)
    return None if md5 is None else Checksum("md5", md5)


def md5_of(headers: Mapping[str, str], server: ServerState) -> str | None:
    """Return the MD5 checksum that the ETag in a response consists of, or `None` if it is something else."""
    if server.has_md5_etags is False:
        return None
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


def note_opaque_etags(server: ServerState, origin: str) -> None:
    """Take the ETags of a store for no checksums from now on."""
    server.has_md5_etags = False
    _log_opaque_etags(origin)


@cache  # said once
def _log_opaque_etags(origin: str) -> None:
    logging.getLogger("gcapi").warning(
        "The ETags of %s look like MD5 checksums and are none: the same bytes were transferred twice, and differ from"
        " them. Only the lengths of files are verified there.",
        origin,
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


def new_digest(algorithm: str) -> Any:
    """Return an empty digest, with the interface of `hashlib`, for the algorithm of a `Checksum`."""
    return _Crc32() if algorithm == "crc32" else hashlib.new(algorithm, usedforsecurity=False)


class OrderedDigest:
    """The digest of a file whose blocks arrive in any order, in several threads.

    Blocks are hashed in the order of the file: the next one by the thread that wrote it, those that arrived before
    their turn by `catch_up`, which reads them again, while further ones arrive. One thread hashes at a time.

    Memory: `READ_BACK_BLOCK`, and about 150 bytes for each block that arrived before its turn.

    Args:
        checksum: What the digest should be; `None` if it is unknown, so that nothing is hashed.
        read_into: Called with an offset and a buffer, reads what was written there, and returns the number of bytes.
    """

    def __init__(
        self, checksum: Checksum | None, read_into: Callable[[int, memoryview], int]
    ) -> None:
        self._checksum = checksum
        self._read_into = read_into
        #: Kept, because new memory costs more than what is read into it.
        self._buffer = memoryview(b"")
        self._position = 0
        #: The blocks that are not hashed yet, as a heap of the first byte and the byte after the last.
        self._waiting: list[tuple[int, int]] = []
        self._is_hashing = False
        #: Guards the three above, and is never held while hashing.
        self._lock = threading.Lock()
        if checksum is not None:
            self._digest = new_digest(checksum.algorithm)

    def add_block(self, offset: int, block: memoryview) -> bool:
        """Hash a block that was written if it is the next one, or leave it to `catch_up`.

        Returns:
            Whether `catch_up` must be called, once.
        """
        if self._checksum is None:
            return False
        with self._lock:
            if self._is_hashing or offset != self._position:
                heapq.heappush(self._waiting, (offset, offset + len(block)))
                return False
            self._is_hashing = True
        self._digest.update(block)
        with self._lock:
            self._position += len(block)
            self._is_hashing = self._is_next_waiting()
            return self._is_hashing

    def catch_up(self) -> None:
        """Hash the waiting blocks up to the first gap."""
        while True:
            with self._lock:
                self._is_hashing = self._is_next_waiting()
                if not self._is_hashing:
                    return
                end = self._position
                while (
                    self._waiting and self._waiting[0][0] == end < self._position + READ_BACK_BLOCK
                ):
                    _, end = heapq.heappop(self._waiting)
            self._buffer = self._buffer or memoryview(bytearray(READ_BACK_BLOCK))
            while self._position < end:
                length = self._read_into(self._position, self._buffer[: end - self._position])
                self._digest.update(self._buffer[:length])
                self._position += length

    @property
    def is_behind(self) -> bool:
        """Return whether blocks that were written are not hashed yet."""
        with self._lock:
            return self._is_hashing or bool(self._waiting)

    def _is_next_waiting(self) -> bool:
        return bool(self._waiting) and self._waiting[0][0] == self._position

    def checksum(self) -> Checksum | None:
        """Return the checksum of the whole file; `None` if nothing was hashed."""
        if self._checksum is None:
            return None
        return Checksum(self._checksum.algorithm, self._digest.hexdigest())
