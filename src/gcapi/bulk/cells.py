"""The meaning of a manifest's cells, which depends on the socket.

Image sockets take files: a path, several (a list, or separated by ``;``), a directory (the files in it, without litter
such as hidden files), or a glob. Files that cannot be read are among them, so that they are reported. File sockets take
one file; those of a JSON kind also the JSON itself, if no file has that name.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcapi import models
from gcapi._inspect.folders import is_folder, is_litter, list_folder
from gcapi._inspect.socket_kinds import StorageKind, decode, shortened, storage_kind
from gcapi._transfer.local_files import local_file_error
from gcapi._util.json_types import is_array
from gcapi.exceptions import SpecError
from gcapi.sockets import SocketValueSpec

#: The kinds whose text is the value itself.
PLAIN_TEXT_KINDS = frozenset({"string", "choice"})
#: Separates the paths in a cell.
SEPARATOR = ";"


class CellError(SpecError):
    """Raised when a cell does not make a value.

    Attributes:
        what: What is wrong.
        fix: What to do about it.
    """

    def __init__(self, *args: object, what: str, fix: str) -> None:
        super().__init__(*(args or (f"{what}. {fix}.",)))
        self.what = what
        self.fix = fix


def spec_of_cell(
    socket: models.ComponentInterface, content: Any, folder: Path, image_name: str
) -> SocketValueSpec:
    """Return the specification that a cell means; its files are found, and not checked yet.

    Args:
        socket: The socket of the cell.
        content: The content, as in the manifest.
        folder: The folder that relative paths start from.
        image_name: The name of the image if it is a DICOM image set.

    Raises:
        CellError: The cell means nothing that the socket takes.
    """
    kind, slug = storage_kind(socket), socket.slug
    if kind in {StorageKind.VALUE, StorageKind.JSON} and not _names_a_file(socket, content, folder):
        try:
            return SocketValueSpec(slug, value=parse_value(socket.kind, content))
        except ValueError as error:
            raise CellError(
                what=f"{shortened(repr(content))} is not JSON ({error}) and does not name a .json file",
                fix=f"Write a value of kind {socket.kind} as JSON",
            ) from error
    paths = [path for part in _parts(content, folder) for path in _find_files(part, folder)]
    if not paths:
        raise CellError(
            what=f"{shortened(repr(content))} does not name a file",
            fix=f"Write a path, or several separated by {SEPARATOR}",
        )
    if kind == StorageKind.DICOM:
        return SocketValueSpec(slug, files=paths, image_name=image_name)
    if kind == StorageKind.IMAGE:
        return SocketValueSpec(slug, files=paths)
    if len(paths) > 1:
        what = f"{len(paths)} files are given for a {socket.kind}"
        raise CellError(what=what, fix="Name one file")
    return SocketValueSpec(slug, file=paths[0])


def _names_a_file(socket: models.ComponentInterface, content: Any, folder: Path) -> bool:
    """Return whether the cell of a JSON kind names a file, rather than being JSON itself."""
    if not isinstance(content, str):
        return False
    if storage_kind(socket) == StorageKind.VALUE and (
        # The text of a String is never a path.
        not content.lower().endswith(".json") or socket.kind.casefold() in PLAIN_TEXT_KINDS
    ):
        return False
    path = folder / content
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # JSON, rather than a path
            return False
        raise local_file_error(path, error) from error


def _parts(content: Any, folder: Path) -> list[str]:
    """Return the paths, directories and globs in a cell."""
    if isinstance(content, str):
        if os.path.exists(folder / content):  # noqa: PTH110 - False, too, for a text that is too long
            return [content]
        try:
            content = json.loads(content)
        except ValueError:
            content = content.split(SEPARATOR)
    if not is_array(content) or not all(isinstance(part, str) for part in content):
        return []
    return [part.strip() for part in content if part.strip()]


def _find_files(part: str, folder: Path) -> Sequence[Path]:
    path = folder / part
    if is_folder(path):
        files: Sequence[Path] = list_folder(path).files
        what, fix = f"the directory {part!r} has no files", "Name another"
    elif os.path.lexists(path) or not glob.has_magic(part):
        return [path]
    else:
        files = _expand_glob(part, folder)
        what, fix = f"no file matches {part!r}", "Correct the pattern, or add the files"
    if not files:
        raise CellError(what=what, fix=fix)
    return files


def _expand_glob(pattern: str, folder: Path) -> list[Path]:
    """Return the files that a glob matches, without litter that it does not name.

    Raises:
        SpecFileError: A folder that it searches cannot be listed; `glob` would skip it.
    """
    parts = Path(pattern).parts
    literal = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    for index in range(literal, len(parts)):
        above = os.path.join("", *parts[:index])  # noqa: PTH118 - globs are text
        searched = _glob(above, folder) if above else [""]
        if parts[index] == "**":
            searched += _glob(os.path.join(above, "**/"), folder)  # noqa: PTH118
        for name in searched:
            if is_folder(folder / name):
                list_folder(folder / name)
    return [
        folder / name
        for name in _glob(pattern, folder)
        if not any(is_litter(part) and part not in parts for part in Path(name).parts)
        and not is_folder(folder / name)
    ]


def _glob(pattern: str, folder: Path) -> list[str]:
    return sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207 - takes absolute patterns too


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
    try:
        return text.startswith('"') and text.endswith('"') and isinstance(json.loads(text), str)
    except ValueError:
        return False
