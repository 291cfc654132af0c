"""Titles of cases: unique within their parent, unless empty."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from gcapi_sandbox._http.errors import ServerError, refused
from gcapi_sandbox._http.fields import text

if TYPE_CHECKING:
    from gcapi_sandbox._database.records import ArchiveItem, DisplaySet
    from gcapi_sandbox._http.handlers import Call

    Case = ArchiveItem | DisplaySet

title = text(255, blank=True)


def check_unique(
    call: Call, table: type[Case], parent: str, parent_pk: str, name: str, pk: str = ""
) -> None:
    """Refuse a title that another case of the parent has.

    A case that appeared after the request began was not there when the server looked: only its
    database refuses the second one, which is a server error.
    """
    where = f'"{parent}" = ? AND title = ? AND pk != ?'
    other = call.store.find(table, where, parent_pk, name, pk) if name else None
    if other is None:
        return
    if datetime.fromisoformat(other.created) > call.began:
        raise ServerError
    raise refused(f"The fields title, {parent} must make a unique set.")
