"""The formats of tables, by the suffixes of their files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

from gcapi._util.choices import check_choice
from gcapi.bulk._tables.delimited import encode_csv, encode_tsv, read_csv, read_tsv
from gcapi.bulk._tables.json_rows import encode_json_rows, read_json_rows
from gcapi.bulk._tables.parquet import encode_parquet, read_parquet
from gcapi.bulk._tables.table import Problem, Record, Table, manifest_error
from gcapi.bulk._tables.workbook import encode_workbook, read_workbook

#: A format of a table that is written, which is the suffix of its file.
TableFormat = Literal["csv", "tsv", "xlsx", "jsonl", "parquet"]
_TableReader = Callable[[Path], Table]
_TableEncoder = Callable[[Sequence[str], Iterable[Record]], bytes]
_TABLE_FORMATS: dict[str, tuple[_TableReader, _TableEncoder]] = {
    ".csv": (read_csv, encode_csv),
    ".tsv": (read_tsv, encode_tsv),
    ".xlsx": (read_workbook, encode_workbook),
    ".jsonl": (read_json_rows, encode_json_rows),
    ".ndjson": (read_json_rows, encode_json_rows),
    ".parquet": (read_parquet, encode_parquet),
}
#: The suffixes of tables.
SUFFIXES = tuple(_TABLE_FORMATS)
#: A workbook and the name of a sheet, which has none of these characters.
_SHEET_PATH = re.compile(r"(?P<file>.*\.xlsx)#(?P<sheet>[^/\\?*\[\]:]+)", re.IGNORECASE | re.DOTALL)


def split_sheet(path: Path) -> tuple[Path, str]:
    """Return the file of a path such as ``cases.xlsx#Sheet``, and the sheet; it is empty for the first one."""
    parts = _SHEET_PATH.fullmatch(str(path))
    return (Path(parts["file"]), parts["sheet"]) if parts and not path.exists() else (path, "")


def read_table(path: Path) -> Table:
    """Read a table.

    Args:
        path: The file, whose suffix determines the format; ``cases.xlsx#Sheet`` for a sheet of a workbook.

    Raises:
        ManifestError: The suffix is unknown, or the file is not a table at all.
        MissingExtra: The package for the format is not installed.
        OSError: The file cannot be read.
    """
    file, sheet = split_sheet(path)
    if sheet:
        return read_workbook(file, sheet)
    return _of_suffix(file)[0](file)


def check_table_format(name: str) -> None:
    """Check that tables of a format can be written on this machine.

    Raises:
        ValueError: There is no such format.
        MissingExtra: The package that writes it is not installed.
    """
    check_choice("table_format", name, TableFormat)
    if name in {"xlsx", "parquet"}:
        encoder_of(Path(f"table.{name}"))((), ())


def encoder_of(path: Path) -> _TableEncoder:
    """Return the function that makes the content of a file of the suffix.

    Raises:
        ManifestError: The suffix is unknown.
    """
    return _of_suffix(path)[1]


def _of_suffix(path: Path) -> tuple[_TableReader, _TableEncoder]:
    found = _TABLE_FORMATS.get(path.suffix.lower())
    if found is None:
        what = f"the suffix {path.suffix!r} is not that of a table"
        raise manifest_error(path, Problem(0, "", what, f"Use one of {', '.join(SUFFIXES)}"))
    return found
