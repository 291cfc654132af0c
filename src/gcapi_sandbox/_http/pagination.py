"""Lists: filters that are honoured, pages, and the links between them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from gcapi_sandbox._http.errors import BadRequest, Json
from gcapi_sandbox._http.handlers import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gcapi_sandbox._database.store import R, Record, Rows, Store

_DEFAULT, _MAXIMUM = 100, 1000
_NO_CHOICE = "Select a valid choice. {} is not one of the available choices."


class FilterError(Exception):
    """A filter's value was refused."""


@dataclass(frozen=True)
class Filter:
    """A query parameter: the condition it sets, and how its text becomes the condition's value."""

    name: str
    where: str
    read: Callable[[Store, str], object | None] = lambda _, text: text
    many: bool = False

    def values(self, call: Call) -> list[object]:
        """Return what was asked for; empty text and what `read` makes None ask for nothing."""
        texts = [text for key, text in call.query if key == self.name and text]
        found = (self.read(call.store, text) for text in (texts if self.many else texts[-1:]))
        return [value for value in found if value is not None]


def existing(table: type[Record], *, many: bool = False) -> Callable[[Store, str], str]:
    """Accept the uuid of a row that exists, visible or not."""

    def read(store: Store, text: str) -> str:
        try:
            pk = str(uuid.UUID(text))
        except ValueError:
            raise FilterError(f"“{text}” is not a valid UUID.") from None
        if not store.rows(table, "pk = ?", pk):
            raise FilterError(_NO_CHOICE.format(text if many else "That choice"))
        return pk

    return read


def related(name: str, table: type[Record], where: str, *, many: bool = False) -> Filter:
    """Return a filter on the uuid of another object."""
    return Filter(name, where, existing(table, many=many), many)


def truth(_: Store, text: str) -> bool | None:
    """Accept a boolean; other text does not filter."""
    words = {"true": True, "1": True, "false": False, "0": False}
    return words.get(text.lower())


def day(_: Store, text: str) -> str:
    """Accept a date."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise FilterError("Enter a valid date.") from None


def choice(*known: str) -> Callable[[Store, str], str]:
    """Accept one of the known words."""

    def read(_: Store, text: str) -> str:
        if text not in known:
            raise FilterError(_NO_CHOICE.format(text))
        return text

    return read


SLUG = Filter("slug", "slug = ?")


def narrow(call: Call, rows: Rows[R], filters: Sequence[Filter]) -> Rows[R]:
    """Apply the filters that the query names; unknown parameters are ignored."""
    errors: dict[str, list[str]] = {}
    for known in filters:
        try:
            values = known.values(call)
        except FilterError as error:
            errors[known.name] = [str(error)]
            continue
        if values:
            rows = rows.narrow(" OR ".join(f"({known.where})" for _ in values), *values)
    if errors:
        raise BadRequest(errors)
    return rows


def paginate(
    call: Call, rows: Rows[R], render: Callable[[Call, R], Json], *filters: Filter
) -> Reply:
    """Answer one page of the rows that the filters leave."""
    rows = narrow(call, rows, filters)
    limit = min(_number(call.last("limit"), 1, _DEFAULT), _MAXIMUM)
    offset = _number(call.last("offset"), 0, 0)
    count = rows.count()
    results = [render(call, row) for row in rows.slice(limit, offset)]
    following = _link(call, limit, offset + limit) if offset + limit < count else None
    previous = _link(call, limit, offset - limit) if offset > 0 else None
    return Reply(200, {"count": count, "next": following, "previous": previous, "results": results})


def _number(text: str, minimum: int, default: int) -> int:
    try:
        number = int(text)
    except ValueError:
        return default
    return number if minimum <= number < 2**63 else default


def _link(call: Call, limit: int, offset: int) -> str:
    kept = [(key, value) for key, value in call.query if key not in ("limit", "offset")]
    page = [("limit", str(limit)), *([("offset", str(offset))] if offset > 0 else [])]
    return f"{call.origin}{call.path}?{urlencode(sorted([*kept, *page]))}"
