"""The index of a pulled folder: for each case, its folder, its values, and the size, mtime and SHA-256 of its files.

The process that coordinates a pull appends a line for each case that is complete. The next pull compares size and mtime
with it, and reads a file again only if they differ.

Memory: about 300 bytes for each case.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from gcapi.bulk._pull.case_folders import INDEX
from gcapi.bulk._pull.json_lines import JsonLinesFile, invalid_file, read_json_lines

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gcapi.bulk._pull.remote_cases import ValueKey, ValueRole


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
class ValueRecord:
    """A pulled value.

    Attributes:
        role: Its role in its case.
        slug: Its socket.
        pk: Its pk on the server.
        cell: Its cell in a manifest.
        files: Its files.
    """

    role: ValueRole
    slug: str
    pk: str
    cell: str | list[str]
    files: tuple[FileRecord, ...]

    @property
    def key(self) -> ValueKey:
        """The role and the socket, which identify a value in its case."""
        return self.role, self.slug


@dataclass(frozen=True)
class CaseRecord:
    """A pulled case; `RemoteCase` describes the attributes that are not here.

    Attributes:
        folder: The name of its folder.
        values: Its values.
    """

    pk: str
    folder: str
    title: str
    order: int | None
    api_url: str
    status: str
    algorithm_image: str
    values: tuple[ValueRecord, ...]

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Self:
        """Return the record of a line."""
        fields: dict[str, Any] = {**entry, "values": tuple(map(_value_from_json, entry["values"]))}
        return cls(**fields)


def _value_from_json(entry: Mapping[str, Any]) -> ValueRecord:
    files = tuple(FileRecord(**file) for file in entry["files"])
    fields: dict[str, Any] = {**entry, "files": files}
    return ValueRecord(**fields)


class PullIndex:
    """The index of a folder, open for one pull.

    Args:
        folder: The folder, created if missing.
        source: The source, such as ``archive:slug``.
        server: The address of its API.

    Raises:
        FileExistsError: The folder holds another source.
        PulledFolderError: The index cannot be read or written.
    """

    def __init__(self, folder: Path, source: str, server: str) -> None:
        self._path = folder / INDEX
        #: The folder of each case, and the offset of its record; `None` for a case that is not complete.
        self._cases: dict[str, tuple[str, int | None]] = {}
        self._file = JsonLinesFile(self._path)
        try:
            self._load({"source": source, "server": server})
        except BaseException:
            self.close()
            raise

    def _load(self, head: dict[str, str]) -> None:
        found: dict[str, Any] | None = None
        for offset, entry in self._file:
            if found is None:
                found = entry
                continue
            pk, name = entry.get("pk"), entry.get("folder")
            if not (isinstance(pk, str) and isinstance(name, str)):
                raise invalid_file(self._path)
            self._cases[pk] = name, offset if "values" in entry else None
        if found is None:
            self._file.append(head)
        elif not found.keys() >= head.keys():
            raise invalid_file(self._path)
        elif found != head:
            raise FileExistsError(
                f"{self._path.parent} holds {found['source']} of {found['server']}, not {head['source']} of"
                f" {head['server']}. Choose another folder."
            )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def folders(self) -> dict[str, str]:
        """The folder of each case, by the case's key."""
        return {pk: folder for pk, (folder, _) in self._cases.items()}

    @property
    def complete_folders(self) -> dict[str, str]:
        """The folder of each complete case, by the case's key."""
        return {pk: folder for pk, (folder, offset) in self._cases.items() if offset is not None}

    def get(self, pk: str) -> CaseRecord | None:
        """Return the record of a case; `None` if it is not complete."""
        _, offset = self._cases.get(pk, ("", None))
        if offset is None:
            return None
        try:
            return CaseRecord.from_json(self._file.read_at(offset))
        except (KeyError, TypeError) as error:
            raise invalid_file(self._path) from error

    def assign_folders(self, folders: Mapping[str, str]) -> None:
        """Record the folders of cases, before anything is written into them."""
        for pk, folder in folders.items():
            if pk not in self._cases:
                self._file.append({"pk": pk, "folder": folder})
                self._cases[pk] = folder, None

    def put(self, record: CaseRecord) -> None:
        """Record a complete case, in place of its earlier record."""
        if self.get(record.pk) != record:
            self._cases[record.pk] = record.folder, self._file.append(asdict(record))


def read_source(folder: Path) -> str:
    """Return the source of a pulled folder, such as ``archive:slug``.

    Raises:
        FileNotFoundError: The folder has no index.
        PulledFolderError: The index cannot be read.
    """
    for head in read_json_lines(folder / INDEX):
        if isinstance(head.get("source"), str):
            return str(head["source"])
        break
    raise invalid_file(folder / INDEX)
