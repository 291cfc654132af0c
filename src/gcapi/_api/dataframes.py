"""Lists of API objects as pandas data frames (the extra `pandas`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gcapi._util.extras import import_extra
from gcapi._util.json_types import is_array, is_object
from gcapi.exceptions import MissingExtra

#: The fields that have one of few values.
CATEGORIES = frozenset(
    {"status", "modality", "color_space", "patient_sex", "eye_choice", "kind", "super_kind"}
)
#: The fields with the values of sockets, and what stands before the socket in the names of their columns.
_VALUE_FIELDS = {"values": "", "inputs": "input:", "outputs": "output:"}
TIMES = frozenset(
    {
        "created",
        "modified",
        "last_edit_duration",
        "total_edit_duration",
        "exec_duration",
        "invoke_duration",
    }
)


def dataframe(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[str] | None,
    categories: Collection[str],
    times: Collection[str] = TIMES,
) -> Any:
    """Return a data frame with typed columns.

    Args:
        rows: The rows: JSON values by column.
        columns: The columns; `None` for all, in the order of their appearance.
        categories: The columns that become categories if they have text.
        times: The columns with times and durations.

    Raises:
        MissingExtra: pandas is not installed.
    """
    missing = MissingExtra("A data frame needs pandas. Install it with: pip install pandas")
    pandas = import_extra("pandas", missing)
    given = list(rows)
    names = (
        columns if columns is not None else [*dict.fromkeys(key for row in given for key in row)]
    )
    return pandas.DataFrame(
        {
            name: _times(pandas, name, [row.get(name) for row in given])
            if name in times
            else pandas.Series(
                cells := [row.get(name) for row in given],
                dtype=_dtype(cells, is_category=name in categories),
            )
            for name in names
        }
    )


def _times(pandas: Any, name: str, cells: Sequence[Any]) -> Any:
    """Return a column of times in UTC, or of durations."""
    if not name.endswith("_duration"):
        return pandas.to_datetime(pandas.Series(cells, dtype="object"), utc=True, format="ISO8601")
    # pandas reads the server's "1 02:00:00" only with a unit.
    texts = [cell and re.sub(r"^(\d+) ", r"\1 days ", cell) for cell in cells]
    return pandas.to_timedelta(pandas.Series(texts, dtype="object"))


def _dtype(cells: Iterable[Any], *, is_category: bool) -> str:
    types: frozenset[type] = frozenset(cell.__class__ for cell in cells if cell is not None)
    if types <= {str}:
        # A column without a cell is text, whatever it could have.
        return "category" if is_category else "string"
    found = {frozenset({bool}): "boolean", frozenset({int}): "Int64"}.get(types)
    return found or ("Float64" if types <= {int, float} else "object")


def object_rows(documents: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the row of each API object: its fields, and a column for each of its socket values."""
    for document in documents:
        row: dict[str, Any] = {}
        for name, content in document.items():
            if name in _VALUE_FIELDS and is_array(content):
                row.update(_value_cells(_VALUE_FIELDS[name], content))
            else:
                row[name] = str(content) if name == "pk" else content
        yield row


def _value_cells(prefix: str, values: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the column and the cell of each value: the value itself, or the address of its image or file."""
    for value in values:
        if is_object(value) and is_object(value.get("interface")):
            address = value.get("image") or value.get("file")
            cell = value.get("value") if address is None else address
            yield f"{prefix}{value['interface'].get('slug')}", cell
