"""A row that is ready: what it says of each socket, found on disk, and the fingerprint that it is known by.

The fingerprint is over the title, the order, and of each socket its value, or the path, length and time of change of
each of its files. Contents are not read for it: a row of a re-run would cost as much as its upload, and the time of
change tells what a build tool needs to know. So a file that was changed between two runs makes another row. With a
title, the server then has the former case of that title: ``existing="skip"`` leaves it as it is, and says so;
``"update"`` changes it. Without a title, the new row has another title of its own, and becomes another case.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcapi.bulk.cells import Cell, CellError
from gcapi.exceptions import SocketNotFound, SpecError
from gcapi.sockets import MAX_IMAGE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from gcapi.bulk.manifest import Row
    from gcapi.models import ComponentInterface
    from gcapi.sockets import SocketValueSpec

#: The note column in which a DICOM image set is named, before its socket's slug.
NAME_NOTE = "name:"
_HEX = 16


@dataclass(frozen=True)
class Ready:
    """A row whose cells were understood.

    Attributes:
        row: The row.
        specs: Its values.
        fingerprint: What makes it the row that it is.
    """

    row: Row
    specs: tuple[SocketValueSpec, ...]
    fingerprint: bytes

    @property
    def title(self) -> str:
        """The title that its case has on the server: its own, or one made from the fingerprint."""
        return self.row.title.strip() or f"gcapi-{self.fingerprint.hex()[:_HEX]}"

    @property
    def slugs(self) -> frozenset[str]:
        """The sockets that it has a value for."""
        return frozenset(spec.socket_slug for spec in self.specs)

    def only(self, slugs: frozenset[str]) -> list[SocketValueSpec]:
        """Return the values of some sockets."""
        return [spec for spec in self.specs if spec.socket_slug in slugs]


def make_ready(
    row: Row, folder: Path, socket_of: Callable[[str], ComponentInterface]
) -> tuple[Ready, list[tuple[str, Exception]]]:
    """Understand a row, and tell which of its cells cannot be.

    Args:
        row: The row.
        folder: Where relative paths count from.
        socket_of: Finds a socket by its slug.

    Returns:
        The row without those cells; and each of them, by its slug, with what is wrong.
    """
    specs: list[SocketValueSpec] = []
    wrong: list[tuple[str, Exception]] = []
    content: dict[str, Any] = {}
    for slug in sorted(row.cells):
        try:
            cell = Cell(socket_of(slug), row.cells[slug], folder)
            spec = cell.spec(_image_name(row, slug))
            content[slug] = _content(spec, folder)
            specs.append(spec)
        except (SpecError, SocketNotFound, OSError) as error:
            wrong.append((slug, error))
    said = json.dumps([row.title, row.order, content], sort_keys=True, default=str)
    fingerprint = hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest()[:_HEX]
    return Ready(row, tuple(specs), fingerprint), wrong


def _image_name(row: Row, slug: str) -> str:
    """Return what a DICOM image set is called: names of folders may hold a patient's, so none of those."""
    return str(row.notes.get(f"{NAME_NOTE}{slug}") or row.title or slug)[:MAX_IMAGE_NAME]


def _content(spec: SocketValueSpec, folder: Path) -> Any:
    if not spec.paths:
        return ["value", spec.value]
    return ["files", *(list(_look(path, folder)) for path in spec.paths)]


def _look(path: Path, folder: Path) -> Iterator[str | int]:
    """Yield what a file is known by: where it lies relative to the manifest, which may be mounted elsewhere."""
    try:
        status = path.stat()
    except OSError as error:
        raise CellError(
            what=f"there is no file {path}", fix="Add the file, or mend the path"
        ) from error
    yield (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
    yield status.st_size
    yield status.st_mtime_ns


#: What to do about rows that cannot be told apart.
TITLES_FIX = "Give every row a title of its own"


def repeated(rows: Iterable[Row]) -> dict[int, str]:
    """Return the lines of rows that cannot be told from an earlier one, and why."""
    seen: dict[str, int] = {}
    found: dict[int, str] = {}
    for row in rows:
        key = row.title or repr((row.order, sorted(row.cells.items(), key=str)))
        first = seen.setdefault(key, row.line)
        if first != row.line:
            title = f"has the title {row.title!r} already"
            found[row.line] = f"line {first} {title if row.title else 'says the same'}"
    return found
