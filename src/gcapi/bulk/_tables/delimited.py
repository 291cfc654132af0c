"""CSV and TSV, as Excel and LibreOffice write them.

Text that a spreadsheet would take for a formula is written after an apostrophe (https://owasp.org/www-community/attacks/
CSV_Injection), which is removed when the table is read. Text that has the apostrophes already gets one more, so that
every text is read back unchanged.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gcapi.bulk._tables.table import (
    Origin,
    Problem,
    Record,
    Table,
    as_text,
    header_problems,
    manifest_error,
    row_problems,
    without_apostrophe,
)

#: What separates cells, and its name in messages.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_BYTE_ORDER_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: The line with which a file tells Excel its separator.
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?[,;\t]*(?:\r\n|\r|\n|$)', re.IGNORECASE)
#: A name that the column of a case, a socket or a note may have.
_COLUMN_NAME = re.compile(r"[\w.-]*|.*:.*", re.DOTALL)
_FORMULA_START = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
#: A number begins like a formula, and must stay a number.
_NEGATIVE_NUMBER = re.compile(r"-\d+(\.\d+)?([eE][+-]?\d+)?")
_ENCODING_FIX = "Save it as UTF-8; in Excel, choose 'CSV UTF-8'"


# ---------------------------------------------------------------- reading


def read_csv(path: Path, separator: str = "") -> Table:
    """Read a CSV file; its first line decides what separates the cells, unless that is given.

    Raises:
        ManifestError: The file is not text, or the separator is ambiguous.
        OSError: The file cannot be read.
    """
    text = _decoded(path)
    first = _SEPARATOR_LINE.match(text)
    delimiter: str = first[1] if first else separator or _separator(path, text)
    lines = _lines_of(text)
    del text  # which may have 100 MB
    skipped = int(bool(first) and bool(next(lines)))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    problems: list[Problem] = []
    line = 1 + skipped
    try:
        header = [without_apostrophe(name.strip()) for name in next(reader, list[str]())]
    except csv.Error as error:
        return Table([], [_unreadable_rest(line, error)])
    problems += header_problems(header, line)
    columns = {name: position for position, name in enumerate(header) if name}
    records = _records(reader, header, skipped, problems)
    return Table(records, problems, Origin(columns, delimiter=delimiter))


def read_tsv(path: Path) -> Table:
    """Read a file whose cells are separated by tabs.

    Raises:
        ManifestError: The file is not text.
        OSError: The file cannot be read.
    """
    return read_csv(path, "\t")


def _records(
    reader: Any, header: Sequence[str], skipped: int, problems: list[Problem]
) -> Iterator[tuple[int, Record]]:
    """Yield the line of each row and its cells, one by one, because a table may have 100,000 rows."""
    line = reader.line_num + skipped + 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                problems += row_problems(line, header, cells)
                pairs = zip(header, cells, strict=False)
                yield line, {name: without_apostrophe(cell) for name, cell in pairs if name}
            line = reader.line_num + skipped + 1
    except csv.Error as error:
        problems.append(_unreadable_rest(line, error))


def _unreadable_rest(line: int, error: csv.Error) -> Problem:
    fix = "Correct the quotes from there on; a cell of more than 128 KiB needs JSON Lines"
    return Problem(line, "", f"the rest of the CSV cannot be read: {error}", fix)


def _lines_of(text: str) -> io.TextIOWrapper:
    """Return the lines of a text with their ends; a `StringIO` would take four bytes for each character."""
    return io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8", newline="")


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    encoding = "utf-16" if content.startswith(_BYTE_ORDER_MARKS) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        problem = Problem(0, "", f"it is not UTF-8 text ({error})", _ENCODING_FIX)
        raise manifest_error(path, problem) from error


def _separator(path: Path, text: str) -> str:
    """Return what separates the names in the first line.

    Raises:
        ManifestError: It is ambiguous.
    """
    headers: dict[str, list[str]] = {}
    for separator in SEPARATORS:
        try:
            reader = csv.reader(_lines_of(text), delimiter=separator)
            names = next(reader, list[str]())
        except csv.Error:
            continue
        if len(names) > 1:
            headers[separator] = [name.strip() for name in names]
    fitting = [one for one, names in headers.items() if all(map(_COLUMN_NAME.fullmatch, names))]
    if len(fitting) > 1:  # a note may have any name
        fitting = [one for one in fitting if "title" in headers[one]] or fitting
    if len(headers) == 1:
        fitting = list(headers)
    if headers and len(fitting) != 1:
        found = " or ".join(SEPARATORS[separator] for separator in fitting or headers)
        what = f"the columns may be separated by {found}"
        fix = "Write a line such as sep=; above the column names, or separate all columns alike"
        raise manifest_error(path, Problem(1, "", what, fix))
    return fitting[0] if fitting else ","


# ---------------------------------------------------------------- writing


def encode_csv(columns: Sequence[str], records: Iterable[Record], delimiter: str = ",") -> bytes:
    """Return the table as CSV with a byte order mark, without which Excel does not read it as UTF-8."""
    content = io.BytesIO()
    # One by one, because the lines of a large archive take more memory than its table.
    content.writelines(line.encode() for line in csv_lines(columns, records, delimiter))
    return content.getvalue()


def encode_tsv(columns: Sequence[str], records: Iterable[Record]) -> bytes:
    """Return the table as text that is separated by tabs, with a byte order mark."""
    return encode_csv(columns, records, "\t")


def csv_lines(
    columns: Sequence[str], records: Iterable[Record], delimiter: str = ","
) -> Iterator[str]:
    """Yield a byte order mark, the header and each row as CSV."""
    yield "\ufeff"  # tells Excel that a file is UTF-8
    yield csv_line(columns, delimiter)
    for record in records:
        yield csv_line([record.get(name) for name in columns], delimiter)


def _safe_text(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula."""
    is_formula = _FORMULA_START.match(text) and not _NEGATIVE_NUMBER.fullmatch(text)
    return f"'{text}" if is_formula else text


def csv_line(cells: Iterable[Any], delimiter: str = ",") -> str:
    """Return a row as CSV, with its line end."""
    text = io.StringIO(newline="")
    # Python quotes the characters of the line terminator, and both end lines for other programs.
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(
        [_safe_text(as_text(cell)) for cell in cells]
    )
    return text.getvalue().removesuffix("\r\n") + "\n"
