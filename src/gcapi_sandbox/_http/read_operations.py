"""The operations that list and retrieve the rows of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.pagination import paginate

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._database.store import R
    from gcapi_sandbox._http.filters import Filter
    from gcapi_sandbox._util.json_types import Json


def register_reads(
    name: str,
    table: type[R],
    render: Callable[[Call, R], Json],
    *filters: Filter,
    order: str = "created, rowid",
    model: str = "",
) -> None:
    """Register the handlers of `…_list` and `…_retrieve` for the rows visible to the user.

    Args:
        name: The beginning of the names of both operations.
        table: The table.
        render: Returns the JSON of a row.
        filters: The filters of the list.
        order: The order of the list, in SQL.
        model: The name of the model in the error for an unknown pk; by default the table's.
    """

    @operation(f"{name}_list")
    def list_rows(call: Call) -> Reply:
        return paginate(call, call.visible(table).sorted(order), render, *filters)

    @operation(f"{name}_retrieve")
    def retrieve_row(call: Call) -> Reply:
        return Reply(200, render(call, call.lookup(table, model)))
