"""Titles of cases: unique within their parent, unless empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._errors import refused
from gcapi_sandbox._fields import text

if TYPE_CHECKING:
    from gcapi_sandbox._store import Record, Store

title = text(255, blank=True)


def check_unique(
    store: Store, table: type[Record], parent: str, parent_pk: str, name: str, pk: str = ""
) -> None:
    """Refuse a title that another case of the parent has."""
    where = f'"{parent}" = ? AND title = ? AND pk != ?'
    if name and store.rows(table, where, parent_pk, name, pk):
        raise refused(f"The fields title, {parent} must make a unique set.")
