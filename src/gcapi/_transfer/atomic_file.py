"""Files on this machine: what stands under its final name is whole."""

from __future__ import annotations

import os
import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

#: What to do about a target that is there already: stop before anything is transferred, take it as done, or replace it.
Existing = Literal["error", "skip", "overwrite"]
#: What a file is called before it is whole; a process that is killed leaves such files.
PARTIAL_NAME = re.compile(r"\..{1,40}\.[0-9a-f]{32}\.part")


def check_existing(existing: Existing) -> Existing:
    """Return a policy that exists.

    Raises:
        ValueError: Another word.
    """
    if existing not in ("error", "skip", "overwrite"):
        raise ValueError(f"existing={existing!r} must be 'error', 'skip' or 'overwrite'.")
    return existing


def is_there(target: Path) -> bool:
    """Tell whether a name is taken, by a link that leads nowhere too."""
    return target.exists() or target.is_symlink()


def refuse_existing(targets: Iterable[Path]) -> None:
    """Stop before a transfer whose result could not be put where it belongs.

    Raises:
        FileExistsError: One of them is there.
    """
    for target in targets:
        if is_there(target):
            raise FileExistsError(
                f"{target} is there already; move it away, choose another directory, or say existing='skip' or"
                " 'overwrite'."
            )


class Partial:
    """A file under a temporary name beside its target, written by several threads and renamed once it is whole.

    Args:
        target: Its final name; the directory is made.
        overwrite: Whether a target that is there is replaced.
    """

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        self.target = target
        self._overwrite = overwrite
        self._temporary = target.with_name(f".{target.name[:40]}.{uuid4().hex}.part")
        self._file = self._temporary.open("xb", buffering=0)
        #: Guards the two below, and the position where threads have only one.
        self._changed = threading.Condition()
        self._writers = 0
        self._is_open = True
        self._is_published = False

    def write(self, offset: int, block: memoryview) -> None:
        """Write a block where it belongs.

        Raises:
            OSError: The disk is full, or the like.
            ValueError: The file was published or discarded.
        """
        with _explained(self.target), self._used():
            while block:
                written = self._write_some(offset, block)
                offset, block = offset + written, block[written:]

    @contextmanager
    def _used(self) -> Generator[None]:
        """Keep the file open: the number of one that is closed may be another file's the next moment."""
        with self._changed:
            if not self._is_open:
                raise ValueError(f"{self.target} is no longer written to.")
            self._writers += 1
        try:
            yield
        finally:
            with self._changed:
                self._writers -= 1
                self._changed.notify_all()

    def _close(self) -> None:
        with self._changed:
            self._is_open = False
            self._changed.wait_for(lambda: not self._writers)
            self._file.close()

    def _write_some(self, offset: int, block: memoryview) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file.fileno(), block, offset)
        with self._changed:  # Windows has one position for all threads
            self._file.seek(offset)
            return self._file.write(block) or 0

    def empty(self) -> None:
        """Begin again: what was written is of no use."""
        with self._used():
            self._file.truncate(0)

    def publish(self) -> Path:
        """Bring the file to the disk, and give it its final name.

        Raises:
            FileExistsError: The name was taken meanwhile, and is not to be overwritten.
            ValueError: The file was discarded.
        """
        with _explained(self.target):
            with self._used():
                os.fsync(self._file.fileno())
            self._close()
            if not self._overwrite:
                refuse_existing([self.target])
            self._temporary.replace(self.target)
            self._is_published = True
        return self.target

    def discard(self) -> None:
        """Remove what is not whole; does nothing after `publish`."""
        if self._is_published:
            return
        self._close()
        self._temporary.unlink(missing_ok=True)


@contextmanager
def _explained(target: Path) -> Generator[None]:
    """Say of an error of the disk what became of the file."""
    try:
        yield
    except OSError as error:
        error.add_note(f"{target} was not written, and nothing half-written was left.")
        raise


def write_whole(target: Path, data: bytes, *, existing: Existing = "error") -> Path:
    """Write bytes to a file that is whole or not there.

    Raises:
        FileExistsError: The target is there, and `existing` is ``"error"``.
    """
    if is_there(target) and existing == "skip":
        return target
    if existing == "error":
        refuse_existing([target])
    partial = Partial(target, overwrite=existing == "overwrite")
    try:
        partial.write(0, memoryview(data))
        return partial.publish()
    finally:
        partial.discard()
