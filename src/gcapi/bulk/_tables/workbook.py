"""Excel workbooks, with openpyxl (the extra `excel`).

A sheet is read as Excel would save it as CSV, but with all digits: numbers, ``TRUE`` and ``FALSE`` become text, dates
become ISO 8601, and formulas their last values. So a cell means the same in every format.

Text is written as text, never as a formula. Programs that convert CSV files keep the apostrophe of a text that begins
like a formula, so it is removed here too, and one is added where there is one already. Control characters, which XML
cannot hold, are written as Excel does it (``_x000D_``). Memory: the sheet as a whole.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import date, datetime, time, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi._util.extras import import_extra
from gcapi.bulk._tables.table import (
    Origin,
    Problem,
    Record,
    Table,
    as_text,
    column_letters,
    has_apostrophe,
    header_problems,
    manifest_error,
    row_problems,
    without_apostrophe,
)
from gcapi.exceptions import MissingExtra, SpecError

#: The longest text in a cell of Excel, in characters.
MAX_CELL_LENGTH = 32767
#: The number of digits that Excel keeps when it saves a file.
_KEPT_DIGITS = 15
_WIDEST_COLUMN = 60
#: The lines of text that a row shows at most, and the height of one in points.
_MOST_LINES, _LINE_HEIGHT = 10, 15
_DECIMAL_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_UNWRITABLE = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_WRITTEN_CHARACTER = re.compile(r"_x([0-9A-Fa-f]{4})_")
_FORMULA_ELEMENT = re.compile(rb"<f[ />]")


def openpyxl() -> Any:
    """Return the module.

    Raises:
        MissingExtra: It is not installed.
    """
    missing = MissingExtra(
        "An Excel workbook needs openpyxl. Install it with 'pip install openpyxl', or use CSV or JSON Lines."
    )
    return import_extra("openpyxl", missing)


# ---------------------------------------------------------------- reading


def read_workbook(path: Path, sheet: str = "") -> Table:
    """Read a sheet of a workbook.

    Args:
        path: The file.
        sheet: The name of the sheet; empty for the first that is visible.

    Raises:
        ManifestError: The file is not a workbook, or does not have the sheet.
        MissingExtra: openpyxl is not installed.
        OSError: The file cannot be read.
    """
    content = path.read_bytes()
    with closing(_opened(path, content, data_only=True)) as book:
        found = _sheet(path, book, sheet)
        # A second look at the formulas finds those that have no value.
        formulas: Iterator[Sequence[Any]] = iter(())
        if _has_formulas(content):
            other = _opened(path, content, data_only=False)
            formulas = _rows(other[found.title])
        return _table(found.title, _rows(found), formulas)


def _opened(path: Path, content: bytes, *, data_only: bool) -> Any:
    excel = openpyxl()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that are not read
            return excel.load_workbook(io.BytesIO(content), read_only=True, data_only=data_only)
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:
        what = f"it is not an Excel workbook ({error})"
        raise manifest_error(path, Problem(0, "", what, "Save it again as .xlsx")) from error


def _sheet(path: Path, book: Any, name: str) -> Any:
    visible = [each for each in book.worksheets if each.sheet_state == "visible"]
    if not name and visible:
        return visible[0]
    for each in book.worksheets:
        if each.title == name:
            return each
    names = ", ".join(repr(each.title) for each in visible)
    what = f"there is no sheet {name!r}" if name else "all sheets are hidden"
    fix = f"Name one of {names}" if visible else "Show the sheet with the cases"
    raise manifest_error(path, Problem(0, "", what, fix))


def _has_formulas(content: bytes) -> bool:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return any(
            _FORMULA_ELEMENT.search(archive.read(name))
            for name in archive.namelist()
            if name.startswith("xl/worksheets/")
        )


def _rows(sheet: Any) -> Iterator[Sequence[Any]]:
    sheet.reset_dimensions()  # which some programs write wrongly
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from sheet.iter_rows()


def _table(sheet: str, rows: Iterator[Sequence[Any]], formulas: Iterator[Sequence[Any]]) -> Table:
    problems: list[Problem] = []
    records: list[tuple[int, Record]] = []
    header = [as_text(_text(cell)).strip() for cell in next(rows, ())]
    next(formulas, ())
    problems += header_problems(header, 1)
    for line, cells in enumerate(rows, start=2):
        texts = [as_text(_text(cell)) for cell in cells]
        problems += _cell_problems(line, header, cells, next(formulas, ()))
        if any(text.strip() for text in texts):
            problems += row_problems(line, header, texts)
            pairs = zip(header, texts, strict=False)
            records.append((line, {name: text for name, text in pairs if name}))
    columns = {name: position for position, name in enumerate(header) if name}
    origin = Origin(columns, sheet)
    return Table(records, origin.located(problems), origin)


def _cell_problems(
    line: int, header: Sequence[str], cells: Sequence[Any], formulas: Sequence[Any]
) -> Iterator[Problem]:
    for position, cell in enumerate(cells):
        column = header[position] if position < len(header) else ""
        if cell.data_type == "e":
            what = f"the cell has the error {cell.value}"
            yield Problem(line, column, what, "Correct the formula, or write its value")
    for position, cell in enumerate(formulas):
        column = header[position] if position < len(header) else ""
        value = cells[position] if position < len(cells) else None
        # The empty text of a formula has another type.
        is_missing = value is None or (value.value is None and value.data_type == "n")
        if cell.data_type == "f" and is_missing:
            what = "the formula has no value, because no spreadsheet program has calculated it"
            yield Problem(
                line, column, what, "Open the file in one and save it, or write the value"
            )


def _text(cell: Any) -> str | None:
    """Return the value of a cell as text; dates have no time if it is midnight."""
    value = cell.value
    if isinstance(value, str):
        text = _WRITTEN_CHARACTER.sub(lambda match: chr(int(match[1], 16)), value)
        # A spreadsheet program that imports a CSV file keeps the apostrophe.
        return without_apostrophe(text)
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | float):
        return _number_text(value)
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, timedelta) else None


def _number_text(number: float) -> str:
    return str(int(number) if number == int(number) else number)


# ---------------------------------------------------------------- writing


def encode_workbook(
    columns: Sequence[str], records: Iterable[Record], sheet: str = "Table"
) -> bytes:
    """Return the table as a workbook with one sheet.

    Raises:
        MissingExtra: openpyxl is not installed.
        SpecError: A cell is too long for a workbook.
    """
    book = openpyxl().Workbook()
    page = book.active
    page.title = sheet
    fill_sheet(page, columns, records)
    return saved(book)


def fill_sheet(page: Any, columns: Sequence[str], records: Iterable[Record]) -> None:
    """Write the names of columns in bold, which stay in view, and the records below them.

    Raises:
        SpecError: A cell is too long for a workbook.
    """
    styles = import_module("openpyxl.styles")
    bold, filling = styles.Font(bold=True), styles.PatternFill("solid", fgColor="DDE6F0")
    widths = [len(name) for name in columns]
    for position, name in enumerate(columns):
        cell = write_cell(page, 1, position, name)
        cell.font, cell.fill = bold, filling
    for line, record in enumerate(records, start=2):
        height = 1
        for position, name in enumerate(columns):
            content = record.get(name)
            if content is not None:
                write_cell(page, line, position, content, is_text=name == "title")
                widths[position] = max(widths[position], *map(len, as_text(content).split("\n")))
                height = max(height, min(as_text(content).count("\n") + 1, _MOST_LINES))
        if height > 1:  # LibreOffice would draw the lines over those of the next row
            page.row_dimensions[line].height = _LINE_HEIGHT * height
    page.freeze_panes = "A2"
    for position, width in enumerate(widths):
        page.column_dimensions[column_letters(position)].width = min(width + 2, _WIDEST_COLUMN)


def write_cell(page: Any, line: int, position: int, content: Any, *, is_text: bool = False) -> Any:
    """Write a cell, as a number if its text is one that Excel keeps exactly, and return it.

    Args:
        page: The sheet.
        line: The row, from 1.
        position: The column, from 0.
        content: Text, or a JSON value.
        is_text: Whether numbers stay text too.

    Raises:
        SpecError: The text is too long for a workbook.
    """
    text = as_text(content)
    cell = page.cell(line, position + 1)
    number = None if is_text else _exact_number(text)
    if number is not None:
        cell.value = number
        return cell
    if has_apostrophe(text):
        text = f"'{text}"
    if len(text) > MAX_CELL_LENGTH:
        raise SpecError(
            f"{cell.coordinate}: a text of {len(text)} characters is too long for a workbook, whose limit is"
            f" {MAX_CELL_LENGTH}. Use CSV, JSON Lines or Parquet."
        )
    cell.value = _UNWRITABLE.sub(lambda match: f"_x{ord(match[0]):04X}_", text)
    if "\n" in text:
        alignment = import_module("openpyxl.styles").Alignment
        cell.alignment = alignment(wrap_text=True, vertical="top")
    cell.data_type = "s"  # not a formula, nor an error
    cell.number_format = "@"
    cell.quotePrefix = True  # so that it stays text when someone edits it
    return cell


def _exact_number(text: str) -> float | None:
    """Return the number that a text is, if reading it back gives the same text; `None` for all other texts."""
    if not _DECIMAL_NUMBER.fullmatch(text) or sum(map(str.isdigit, text)) > _KEPT_DIGITS:
        return None
    number = float(text)
    return number if _number_text(number) == text else None


def saved(book: Any) -> bytes:
    """Return the content of the file of a workbook."""
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()
