"""Workbooks that people fill and correct: a manifest with drop-downs and comments, and a copy with marked cells."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi import models
from gcapi._inspect.socket_kinds import StorageKind, storage_kind
from gcapi.bulk._tables.formats import split_sheet
from gcapi.bulk._tables.table import Origin, Problem, Record, column_letters
from gcapi.bulk._tables.workbook import fill_sheet, openpyxl, saved

#: The rows that a validation covers, beyond which nobody types.
_LAST_ROW = 100_000
_CASE_COLUMNS = {
    "title": ("The name of the case.", "Text, different in each row"),
    "order": (
        "The place of the display set in the study.",
        "A whole number; empty for the last place",
    ),
}
#: What to write into the cells of a kind, and the type, the operator and the formulas of its validation.
_VALUE_RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "bool": ("TRUE or FALSE", {"type": "list", "formula1": '"TRUE,FALSE"'}),
    "integer": (
        "A whole number",
        {"type": "whole", "operator": "between", "formula1": "-1E+15", "formula2": "1E+15"},
    ),
    "float": (
        "A number",
        {"type": "decimal", "operator": "between", "formula1": "-1E+300", "formula2": "1E+300"},
    ),
    "string": ("Text", {}),
    "choice": ("The text of one option", {}),
}


def encode_input_workbook(
    columns: Sequence[str],
    records: Iterable[Record],
    sockets: Mapping[str, models.ComponentInterface],
) -> bytes:
    """Return a workbook to fill: the cases, and a second sheet that explains the columns.

    Args:
        columns: The columns.
        records: The cases.
        sockets: The socket of each column that has one.

    Raises:
        MissingExtra: openpyxl is not installed.
        SpecError: A cell is too long for a workbook.
    """
    book = openpyxl().Workbook()
    cases, explanations = book.active, book.create_sheet("Columns")
    cases.title = "Cases"
    fill_sheet(cases, columns, records)
    rows: list[Record] = []
    for position, column in enumerate(columns):
        socket = sockets.get(column)
        meaning, content = _CASE_COLUMNS.get(column, ("A note, which a push ignores.", "Anything"))
        kind, rule = "", dict[str, Any]()
        if socket is not None:
            content, rule = _rule_of(socket)
            kind = socket.kind
            meaning = f"{socket.title}\n{socket.description or ''}".strip()
            if rule:
                _add_validation(cases, position, content, rule)
        if socket is None or not rule:
            # What people type stays as it is, such as 007 or 1-2.
            cases.column_dimensions[column_letters(position)].number_format = "@"
        note = f"{meaning}\n{content}." if not kind else f"{meaning}\n{kind}: {content}."
        comment = import_module("openpyxl.comments").Comment(note, "gcapi", width=320, height=120)
        cases.cell(1, position + 1).comment = comment
        rows.append({"column": column, "meaning": meaning, "kind": kind, "content": content})
    fill_sheet(explanations, ("column", "meaning", "kind", "content"), rows)
    return saved(book)


def _rule_of(socket: models.ComponentInterface) -> tuple[str, dict[str, Any]]:
    kind = storage_kind(socket)
    if kind in {StorageKind.IMAGE, StorageKind.DICOM}:
        return "A path relative to this file: a file, a folder, a pattern, or several with ;", {}
    if kind in {StorageKind.TEXT, StorageKind.BINARY}:
        return "The path of a file, relative to this file", {}
    return _VALUE_RULES.get(socket.kind.casefold(), ("JSON, or the path of a .json file", {}))


def _add_validation(page: Any, position: int, content: str, rule: Mapping[str, Any]) -> None:
    validation = import_module("openpyxl.worksheet.datavalidation").DataValidation(
        **rule,
        allow_blank=True,
        showErrorMessage=True,
        errorTitle="gcapi",
        error=f"Write: {content}.",
    )
    letters = column_letters(position)
    validation.add(f"{letters}2:{letters}{_LAST_ROW}")
    page.add_data_validation(validation)


def encode_marked_copy(path: Path, origin: Origin, problems: Iterable[Problem]) -> bytes:
    """Return a copy of a workbook in which the wrong cells are filled, with what to do as comments.

    Args:
        path: The workbook, with the name of a sheet if it was read with one.
        origin: The sheet that was read, and its columns.
        problems: What is wrong with it.

    Raises:
        MissingExtra: openpyxl is not installed.
        OSError: The file cannot be read.
    """
    file, _ = split_sheet(path)
    book = openpyxl().load_workbook(io.BytesIO(file.read_bytes()))
    page = book[origin.sheet]
    fill = import_module("openpyxl.styles").PatternFill
    comment = import_module("openpyxl.comments").Comment
    texts: dict[str, list[str]] = {}
    for problem in problems:
        color = "FFC7CE" if problem.level == "error" else "FFEB9C"
        letters = column_letters(origin.columns.get(problem.column, 0))
        for line in problem.lines or (problem.line or 1,):
            texts.setdefault(f"{letters}{line}", []).append(f"{problem.what}. {problem.fix}.")
            page[f"{letters}{line}"].fill = fill("solid", fgColor=color)
    for place, lines in texts.items():
        page[place].comment = comment("\n".join(lines), "gcapi", width=320, height=120)
    return saved(book)
