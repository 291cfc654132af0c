"""What a folder has of each case, and since when: a line of JSON for each case that was pulled, beside the cases.

Only the process that coordinates a pull writes it, a line at its end at a time; one that is torn was never written.
Of each file it has the length, the time of its last change and the SHA-256, so that what is there need not be read
again.

Memory: the keys, and where their lines are; about 300 bytes a case.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from gcapi.bulk._pull.folders import LEDGER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gcapi.bulk._pull.listing import Role


@dataclass(frozen=True)
class FileRecord:
    """A file that was pulled.

    Attributes:
        path: Where it lies below the folder, with ``/`` between its parts.
        size: Bytes.
        mtime: When it was last changed, in nanoseconds.
        sha256: In hexadecimal.
    """

    path: str
    size: int
    mtime: int
    sha256: str


@dataclass(frozen=True)
class ValueRecord:
    """A value that was pulled.

    Attributes:
        role: What it is to its case.
        slug: Its socket.
        pk: As the server had it.
        cell: What stands for it in a manifest.
        files: Its files.
    """

    role: Role
    slug: str
    pk: str
    cell: str | list[str]
    files: tuple[FileRecord, ...]

    @property
    def key(self) -> tuple[str, str]:
        """What tells the values of a case apart."""
        return self.role, self.slug


@dataclass(frozen=True)
class CaseRecord:
    """A case that was pulled; for the attributes see `Case`.

    Attributes:
        folder: What its folder is called.
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
        """Return a record from a line."""
        fields: dict[str, Any] = {**entry, "values": tuple(map(_value, entry["values"]))}
        return cls(**fields)


def _value(entry: Mapping[str, Any]) -> ValueRecord:
    files = tuple(FileRecord(**one) for one in entry["files"])
    fields: dict[str, Any] = {**entry, "files": files}
    return ValueRecord(**fields)


class Ledger:
    """The records of a folder.

    Args:
        folder: The folder; made if missing.
        source: What is pulled into it, such as ``archive:slug``,
        server: and the address of the API that it comes from.

    Raises:
        FileExistsError: The folder holds something else, or a ledger that cannot be read.
    """

    def __init__(self, folder: Path, source: str, server: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / LEDGER
        self._head = {"source": source, "server": server}
        #: The folder of each case, and where its record begins; `None` for one that is not whole yet.
        self._known: dict[str, tuple[str, int | None]] = {}
        self._file = self._path.open("a+b")
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @property
    def folders(self) -> dict[str, str]:
        """The folder of each case, by its key."""
        return {pk: folder for pk, (folder, _) in self._known.items()}

    @property
    def pulled(self) -> dict[str, str]:
        """The folder of each case that has a record, by its key."""
        known = self._known.items()
        return {pk: folder for pk, (folder, offset) in known if offset is not None}

    def get(self, pk: str) -> CaseRecord | None:
        """Return the record of a case, or `None`."""
        _, offset = self._known.get(pk, ("", None))
        if offset is None:
            return None
        self._file.seek(offset)
        return CaseRecord.from_json(json.loads(self._file.readline()))

    def plan(self, folders: Mapping[str, str]) -> None:
        """Remember the folders of cases before anything is written to them."""
        for pk, folder in folders.items():
            if pk not in self._known:
                self._append({"pk": pk, "folder": folder})
                self._known[pk] = folder, None
        self._file.flush()

    def add(self, record: CaseRecord) -> None:
        """Add the record of a case, in place of an earlier one."""
        if self.get(record.pk) != record:
            self._known[record.pk] = record.folder, self._append(asdict(record))
            self._file.flush()

    def _append(self, entry: Mapping[str, Any]) -> int:
        offset = self._file.seek(0, 2)
        self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        return offset

    def _load(self) -> None:
        self._file.seek(0)
        offset = 0
        for number, line in enumerate(self._file):
            if not line.endswith(b"\n"):
                self._file.truncate(offset)
                break
            self._take(number, offset, line)
            offset += len(line)
        if not offset:
            self._append(self._head)
            self._file.flush()

    def _take(self, number: int, offset: int, line: bytes) -> None:
        try:
            entry = json.loads(line)
        except ValueError as error:
            raise FileExistsError(
                f"{self._path} cannot be read in line {number + 1}. Remove it: what is there will be read again."
            ) from error
        if number == 0:
            self._check_head(entry)
        else:
            self._known[entry["pk"]] = entry["folder"], offset if "values" in entry else None

    def _check_head(self, head: Mapping[str, Any]) -> None:
        if head != self._head:
            raise FileExistsError(
                f"{self._path.parent} holds {head.get('source')} of {head.get('server')}, and not"
                f" {self._head['source']} of {self._head['server']}: choose another folder."
            )
