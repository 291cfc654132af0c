"""Files that appear under their final name complete, or not at all."""

from __future__ import annotations

import io
import os
import re
import sys
import threading
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Literal, get_args

from gcapi._util.owner_locks import lock, remove_if_abandoned

if sys.platform != "win32":
    import fcntl

#: The policy for a target that exists: raise before anything is transferred, keep it, or replace it.
ExistingFile = Literal["error", "skip", "overwrite"]
#: Temporary names, before a file is published; a process that is killed leaves such files behind.
PARTIAL_NAME = re.compile(r"\..{1,40}\.[0-9a-f]{32}\.part")


def check_existing_file(existing: ExistingFile) -> None:
    """Raise `ValueError` unless `existing` is one of the three policies."""
    if existing not in get_args(ExistingFile):
        raise ValueError(f"existing={existing!r} must be 'error', 'skip' or 'overwrite'.")


def check_targets(targets: Iterable[Path], existing: ExistingFile = "error") -> None:
    """Check the policy for existing files; with ``"error"``, raise `FileExistsError` if a target exists."""
    check_existing_file(existing)
    for target in targets if existing == "error" else ():
        if os.path.lexists(target):  # even as a dangling symbolic link
            raise _already_exists(target)


def _already_exists(target: Path) -> FileExistsError:
    return FileExistsError(
        f"{target} already exists. Move it away, choose another directory, or pass existing='skip' or 'overwrite'."
    )


class AtomicFile:
    """A file that several threads write under a temporary name, and that `publish` renames to its target.

    It is created, with missing directories, when it is first written.

    Args:
        target: The final name.
        overwrite: Replace an existing target. Otherwise, of several writers that publish the same target, exactly one
            succeeds.
    """

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        self.target = target
        self._overwrite = overwrite
        self._temporary = target.with_name(f".{target.name[:40]}.{os.urandom(16).hex()}.part")
        self._file: io.FileIO | None = None
        self._is_closed = False
        #: Serializes what uses the open file: the descriptor of a closed one may already be another file's.
        self._lock = threading.Lock()

    def write(self, offset: int, block: memoryview) -> None:
        """Write a block at an offset.

        Raises:
            ValueError: The file is already published or discarded.
        """
        with self._opened() as file:
            file.seek(offset)
            while block:
                block = block[file.write(block) :]

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Read bytes that were written, and return how many.

        Raises:
            ValueError: The file is already published or discarded.
            OSError: The file has no bytes there.
        """
        with self._opened() as file:
            file.seek(offset)
            length = file.readinto(buffer)
            if not length:
                raise OSError(f"{self.target} lost bytes while it was written.")
            return length

    def flush(self) -> None:
        """Flush to the disk what was written; meanwhile other threads may use the file.

        Raises:
            ValueError: The file is already published or discarded.
        """
        with self._opened() as file:
            descriptor = os.dup(file.fileno())
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def clear(self) -> None:
        """Remove everything written so far."""
        with self._opened() as file:
            file.truncate(0)

    def publish(self) -> Path:
        """Flush the file to the disk and give it its final name.

        Raises:
            FileExistsError: The target exists by now, and `overwrite` is false.
            ValueError: The file is already published or discarded.
        """
        with self._opened() as file:
            os.fsync(file.fileno())
            if sys.platform == "win32":  # which renames no open file
                self._close()
            # While it is locked, so that no other process takes it for abandoned.
            if self._overwrite:
                self._temporary.replace(self.target)
            else:
                _rename_exclusively(self._temporary, self.target)
            self._close()
        return self.target

    def discard(self) -> None:
        """Remove the temporary file, if there still is one."""
        with self._lock:
            self._close()
            self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        self._is_closed = True
        if self._file is not None:
            self._file.close()

    @contextmanager
    def _opened(self) -> Generator[io.FileIO]:
        with self._lock:
            if self._is_closed:
                raise ValueError(f"{self.target} is no longer open for writing.")
            try:
                if self._file is None:
                    self.target.parent.mkdir(parents=True, exist_ok=True)
                    self._file = self._temporary.open("x+b", buffering=0)
                    lock(self._file.fileno())
                yield self._file
            except OSError as error:
                error.add_note(f"{self.target} was not written; no partial file is left.")
                raise


@cache  # once in a process for each directory, because a program may download thousands of files into it
def remove_abandoned_files(directory: Path) -> None:
    """Remove the temporary files that killed processes left in a directory."""
    with suppress(OSError):
        for path in directory.iterdir():
            if PARTIAL_NAME.fullmatch(path.name):
                remove_if_abandoned(path)


def _rename_exclusively(source: Path, target: Path) -> None:
    """Rename a file to a name that must not exist."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise _already_exists(target) from None
    except OSError:  # no hard links on this file system
        _rename_without_link(source, target)
    else:
        with suppress(OSError):
            source.unlink()


def _rename_without_link(source: Path, target: Path) -> None:
    if sys.platform == "win32":
        source.rename(target)  # raises FileExistsError there
    else:
        directory = os.open(target.parent, os.O_RDONLY)
        try:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(directory, fcntl.LOCK_EX)
            check_targets([target])
            source.replace(target)
        finally:
            os.close(directory)


def write_atomically(target: Path, data: bytes, *, existing: ExistingFile = "error") -> Path:
    """Write bytes to a file that appears complete, or not at all.

    Raises:
        FileExistsError: The target exists, and `existing` is ``"error"``.
    """
    if existing == "skip" and os.path.lexists(target):
        return target
    file = AtomicFile(target, overwrite=existing == "overwrite")
    try:
        file.write(0, memoryview(data))
        return file.publish()
    finally:
        file.discard()
