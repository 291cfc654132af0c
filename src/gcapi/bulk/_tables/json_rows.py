"""JSON Lines: one object per line, whose keys are columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from gcapi._inspect.socket_kinds import decode
from gcapi._util.json_types import is_object
from gcapi.bulk._tables.table import Problem, Record, Table, as_json

_FIX = "Write one JSON object per line"


def read_json_rows(path: Path) -> Table:
    """Read a file of JSON objects.

    Raises:
        OSError: The file cannot be read.
    """
    records: list[tuple[int, Record]] = []
    problems: list[Problem] = []
    with path.open("rb") as file:
        for line, content in enumerate(file, start=1):
            if not content.strip():
                continue
            try:
                record = decode(content)
            except ValueError as error:
                problems.append(Problem(line, "", f"it is not valid JSON: {error}", _FIX))
                continue
            if is_object(record):
                records.append((line, record))
            else:
                problems.append(Problem(line, "", "it is not a JSON object", _FIX))
    return Table(records, problems)


def encode_json_rows(columns: Sequence[str], records: Iterable[Record]) -> bytes:
    """Return the records as JSON Lines; a cell that is missing is left out."""
    rows = ({name: record[name] for name in columns if name in record} for record in records)
    return "".join(f"{as_json(row)}\n" for row in rows).encode()
