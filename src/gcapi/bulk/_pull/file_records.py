"""The records of files on this machine, and the removal of partial files."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gcapi._transfer.atomic_file import PARTIAL_NAME
from gcapi._transfer.file_names import inside
from gcapi._util.file_digests import sha256_of
from gcapi.bulk._pull.pull_index import FileRecord
from gcapi.exceptions import UnsafeName

#: A hidden file in the folder of a case: the files that a pull is about to write, until the case is in the index.
_ANNOUNCEMENT = ".gcapi-writing.json"


def record_of_file(root: Path, path: Path, known: FileRecord | None = None) -> FileRecord:
    """Return the record of a file, which is read unless its size and mtime are as recorded.

    Args:
        root: The pulled folder.
        path: The file.
        known: Its earlier record; `None` for none.
    """
    status = path.stat()
    if known is not None and (status.st_size, status.st_mtime_ns) == (known.size, known.mtime):
        return known
    name = path.relative_to(root).as_posix()
    return FileRecord(name, status.st_size, status.st_mtime_ns, sha256_of(path))


def check_no_links(root: Path, paths: Iterable[Path]) -> None:
    """Check that no folder below a pulled folder is a symbolic link, through which a pull would write elsewhere.

    Args:
        root: The pulled folder.
        paths: The folders, and the files in them.

    Raises:
        UnsafeName: One is.
    """
    below = {folder for path in paths for folder in (path, *path.parents) if root in folder.parents}
    for folder in sorted(below):
        if folder.is_symlink() and (folder.is_dir() or not folder.exists()):
            raise UnsafeName(
                f"{folder} is a symbolic link, which a pull does not follow. Remove it, or pull into the folder that it"
                " leads to."
            )


def announced_files(folder: Path) -> set[str]:
    """Return the files, by their paths below the pulled folder, that a killed pull wrote or was about to write.

    Args:
        folder: The folder of a case.
    """
    # A killed pull writes nothing before the announcement is complete.
    with suppress(OSError, ValueError):
        names = json.loads((folder / _ANNOUNCEMENT).read_bytes())
        return {name for name in names if isinstance(name, str)}
    return set()


def announce_files(folder: Path, names: Iterable[str]) -> None:
    """Record files, which do not exist yet, before they are written into the folder of a case."""
    folder.mkdir(parents=True, exist_ok=True)
    # Without a flush to the disk, because it is for kills, not for power failures.
    (folder / _ANNOUNCEMENT).write_text(json.dumps(sorted(names)), encoding="utf-8")


def forget_announcement(root: Path, folder: str) -> None:
    """Forget the announced files of the folder of a case, which are recorded now."""
    (inside(root, folder) / _ANNOUNCEMENT).unlink(missing_ok=True)


def forget_unused_announcement(root: Path, folder: str) -> None:
    """Forget the announced files of a case that failed, if none of them was written."""
    names = announced_files(inside(root, folder))
    if names and not any(inside(root, name).exists() for name in names):
        forget_announcement(root, folder)


def remove_announced_files(root: Path, folder: str) -> None:
    """Remove the announced files of a case that the server no longer has, so that they will not be recorded."""
    for name in announced_files(inside(root, folder)):
        inside(root, name).unlink(missing_ok=True)
    forget_announcement(root, folder)


def remove_partial_files(folder: Path) -> None:
    """Remove the partial files that a killed pull left in a folder and below it."""
    for path in files_below(folder):
        if PARTIAL_NAME.fullmatch(path.name):
            path.unlink(missing_ok=True)


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files and symbolic links in a folder and below it, without following links."""
    for directory, folders, files in os.walk(folder):
        here = folder / directory
        yield from (here / name for name in files)
        yield from (here / name for name in folders if (here / name).is_symlink())
