"""What is uploaded, and how a part of it is read: anew each time it is sent, never from a half-read handle."""

from __future__ import annotations

import hashlib
import io
import stat
from typing import TYPE_CHECKING, Protocol

from gcapi._transfer.file_names import check_upload_name
from gcapi._transfer.parts import MEBI, Part, connections_for, part_size, split, stream_part_size
from gcapi.exceptions import SpecFileError, SpecTypeError, TransferError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: How much of a file is read at once, in bytes: all that a part of a file on disk holds in memory.
READ_SIZE = MEBI // 4


class Readable(Protocol):
    """What a binary file object has to be able to do."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


class PartBody:
    """The bytes of one part; each time it is gone through they are read from their beginning.

    Args:
        blocks: Begins to read.
        length: How many bytes it has.
        sent: Hears of every block that is handed out, in bytes, and of what a repeat takes back, as less than zero.
    """

    def __init__(
        self, blocks: Callable[[], Iterator[bytes]], length: int, sent: Callable[[int], None]
    ) -> None:
        self._blocks = blocks
        self._sent = sent
        self._counted = 0
        self.length = length
        #: The MD5 of what was handed out last, in hexadecimal.
        self.md5: str = ""

    def release(self) -> None:
        """Let go of the bytes: an answered request is part of a reference cycle, and would keep them for a while."""
        self._blocks = lambda: iter(())

    def __iter__(self) -> Iterator[bytes]:
        self._sent(-self._counted)
        self._counted = 0
        self.md5 = ""
        digest = hashlib.md5(usedforsecurity=False)
        for block in self._blocks():
            digest.update(block)
            self._counted += len(block)
            self._sent(len(block))
            yield block
        self.md5 = digest.hexdigest()


class Source:
    """Something to upload.

    Attributes:
        name: The file name that the server is told.
        size: Its length in bytes; `None` where only reading tells.
    """

    size: int | None

    def __init__(self, name: str) -> None:
        self.name = check_upload_name(name)

    def read(self, piece: Part) -> Iterator[bytes]:
        """Yield the bytes of a piece, `READ_SIZE` at a time."""
        raise NotImplementedError

    def check_unchanged(self) -> None:
        """Do nothing, unless the content may have changed since it was first looked at."""


class PathSource(Source):
    """A file on this machine.

    Args:
        path: Where it is.
        name: What the server is told; `None` for its own name.
        stays: Whether it is still there after the call, unlike a copy that was made for it.

    Raises:
        SpecFileError: It cannot be looked at, or is a directory.
    """

    def __init__(self, path: Path, name: str | None = None, *, stays: bool = True) -> None:
        super().__init__(path.name if name is None else name)
        self.path = path
        self.stays = stays
        self._first_look = self._look()
        self.size = self._first_look[0]

    def read(self, piece: Part) -> Iterator[bytes]:
        """Yield the bytes of a piece.

        Raises:
            TransferError: The file has become shorter.
        """
        left = piece.length
        with self.path.open("rb", buffering=0) as file:
            file.seek(piece.offset)
            while left:
                block = file.read(min(READ_SIZE, left))
                if not block:
                    self._changed()
                left -= len(block)
                yield block

    def check_unchanged(self) -> None:
        """Compare the file's length and time of change with those at the first look.

        Raises:
            TransferError: It was changed while it was uploaded.
        """
        if self._look() != self._first_look:
            self._changed()

    def _look(self) -> tuple[int, int]:
        try:
            status = self.path.stat()
        except OSError as error:
            raise SpecFileError(f"{self.path} cannot be read: {error}") from error
        if stat.S_ISDIR(status.st_mode):
            raise SpecFileError(f"{self.path} is a directory, where a file is needed.")
        return status.st_size, status.st_mtime_ns

    def _changed(self) -> None:
        raise TransferError(f"{self.path} was changed while it was uploaded; upload it again.")


class BytesSource(Source):
    """Bytes in memory."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(name)
        self.data = data
        self.size = len(data)

    def read(self, piece: Part) -> Iterator[bytes]:
        """Yield the bytes of a piece, `READ_SIZE` at a time."""
        return _blocks(self.data, piece.offset, piece.offset + piece.length)


class FileObjectSource(Source):
    """A binary file object, seekable or not, read once from where it stands to its end.

    Raises:
        SpecTypeError: A file that was opened as text.
    """

    def __init__(self, fileobj: Readable, name: str) -> None:
        super().__init__(name)
        anything: object = fileobj
        if isinstance(anything, io.TextIOBase):
            raise _no_binary(anything, "str")
        self.fileobj = fileobj
        self.size = None

    def next_part(self, size: int) -> bytes | bytearray:
        """Return the next `size` bytes, fewer at the end: pipes and sockets give less than they are asked for."""
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
            raise _no_binary(self.fileobj, type(data).__name__)
        return bytes(data)

    def parts(self) -> Iterator[tuple[Part, bytes | bytearray]]:
        """Yield the parts and their bytes; one empty part for an empty file."""
        offset, number = 0, 1
        while (data := self.next_part(stream_part_size(number))) or number == 1:
            length = len(data)
            yield Part(number, offset, length), data
            del data  # before the next one is read
            offset, number = offset + length, number + 1


def _no_binary(file: object, gives: str) -> SpecTypeError:
    return SpecTypeError(f"{file!r} gives {gives}; open the file in binary mode ('rb').")


def _blocks(data: bytes | bytearray, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, READ_SIZE):
        yield bytes(data[at : min(at + READ_SIZE, end)])


def body_of(source: Source, piece: Part, sent: Callable[[int], None]) -> PartBody:
    """Return the body of a part that can be read again."""
    return PartBody(lambda: source.read(piece), piece.length, sent)


def body_of_bytes(data: bytes | bytearray, sent: Callable[[int], None]) -> PartBody:
    """Return the body of a part that is held in memory."""
    return PartBody(lambda: _blocks(data, 0, len(data)), len(data), sent)


def plan_parts(size: int, *, total: int, connections: int) -> list[Part]:
    """Return the parts of a file of known length.

    Args:
        size: The file's length in bytes.
        total: The length of everything that the call uploads, in bytes.
        connections: How many parts travel at once.
    """
    return split(size, part_size(size, connections_for(size, total, connections)))
