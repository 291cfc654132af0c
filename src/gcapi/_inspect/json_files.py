"""Reading and checking of local JSON files.

A JSON file that is uploaded as it is, is parsed only to check it: once in a process for each file (path, inode, length
and times of change), one file at a time, and only up to `MAX_CHECKED_BYTES`. Annotations take seven to ten times
their length in memory, 640 MiB at the bound; the worst JSON, a list of empty objects, 26 times. Of a longer file only
the first and the last character are checked, which finds a truncated file.

The file of a Value socket is always read as a whole, because its value is sent in the request.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from gcapi._inspect.socket_kinds import decode, shape_problems
from gcapi._transfer.local_files import check_local_file, local_file_error
from gcapi._util.fork_safety import Lock
from gcapi.exceptions import SpecError

#: The longest JSON file whose whole content is checked before it is uploaded, in bytes.
MAX_CHECKED_BYTES = 64 * 2**20
#: The number of checked files that are remembered, at about 500 bytes each.
_REMEMBERED_FILES = 10_000
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
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise local_file_error(path, error) from error
    except ValueError as error:
        raise _invalid(path, error) from error


def check_json_file(path: Path, kind: str) -> None:
    """Check that a file has a JSON value of a kind.

    Args:
        path: The file.
        kind: The socket's kind, as the server names it.

    Raises:
        SpecFileError: The file cannot be read.
        SpecError: It is not valid JSON, or has another shape.
    """
    status = check_local_file(path)
    times = (status.st_mtime_ns, status.st_ctime_ns)
    identity = (status.st_dev, status.st_ino, status.st_size, *times)
    if status.st_size > MAX_CHECKED_BYTES:
        _check_edges(path)
        return
    with _parsing:
        _check_content(path.absolute(), kind, identity)


@lru_cache(_REMEMBERED_FILES)  # exceptions are not cached, so that a corrected file is read again
def _check_content(path: Path, kind: str, _: tuple[int, ...]) -> None:
    check_shape(kind, read_json_file(path), f"{path}: ")


def check_shape(kind: str, value: Any, place: str = "") -> None:
    """Check that a JSON value has the shape of a kind.

    Raises:
        SpecError: It has another; the message has the first problem and the number of others.
    """
    problems = shape_problems(kind, value)
    first = next(problems, None)
    if first is not None:
        others = sum(1 for _ in problems)
        more = f" (and {others} more)" if others else ""
        raise SpecError(f"{place}{first}{more}.")


def _check_edges(path: Path) -> None:
    try:
        with path.open("rb") as file:
            first = file.read(_EDGE_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            file.seek(-_EDGE_BYTES, os.SEEK_END)
            last = file.read().rstrip()[-1:]
    except OSError as error:
        raise local_file_error(path, error) from error
    if first + last not in _DELIMITERS:
        raise _invalid(path, f"it begins with {first!r} and ends with {last!r}")


def _invalid(path: Path, reason: object) -> SpecError:
    return SpecError(f"{path} is not valid JSON: {reason}.")
