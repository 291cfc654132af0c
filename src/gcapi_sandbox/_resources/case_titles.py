"""Titles of archive items and display sets, which are unique within their parent unless empty."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from gcapi_sandbox._http.errors import ServerError, non_field_error
from gcapi_sandbox._http.fields import text

if TYPE_CHECKING:
    from gcapi_sandbox._database.records import ArchiveItem, DisplaySet
    from gcapi_sandbox._http.calls import Call

    Case = ArchiveItem | DisplaySet

title = text(255, blank=True)


def check_unique(
    call: Call, table: type[Case], parent: str, parent_pk: str, name: str, pk: str = ""
) -> None:
    """Refuse a title that another case of the parent has.

    Raises:
        ServerError: The other case was created after this request began. The real server's
            check misses it then, and the database fails with a violated constraint.
    """
    where = f'"{parent}" = ? AND title = ? AND pk != ?'
    other = call.store.find(table, where, parent_pk, name, pk) if name else None
    if other is None:
        return
    if datetime.fromisoformat(other.created) > call.began:
        raise ServerError
    raise non_field_error(f"The fields title, {parent} must make a unique set.")
