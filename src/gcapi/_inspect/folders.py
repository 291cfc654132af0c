"""Folders of local files, without the litter that systems and programs leave in them.

Links are followed. What cannot be read is listed, so that nothing that a user means to send is skipped silently.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gcapi._transfer.local_files import local_file_error
from gcapi._util.litter import is_litter as is_litter


@dataclass(frozen=True)
class Listing:
    """The entries of a folder, each sorted by name.

    Attributes:
        files: Everything that is neither a folder nor litter: also broken links, and files that cannot be read.
        folders: The subfolders, and links to folders.
        litter: The files and folders that are litter.
    """

    files: tuple[Path, ...]
    folders: tuple[Path, ...]
    litter: tuple[Path, ...]


def list_folder(folder: Path) -> Listing:
    """Return the entries of a folder.

    Raises:
        SpecFileError: It cannot be listed.
    """
    files: list[Path] = []
    folders: list[Path] = []
    litter: list[Path] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found = folders if is_folder(entry) else files
                found = litter if is_litter(entry.name) else found
                found.append(folder / entry.name)
    except OSError as error:
        raise local_file_error(folder, error) from error
    return Listing(tuple(sorted(files)), tuple(sorted(folders)), tuple(sorted(litter)))


def is_folder(entry: os.DirEntry[str] | Path) -> bool:
    """Return whether an entry is a folder, or a link to one; False if that cannot be found out."""
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False
