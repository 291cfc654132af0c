"""How data is printed: JSON for programs, tables for people, and nothing from a server that controls a terminal.

One object is one JSON document; a list is JSON Lines, one object a line, as it comes. For people, a list is a table in
a terminal, cut to its width; where the output is piped, it is lines of tab-separated cells without a header, uncut.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import unicodedata
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from gcapi._util.json_types import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

#: A column of a table: its header, and what it shows of an object.
Column = tuple[str, "Callable[[dict[str, Any]], Any]"]

#: How many rows decide on the widths of a table's columns.
_MEASURED = 200
_GAP = "  "
_CUT = "…"


def printable(text: str) -> str:
    """Return a text in which nothing controls a terminal."""
    from gcapi._util.messages import printable as clean

    return clean(text)


def write(line: str) -> None:
    """Print a line of data."""
    sys.stdout.write(line + "\n")


# ---------------------------------------------------------------- JSON


def print_json(document: Any) -> None:
    """Print one JSON document."""
    write(_json(document, indent=2))


def print_json_lines(documents: Iterable[Any]) -> None:
    """Print JSON documents as they come, each in a line of its own."""
    for document in documents:
        write(_json(document))


def _json(document: Any, indent: int | None = None) -> str:
    has_all = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    text = json.dumps(document, indent=indent, ensure_ascii=not has_all, default=str)
    # JSON leaves some control characters as they are, and a terminal may obey them.
    return re.sub(r"[^\x20-\x7e\n]", lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


# ---------------------------------------------------------------- tables


def print_table(documents: Iterable[dict[str, Any]], columns: Sequence[Column]) -> None:
    """Print objects as the rows of a table."""
    rows = ([cell(show(document)) for _, show in columns] for document in documents)
    if not sys.stdout.isatty():
        for row in rows:
            write("\t".join(row))
        return
    for line in table_lines(rows, [header for header, _ in columns], _terminal_width()):
        write(line)


def table_lines(rows: Iterable[list[str]], headers: Sequence[str], width: int) -> Iterator[str]:
    """Yield the lines of a table; the last column is cut where a line would be wider than the terminal.

    Args:
        rows: The cells; of these, the first two hundred decide on the widths.
        headers: The first line.
        width: How many columns the terminal has.
    """
    rows = iter(rows)
    measured = list(islice(rows, _MEASURED))
    lines = [[header.upper() for header in headers], *measured]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for row in chain(lines, rows):
        cells = [_padded(text, wide) for text, wide in zip(row[:-1], widths[:-1], strict=True)]
        yield _cut(_GAP.join([*cells, row[-1]]), width)


def cell(value: Any) -> str:
    """Return a value as one line of text: empty for nothing."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return printable(" ".join(text.split()))


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes: two for each wide character, none for combining ones."""
    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in "WF")
        for one in text
    )


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))


def _cut(text: str, width: int) -> str:
    text = text.rstrip()
    if _width(text) <= width:
        return text
    kept = text
    while kept and _width(kept) > width - len(_CUT):
        kept = kept[:-1]
    return kept + _CUT


# ---------------------------------------------------------------- one object


def print_object(document: Mapping[str, Any]) -> None:
    """Print an object as lines of ``name: value``; what is empty is left out."""
    for name, value in document.items():
        if value in (None, "", [], {}):
            continue
        if is_array(value) and any(isinstance(item, dict) for item in value):
            write(f"{printable(name)}:")
            for item in value:
                write(f"  {_short(item)}")
        else:
            write(f"{printable(name)}: {_short(value)}")


def _short(value: Any) -> str:
    """Return what names an object inside of another."""
    return cell(_name(value) if is_object(value) else value)


def _name(inner: dict[str, Any]) -> Any:
    if inner.get("interface"):
        source = next(
            (inner[key] for key in ("image", "file") if inner.get(key)), inner.get("value")
        )
        return f"{_slug(inner['interface'])} = {cell(source)}"
    if "inputs" in inner and "outputs" in inner:
        return " -> ".join(
            ", ".join(cell(_slug(socket)) for socket in inner[side])
            for side in ("inputs", "outputs")
        )
    names = ("slug", "question_text", "username", "file", "title", "name")
    return next((inner[name] for name in names if inner.get(name)), inner)


def _slug(socket: Any) -> Any:
    return socket.get("slug") if is_object(socket) else socket
