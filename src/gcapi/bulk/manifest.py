"""Manifests: tables of cases, one case per row, as CSV, TSV, Excel, JSON Lines or Parquet; the suffix tells which.

The columns are `title`, `order` (of display sets), and the slugs of sockets. A socket that is itself called ``title``
or ``order`` is written ``socket:title``. All other names with a colon are notes about the row, which are kept, and
ignored by a push. An empty cell (in JSON also ``null``) counts as missing; `gcapi.bulk.cells` defines what the others
mean.

A manifest is held in memory as a whole, at about 1 KB a row; the files that it names are not.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gcapi import models
from gcapi._transfer.atomic_file import write_atomically
from gcapi._transfer.local_files import local_file_error
from gcapi.bulk._tables.delimited import encode_csv
from gcapi.bulk._tables.formats import encoder_of, read_table, split_sheet
from gcapi.bulk._tables.input_workbook import encode_input_workbook, encode_marked_copy
from gcapi.bulk._tables.table import ManifestError as ManifestError
from gcapi.bulk._tables.table import Origin, Table
from gcapi.bulk._tables.table import Problem as Problem
from gcapi.bulk._tables.table import manifest_error as manifest_error
from gcapi.exceptions import SpecFileError

#: Marks a column as a socket's.
SOCKET_PREFIX = "socket:"
#: The columns that are not sockets.
CASE_COLUMNS = ("title", "order")


@dataclass(frozen=True)
class Row:
    """One case.

    Attributes:
        line: The line in the file, or the row of the sheet, from 1, for messages.
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
        origin: Where the cells are in the file.
    """

    rows: tuple[Row, ...]
    folder: Path
    path: Path | None = None
    origin: Origin = field(default_factory=Origin, kw_only=True)


def column_of(slug: str) -> str:
    """Return the name of a socket's column."""
    return f"{SOCKET_PREFIX}{slug}" if slug in CASE_COLUMNS else slug


def _is_note(column: str) -> bool:
    return ":" in column and not column.startswith(SOCKET_PREFIX)


# ---------------------------------------------------------------- reading


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; relative paths in it start from its folder.

    Args:
        path: The file; ``cases.xlsx#Sheet`` for a sheet of a workbook other than the first that is visible.

    Raises:
        ManifestError: The file is not a valid table; the error has everything that is wrong with it.
        MissingExtra: The package that reads the format is not installed.
        SpecFileError: The file cannot be read (also an `OSError`).
    """
    manifest, problems = parse_manifest(path)
    if problems:
        raise manifest_error(path, *problems)
    return manifest


def iterate_manifest(path: Path) -> Iterator[Row]:
    """Yield the rows of a manifest one by one, which takes less memory than all of them.

    Raises:
        ManifestError: As `read_manifest`; what is wrong with rows is raised after the last one.
    """
    table = _read(path)
    for line, record in table.records:
        yield _row(line, record, table.problems)
    if table.problems:
        raise manifest_error(path, *table.origin.located(_by_line(table.problems)))


def parse_manifest(path: Path) -> tuple[Manifest, list[Problem]]:
    """Return the readable part of a manifest, and the problems of the rest.

    Raises:
        ManifestError: The suffix is unknown, or the file is not a table at all.
        MissingExtra: The package that reads the format is not installed.
        SpecFileError: The file cannot be read (also an `OSError`).
    """
    path = Path(path)
    table = _read(path)
    rows = tuple(_row(line, record, table.problems) for line, record in table.records)
    file, _ = split_sheet(path)
    manifest = Manifest(rows, file.absolute().parent, file, origin=table.origin)
    return manifest, table.origin.located(_by_line(table.problems))


def _read(path: Path) -> Table:
    try:
        return read_table(path)
    except SpecFileError:
        raise
    except OSError as error:
        raise local_file_error(path, error) from error


def _by_line(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: problem.line)


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
    # Macs write the accents of file names as characters of their own.
    text = unicodedata.normalize("NFC", "" if title is None else str(title).strip())
    return Row(line, text, number, cells, notes)


def _integer(cell: Any) -> int | None:
    """Return a whole number, which tables with gaps store as a float; `None` for everything else."""
    try:
        number = float(cell)
        return int(number) if number.is_integer() and not isinstance(cell, bool) else None
    except (TypeError, ValueError):
        return None


# ---------------------------------------------------------------- writing


def write_manifest(path: Path, rows: Iterable[Row], *, delimiter: str = ",") -> None:
    """Write a manifest atomically, replacing the file if it exists.

    Text that a spreadsheet program would take for a formula is written so that it stays text, and `read_manifest`
    returns it unchanged.

    Args:
        path: The file; its suffix determines the format.
        rows: The cases; they are held in memory only if they cannot be iterated again. In CSV and workbooks, cells that
            are not text are written as JSON; in Parquet too, if their column has text.
        delimiter: What separates the cells of a CSV file.

    Raises:
        ManifestError: The suffix is unknown.
        MissingExtra: The package that writes the format is not installed.
        SpecError: A cell is too long for a workbook.
        OSError: The file cannot be written.
    """
    encode = encoder_of(path)
    if encode is encode_csv:
        encode = partial(encode_csv, delimiter=delimiter)
    if isinstance(rows, Iterator):
        rows = list(rows)
    columns = columns_of(map(record_of, rows))
    write_atomically(path, encode(columns, map(record_of, rows)), existing="overwrite")


def write_input_workbook(
    path: Path, rows: Iterable[Row], sockets: Mapping[str, models.ComponentInterface]
) -> None:
    """Write a manifest as a workbook to fill, with drop-downs, comments and a sheet that explains the columns.

    Args:
        path: The file, which is replaced if it exists.
        rows: The cases.
        sockets: The sockets that are known, by slug; the columns of others are explained as files.

    Raises:
        MissingExtra: openpyxl is not installed.
        SpecError: A cell is too long for a workbook.
        OSError: The file cannot be written.
    """
    records = [record_of(row) for row in rows]
    by_column = {column_of(slug): socket for slug, socket in sockets.items()}
    content = encode_input_workbook(columns_of(records), records, by_column)
    write_atomically(path, content, existing="overwrite")


def write_marked_copy(path: Path, target: Path, problems: Iterable[Problem]) -> None:
    """Write a copy of a workbook in which the cells with problems are coloured, with what to do as comments.

    Formulas have no values in the copy until a spreadsheet program has saved it.

    Args:
        path: The workbook, with the name of a sheet as for `read_manifest`.
        target: The copy, which is replaced if it exists.
        problems: What is wrong.

    Raises:
        ManifestError: The file is not a table at all.
        MissingExtra: openpyxl is not installed.
        OSError: A file cannot be read or written.
    """
    content = encode_marked_copy(path, read_table(path).origin, problems)
    write_atomically(target, content, existing="overwrite")


def record_of(row: Row) -> dict[str, Any]:
    """Return the cells of a row by column."""
    cells = {column_of(slug): cell for slug, cell in row.cells.items()}
    record = {"title": row.title or None, "order": row.order, **cells, **row.notes}
    return {name: cell for name, cell in record.items() if cell is not None}


def columns_of(records: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns of all rows: the title, the order if any row has one, sockets, and notes."""
    used = dict.fromkeys(["title", *(name for record in records for name in record)])
    ranks = {"title": 0, "order": 1}
    return sorted(used, key=lambda name: ranks.get(name, 3 if _is_note(name) else 2))
