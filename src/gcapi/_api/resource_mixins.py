"""Mixins for namespaces: list, retrieve, create, update and delete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from gcapi._api.operations import plain, query_parameters
from gcapi._api.page import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE, Page
from gcapi._api.pagination import iterate
from gcapi._api.quota import (
    MAX_QUOTA_WAIT,
    MAX_USER_UPLOADS,
    QuotaWait,
    note_unused_uploads,
    server_time,
)
from gcapi._util.json_types import is_array, is_object
from gcapi._util.user_warnings import warn_user
from gcapi.exceptions import (
    MultipleObjectsReturned,
    ObjectNotFound,
    UnexpectedAnswer,
    UnknownFilterWarning,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gcapi._api.operations import Calls
    from gcapi.exceptions import LimitReached

T = TypeVar("T")
Params = Mapping[str, Any]

_UPLOAD_URL = re.compile(r"/uploads/([^/]+)/$")
#: Query parameters that select a part of the list, rather than objects.
_PAGING = frozenset({"limit", "offset"})


class Namespace:
    """A part of the API, offered as an attribute of a client.

    Args:
        calls: Calls the API.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls


class ListMixin(Namespace, Generic[T]):
    """Objects that can be listed."""

    list_operation: ClassVar[str]

    def page(
        self, offset: int = 0, limit: int = DEFAULT_PAGE_SIZE, params: Params | None = None
    ) -> Page[T]:
        """Get one page of the list.

        Args:
            offset: The number of objects to skip.
            limit: The number of objects to get; the server returns at most 1,000.
            params: Filters by their API names; `None` for everything that you may see.

        Raises:
            ValueError: The offset is negative, or the limit is below 1.
        """
        if offset < 0 or limit < 1:
            raise ValueError(f"offset={offset} must be at least 0, and limit={limit} at least 1.")
        self._warn_of_unknown(params or {})
        return self._page(offset, limit, params or {})

    def _page(self, offset: int, limit: int, params: Params) -> Page[T]:
        query = {**params, "offset": offset, "limit": limit}
        answer = self._calls.operation(self.list_operation, params=query)
        count, results = getattr(answer, "count", None), getattr(answer, "results", None)
        is_page = (
            isinstance(count, int)
            and is_array(results)
            and all(hasattr(result, "to_dict") for result in results)
        )
        if not is_page:
            raise UnexpectedAnswer(
                f"{type(self).__name__}: the response is not a page with a count and a list of objects."
                f" It begins: {str(answer.to_dict())[:200]!r}"
            )
        return Page(answer.results, offset=offset, limit=limit, total_count=answer.count)

    def iterate_all(self, params: Params | None = None) -> Iterator[T]:
        """Iterate over all objects of the list, each once.

        The list is read in large pages; the next page is fetched while one is in use, so at most two are in memory. If
        the list changes meanwhile, or has no stable order, it is read again for missing objects. If some are still
        missing then, an `UnstableListWarning` is issued.

        Args:
            params: Filters by their API names; `None` for everything that you may see.

        Examples:
            >>> archive = client.archives.detail(slug="my-archive")
            >>> [item.title for item in client.archive_items.iterate_all({"archive": archive.pk})]
            ['Earlier case']
        """
        filters = dict(params or {})
        self._warn_of_unknown(filters)
        return iterate(
            lambda offset, limit: self._page(offset, limit, filters), name=type(self).__name__
        )

    def count(self, params: Params | None = None) -> int:
        """Count the objects of the list, in one small request.

        Args:
            params: Filters by their API names; `None` for everything that you may see.
        """
        return self.page(0, 1, params).total_count

    def _only(self, filters: Params) -> T:
        page = self.page(0, 2, filters)
        shown = ", ".join(f"{name}={value!r}" for name, value in filters.items())
        if page.total_count == 0:
            raise ObjectNotFound(
                f"{type(self).__name__}: nothing with {shown}: not found, or no access."
            )
        if page.total_count > 1:
            raise MultipleObjectsReturned(
                f"{type(self).__name__}: {page.total_count} objects with {shown}, and one was expected."
                " Use iterate_all to go through them."
            )
        return page[0]

    def _warn_of_unknown(self, params: Params) -> None:
        known = query_parameters(self.list_operation) - _PAGING
        unknown = sorted(params.keys() - known - _PAGING)
        if unknown:
            warn_user(
                f"{type(self).__name__}: the server ignores {', '.join(unknown)} and returns unfiltered objects."
                f" Filters: {', '.join(sorted(known)) or 'none'}.",
                UnknownFilterWarning,
            )


