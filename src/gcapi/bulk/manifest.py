"""A manifest: a table of cases, one row each, as CSV, JSON Lines or Parquet; the suffix says which.

Columns are `title`, `order` (of display sets), and one for each socket, under its slug. A socket that is itself called
``title`` or ``order`` is written ``socket:title``. Every other name with a colon, which no slug has, is a note about
the row: kept, and ignored where cases are pushed. An empty cell (in JSON ``null`` or ``""``) is one that is not there;
what a cell means depends on the socket, and is `gcapi.bulk.cells`' business.

A manifest is held in memory as a whole, some 1 KB a row; the files that it names are not.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi._transfer.atomic_file import write_atomically
from gcapi._workflows import socket_kinds
from gcapi.exceptions import MissingExtra, SpecError

#: How a column of a socket may be written that would otherwise mean something else.
SOCKET_PREFIX = "socket:"
#: The columns that are no sockets.
OWN_COLUMNS = ("title", "order")
#: The suffixes of manifests.
CSV_SUFFIXES, JSON_LINES_SUFFIXES, PARQUET_SUFFIXES = (
    (".csv",),
    (".jsonl", ".ndjson"),
    (".parquet",),
)
#: How many problems a message lists.
SHOWN_PROBLEMS = 20


@dataclass(frozen=True)
class Problem:
    """Something in a manifest that will not do.

    Attributes:
        line: Where it stands in the file, from 1; 0 for what is about the whole.
        column: The column as the file writes it; empty for the row as a whole.
        what: What is wrong.
        fix: What to do about it, in one line.
    """

    line: int
    column: str
    what: str
    fix: str

    def __str__(self) -> str:
        place = (f"line {self.line}" if self.line else "", self.column)
        stop = "" if self.what.endswith(("?", ".")) else "."
        return f"{', '.join(filter(None, place)) or 'manifest'}: {self.what}{stop} {self.fix}."


class ManifestError(SpecError):
    """Raise for a manifest that cannot be used, with all that is wrong with it.

    Attributes:
        problems: One for each place.
    """

    _keywords = ("problems",)

    def __init__(self, *args: object, problems: Sequence[Problem]) -> None:
        super().__init__(*args)
        self.problems: tuple[Problem, ...] = tuple(problems)


def refuse(path: Path | None, problems: Sequence[Problem]) -> None:
    """Do nothing if there is no problem.

    Raises:
        ManifestError: With all of them.
    """
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) > 1 else ''}"
        lines = "\n  ".join(map(str, problems[:SHOWN_PROBLEMS]))
        more = len(problems) - SHOWN_PROBLEMS
        rest = f"\n  … and {more} more" if more > 0 else ""
        raise ManifestError(
            f"{path or 'The manifest'} has {count}:\n  {lines}{rest}", problems=problems
        )


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        line: Where it stands in the file, from 1, for messages.
        title: Empty for none.
        order: Its place in a reader study; `None` for the last.
        cells: What is written for each socket, by slug: a `str`, or what JSON gives; empty ones are left out.
        notes: What stands in columns that are about the row and no socket, by their names.
    """

    line: int
    title: str = ""
    order: int | None = None
    cells: Mapping[str, Any] = field(default_factory=dict[str, Any])
    notes: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Manifest:
    """A table of cases.

    Attributes:
        rows: The cases.
        folder: Where relative paths in cells count from.
        path: Where it was read; `None` if it was made otherwise.
    """

    rows: tuple[Row, ...]
    folder: Path
    path: Path | None = None


def column_of(slug: str) -> str:
    """Return what the column of a socket is called."""
    return f"{SOCKET_PREFIX}{slug}" if slug in OWN_COLUMNS else slug


