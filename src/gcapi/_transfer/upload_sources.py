"""Sources of uploads: files, bytes and file objects, and the bodies of their parts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from gcapi._transfer.checksums import Checksum, new_digest
from gcapi._transfer.file_names import check_upload_name
from gcapi._transfer.local_files import check_local_file
from gcapi._transfer.parts import MEBI, Part, stream_part_size
from gcapi._util.scheduler import current_token
from gcapi.exceptions import SpecTypeError, TransferError

#: The bytes of a file that are read at once: all that a part of a file on disk holds in memory.
READ_SIZE = MEBI // 4


class Readable(Protocol):
    """A binary file object."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


class PartBody:
    """The request body of one part; each iteration reads it from its beginning, for a retry.

    Args:
        read: Returns an iterator over the bytes.
        length: The number of bytes.
        on_sent: Called with each number of bytes read; negative when a retry rewinds.
    """

    def __init__(
        self, read: Callable[[], Iterator[bytes]], length: int, on_sent: Callable[[int], None]
    ) -> None:
        self._read = read
        self._on_sent = on_sent
        self._counted = 0
        self.length = length
        #: The MD5 of the last complete iteration, in hexadecimal.
        self.md5: str = ""

    def release(self) -> None:
        """Release the bytes: a finished request is part of a reference cycle, which would keep them for a while."""
        self._read = lambda: iter(())

    def __iter__(self) -> Iterator[bytes]:
        self._on_sent(-self._counted)
        self._counted = 0
        self.md5 = ""
        digest = hashlib.md5(usedforsecurity=False)
        token = current_token()
        for block in self._read():
            token.raise_if_cancelled()
            digest.update(block)
            self._counted += len(block)
            self._on_sent(len(block))
            yield block
        self.md5 = digest.hexdigest()

    def has(self, checksum: Checksum) -> bool:
        """Return whether the bytes have a checksum; they are read again for any but the MD5 of the last iteration."""
        if checksum.is_etag:
            return self.md5 == checksum.value
        digest = new_digest(checksum.algorithm)
        for block in self._read():
            digest.update(block)
        found: str = digest.hexdigest()
        return found == checksum.value


class Source:
    """Something to upload.

    Attributes:
        name: The file name of the upload.
        size: The length in bytes; `None` if only reading tells.
        is_made_anew: Whether `prepare` makes other bytes each time, so that parts which the store has are of no use.
    """

    size: int | None
    is_made_anew: bool = False

    def __init__(self, name: str) -> None:
        self.name = check_upload_name(name)

    def read(self, part: Part) -> Iterator[bytes]:
        """Yield the bytes of a part, `READ_SIZE` at a time."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make the content, if that is left to do; `size` is exact afterwards."""

    def release(self) -> None:
        """Delete what `prepare` made; called when the upload is complete."""

    def check_unchanged(self) -> None:
        """Raise `TransferError` if the content changed since the source was made."""


class PathSource(Source):
    """A file on this machine.

    Args:
        path: The file.
        name: The file name of the upload; `None` for the file's own name.
        stays: Whether the file outlives the call, unlike a copy that was made for it.

    Raises:
        SpecFileError: The file cannot be read, or is a directory.
    """

    def __init__(self, path: Path, name: str | None = None, *, stays: bool = True) -> None:
        super().__init__(path.name if name is None else name)
        self.path = path
        self.stays = stays
        self._first_status = self._status()
        self.size = self._first_status[0]

    def read(self, part: Part) -> Iterator[bytes]:
        """Yield the bytes of a part.

        Raises:
            TransferError: The file has become shorter.
        """
        left = part.length
        with self.path.open("rb", buffering=0) as file:
            file.seek(part.offset)
            while left:
                block = file.read(min(READ_SIZE, left))
                if not block:
                    raise self._changed()
                left -= len(block)
                yield block

    def check_unchanged(self) -> None:
        """Raise `TransferError` if the file's length or modification time changed since the source was made."""
        if self._status() != self._first_status:
            raise self._changed()

    def _status(self) -> tuple[int, int]:
        status = check_local_file(self.path)
        return status.st_size, status.st_mtime_ns

    def _changed(self) -> TransferError:
        return TransferError(f"{self.path} was changed while it was uploaded; upload it again.")


class BytesSource(Source):
    """Bytes in memory."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(name)
        self.data = data
        self.size = len(data)

    def read(self, part: Part) -> Iterator[bytes]:
        """Yield the bytes of a part, `READ_SIZE` at a time."""
        return blocks_of(self.data, part.offset, part.offset + part.length)


class FileObjectSource(Source):
    """A binary file object, which need not be seekable, read once from its current position to its end.

    Raises:
        SpecTypeError: The file was opened in text mode.
    """

    def __init__(self, fileobj: Readable, name: str) -> None:
        super().__init__(name)
        anything: object = fileobj
        if isinstance(anything, io.TextIOBase):
            raise _not_binary(anything, "str")
        self.fileobj = fileobj
        self.size = None

    def next_part(self, size: int) -> bytes | bytearray:
        """Return the next `size` bytes, fewer at the end; pipes and sockets may return less than was asked for."""
        first = self._read(size)
        if len(first) == size:
            return first
        part = bytearray(first)
        while len(part) < size and (more := self._read(size - len(part))):
            part += more
        return part

    def _read(self, size: int) -> bytes:
        data = self.fileobj.read(size)
        if not isinstance(data, bytes | bytearray | memoryview):
            raise _not_binary(self.fileobj, type(data).__name__)
        return bytes(data)

    def parts(self) -> Iterator[tuple[Part, bytes | bytearray]]:
        """Yield the parts with their bytes; one empty part for an empty file."""
        offset, number = 0, 1
        while (data := self.next_part(stream_part_size(number))) or number == 1:
            length = len(data)
            yield Part(number, offset, length), data
            del data  # before the next one is read
            offset, number = offset + length, number + 1


def _not_binary(file: object, gives: str) -> SpecTypeError:
    return SpecTypeError(f"{file!r} gives {gives}; open the file in binary mode ('rb').")


def blocks_of(data: bytes | bytearray, start: int, end: int) -> Iterator[bytes]:
    """Yield a range of bytes, `READ_SIZE` at a time."""
    for offset in range(start, end, READ_SIZE):
        yield bytes(data[offset : min(offset + READ_SIZE, end)])
