"""Pages of lists, and the links between them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.filters import Filter, apply_filters

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._database.store import R, Rows
    from gcapi_sandbox._util.json_types import Json

_DEFAULT_LIMIT, _MAX_LIMIT = 100, 1000


def paginate(
    call: Call, rows: Rows[R], render: Callable[[Call, R], Json], *filters: Filter
) -> Reply:
    """Return one page of the rows that pass the filters."""
    rows = apply_filters(call, rows, filters)
    limit = min(_number(call.query_value("limit"), 1, _DEFAULT_LIMIT), _MAX_LIMIT)
    offset = _number(call.query_value("offset"), 0, 0)
    count = rows.count()
    results = [render(call, row) for row in rows.slice(limit, offset)]
    following = _page_url(call, limit, offset + limit) if offset + limit < count else None
    previous = _page_url(call, limit, offset - limit) if offset > 0 else None
    return Reply(200, {"count": count, "next": following, "previous": previous, "results": results})


def _number(text: str, minimum: int, default: int) -> int:
    try:
        number = int(text)
    except ValueError:
        return default
    return number if minimum <= number < 2**63 else default


def _page_url(call: Call, limit: int, offset: int) -> str:
    kept = [(key, value) for key, value in call.query if key not in ("limit", "offset")]
    page = [("limit", str(limit)), *([("offset", str(offset))] if offset > 0 else [])]
    return f"{call.origin}{call.path}?{urlencode(sorted([*kept, *page]))}"
