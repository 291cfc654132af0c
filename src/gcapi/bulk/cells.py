"""What a cell of a manifest means, which depends on its socket.

Image sockets take files: a path, several (a list, or separated by ``;``), a directory (the files in it that are not
hidden), or a glob. File sockets take one file; those of a JSON kind also the JSON itself, if there is no file of that
name. Value sockets take JSON; where that is none but names a file ending in ``.json``, the JSON is read from it.

A text means the same in every form of manifest: of String and Choice sockets it is the value itself, or a JSON string
if it begins and ends with a quotation mark (so that the empty text can be written); of other kinds it is JSON.
"""

from __future__ import annotations

import glob
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcapi._util.json_types import is_array
from gcapi._workflows import socket_kinds
from gcapi._workflows.socket_kinds import StorageKind, storage_kind
from gcapi.exceptions import SpecError
from gcapi.sockets import SocketValueSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gcapi.models import ComponentInterface

#: The kinds whose texts are written as they are.
PLAIN_KINDS = frozenset({"string", "choice"})
#: What separates the paths of a cell.
SEPARATOR = ";"
#: Files that systems leave in folders.
_LITTER = frozenset({"thumbs.db", "desktop.ini"})
_QUOTES = len('""')


class CellError(SpecError):
    """Raise for a cell that makes no value.

    Attributes:
        what: What is wrong.
        fix: What to do about it.
    """

    _keywords = ("what", "fix")

    def __init__(self, *args: object, what: str, fix: str) -> None:
        super().__init__(*(args or (f"{what}. {fix}.",)))
        self.what = what
        self.fix = fix


@dataclass(frozen=True)
class Cell:
    """What is written for a socket.

    Attributes:
        socket: The socket.
        content: As in the manifest.
        folder: Where relative paths count from.
    """

    socket: ComponentInterface
    content: Any
    folder: Path

    def spec(self, image_name: str) -> SocketValueSpec:
        """Return what the cell says, its files found and not yet looked at.

        Args:
            image_name: What a DICOM image set is to be called.

        Raises:
            CellError: It says nothing that can be done.
        """
        kind, slug = storage_kind(self.socket), self.socket.slug
        if kind == StorageKind.VALUE:
            return self._value()
        if kind == StorageKind.JSON and not self._names_a_file():
            return SocketValueSpec(slug, value=self._json())
        paths = self._paths()
        if kind == StorageKind.DICOM:
            return SocketValueSpec(slug, files=paths, image_name=image_name)
        if kind == StorageKind.IMAGE:
            return SocketValueSpec(slug, files=paths)
        if len(paths) > 1:
            raise CellError(
                what=f"{len(paths)} files are given for a {self.socket.kind}", fix="Name one file"
            )
        return SocketValueSpec(slug, file=paths[0])

    def _value(self) -> SocketValueSpec:
        slug = self.socket.slug
        is_plain = self.socket.kind.casefold() in PLAIN_KINDS
        if not is_plain and self._names_a_file() and str(self.content).lower().endswith(".json"):
            return SocketValueSpec(slug, file=self.folder / str(self.content))
        return SocketValueSpec(slug, value=self._json())

    def _names_a_file(self) -> bool:
        return isinstance(self.content, str) and _is_file(self.folder / self.content)

    def _json(self) -> Any:
        try:
            return parse_value(self.socket.kind, self.content)
        except ValueError as error:
            raise CellError(
                what=f"{_shown(self.content)} is no JSON ({error}), and no .json file",
                fix=f"Write a value of kind {self.socket.kind} as JSON",
            ) from error

    # ------------------------------------------------------------ files

    def _paths(self) -> list[Path]:
        parts = list(self._parts())
        if not parts:
            raise CellError(
                what=f"{_shown(self.content)} names no file", fix="Write a path, or several with ;"
            )
        return [path for part in parts for path in self._found(part)]

    def _parts(self) -> Sequence[str]:
        """Return the paths, directories and globs that are written."""
        content = self.content
        if isinstance(content, str):
            if (self.folder / content).exists():
                return [content]
            listed = _json_list(content)
            content = listed if listed is not None else content.split(SEPARATOR)
        if not is_array(content) or not all(isinstance(part, str) for part in content):
            return []
        return [part.strip() for part in content if part.strip()]

    def _found(self, part: str) -> list[Path]:
        path = self.folder / part
        if path.is_dir():
            return _filled(_files_in(path), f"the directory {part!r} has no files", "Name another")
        if path.exists() or not glob.has_magic(part):
            return [path]
        found = glob.glob(part, root_dir=self.folder, recursive=True)  # noqa: PTH207 - takes absolute patterns too
        files = sorted(self.folder / name for name in found if (self.folder / name).is_file())
        return _filled(files, f"nothing fits {part!r}", "Mend the pattern, or add the files")


def _filled(files: list[Path], what: str, fix: str) -> list[Path]:
    if not files:
        raise CellError(what=what, fix=fix)
    return files


def _files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if is_wanted(path))


def is_wanted(path: Path) -> bool:
    """Tell whether a path is a file that somebody put there."""
    return path.is_file() and path.name[0] != "." and path.name.lower() not in _LITTER


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a text too long for a path, or with a NUL
        return False


def _json_list(text: str) -> Any:
    if not text.lstrip().startswith("["):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _shown(content: Any) -> str:
    text = repr(content)
    return text if len(text) <= socket_kinds.SHOWN_LIMIT else text[: socket_kinds.SHOWN_LIMIT] + "…"


# ---------------------------------------------------------------- values


def parse_value(kind: str, content: Any) -> Any:
    """Return the value that a cell is.

    Args:
        kind: The socket's kind, as the server names it.
        content: The cell.

    Raises:
        ValueError: A text that is no JSON, of a kind whose texts are.
    """
    if not isinstance(content, str):
        return content
    if kind.casefold() in PLAIN_KINDS and not _is_quoted(content):
        return content
    return socket_kinds.decode(content.encode())


def value_cell(kind: str, value: Any) -> str:
    """Return the cell that is read back as a value.

    Args:
        kind: The socket's kind, as the server names it.
        value: Any JSON.
    """
    is_plain = isinstance(value, str) and kind.casefold() in PLAIN_KINDS
    if is_plain and value and not _is_quoted(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _is_quoted(text: str) -> bool:
    """Tell whether a text is a JSON string."""
    if not (len(text) >= _QUOTES and text[0] == text[-1] == '"'):
        return False
    try:
        return isinstance(json.loads(text), str)
    except ValueError:
        return False


def files_of(specs: Sequence[SocketValueSpec]) -> Iterator[Path]:
    """Yield the local files of specifications."""
    for spec in specs:
        yield from spec.paths