# ---------------------------------------------------------------- reading


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; relative paths in it count from its folder.

    Raises:
        ManifestError: It is no table that can be understood, with all that is wrong with it.
        MissingExtra: It is Parquet, and there is no pyarrow.
        OSError: It cannot be read.
    """
    manifest, problems = parse_manifest(path)
    refuse(path, problems)
    return manifest


def parse_manifest(path: Path) -> tuple[Manifest, list[Problem]]:
    """Read as much of a manifest as can be understood, and tell what cannot.

    Raises:
        ManifestError: Its suffix says nothing, or it is no text.
        MissingExtra: It is Parquet, and there is no pyarrow.
        OSError: It cannot be read.
    """
    path = Path(path)
    problems: list[Problem] = []
    records = _reader(path)(path, problems)
    rows = tuple(_row(line, record, problems) for line, record in records)
    return Manifest(rows, path.absolute().parent, path), problems


def _reader(path: Path) -> Any:
    suffix = path.suffix.lower()
    for suffixes, reader in (
        (CSV_SUFFIXES, _read_csv),
        (JSON_LINES_SUFFIXES, _read_json_lines),
        (PARQUET_SUFFIXES, _read_parquet),
    ):
        if suffix in suffixes:
            return reader
    raise _no_manifest(path)


def _no_manifest(path: Path) -> ManifestError:
    known = ", ".join((*CSV_SUFFIXES, *JSON_LINES_SUFFIXES, *PARQUET_SUFFIXES))
    problem = Problem(0, "", f"the suffix {path.suffix!r} is of no manifest", f"Use one of {known}")
    return ManifestError(f"{path}: {problem}", problems=[problem])


Records = Iterator[tuple[int, Mapping[str, Any]]]


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = Problem(0, "", f"it is not UTF-8 text ({error})", "Save it as UTF-8")
        raise ManifestError(f"{path}: {problem}", problems=[problem]) from error


def _read_csv(path: Path, problems: list[Problem]) -> Records:
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    header = [name.strip() for name in next(reader, list[str]())]
    problems += _header_problems(header)
    begun = reader.line_num + 1
    try:
        for cells in reader:
            if any(cells):
                yield begun, _record(begun, header, cells, problems)
            begun = reader.line_num + 1
    except csv.Error as error:
        fix = "Mend it from there; a field of more than 128 KiB fits into JSON Lines only"
        problems.append(Problem(begun, "", f"the CSV cannot be read on: {error}", fix))


def _header_problems(header: Sequence[str]) -> Iterator[Problem]:
    if not any(header):
        yield Problem(1, "", "there are no columns", "Begin with a line of column names")
    if len(header) == 1 and ";" in header[0]:
        yield Problem(1, "", "the columns are separated by semicolons", "Separate them by commas")
    for name in sorted({name for name in header if name and header.count(name) > 1}):
        yield Problem(1, name, "the column is there more than once", "Remove or rename one")


def _record(
    line: int, header: Sequence[str], cells: Sequence[str], problems: list[Problem]
) -> Mapping[str, str]:
    if any(cells[len(header) :]):
        what = f"the row has {len(cells)} cells, and there are {len(header)} columns"
        problems.append(Problem(line, "", what, "Put cells with commas in them into quotes"))
    nameless = [cell for name, cell in zip(header, cells, strict=False) if cell and not name]
    if nameless:
        problems.append(
            Problem(line, "", f"{nameless[0]!r} is in a column without a name", "Name the column")
        )
    return {name: cell for name, cell in zip(header, cells, strict=False) if name}


def _read_json_lines(path: Path, problems: list[Problem]) -> Records:
    for line, text in enumerate(_text(path).split("\n"), start=1):
        if not text.strip():
            continue
        try:
            record = socket_kinds.decode(text.encode())
        except ValueError as error:
            problems.append(
                Problem(line, "", f"it is not valid JSON: {error}", "One object a line")
            )
            continue
        if isinstance(record, dict):
            yield line, record
        else:
            problems.append(Problem(line, "", "it is no JSON object", "One object a line"))


def _read_parquet(path: Path, problems: list[Problem]) -> Records:
    arrow, parquet = _pyarrow()
    try:
        table = parquet.read_table(path)
    except arrow.ArrowInvalid as error:
        problems.append(Problem(0, "", f"it is no Parquet file: {error}", "Save it anew"))
        return
    yield from enumerate(table.to_pylist(), start=1)


def _row(line: int, record: Mapping[str, Any], problems: list[Problem]) -> Row:
    cells: dict[str, Any] = {}
    notes: dict[str, Any] = {}
    for name, cell in record.items():
        if cell is None or cell == "" or name in OWN_COLUMNS:
            continue
        if name.startswith(SOCKET_PREFIX):
            cells[name.removeprefix(SOCKET_PREFIX)] = cell
        elif ":" in name:
            notes[name] = cell
        else:
            cells[name] = cell
    title = _title(line, record.get("title"), problems)
    return Row(line, title, _order(line, record.get("order"), problems), cells, notes)


def _title(line: int, cell: Any, problems: list[Problem]) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str) or (isinstance(cell, int) and not isinstance(cell, bool)):
        return str(cell).strip()
    problems.append(Problem(line, "title", f"{cell!r} is no text", "Write the title in quotes"))
    return ""


def _order(line: int, cell: Any, problems: list[Problem]) -> int | None:
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    order = None if isinstance(cell, bool) else _whole(cell)
    if order is None:
        fix = "Write digits alone, or leave it empty for the last place"
        problems.append(Problem(line, "order", f"{cell!r} is no whole number", fix))
    return order


def _whole(cell: Any) -> int | None:
    """Return a whole number, which tables with gaps have as a float; `None` for anything else."""
    try:
        number = float(cell)
        return int(number) if number.is_integer() else None
    except (TypeError, ValueError):
        return None


# ---------------------------------------------------------------- writing


def write_manifest(path: Path, rows: Iterable[Row]) -> None:
    """Write a manifest, whole or not at all; what is there under this name is replaced.

    Args:
        path: Its suffix says in which form.
        rows: The cases. Cells that are no text are written as JSON in CSV, and in Parquet if any of their column is
            text.

    Raises:
        ManifestError: The suffix says nothing.
        MissingExtra: It is Parquet, and there is no pyarrow.
        OSError: It cannot be written.
    """
    records = [_as_record(row) for row in rows]
    suffix = path.suffix.lower()
    if suffix in CSV_SUFFIXES:
        data = _csv(records).encode()
    elif suffix in JSON_LINES_SUFFIXES:
        data = "".join(f"{_json(record)}\n" for record in records).encode()
    elif suffix in PARQUET_SUFFIXES:
        data = _parquet(records)
    else:
        raise _no_manifest(path)
    write_atomically(path, data, existing="overwrite")


def _as_record(row: Row) -> dict[str, Any]:
    cells = {column_of(slug): cell for slug, cell in row.cells.items()}
    own = {"title": row.title or None, "order": row.order}
    return {name: cell for name, cell in {**own, **cells, **row.notes}.items() if cell is not None}


def _columns(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns of all rows: the title, the order if any row has one, sockets, and notes last."""
    used = {name: None for record in records for name in record}
    sockets = [name for name in used if ":" not in name or name.startswith(SOCKET_PREFIX)]
    notes = [name for name in used if name not in set(sockets)]
    order = ["order"] if "order" in used else []
    return ["title", *order, *(name for name in sockets if name not in OWN_COLUMNS), *notes]


