"""The index of a pulled folder: for each case, its folder, its values, and the size, mtime and SHA-256 of its files.

The process that coordinates a pull appends a line for each case that is complete. The next pull compares size and mtime
with it, and reads a file again only if they differ.

Memory: about 300 bytes for each case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, get_args

from gcapi.bulk._pull.case_folders import INDEX
from gcapi.bulk._pull.file_naming import Names
from gcapi.bulk._pull.json_lines import (
    JsonLinesFile,
    PulledFolderError,
    invalid_file,
    read_json_lines,
)
from gcapi.bulk._pull.remote_cases import CaseDetails, CaseValue

#: The format of the index, which its first line names; an index of earlier releases has none, and is read.
INDEX_FORMAT = 1


@dataclass(frozen=True)
class FileRecord:
    """A pulled file.

    Attributes:
        path: The path below the pulled folder, with ``/`` as the separator.
        size: The size in bytes.
        mtime: The time of the last change in nanoseconds.
        sha256: The SHA-256 in hexadecimal.
    """

    path: str
    size: int
    mtime: int
    sha256: str


@dataclass(frozen=True)
class ValueRecord(CaseValue):
    """A pulled value.

    Attributes:
        cell: Its cell in a manifest.
        files: Its files.
        kind: The kind of its socket; empty in the records of earlier releases.
        name: The image's own name, or the name of the uploaded file; empty for JSON values and in old indexes.
    """

    cell: str | list[str]
    files: tuple[FileRecord, ...]
    kind: str = ""
    name: str = ""

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Return the record of a value in a line."""
        return cls(**dict(entry, files=tuple(FileRecord(**file) for file in entry["files"])))


@dataclass(frozen=True, kw_only=True)
class CaseRecord(CaseDetails):
    """A pulled case.

    Attributes:
        folder: The name of its folder.
        values: Its values.
    """

    folder: str
    values: tuple[ValueRecord, ...]

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Return the record of a line."""
        return cls(**dict(entry, values=tuple(map(ValueRecord.from_json, entry["values"]))))


class PullIndex:
    """The index of a folder, open for one pull.

    Args:
        folder: The folder, created if missing.
        source: The source, such as ``archive:slug``.
        server: The address of its API.
        names: How folders and files are named; `None` as in earlier pulls.

    Attributes:
        names: How folders and files are named; `None` for the usual names.
        folders: The folder of each case, by the case's key.
        offsets: The offset of the record of each complete case, by the case's key.

    Raises:
        FileExistsError: The folder holds another source, or other names.
        PulledFolderError: Another pull has the index open, or it cannot be read or written.
    """

    def __init__(self, folder: Path, source: str, server: str, names: Names | None = None) -> None:
        self.names: Names | None = names
        self.folders: dict[str, str] = {}
        self.offsets: dict[str, int] = {}
        self._path = folder / INDEX
        self._file = JsonLinesFile(self._path)
        try:
            self._file.lock()
            self._load({"source": source, "server": server})
        except BaseException:
            self.close()
            raise

    def _load(self, head: dict[str, str]) -> None:
        entries = iter(self._file)
        _, found = next(entries, (0, None))
        if found is None:
            named = {"names": self.names} if self.names else {}
            self._file.append({"format": INDEX_FORMAT, **head, **named})
            found = {**head, **named}
        elif found.pop("format", INDEX_FORMAT) != INDEX_FORMAT:
            raise PulledFolderError(
                f"{self._path} was written by another version of gcapi, in a format that this one does not know. Pull"
                " with that version, or move the file away and pull again with existing='verify', which keeps complete"
                " files."
            )
        names: Any = found.pop("names", None)
        if not found.keys() >= head.keys() or names not in {None, *get_args(Names)}:
            raise invalid_file(self._path)
        if found != head:
            raise FileExistsError(
                f"{self._path.parent} holds {found['source']} of {found['server']}, not {head['source']} of"
                f" {head['server']}. Choose another folder."
            )
        if self.names not in {None, names}:
            raise FileExistsError(
                f"{self._path.parent} was pulled with {f'names={names!r}' if names else 'the usual names'}, and keeps"
                " them. Leave out names, or choose another folder."
            )
        self.names = names
        for offset, entry in entries:
            pk, name = entry.get("pk"), entry.get("folder")
            if not (isinstance(pk, str) and isinstance(name, str)):
                raise invalid_file(self._path)
            self.folders[pk] = name
            if "values" in entry:
                self.offsets[pk] = offset

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def get(self, pk: str) -> CaseRecord | None:
        """Return the record of a case; `None` if it is not complete."""
        if pk not in self.offsets:
            return None
        try:
            return CaseRecord.from_json(self._file.read_at(self.offsets[pk]))
        except (KeyError, TypeError) as error:
            raise invalid_file(self._path) from error

    def assign_folders(self, folders: Mapping[str, str]) -> None:
        """Record the folders of cases, before anything is written into them."""
        for pk, folder in folders.items():
            if pk not in self.folders:
                self._file.append({"pk": pk, "folder": folder})
                self.folders[pk] = folder

    def put(self, record: CaseRecord) -> None:
        """Record a complete case, in place of its earlier record."""
        if self.get(record.pk) != record:
            self.folders[record.pk] = record.folder
            self.offsets[record.pk] = self._file.append(asdict(record))


def read_source(folder: Path) -> str:
    """Return the source of a pulled folder, such as ``archive:slug``.

    Raises:
        FileNotFoundError: The folder has no index.
        PulledFolderError: The index cannot be read.
    """
    head = next(read_json_lines(folder / INDEX), None)
    if head is None or not isinstance(head.get("source"), str):
        raise invalid_file(folder / INDEX)
    return str(head["source"])
