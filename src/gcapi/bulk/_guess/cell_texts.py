"""The cells of files: a folder or a glob where that means exactly these files, else their paths."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gcapi._transfer.file_names import full_suffix
from gcapi.bulk._guess.file_tree import LeftOutList
from gcapi.bulk.cells import SEPARATOR

#: The number of files of a folder that a cell lists before a glob is shorter.
_LISTED_FILES = 8
_NOT_UTF8 = "its name is not UTF-8: rename it"


class CellWriter:
    """Writes cells.

    Args:
        root: The folder that paths are relative to.
        files: All files of the tree.
        left_out: The files that are left out. A cell may name those that cannot be read, so that a push of it fails;
            it gets the files whose names cannot be written.
    """

    def __init__(self, root: Path, files: Iterable[Path], left_out: LeftOutList) -> None:
        self._root = root
        self._left_out = left_out
        self._siblings: dict[Path, list[str]] = defaultdict(list)
        for path in files:
            if path not in left_out.unreadable:
                self._siblings[path.parent].append(path.name)

    def cell(self, files: Sequence[Path]) -> str | list[str] | None:
        """Return the cell of a value; `None` if names cannot be written, which leaves all its files out."""
        by_folder: dict[Path, list[str]] = defaultdict(list)
        for path in files:
            by_folder[path.parent].append(path.name)
        parts = [part for folder, names in by_folder.items() for part in self._parts(folder, names)]
        if any(_is_not_utf8(part) for part in parts):
            for path in files:
                is_cause = _is_not_utf8(path.relative_to(self._root).as_posix())
                reason = _NOT_UTF8 if is_cause else "another file of its value has no UTF-8 name"
                self._left_out.add(path, reason)
            return None
        if len(parts) == 1:
            return parts[0]
        is_plain = all(part == part.strip() and SEPARATOR not in part for part in parts)
        return SEPARATOR.join(parts) if is_plain else parts

    def _parts(self, folder: Path, names: Sequence[str]) -> Iterator[str]:
        """Yield what names the files of one folder."""
        place = folder.relative_to(self._root)
        siblings = self._siblings[folder]
        if len(names) > 1 and len(names) == len(siblings) and folder != self._root:
            yield place.as_posix()
            return
        pattern = _pattern_of(names, siblings) if len(names) > _LISTED_FILES else None
        if pattern:
            yield (Path(glob.escape(str(place))) / pattern).as_posix()
            return
        for name in names:
            yield (place / name).as_posix()


def _pattern_of(names: Sequence[str], siblings: Iterable[str]) -> str | None:
    """Return a glob that matches names and none of their siblings; `None` if their ends do not tell them apart."""
    start = os.path.commonprefix(list(names))  # noqa: RUF071 - the names are no paths
    end = full_suffix(names[0])
    if not all(name.endswith(end) and len(name) >= len(start) + len(end) for name in names):
        end = ""
    matching = sum(name.startswith(start) and name.endswith(end) for name in siblings)
    return f"{glob.escape(start)}*{glob.escape(end)}" if matching == len(names) else None


def _is_not_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False
