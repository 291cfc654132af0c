"""A cache of files: whole, bounded in bytes, and shared by the processes of a user.

Each entry is a folder with the files and a record of their sizes, which is written after the last of them. An entry
whose record is missing, or whose files have other sizes, is downloaded again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from gcapi._transfer.atomic_file import write_atomically
from gcapi._transfer.file_names import inside
from gcapi._util.owner_locks import private_directory

RECORD_NAME = ".entry.json"
#: Seconds after which an entry without a record is what a killed process left.
_ABANDONED_SECONDS = 86_400.0

Fill = Callable[[Path], list[Path]]


class FileCache:
    """A cache folder.

    Args:
        folder: The folder; created when it is needed. If that is impossible, nothing is cached.
        max_bytes: The total size of the files. The entries that were not used for the longest time are removed first;
            an entry that is larger is removed after its use.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes

    def has(self, key: str) -> bool:
        """Return whether an entry is complete."""
        return _recorded(inside(self.folder, key)) is not None

    @contextmanager
    def entry(self, key: str, fill: Fill) -> Generator[list[Path]]:
        """Yield the files of an entry, which another process may remove meanwhile.

        Args:
            key: The name of the entry.
            fill: Downloads the files into a folder and returns their paths; called if the entry is not complete.
        """
        folder = inside(self.folder, key)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.mkdir(exist_ok=True)
        except OSError:
            with private_directory() as temporary:
                yield fill(temporary)
            return
        files = _recorded(folder)
        if files is None:
            files = fill(folder)
            sizes = {path.name: path.stat().st_size for path in files}
            write_atomically(folder / RECORD_NAME, json.dumps(sizes).encode(), existing="overwrite")
        else:
            with suppress(OSError):
                os.utime(folder / RECORD_NAME)
        try:
            yield files
        finally:
            self._shrink()

    def clear(self) -> None:
        """Remove all entries."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _shrink(self) -> None:
        """Remove entries until the others are within the bound, the least recently used first."""
        with suppress(OSError):
            found: list[tuple[float, int, Path]] = []
            for folder in self.folder.iterdir():
                files = _recorded(folder)
                if files is not None:
                    used = (folder / RECORD_NAME).stat().st_mtime
                    found.append((used, sum(path.stat().st_size for path in files), folder))
                elif time.time() - folder.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
            total = sum(size for _, size, _ in found)
            for _, size, folder in sorted(found):
                if total <= self.max_bytes:
                    break
                # First the record, so that no other process takes the rest for complete.
                (folder / RECORD_NAME).unlink(missing_ok=True)
                shutil.rmtree(folder, ignore_errors=True)
                total -= size


def _recorded(folder: Path) -> list[Path] | None:
    """Return the files of an entry in the order of the record; `None` if it is not complete."""
    try:
        sizes = json.loads((folder / RECORD_NAME).read_bytes())
        complete = all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError):
        return None
    return [folder / name for name in sizes] if complete else None
