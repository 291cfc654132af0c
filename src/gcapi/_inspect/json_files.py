"""Reading and checking of local JSON files.

A JSON file that is uploaded as it is, is parsed only to check it: one file at a time, and only up to
`MAX_CHECKED_BYTES`. Annotations take seven to ten times their length in memory, 640 MiB at the bound; the worst JSON, a
list of empty objects, 26 times. Of a longer file only the first and the last character are checked, which finds a
truncated file.

The file of a Value socket is always read as a whole, because its value is sent in the request.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from gcapi._inspect.socket_kinds import decode, shape_problems
from gcapi._transfer.local_files import local_file_error
from gcapi._util.fork_safety import Lock
from gcapi.exceptions import SpecError

#: The longest JSON file whose whole content is checked before it is uploaded, in bytes.
MAX_CHECKED_BYTES = 64 * 2**20
#: The length of the two ends of a longer file that are read to find its first and its last character, in bytes.
_EDGE_BYTES = 4096
#: The first and the last character of a long JSON text.
_DELIMITERS = frozenset({b"{}", b"[]", b'""'})

#: Held while a file is parsed, so that threads do not multiply the memory.
_parsing = Lock()


def read_json_file(path: Path) -> Any:
    """Return the JSON value in a file.

    Raises:
        SpecFileError: The file cannot be read.
        SpecError: It is not valid JSON.
    """
    content = read_whole(path)
    try:
        return decode(content)
    except ValueError as error:
        raise SpecError(f"{path}: it is not valid JSON: {error}.") from error


def json_file_problem(path: Path, size: int, kind: str) -> str | None:
    """Return what is wrong with the JSON value in a file, without a full stop; `None` if nothing is.

    Args:
        path: The file.
        size: Its length in bytes.
        kind: The socket's kind, as the server names it.

    Raises:
        SpecFileError: The file cannot be read.
    """
    if size > MAX_CHECKED_BYTES:
        first, last = _edges(path)
        if first + last in _DELIMITERS:
            return None
        return f"it is not valid JSON: it begins with {first!r} and ends with {last!r}"
    with _parsing:
        content = read_whole(path)
        try:
            return shape_problem(kind, decode(content))
        except ValueError as error:
            return f"it is not valid JSON: {error}"


def shape_problem(kind: str, value: Any) -> str | None:
    """Return what is wrong with the shape of a JSON value, without a full stop; `None` if nothing is.

    It has the first problem, and the number of the others.
    """
    problems = shape_problems(kind, value)
    first = next(problems, None)
    if first is None:
        return None
    others = sum(1 for _ in problems)
    return f"{first} (and {others} more)" if others else first


def read_whole(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        SpecFileError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise local_file_error(path, error) from error


def _edges(path: Path) -> tuple[bytes, bytes]:
    """Return the first and the last character of a long file."""
    try:
        with path.open("rb") as file:
            first = file.read(_EDGE_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            file.seek(-_EDGE_BYTES, os.SEEK_END)
            return first, file.read().rstrip()[-1:]
    except OSError as error:
        raise local_file_error(path, error) from error
