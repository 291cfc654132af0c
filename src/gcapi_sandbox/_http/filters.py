"""Query parameters that filter a list."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from gcapi_sandbox._http.errors import BadRequestError
from gcapi_sandbox._http.fields import BOOLEANS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gcapi_sandbox._database.store import R, Record, Rows, Store
    from gcapi_sandbox._http.calls import Call

_INVALID_CHOICE = "Select a valid choice. {} is not one of the available choices."


class FilterError(Exception):
    """Raised when the value of a filter is invalid."""


@dataclass(frozen=True)
class Filter:
    """A query parameter, its SQL condition, and the parser of its value."""

    name: str
    where: str
    parse: Callable[[Store, str], object | None] = lambda _, text: text
    many: bool = False

    def values(self, call: Call) -> list[object]:
        """Return the requested values; empty text and values that parse to None do not filter."""
        texts = [text for key, text in call.query if key == self.name and text]
        found = (self.parse(call.store, text) for text in (texts if self.many else texts[-1:]))
        return [value for value in found if value is not None]


SLUG = Filter("slug", "slug = ?")


def existing_pk(table: type[Record], *, many: bool = False) -> Callable[[Store, str], str]:
    """Accept the uuid of a row that exists, visible or not."""

    def parse(store: Store, text: str) -> str:
        try:
            pk = str(uuid.UUID(text))
        except ValueError:
            raise FilterError(f"“{text}” is not a valid UUID.") from None
        if not store.rows(table, "pk = ?", pk):
            raise FilterError(_INVALID_CHOICE.format(text if many else "That choice"))
        return pk

    return parse


def related(name: str, table: type[Record], where: str, *, many: bool = False) -> Filter:
    """Return a filter by the uuid of a related object."""
    return Filter(name, where, existing_pk(table, many=many), many)


def boolean_or_none(_: Store, text: str) -> bool | None:
    """Accept a boolean; other text does not filter."""
    return BOOLEANS.get(text.lower())


def iso_date(_: Store, text: str) -> str:
    """Accept a date."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise FilterError("Enter a valid date.") from None


def choice(*choices: str) -> Callable[[Store, str], str]:
    """Accept one of the choices."""

    def parse(_: Store, text: str) -> str:
        if text not in choices:
            raise FilterError(_INVALID_CHOICE.format(text))
        return text

    return parse


def apply_filters(call: Call, rows: Rows[R], filters: Sequence[Filter]) -> Rows[R]:
    """Apply the filters that the query names; unknown parameters are ignored."""
    errors: dict[str, list[str]] = {}
    for one in filters:
        try:
            values = one.values(call)
        except FilterError as error:
            errors[one.name] = [str(error)]
            continue
        if values:
            rows = rows.narrow(" OR ".join(f"({one.where})" for _ in values), *values)
    if errors:
        raise BadRequestError(errors)
    return rows
