"""The meaning of a manifest's cells, which depends on the socket.

Image sockets take files: a path, several (a list, or separated by ``;``), a directory (the files in it that are not
hidden), or a glob. File sockets take one file; those of a JSON kind also the JSON itself, if no file has that name.
Value sockets take JSON, or the name of a file ending in ``.json`` that has it.

Text means the same in every format of manifest: for String and Choice sockets it is the value itself, or a JSON string
if it begins and ends with a quotation mark (so that the empty text can be written); for other kinds it is JSON.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcapi._transfer.local_files import local_file_error
from gcapi._util.json_types import is_array
from gcapi._workflows.socket_kinds import StorageKind, decode, shortened, storage_kind
from gcapi.exceptions import SpecError
from gcapi.sockets import SocketValueSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gcapi.models import ComponentInterface

#: The kinds whose text is the value itself.
PLAIN_TEXT_KINDS = frozenset({"string", "choice"})
#: Separates the paths in a cell.
SEPARATOR = ";"
#: Files that operating systems leave in folders.
_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})


class CellError(SpecError):
    """Raised when a cell does not make a value.

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
    """The content of a manifest for one socket.

    Attributes:
        socket: The socket.
        content: The content, as in the manifest.
        folder: The folder that relative paths start from.
    """

    socket: ComponentInterface
    content: Any
    folder: Path

    def spec(self, image_name: str) -> SocketValueSpec:
        """Return the specification that the cell means; its files are found, and not checked yet.

        Args:
            image_name: The name of the image if it is a DICOM image set.

        Raises:
            CellError: The cell means nothing that the socket takes.
        """
        kind, slug = storage_kind(self.socket), self.socket.slug
        if kind in {StorageKind.VALUE, StorageKind.JSON}:
            # The text of a String is never a path.
            is_plain = self.socket.kind.casefold() in PLAIN_TEXT_KINDS
            has_suffix = isinstance(self.content, str) and self.content.lower().endswith(".json")
            may_be_path = kind == StorageKind.JSON or (has_suffix and not is_plain)
            if not (may_be_path and self._names_a_file()):
                return SocketValueSpec(slug, value=self._json_value())
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

    def _names_a_file(self) -> bool:
        if not isinstance(self.content, str):
            return False
        path = self.folder / self.content
        try:
            return stat.S_ISREG(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:  # JSON, rather than a path
                return False
            raise local_file_error(path, error) from error

    def _json_value(self) -> Any:
        try:
            return parse_value(self.socket.kind, self.content)
        except ValueError as error:
            raise CellError(
                what=f"{shortened(repr(self.content))} is not JSON ({error}) and does not name a .json file",
                fix=f"Write a value of kind {self.socket.kind} as JSON",
            ) from error

    def _paths(self) -> list[Path]:
        parts = self._parts()
        if not parts:
            raise CellError(
                what=f"{shortened(repr(self.content))} does not name a file",
                fix=f"Write a path, or several separated by {SEPARATOR}",
            )
        return [path for part in parts for path in self._found(part)]

    def _parts(self) -> Sequence[str]:
        """Return the paths, directories and globs in the cell."""
        content = self.content
        if isinstance(content, str):
            if os.path.exists(self.folder / content):  # noqa: PTH110 - False, too, for a text that is too long
                return [content]
            try:
                content = json.loads(content)
            except ValueError:
                content = content.split(SEPARATOR)
        if not is_array(content) or not all(isinstance(part, str) for part in content):
            return []
        return [part.strip() for part in content if part.strip()]

    def _found(self, part: str) -> list[Path]:
        path = self.folder / part
        if path.is_dir():
            files = sorted(entry for entry in path.iterdir() if is_user_file(entry))
            what, fix = f"the directory {part!r} has no files", "Name another"
        elif path.exists() or not glob.has_magic(part):
            return [path]
        else:
            found = glob.glob(part, root_dir=self.folder, recursive=True)  # noqa: PTH207 - takes absolute patterns too
            files = sorted(self.folder / name for name in found if (self.folder / name).is_file())
            what, fix = f"no file matches {part!r}", "Correct the pattern, or add the files"
        if not files:
            raise CellError(what=what, fix=fix)
        return files


def is_user_file(path: Path) -> bool:
    """Return whether a path is a file that is neither hidden nor made by the operating system."""
    return path.is_file() and path.name[0] != "." and path.name.lower() not in _SYSTEM_FILES


# ---------------------------------------------------------------- values


def parse_value(kind: str, content: Any) -> Any:
    """Return the value in a cell.

    Args:
        kind: The socket's kind, as the server names it.
        content: The content of the cell.

    Raises:
        ValueError: The kind needs JSON, and the text is not.
    """
    if not isinstance(content, str):
        return content
    if kind.casefold() in PLAIN_TEXT_KINDS and not _is_json_string(content):
        return content
    return decode(content.encode())


def value_cell(kind: str, value: Any) -> str:
    """Return the content of a cell that `parse_value` turns into a value again.

    Args:
        kind: The socket's kind, as the server names it.
        value: A JSON value.
    """
    is_plain = isinstance(value, str) and kind.casefold() in PLAIN_TEXT_KINDS
    if is_plain and value and not _is_json_string(value):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _is_json_string(text: str) -> bool:
    if not (text.startswith('"') and text.endswith('"')):
        return False
    try:
        return isinstance(json.loads(text), str)
    except ValueError:
        return False
