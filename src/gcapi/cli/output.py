"""Printing data: JSON for programs, tables for people.

An object is one JSON document; a list is JSON Lines, printed as the objects arrive. Without ``--json``, a list is a
table that fits the terminal or, where the output is piped, uncut tab-separated lines without a header. With ``--csv``,
it is CSV for spreadsheet programs. Characters of the server that would control a terminal are replaced or escaped.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from gcapi._util.json_types import is_array, is_object
from gcapi._util.messages import printable, printable_lines

T = TypeVar("T")
#: A column of a table: its header, and a function that takes its value from a model or a dict.
Column = tuple[str, Callable[[T], Any]]

#: The number of rows that determine the widths of a table's columns.
_MEASURED_ROWS = 200
#: The least width in columns to which a cell before the last one is cut; it is half of the terminal if that is more.
_MIN_LIMIT = 10
_GAP = "  "
_ELLIPSIS = "…"


def write(line: str) -> None:
    """Print a line of data."""
    sys.stdout.write(line + "\n")


# ---------------------------------------------------------------- JSON


def print_json(document: Any) -> None:
    """Print one JSON document."""
    write(_to_json(document, indent=2))


def print_json_lines(documents: Iterable[Any]) -> None:
    """Print models or JSON documents as they arrive, one per line."""
    from grand_challenge_api.base import to_json  # the help of a command must appear at once

    for document in documents:
        write(_to_json(to_json(document)))


def _to_json(document: Any, indent: int | None = None) -> str:
    text = json.dumps(document, indent=indent, ensure_ascii=not _prints_utf8(), default=str)
    # json.dumps leaves some control characters unescaped, such as U+009B.
    return re.sub(r"[^\x20-\x7e\n]", lambda match: _escape(match[0]), text)


def _prints_utf8() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _escape(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


# ---------------------------------------------------------------- tables


def print_table(documents: Iterable[T], columns: Sequence[Column[T]]) -> None:
    """Print objects as the rows of a table; a field that the server did not send is empty."""
    rows = ([cell_text(cell) for cell in cells] for cells in _cells_of(documents, columns))
    lines: Iterable[str] = map("\t".join, rows)
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        lines = table_lines(rows, [header for header, _ in columns], width)
    for line in lines:
        write(line)


def print_csv(
    documents: Iterable[T], columns: Sequence[Column[T]], line_of: Callable[[Iterable[Any]], str]
) -> None:
    """Print objects as CSV with a header, as they arrive; a file of it opens in Excel.

    Args:
        documents: The objects.
        columns: The columns of the table.
        line_of: Returns the line of some cells.
    """
    is_terminal = sys.stdout.isatty()
    if not is_terminal and _prints_utf8():
        sys.stdout.write("\ufeff")
    for cells in chain([[header for header, _ in columns]], _cells_of(documents, columns)):
        line = line_of(cells)
        sys.stdout.write(printable_lines(line) + "\n" if is_terminal else line)


def _cells_of(documents: Iterable[T], columns: Sequence[Column[T]]) -> Iterator[list[Any]]:
    """Yield the JSON values of each row; `None` for a field that the server did not send."""
    from grand_challenge_api.base import AbsentFieldError, to_json  # as above

    def cell(document: T, value_of: Callable[[T], Any]) -> Any:
        try:
            return to_json(value_of(document))
        except AbsentFieldError:
            return None

    for document in documents:
        yield [cell(document, value_of) for _, value_of in columns]


def table_lines(rows: Iterable[list[str]], headers: Sequence[str], width: int) -> Iterator[str]:
    """Yield the lines of a table, none wider than the terminal; none at all without rows.

    Args:
        rows: The cells; the first 200 rows determine the widths of the columns.
        headers: The first line.
        width: The terminal's width in columns.
    """
    # A cell may have millions of characters, and must leave room for the cells after it.
    limit = max(width // 2, _MIN_LIMIT)
    cut = ([*(_fit(text, limit) for text in row[:-1]), _fit(row[-1], width + 2)] for row in rows)
    lines = [[header.upper() for header in headers], *islice(cut, _MEASURED_ROWS)]
    if len(lines) == 1:
        return
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for row in chain(lines, cut):
        cells = [text + " " * (wide - _width(text)) for text, wide in zip(row, widths, strict=True)]
        yield _fit(_GAP.join(cells).rstrip(), width)


def cell_text(value: Any) -> str:
    """Return a value as one line of text; empty for `None`."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return printable(" ".join(text.split()))


def _width(text: str) -> int:
    """Return the number of terminal columns of a text."""
    return len(text) if text.isascii() else sum(map(_character_width, text))


def _character_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _fit(text: str, width: int) -> str:
    """Return a text cut to a width, in time proportional to the width."""
    total = kept = 0
    for index, character in enumerate(text):
        total += _character_width(character)
        if total > width:
            return text[:kept] + _ELLIPSIS
        if total <= width - len(_ELLIPSIS):
            kept = index + 1
    return text


# ---------------------------------------------------------------- one object


def print_object(document: Mapping[str, Any]) -> None:
    """Print an object as lines of ``name: value``, without empty values."""
    for name, value in document.items():
        if value in (None, "", [], {}):
            continue
        if is_array(value) and any(map(is_object, value)):
            write(f"{printable(name)}:")
            for item in value:
                write(f"  {_summary(item)}")
        else:
            write(f"{printable(name)}: {_summary(value)}")


def _summary(value: Any) -> str:
    return cell_text(_name_of(value) if is_object(value) else value)


def _name_of(inner: dict[str, Any]) -> Any:
    """Return a short text for an object inside another: a socket value, an interface, or a name."""
    if inner.get("interface"):
        source = next(
            (inner[key] for key in ("image", "file") if inner.get(key)), inner.get("value")
        )
        return f"{_socket_name(inner['interface'])} = {cell_text(source)}"
    if "inputs" in inner and "outputs" in inner:
        return " -> ".join(
            ", ".join(cell_text(_socket_name(socket)) for socket in inner[side])
            for side in ("inputs", "outputs")
        )
    names = ("slug", "question_text", "username", "file", "title", "name")
    return next((inner[name] for name in names if inner.get(name)), inner)


def _socket_name(socket: Any) -> Any:
    return socket.get("slug") if is_object(socket) else socket
