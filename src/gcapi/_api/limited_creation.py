"""Create objects that the server limits per user, and wait for the limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from gcapi._api.operations import Lazy, plain
from gcapi._api.page import MAX_PAGE_SIZE
from gcapi._api.quota import (
    MAX_QUOTA_WAIT,
    MAX_USER_UPLOADS,
    QuotaWait,
    note_unused_uploads,
    server_time,
)
from gcapi._api.resource_mixins import ListMixin
from gcapi._util.json_types import is_array, is_object
from grand_challenge_api import api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gcapi._api.operations import Calls
    from gcapi.exceptions import LimitReached

T = TypeVar("T")
_UPLOAD_URL = re.compile(r"/uploads/([^/]+)/$")


def create_within_limit(calls: Calls, fields: Mapping[str, Any], create: Callable[[], T]) -> T:
    """Create an object that the server limits per user; wait for the limit if the client is set up to wait.

    Args:
        calls: Calls the API.
        fields: The fields of the object, which may refer to uploads.
        create: Creates the object; called again after each `LimitReached` while waiting helps.
    """
    uploads = set(_upload_pks(plain(fields)))
    wait = QuotaWait(calls.settings.on_limit, time_left=_remaining_lifetime(calls, uploads))
    with note_unused_uploads(lambda: len(uploads)):
        return wait.call(create)


def _remaining_lifetime(calls: Calls, uploads: set[str]) -> Callable[[LimitReached], float]:
    """Return a function that returns how long the given uploads stay valid, by the server's clock.

    The creation times are read once, after the first refusal.
    """
    oldest: datetime | None = None

    def remaining(refused: LimitReached) -> float:
        nonlocal oldest
        now = server_time(refused)
        oldest = oldest or min((now, *_creation_times(calls, uploads)))
        return MAX_QUOTA_WAIT - (now - oldest).total_seconds()

    return remaining


class _UserUploads(ListMixin[Any, Any]):
    list_operation = Lazy(lambda: api.uploads_list)


def _creation_times(calls: Calls, uploads: set[str]) -> Iterator[datetime]:
    """Yield the creation times of uploads; listing all is quicker than one request for each."""
    for offset in range(0, MAX_USER_UPLOADS if uploads else 0, MAX_PAGE_SIZE):
        for upload in _UserUploads(calls).page(offset, MAX_PAGE_SIZE):
            if upload.pk in uploads and isinstance(upload.created, datetime):
                yield upload.created


def _upload_pks(fields: Any) -> Iterator[str]:
    """Yield the primary keys of the uploads whose URLs are among the fields of an object."""
    if is_object(fields):
        for key, value in fields.items():
            if key != "value":  # the user's own data
                yield from _upload_pks(value)
    elif is_array(fields):
        for value in fields:
            yield from _upload_pks(value)
    elif isinstance(fields, str) and (found := _UPLOAD_URL.search(fields)):
        yield found[1]
