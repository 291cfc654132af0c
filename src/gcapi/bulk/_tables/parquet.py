"""Parquet, with pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from gcapi._util.extras import import_extra
from gcapi.bulk._tables.table import Problem, Record, Table, as_json
from gcapi.exceptions import MissingExtra


def read_parquet(path: Path) -> Table:
    """Read a Parquet file; dates become text.

    Raises:
        MissingExtra: pyarrow is not installed.
        OSError: The file cannot be read.
    """
    arrow, parquet = _pyarrow()
    try:
        rows = parquet.read_table(path).to_pylist()
    except arrow.ArrowInvalid as error:
        problem = Problem(0, "", f"it is not a Parquet file: {error}", "Save it again")
        return Table([], [problem])
    records = [
        {name: cell.isoformat() if isinstance(cell, date) else cell for name, cell in row.items()}
        for row in rows
    ]
    return Table(list(enumerate(records, start=1)), [])


def encode_parquet(columns: Sequence[str], records: Iterable[Record]) -> bytes:
    """Return the table as Parquet; cells of different types in one column become text.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    rows = list(records)
    content: dict[str, list[Any]] = {}
    for name in columns:
        cells = [row.get(name) for row in rows]
        types: set[type] = {type(cell) for cell in cells if cell is not None}
        is_uniform = types <= {str} or types in ({bool}, {int}, {float})
        content[name] = (
            cells
            if is_uniform
            else [
                cell if cell is None or isinstance(cell, str) else as_json(cell) for cell in cells
            ]
        )
    stream = arrow.BufferOutputStream()
    parquet.write_table(arrow.Table.from_pydict(content), stream)
    return bytes(stream.getvalue())


def _pyarrow() -> tuple[Any, Any]:
    missing = MissingExtra(
        "A Parquet table needs pyarrow. Install it with 'pip install pyarrow', or use CSV or JSON Lines."
    )
    return import_extra("pyarrow", missing), import_extra("pyarrow.parquet", missing)
