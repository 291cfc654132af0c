"""A table that was read, and what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from gcapi.exceptions import SpecError
from gcapi.findings import Level

#: The number of problems that a message lists.
SHOWN_PROBLEMS = 20
_ESCAPED_FORMULA = re.compile(r"'+[=+\-@\t\r\n＝＋－＠]")
#: The number of groups of lines that a message lists.
_SHOWN_LINES = 10
#: The number of letters that name the columns of a workbook.
_LETTERS = 26

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something in a manifest that is wrong.

    Attributes:
        line: The line in the file, or the row of the sheet, from 1; 0 for a problem of the whole.
        column: The column, as written in the file; empty for a problem of the whole row.
        what: What is wrong.
        fix: What to do about it, in one line.
        level: ``"error"``, or ``"warning"`` for what a person should look at.
        lines: All lines that it concerns if they are several; empty if `line` is the only one.
        place: The cells in a workbook; empty for a file of lines.
    """

    line: int
    column: str
    what: str
    fix: str
    level: Level = "error"
    lines: tuple[int, ...] = ()
    place: str = ""

    def __str__(self) -> str:
        place = (self.place or _place_of_lines(self), self.column)
        stop = "" if self.what.endswith(("?", ".")) else "."
        level = "warning: " if self.level == "warning" else ""
        return (
            f"{level}{', '.join(filter(None, place)) or 'manifest'}: {self.what}{stop} {self.fix}."
        )


def _place_of_lines(problem: Problem) -> str:
    if len(problem.lines) > 1:
        return f"lines {_shown_ranges(problem.lines, '')}"
    return f"line {problem.line}" if problem.line else ""


def _shown_ranges(lines: Sequence[int], letters: str) -> str:
    """Return lines as text, such as ``2-4, 7``, or as cells, such as ``C2:C4, C7``."""
    ranges = list[str]()
    # The difference between a line and its position is the same for lines that follow each other.
    for _, members in groupby(enumerate(lines), key=lambda pair: pair[1] - pair[0]):
        run = [line for _, line in members]
        last = f"{':' if letters else '-'}{letters}{run[-1]}" if len(run) > 1 else ""
        ranges.append(f"{letters}{run[0]}{last}")
    more = len(ranges) - _SHOWN_LINES
    return ", ".join(ranges[:_SHOWN_LINES]) + (f" and {more} more" if more > 0 else "")


class ManifestError(SpecError):
    """Raised when a manifest cannot be used; the message lists everything that is wrong with it.

    Attributes:
        problems: Everything that is wrong.
    """

    def __init__(self, *args: object, problems: Sequence[Problem]) -> None:
        super().__init__(*args)
        self.problems: tuple[Problem, ...] = tuple(problems)


def manifest_error(path: Path, *problems: Problem) -> ManifestError:
    """Return the error for the problems of a manifest."""
    lines = [str(problem) for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"… and {len(problems) - SHOWN_PROBLEMS} more")
    start = f"{path}: " if len(lines) == 1 else f"{path} has {len(problems)} problems:\n  "
    return ManifestError(start + "\n  ".join(lines), problems=problems)


@dataclass(frozen=True)
class Origin:
    """The place of the cells of a table, and the style of its numbers.

    Attributes:
        columns: The position of each column, from 0.
        sheet: The sheet of a workbook; empty for other files.
        delimiter: What separates the cells of a CSV file; empty for other files. Only in tables that are separated by
            semicolons, numbers may have a decimal comma.
    """

    columns: Mapping[str, int] = field(default_factory=dict[str, int])
    sheet: str = ""
    delimiter: str = ""

    @property
    def has_decimal_commas(self) -> bool:
        """True if numbers may be written with a decimal comma."""
        return self.delimiter == ";"

    def located(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return problems with their cells, if the table is a sheet."""
        return [replace(each, place=self._place(each)) for each in problems]

    def _place(self, problem: Problem) -> str:
        if not self.sheet:
            return ""
        place = f"sheet {self.sheet!r}"
        lines = problem.lines or (problem.line,) * bool(problem.line)
        if not lines:
            return place
        position = self.columns.get(problem.column)
        kind = "row" if position is None else "cell"
        letters = "" if position is None else column_letters(position)
        return f"{place}, {kind}{'s' * (len(lines) > 1)} {_shown_ranges(lines, letters)}"


def column_letters(position: int) -> str:
    """Return the letters of a column of a workbook, such as ``AB``; positions count from 0."""
    rest, letter = divmod(position, _LETTERS)
    return (column_letters(rest - 1) if rest else "") + chr(ord("A") + letter)


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Attributes:
        records: The line of each row that is not empty, and its cells by column: text, or a JSON value. They may be
            read one by one.
        problems: What is wrong with the table; complete once all records were taken.
        origin: Where the cells are.
    """

    records: Iterable[tuple[int, Record]]
    problems: list[Problem]
    origin: Origin = field(default_factory=Origin)


def header_problems(header: Sequence[str], line: int) -> Iterator[Problem]:
    """Yield what is wrong with the names of columns."""
    if not any(header):
        what, fix = "there are no columns", "Write the column names in the first line"
        yield Problem(line, "", what, fix)
    for name in sorted({name for name in header if name and header.count(name) > 1}):
        yield Problem(line, name, "the column appears more than once", "Remove or rename one")


def row_problems(line: int, header: Sequence[str], cells: Sequence[str]) -> Iterator[Problem]:
    """Yield what is wrong with the number of cells in a row."""
    if any(cells[len(header) :]):
        what = f"the row has {len(cells)} cells, and there are {len(header)} columns"
        yield Problem(line, "", what, "Put quotes around cells that contain the separator")
    nameless = [cell for name, cell in zip(header, cells, strict=False) if cell and not name]
    if nameless:
        yield Problem(line, "", f"{nameless[0]!r} is in a column without a name", "Name the column")


def has_apostrophe(text: str) -> bool:
    """Return whether a text has apostrophes before what a spreadsheet would take for a formula."""
    return _ESCAPED_FORMULA.match(text) is not None


def without_apostrophe(text: str) -> str:
    """Return a text without the apostrophe with which a CSV file keeps it from being a formula."""
    return text[1:] if has_apostrophe(text) else text


def as_text(cell: Any) -> str:
    """Return a cell as text: JSON if it is not text already, and empty for `None`."""
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else as_json(cell)


def as_json(cell: Any) -> str:
    """Return a cell as JSON."""
    return json.dumps(cell, ensure_ascii=False, allow_nan=False)
