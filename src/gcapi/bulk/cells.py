"""The meaning of a manifest's cells, which depends on the socket.

Image sockets take files: a path, several (a list, or separated by ``;``), a directory (the files in it, without litter
such as hidden files), or a glob. Files that cannot be read are among them, so that they are reported. File sockets take
one file; those of a JSON kind also the JSON itself, if no file has that name. Names match files in any Unicode form.
Value sockets take JSON, or the name of a file ending in ``.json`` that has it.

Text means the same in every format of manifest: for String and Choice sockets it is the value itself, or a JSON string
if it begins and ends with a quotation mark (so that the empty text can be written); for other kinds it is JSON, or
``TRUE`` and ``FALSE`` as Excel writes them. Numbers of an Integer may end in ``.0``. Numbers may have a decimal comma
only in tables that are separated by semicolons, and only for Integer and Float sockets.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import stat
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from gcapi import models
from gcapi._inspect.folders import is_folder, is_litter, list_folder
from gcapi._inspect.socket_kinds import StorageKind, decode, shape_problems, shortened, storage_kind
from gcapi._transfer.local_files import local_file_error
from gcapi._util.json_types import is_array
from gcapi.bulk._unicode_paths import existing_paths, unicode_forms
from gcapi.exceptions import SpecError
from gcapi.sockets import SocketValueSpec

#: The kinds whose text is the value itself.
PLAIN_TEXT_KINDS = frozenset({"string", "choice"})
#: What the text of a cell must be, by kind, and what to do about one that is not.
_EXPECTED = {
    "bool": ("TRUE or FALSE", "Write TRUE or FALSE"),
    "integer": ("a whole number", "Write a whole number, such as 3"),
    "float": ("a number", "Write a number with a decimal point, such as 1.5"),
}
#: The spellings of Excel, which no JSON text has.
_BOOLEANS = {"TRUE": True, "True": True, "FALSE": False, "False": False}
_DECIMAL_COMMA = re.compile(r"\s*(-?\d+),(\d+(?:[eE][+-]?\d+)?)\s*")
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


class ValueCellError(CellError):
    """Raised when a cell does not make a value of its socket's kind."""


def spec_of_cell(
    socket: models.ComponentInterface,
    content: Any,
    folder: Path,
    image_name: str,
    *,
    has_decimal_commas: bool = False,
) -> SocketValueSpec:
    """Return the specification that a cell means; its files are found, and not checked yet.

    Args:
        socket: The socket of the cell.
        content: The content, as in the manifest.
        folder: The folder that relative paths start from.
        image_name: The name of the image if it is a DICOM image set.
        has_decimal_commas: Whether numbers may have a decimal comma.

    Raises:
        CellError: The cell means nothing that the socket takes.
    """
    kind, slug = storage_kind(socket), socket.slug
    if kind in {StorageKind.VALUE, StorageKind.JSON} and not _names_a_file(socket, content, folder):
        return SocketValueSpec(slug, value=_valid_value(socket, content, has_decimal_commas))
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


def _valid_value(socket: models.ComponentInterface, content: Any, has_decimal_commas: bool) -> Any:
    """Return the value in a cell.

    Raises:
        ValueCellError: It is not JSON, or not of the socket's kind.
    """
    is_simple = socket.kind.casefold() in _EXPECTED
    noun, fix = _EXPECTED.get(
        socket.kind.casefold(),
        ("JSON and does not name a .json file", f"Write a value of kind {socket.kind} as JSON"),
    )
    try:
        value = parse_value(socket.kind, content, has_decimal_commas=has_decimal_commas)
    except ValueError as error:
        # A person who writes a number does not need to know at which character it stops being JSON.
        reason = "" if is_simple and isinstance(error, json.JSONDecodeError) else f" ({error})"
        what = f"{shortened(repr(content))} is not {noun}{reason}"
        raise ValueCellError(what=what, fix=fix) from error
    for what in shape_problems(socket.kind, value):
        raise ValueCellError(what=what, fix=fix)
    return value


def _names_a_file(socket: models.ComponentInterface, content: Any, folder: Path) -> bool:
    """Return whether the cell of a JSON kind names a file, rather than being JSON itself."""
    if not isinstance(content, str):
        return False
    if storage_kind(socket) == StorageKind.VALUE and (
        # The text of a String is never a path.
        not content.lower().endswith(".json") or socket.kind.casefold() in PLAIN_TEXT_KINDS
    ):
        return False
    path = next(iter(existing_paths(folder, content)), folder / content)
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
        if existing_paths(folder, content):
            return [content]
        try:
            content = json.loads(content)
        except ValueError:
            content = content.split(SEPARATOR)
    if not is_array(content) or not all(isinstance(part, str) for part in content):
        return []
    return [part.strip() for part in content if part.strip()]


def _find_files(part: str, folder: Path) -> Sequence[Path]:
    path = next(iter(existing_paths(folder, part)), folder / part)
    if is_folder(path):
        files: Sequence[Path] = list_folder(path).files
        what, fix = f"the directory {part!r} has no files", "Name another"
    elif os.path.lexists(path) or not glob.has_magic(part):
        _check_separators(part, folder)
        return [path]
    else:
        found = (_expand_glob(form, folder) for form in unicode_forms(part))
        files = list(dict.fromkeys(chain.from_iterable(found)))
        if not files:
            _check_separators(part, folder)
        what, fix = f"no file matches {part!r}", "Correct the pattern, or add the files"
    if not files:
        raise CellError(what=what, fix=fix)
    return files


def _check_separators(part: str, folder: Path) -> None:
    """Check that a path that does not exist is not one of Windows.

    Raises:
        CellError: It has backslashes, which separate folders on Windows only.
    """
    if os.sep == "/" and "\\" in part and not os.path.lexists(folder / part):
        fix = "Separate folders with /: " + part.replace("\\", "/")
        raise CellError(what=f"{shortened(repr(part))} does not name a file", fix=fix)


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


def parse_value(kind: str, content: Any, *, has_decimal_commas: bool = False) -> Any:
    """Return the value in a cell.

    Args:
        kind: The socket's kind, as the server names it.
        content: The content of the cell.
        has_decimal_commas: Whether numbers may have a decimal comma.

    Raises:
        ValueError: The kind needs JSON, and the text is not.
    """
    kind = kind.casefold()
    value = content
    if isinstance(content, str):
        if kind in PLAIN_TEXT_KINDS and not _is_json_string(content):
            return content
        if content.strip() in _BOOLEANS:
            return _BOOLEANS[content.strip()]
        number = _DECIMAL_COMMA.fullmatch(content)
        if number and has_decimal_commas and kind in {"integer", "float"}:
            content = f"{number[1]}.{number[2]}"
        value = decode(content.encode())
    is_whole = kind == "integer" and isinstance(value, float) and value.is_integer()
    return int(value) if is_whole else value


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
