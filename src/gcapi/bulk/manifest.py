"""Manifests: tables of cases, one case per row, as CSV, JSON Lines or Parquet; the suffix tells which.

The columns are `title`, `order` (of display sets), and the slugs of sockets. A socket that is itself called ``title``
or ``order`` is written ``socket:title``. All other names with a colon are notes about the row, which are kept, and
ignored by a push. An empty cell (in JSON also ``null``) counts as missing; `gcapi.bulk.cells` defines what the others
mean.

A manifest is read row by row and held in memory as a whole, at about 1 KB a row; the files that it names are not.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi._inspect import socket_kinds
from gcapi._transfer.atomic_file import write_atomically
from gcapi.exceptions import MissingExtra, SpecError
from gcapi.findings import Level

#: Marks a column as a socket's.
SOCKET_PREFIX = "socket:"
#: The columns that are not sockets.
CASE_COLUMNS = ("title", "order")
#: The number of problems that a message lists.
SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Problem:
    """Something in a manifest that is wrong.

    Attributes:
        line: The line in the file, from 1; 0 for a problem of the whole.
        column: The column, as written in the file; empty for a problem of the whole row.
        what: What is wrong.
        fix: What to do about it, in one line.
        level: ``"error"``, or ``"warning"`` for what a person should look at.
    """

    line: int
    column: str
    what: str
    fix: str
    level: Level = "error"

    def __str__(self) -> str:
        place = (f"line {self.line}" if self.line else "", self.column)
        stop = "" if self.what.endswith(("?", ".")) else "."
        level = "warning: " if self.level == "warning" else ""
        return (
            f"{level}{', '.join(filter(None, place)) or 'manifest'}: {self.what}{stop} {self.fix}."
        )


class ManifestError(SpecError):
    """Raised when a manifest cannot be used; the message lists everything that is wrong with it.

    Attributes:
        problems: Everything that is wrong.
    """

    def __init__(self, *args: object, problems: Sequence[Problem]) -> None:
        super().__init__(*args)
        self.problems: tuple[Problem, ...] = tuple(problems)


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        line: The line in the file, from 1, for messages.
        title: The title; empty for none.
        order: The order in a reader study; `None` for the last.
        cells: The content of each cell that is not empty, by socket slug: a `str`, or a JSON value.
        notes: The cells of note columns, by column name.
    """

    line: int
    title: str = ""
    order: int | None = None
    cells: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def name(self) -> str:
        """Its name in messages: the line, and the title if it has one."""
        return f"line {self.line} ({self.title})" if self.title else f"line {self.line}"


@dataclass(frozen=True)
class Manifest:
    """A table of cases.

    Attributes:
        rows: The cases.
        folder: The folder that relative paths in cells start from.
        path: The file that it was read from; `None` if there is none.
    """

    rows: tuple[Row, ...]
    folder: Path
    path: Path | None = None


def column_of(slug: str) -> str:
    """Return the name of a socket's column."""
    return f"{SOCKET_PREFIX}{slug}" if slug in CASE_COLUMNS else slug


def _is_note(column: str) -> bool:
    return ":" in column and not column.startswith(SOCKET_PREFIX)