class RetrieveMixin(Namespace, Generic[T]):
    """Objects that can be retrieved by primary key."""

    detail_operation: ClassVar[str]

    def _by_pk(self, pk: str) -> T:
        return self._calls.operation(self.detail_operation, pk)


class ReadMixin(ListMixin[T], RetrieveMixin[T]):
    """Objects that can be listed, and retrieved one at a time."""

    @overload
    def detail(self, pk: str, api_url: None = None) -> T: ...

    @overload
    def detail(self, pk: None, api_url: str) -> T: ...

    @overload
    def detail(self, *, api_url: str) -> T: ...

    @overload
    def detail(self, pk: None = None, api_url: None = None, **filters: Any) -> T: ...

    def detail(self, pk: str | None = None, api_url: str | None = None, **filters: Any) -> T:
        """Get one object, by its primary key, its API URL or filters.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL, as other objects refer to it; `None` if you give one of the others.
            filters: Filters that match exactly one object, by their API names, such as ``slug="…"``.

        Raises:
            ValueError: None of the three was given, or more than one.
            ObjectNotFound: The object does not exist, or you have no access.
            MultipleObjectsReturned: The filters match several objects.

        Examples:
            >>> client.algorithms.detail(slug="my-algorithm").title
            'My Algorithm'
        """
        return self._one(pk, api_url, filters)

    def _one(self, pk: str | None, api_url: str | None, filters: Params) -> T:
        # The server ignores an empty filter, and would return everything.
        given = {
            name: value for name, value in filters.items() if value is not None and value != ""
        }
        if sum((bool(pk), bool(api_url), bool(given))) != 1:
            raise ValueError("Give exactly one of pk, api_url, or filters such as slug=….")
        if pk:
            return self._by_pk(pk)
        if api_url:
            return self._calls.get(self.detail_operation, api_url)
        return self._only(given)


class CreateMixin(Namespace, Generic[T]):
    """Objects that can be created."""

    create_operation: ClassVar[str]

    def create(self, **fields: Any) -> T:
        """Create an object.

        Args:
            fields: The fields by their API names; values may be models that were read from the server.

        Raises:
            TypeError: A required field is missing.
        """
        return self._calls.operation(self.create_operation, body=fields)


class QuotaCreateMixin(CreateMixin[T]):
    """Objects whose creation the server limits per user, and which may refer to uploads."""

    def create(self, **fields: Any) -> T:
        """Create an object; wait for the server's limit first, if the client is set up to wait.

        Args:
            fields: The fields by their API names; values may be models that were read from the server.

        Raises:
            TypeError: A required field is missing.
            LimitReached: Waiting does not help, or not before the uploads in the fields expire.
        """
        return create_within_limit(self._calls, fields, partial(super().create, **fields))


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


class _UserUploads(ListMixin[Any]):
    list_operation = "uploads.uploads_list"


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


class PartialUpdateMixin(Namespace, Generic[T]):
    """Objects whose fields can be changed one by one."""

    partial_update_operation: ClassVar[str]

    def partial_update(self, pk: str, **fields: Any) -> T:
        """Change the given fields of an object, and no others.

        Args:
            pk: The primary key of the object.
            fields: The fields by their API names; values may be models that were read from the server.
        """
        return self._calls.operation(self.partial_update_operation, pk, body=fields)


class UpdateMixin(PartialUpdateMixin[T]):
    """Objects that can be replaced."""

    update_operation: ClassVar[str]

    def update(self, pk: str, **fields: Any) -> T:
        """Replace an object; whether the server clears or keeps an omitted field depends on the field.

        For archive items and display sets, every socket that is missing from `values` loses its value.

        Args:
            pk: The primary key of the object.
            fields: The fields by their API names; values may be models that were read from the server.
        """
        return self._calls.operation(self.update_operation, pk, body=fields)


class DeleteMixin(Namespace):
    """Objects that can be deleted, of which the API has few."""

    delete_operation: ClassVar[str]

    def delete(self, pk: str) -> None:
        """Delete an object by its primary key; this cannot be undone."""
        self._calls.operation(self.delete_operation, pk)
