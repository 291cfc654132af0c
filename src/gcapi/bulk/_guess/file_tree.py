"""The tree of a folder: each folder once, with its files, and the list of what is left out of a manifest."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gcapi._inspect.folders import list_folder


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is in no row of a guessed manifest.

    Attributes:
        path: Relative to the folder; bytes that are not UTF-8 are escaped.
        reason: Why it is in no row.
        is_litter: Whether it is hidden, or was made by a system or a program.
    """

    path: str
    reason: str
    is_litter: bool = False

    def __str__(self) -> str:
        return f"{self.path} ({self.reason})"


@dataclass
class LeftOutList:
    """Collects what is left out.

    Attributes:
        root: The folder that paths are relative to.
        entries: What was left out.
        unreadable: The files that cannot be read.
    """

    root: Path
    entries: list[LeftOut] = field(default_factory=list[LeftOut])
    unreadable: set[Path] = field(default_factory=set[Path])

    def add(self, path: Path, reason: str, *, is_litter: bool = False) -> None:
        """Add a file or folder below the root."""
        name = escaped(path.relative_to(self.root).as_posix())
        self.entries.append(LeftOut(name, reason, is_litter))

    def add_unreadable(self, path: Path, error: OSError) -> None:
        """Add a file or folder that cannot be read."""
        reason = str(error).removeprefix(f"{path} ").partition(". ")[0]
        self.add(path, escaped(f"it {reason}"))
        self.unreadable.add(path)

    def add_all(self, paths: Iterable[Path], reason: str) -> None:
        """Add several files for the same reason."""
        for path in paths:
            self.add(path, reason)


def escaped(name: str) -> str:
    """Return a name in which bytes that are not UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@dataclass
class Folder:
    """A folder of the tree.

    Attributes:
        path: The folder, or the link to it.
        files: The files in it.
        folders: Its subfolders.
    """

    path: Path
    files: tuple[Path, ...] = ()
    folders: list[Folder] = field(default_factory=list["Folder"])

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def walk(self) -> Iterator[Folder]:
        """Yield the folder and all folders below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()


def read_tree(root: Path, left_out: LeftOutList) -> Folder:
    """Return the tree of a folder; litter, and folders that cannot be listed or were listed already, are left out.

    Raises:
        SpecFileError: The folder itself cannot be listed.
    """
    tree = Folder(root)
    seen: set[tuple[int, int]] = set()
    # Links come last, so that a folder is listed where it really is.
    folders, links = deque([tree]), deque[Folder]()
    while folders or links:
        folder = (folders or links).popleft()
        try:
            listing = list_folder(folder.path)
            status = folder.path.stat()
        except OSError as error:
            if folder is tree:
                raise
            left_out.add_unreadable(folder.path, error)
            continue
        if (status.st_dev, status.st_ino) in seen:
            left_out.add(folder.path, "it links to a folder that is listed already")
            continue
        seen.add((status.st_dev, status.st_ino))
        folder.files = listing.files
        folder.folders = [Folder(path) for path in listing.folders]
        for child in folder.folders:
            (links if child.path.is_symlink() else folders).append(child)
        for path in listing.litter:
            left_out.add(path, "it is hidden, or made by a system or a program", is_litter=True)
    return tree
