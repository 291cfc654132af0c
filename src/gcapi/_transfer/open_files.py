"""Uploads of open files: regular files are read at any position, by several threads."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from gcapi._transfer.parts import Part
from gcapi._transfer.upload_sources import READ_SIZE, FileObjectSource, Readable, Source
from gcapi.exceptions import TransferError

_TEMPORARY_FILE: type[Any] = tempfile._TemporaryFileWrapper  # noqa: SLF001 - it has no public name
_CAN_READ_AT = hasattr(os, "pread")  # not on Windows
_OpenFile = io.BufferedReader | io.BufferedRandom | io.FileIO


def file_object_source(fileobj: Readable, name: str) -> Source:
    """Return the source of a binary file object.

    Args:
        fileobj: Regular files as the standard library opens them are read like a file by its path; all others, such as
            those that decompress, are read once and part by part.
        name: The file name of the upload.
    """
    anything: Any = fileobj
    file: Any = anything.file if isinstance(anything, _TEMPORARY_FILE) else anything
    # Exact types, because a subclass may read something else than the file has.
    raw = file.raw if type(file) in {io.BufferedReader, io.BufferedRandom} else file
    if type(raw) is io.FileIO and not raw.closed and raw.readable() and _is_regular(raw):
        return OpenFileSource(file, name)
    return FileObjectSource(fileobj, name)


def _is_regular(raw: io.FileIO) -> bool:
    """Return whether an open file is a regular one, and where the system cannot read at a position, has its name."""
    status = os.fstat(raw.fileno())
    if not stat.S_ISREG(status.st_mode):
        return False
    with suppress(OSError, TypeError):
        return _CAN_READ_AT or os.path.samestat(status, Path(raw.name).stat())
    return False


class OpenFileSource(Source):
    """The rest of an open file, from its current position; the upload leaves that at the end.

    Args:
        file: A regular file that can be read.
        name: The file name of the upload.
    """

    def __init__(self, file: _OpenFile, name: str) -> None:
        super().__init__(name)
        self._file = file
        if file.writable():
            file.flush()
        self._start = file.tell()
        self._first_status = self._status()
        self.size = max(0, self._first_status[0] - self._start)

    def read(self, part: Part) -> Iterator[bytes]:
        """Yield the bytes of a part, `READ_SIZE` at a time.

        Raises:
            TransferError: The file has become shorter.
        """
        position = self._start + part.offset
        end = position + part.length
        with ExitStack() as stack:
            if _CAN_READ_AT:
                read = partial(os.pread, self._file.fileno())
            else:
                read = partial(_read_at, stack.enter_context(Path(self._file.name).open("rb")))
            while position < end:
                block = read(min(READ_SIZE, end - position), position)
                if not block:
                    raise self._changed()
                position += len(block)
                yield block

    def check_unchanged(self) -> None:
        """Raise `TransferError` if the file's length or modification time changed since the source was made."""
        if self._status() != self._first_status:
            raise self._changed()

    def release(self) -> None:
        """Set the position to the end of what was uploaded."""
        self._file.seek(self._start + (self.size or 0))

    def _status(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def _changed(self) -> TransferError:
        return TransferError(f"{self.name} was changed while it was uploaded; upload it again.")


def _read_at(file: BinaryIO, size: int, position: int) -> bytes:
    file.seek(position)
    return file.read(size)