# ---------------------------------------------------------------- reading


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; relative paths in it start from its folder.

    Raises:
        ManifestError: The file is not a valid table; the error has everything that is wrong with it.
        MissingExtra: The file is Parquet, and pyarrow is not installed.
        OSError: The file cannot be read.
    """
    manifest, problems = parse_manifest(path)
    if problems:
        raise manifest_error(path, *problems)
    return manifest


def manifest_error(path: Path, *problems: Problem) -> ManifestError:
    """Return the error for the problems of a manifest."""
    lines = [str(problem) for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"… and {len(problems) - SHOWN_PROBLEMS} more")
    start = f"{path}: " if len(lines) == 1 else f"{path} has {len(problems)} problems:\n  "
    return ManifestError(start + "\n  ".join(lines), problems=problems)


def parse_manifest(path: Path) -> tuple[Manifest, list[Problem]]:
    """Return the readable part of a manifest, and the problems of the rest.

    Raises:
        ManifestError: The suffix is unknown, or the file is not text.
        MissingExtra: The file is Parquet, and pyarrow is not installed.
        OSError: The file cannot be read.
    """
    path = Path(path)
    problems: list[Problem] = []
    read, _ = _format_of(path)
    try:
        rows = tuple(_row(line, record, problems) for line, record in read(path, problems))
    except UnicodeDecodeError as error:
        problem = Problem(0, "", f"it is not UTF-8 text ({error})", "Save it as UTF-8")
        raise manifest_error(path, problem) from error
    return Manifest(rows, path.absolute().parent, path), problems


Records = Iterator[tuple[int, Mapping[str, Any]]]


def _read_csv(path: Path, problems: list[Problem]) -> Records:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = [name.strip() for name in next(reader, list[str]())]
        problems += _header_problems(header)
        line = reader.line_num + 1
        try:
            for cells in reader:
                if any(cells):
                    problems += _cell_problems(line, header, cells)
                    yield line, {n: c for n, c in zip(header, cells, strict=False) if n}
                line = reader.line_num + 1
        except csv.Error as error:
            fix = "Correct the quotes from there on; a cell of more than 128 KiB needs JSON Lines"
            problems.append(Problem(line, "", f"the rest of the CSV cannot be read: {error}", fix))


def _header_problems(header: Sequence[str]) -> Iterator[Problem]:
    if not any(header):
        yield Problem(1, "", "there are no columns", "Write the column names in the first line")
    if len(header) == 1 and ";" in header[0]:
        yield Problem(1, "", "the columns are separated by semicolons", "Separate them by commas")
    for name in sorted({name for name in header if name and header.count(name) > 1}):
        yield Problem(1, name, "the column appears more than once", "Remove or rename one")


def _cell_problems(line: int, header: Sequence[str], cells: Sequence[str]) -> Iterator[Problem]:
    if any(cells[len(header) :]):
        what = f"the row has {len(cells)} cells, and there are {len(header)} columns"
        yield Problem(line, "", what, "Put quotes around cells with commas")
    nameless = [cell for name, cell in zip(header, cells, strict=False) if cell and not name]
    if nameless:
        yield Problem(line, "", f"{nameless[0]!r} is in a column without a name", "Name the column")


def _read_json_lines(path: Path, problems: list[Problem]) -> Records:
    fix = "Write one JSON object per line"
    with path.open("rb") as file:
        for line, content in enumerate(file, start=1):
            if not content.strip():
                continue
            try:
                record = socket_kinds.decode(content)
            except ValueError as error:
                problems.append(Problem(line, "", f"it is not valid JSON: {error}", fix))
                continue
            if isinstance(record, dict):
                yield line, record
            else:
                problems.append(Problem(line, "", "it is not a JSON object", fix))


def _read_parquet(path: Path, problems: list[Problem]) -> Records:
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
    except arrow.ArrowInvalid as error:
        problems.append(Problem(0, "", f"it is not a Parquet file: {error}", "Save it again"))
        return
    yield from enumerate(table.to_pylist(), start=1)


def _row(line: int, record: Mapping[str, Any], problems: list[Problem]) -> Row:
    cells: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    for name, cell in record.items():
        if cell is None or cell == "" or name in CASE_COLUMNS:
            continue
        (notes if _is_note(name) else cells)[name.removeprefix(SOCKET_PREFIX)] = cell
    title, order = record.get("title"), record.get("order")
    if isinstance(title, bool) or not isinstance(title, str | int | None):
        fix = "Put quotes around the title"
        problems.append(Problem(line, "title", f"{title!r} is not a text", fix))
        title = None
    number = _integer(order)
    if number is None and not (order is None or (isinstance(order, str) and not order.strip())):
        fix = "Write digits only, or leave it empty for the last place"
        problems.append(Problem(line, "order", f"{order!r} is not a whole number", fix))
    return Row(line, "" if title is None else str(title).strip(), number, cells, notes)


def _integer(cell: Any) -> int | None:
    """Return a whole number, which tables with gaps store as a float; `None` for everything else."""
    try:
        number = float(cell)
        return int(number) if number.is_integer() and not isinstance(cell, bool) else None
    except (TypeError, ValueError):
        return None


# ---------------------------------------------------------------- writing


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write a manifest atomically, replacing the file if it exists.

    Args:
        path: The file; its suffix determines the format.
        rows: The cases. In CSV, cells that are not text are written as JSON; in Parquet too, if their column has text.

    Raises:
        ManifestError: The suffix is unknown.
        MissingExtra: The file is Parquet, and pyarrow is not installed.
        OSError: The file cannot be written.
    """
    _, encode = _format_of(path)
    records: list[dict[str, Any]] = []
    for row in rows:
        cells = {column_of(slug): cell for slug, cell in row.cells.items()}
        record = {"title": row.title or None, "order": row.order, **cells, **row.notes}
        records.append({name: cell for name, cell in record.items() if cell is not None})
    write_atomically(path, encode(records), existing="overwrite")


def _columns(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns of all rows: the title, the order if any row has one, sockets, and notes."""
    used = dict.fromkeys(["title", *(name for record in records for name in record)])
    ranks = {"title": 0, "order": 1}
    return sorted(used, key=lambda name: ranks.get(name, 3 if _is_note(name) else 2))


def _encode_csv(records: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, _columns(records), lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({name: _as_text(cell) for name, cell in record.items()})
    return text.getvalue().encode()


def _encode_json_lines(records: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(f"{_json(record)}\n" for record in records).encode()


def _encode_parquet(records: Sequence[Mapping[str, Any]]) -> bytes:
    arrow, parquet = _pyarrow()
    columns: dict[str, list[Any]] = {}
    for name in _columns(records):
        cells = [record.get(name) for record in records]
        types: set[type] = {type(cell) for cell in cells if cell is not None}
        is_uniform = types <= {str} or types in ({int}, {float})
        columns[name] = cells if is_uniform else [_as_text(cell) for cell in cells]
    stream = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pydict(columns), stream)
    return bytes(stream.getvalue())


def _as_text(cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else _json(cell)


def _json(cell: Any) -> str:
    return json.dumps(cell, ensure_ascii=False, allow_nan=False)


def _pyarrow() -> tuple[Any, Any]:
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra(
            "A Parquet manifest needs pyarrow. Install it with 'pip install pyarrow', or save the manifest as CSV or"
            " JSON Lines."
        ) from error


# ---------------------------------------------------------------- formats

Reader = Callable[[Path, list[Problem]], Records]
Encoder = Callable[[Sequence[Mapping[str, Any]]], bytes]

_FORMATS: dict[str, tuple[Reader, Encoder]] = {
    ".csv": (_read_csv, _encode_csv),
    ".jsonl": (_read_json_lines, _encode_json_lines),
    ".ndjson": (_read_json_lines, _encode_json_lines),
    ".parquet": (_read_parquet, _encode_parquet),
}


def _format_of(path: Path) -> tuple[Reader, Encoder]:
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        what = f"the suffix {path.suffix!r} is not that of a manifest"
        raise manifest_error(path, Problem(0, "", what, f"Use one of {', '.join(_FORMATS)}"))
    return found