def _csv(records: Sequence[Mapping[str, Any]]) -> str:
    columns = _columns(records)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        writer.writerow([_as_text(record.get(name)) for name in columns])
    return text.getvalue()


def _as_text(cell: Any) -> str | None:
    return cell if cell is None or isinstance(cell, str) else _json(cell)


def _json(cell: Any) -> str:
    return json.dumps(cell, ensure_ascii=False, allow_nan=False)


def _pyarrow() -> tuple[Any, Any]:
    """Return the library, which has no types, and its part for Parquet."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra(
            "A manifest in Parquet needs pyarrow: pip install pyarrow. Or save it as CSV or JSON Lines."
        ) from error


def _parquet(records: Sequence[Mapping[str, Any]]) -> bytes:
    arrow, parquet = _pyarrow()
    columns = {name: [record.get(name) for record in records] for name in _columns(records)}
    stream = arrow.BufferOutputStream()
    parquet.write_table(
        arrow.Table.from_pydict({k: _of_one_type(v) for k, v in columns.items()}), stream
    )
    return bytes(stream.getvalue())


def _of_one_type(cells: list[Any]) -> list[Any]:
    """Return the cells of a column as they are if they are all of one simple type, else as texts."""
    types: set[type] = {type(cell) for cell in cells if cell is not None}
    return cells if types <= {str} or types in ({int}, {float}) else list(map(_as_text, cells))
