"""What a namespace can be made of: listing, showing, creating, changing and deleting, each once for all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, overload

from gcapi._api.operations import plain, query_parameters
from gcapi._api.pagination import iterate
from gcapi._api.quota import LONGEST_WAIT, LimitWait, server_time, unused_noted
from gcapi._util.json_types import is_array, is_object
from gcapi._util.user_warnings import warn_user
from gcapi.exceptions import (
    MultipleObjectsReturned,
    ObjectNotFound,
    UnexpectedAnswer,
    UnknownFilterWarning,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcapi._api.operations import Calls
    from gcapi.exceptions import LimitReached

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Params = Mapping[str, Any]

#: How many objects a page has unless told otherwise.
PAGE_SIZE = 100
#: The most that the server puts into a page, and the most uploads that it lets a user have.
LARGEST_PAGE, MOST_UPLOADS = 1000, 2001
_UPLOAD_URL = re.compile(r"/uploads/([^/]+)/$")
#: Query parameters that say which part of a list is wanted, rather than which objects.
_PAGING = frozenset({"limit", "offset"})


class Page(Sequence[T_co]):
    """One page of a list.

    Attributes:
        offset: How many objects come before it.
        limit: How many objects were asked for; the server gives 1,000 at the most.
        total_count: How many objects the whole list has.
    """

    def __init__(
        self, results: Sequence[T_co], *, offset: int, limit: int, total_count: int
    ) -> None:
        self._results = list(results)
        self.offset = offset
        self.limit = limit
        self.total_count = total_count

    @overload
    def __getitem__(self, index: int) -> T_co: ...

    @overload
    def __getitem__(self, index: slice) -> list[T_co]: ...

    def __getitem__(self, index: int | slice) -> T_co | list[T_co]:
        return self._results[index]

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return f"<Page of {len(self)} from {self.offset}, of {self.total_count}>"


class Namespace:
    """A part of the API that a client offers as an attribute.

    Args:
        calls: Calls the API.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls


class Listed(Namespace, Generic[T]):
    """Objects that can be listed."""

    list_operation: ClassVar[str]

    def page(
        self, offset: int = 0, limit: int = PAGE_SIZE, params: Params | None = None
    ) -> Page[T]:
        """Get one page of the list.

        Args:
            offset: How many objects to leave out before it.
            limit: How many objects to get; the server gives 1,000 at the most.
            params: Filters by their API names; `None` for all that you may see.

        Raises:
            ValueError: A negative offset, or a limit below 1.
        """
        if offset < 0 or limit < 1:
            raise ValueError(f"offset={offset} must be at least 0, and limit={limit} at least 1.")
        self._warn_of_unknown(params or {})
        return self._page(offset, limit, params or {})

    def _page(self, offset: int, limit: int, params: Params) -> Page[T]:
        query = {**params, "offset": offset, "limit": limit}
        answer = self._calls.operation(self.list_operation, params=query)
        if not _is_page(answer):
            raise UnexpectedAnswer(
                f"{type(self).__name__}: the server's page is not what the API promises, a count and a list of"
                f" objects. It begins: {str(answer.to_dict())[:200]!r}"
            )
        return Page(answer.results, offset=offset, limit=limit, total_count=answer.count)

    def iterate_all(self, params: Params | None = None) -> Iterator[T]:
        """Get every object of the list once, in large pages of which the next is fetched while one is used.

        Holds at most two pages. Where the list changes meanwhile, or has no order, it is read again for what is
        missing; what is missing then still draws an `UnstableListWarning`.

        Args:
            params: Filters by their API names; `None` for all that you may see.

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
        """Get the number of objects in the list, in one small request.

        Args:
            params: Filters by their API names; `None` for all that you may see.
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
        honoured = query_parameters(self.list_operation) - _PAGING
        unknown = sorted(params.keys() - honoured - _PAGING)
        if unknown:
            has = ", ".join(sorted(honoured)) or "no filters"
            warn_user(
                f"{type(self).__name__}: the server ignores {', '.join(unknown)} and answers as if it were not"
                f" there. It honours {has}.",
                UnknownFilterWarning,
            )


def _is_page(answer: Any) -> bool:
    """Tell whether a page has what the generated models take on trust."""
    return (
        isinstance(answer.count, int)
        and is_array(answer.results)
        and all(hasattr(result, "to_dict") for result in answer.results)
    )


class Shown(Namespace, Generic[T]):
    """Objects that can be got by their pk."""

    detail_operation: ClassVar[str]

    def _by_pk(self, pk: str) -> T:
        answer: T = self._calls.operation(self.detail_operation, pk)
        return answer

    def _by_url(self, api_url: str) -> T:
        answer: T = self._calls.get(self.detail_operation, api_url)
        return answer


class Readable(Listed[T], Shown[T]):
    """Objects that can be listed, and got one at a time."""

    @overload
    def detail(self, pk: str, api_url: None = None) -> T: ...

    @overload
    def detail(self, pk: None, api_url: str) -> T: ...

    @overload
    def detail(self, *, api_url: str) -> T: ...

    @overload
    def detail(self, pk: None = None, api_url: None = None, **filters: Any) -> T: ...

    def detail(self, pk: str | None = None, api_url: str | None = None, **filters: Any) -> T:
        """Get one object.

        Args:
            pk: Its primary key; `None` to go by one of the others.
            api_url: Its address in the API, as other objects refer to it; `None` likewise.
            filters: Or filters that only it fits, by their API names, such as ``slug="…"``.

        Raises:
            ValueError: None or several of the three.
            ObjectNotFound: Not found, or no access.
            MultipleObjectsReturned: Several objects fit the filters.

        Examples:
            >>> client.algorithms.detail(slug="my-algorithm").title
            'My Algorithm'
        """
        return self._one(pk, api_url, filters)

    def _one(self, pk: str | None, api_url: str | None, filters: Params) -> T:
        # An empty filter is none to the server, which would answer with everything.
        given = {name: value for name, value in filters.items() if not _is_empty(value)}
        if sum((bool(pk), bool(api_url), bool(given))) != 1:
            raise ValueError("Give exactly one of pk, api_url, or filters such as slug=….")
        if pk:
            return self._by_pk(pk)
        return self._by_url(api_url) if api_url else self._only(given)


class Creatable(Namespace, Generic[T]):
    """Objects that can be created."""

    create_operation: ClassVar[str]

    def create(self, **fields: Any) -> T:
        """Create an object.

        Args:
            fields: The API's fields; values may be models that were read from the server.

        Raises:
            TypeError: A field that the API needs is missing.
        """
        answer: T = self._calls.operation(self.create_operation, body=self._body(fields))
        return answer

    def _body(self, fields: dict[str, Any]) -> dict[str, Any]:
        return fields


class Limited(Creatable[T]):
    """Objects of which the server lets you have only so many at work, and that uploads may go into."""

    def create(self, **fields: Any) -> T:
        """Create an object, as soon as the server's limit lets you, where the client was told to wait for that.

        Args:
            fields: The API's fields; values may be models that were read from the server.

        Raises:
            TypeError: A field that the API needs is missing.
            LimitReached: A limit that does not pass, or not before the uploads in the fields expire.
        """
        uploads = set(_named_uploads(plain(fields)))
        left = _TimeLeft(self._calls, uploads)
        create = super().create
        with unused_noted(lambda: len(uploads)):
            return LimitWait(self._calls.settings.on_limit, left=left).call(
                lambda: create(**fields)
            )


class _Uploads(Listed[Any]):
    """The user's uploads."""

    list_operation = "uploads.uploads_list"


class _TimeLeft:
    """Tell for how long uploads can still be waited with, by the server's clock; they are read once.

    Args:
        calls: Calls the API.
        uploads: The pks of the uploads.
    """

    def __init__(self, calls: Calls, uploads: set[str]) -> None:
        self._list = _Uploads(calls)
        self._uploads = uploads
        self._oldest: datetime | None = None

    def __call__(self, refused: LimitReached) -> float:
        now = server_time(refused)
        if self._oldest is None:
            self._oldest = min((now, *self._times()))
        return LONGEST_WAIT - (now - self._oldest).total_seconds()

    def _times(self) -> Iterator[datetime]:
        """Yield when the uploads were made: the list is quicker to read than one after the other."""
        if self._uploads:
            for offset in range(0, MOST_UPLOADS, LARGEST_PAGE):
                for upload in self._list.page(offset, LARGEST_PAGE):
                    if upload.pk in self._uploads and isinstance(upload.created, datetime):
                        yield upload.created


def _named_uploads(fields: Any) -> Iterator[str]:
    """Yield the pks of the uploads that the fields of an object name by their addresses."""
    if is_object(fields):
        for key, value in fields.items():
            if key != "value":  # the user's own
                yield from _named_uploads(value)
    elif is_array(fields):
        for value in fields:
            yield from _named_uploads(value)
    elif isinstance(fields, str):
        found = _UPLOAD_URL.search(fields)
        if found:
            yield found[1]


class PartiallyUpdatable(Namespace, Generic[T]):
    """Objects of which single fields can be changed."""

    partial_update_operation: ClassVar[str]

    def partial_update(self, pk: str, **fields: Any) -> T:
        """Change the given fields of an object, and no others.

        Args:
            pk: The object.
            fields: The API's fields; values may be models that were read from the server.
        """
        answer: T = self._calls.operation(self.partial_update_operation, pk, body=fields)
        return answer


class Updatable(PartiallyUpdatable[T]):
    """Objects that can be replaced."""

    update_operation: ClassVar[str]

    def update(self, pk: str, **fields: Any) -> T:
        """Replace an object: the server clears or keeps what is not given, each field by a rule of its own.

        Of archive items and display sets, every socket that is not listed in `values` loses its value.

        Args:
            pk: The object.
            fields: The API's fields; values may be models that were read from the server.
        """
        answer: T = self._calls.operation(self.update_operation, pk, body=fields)
        return answer


class Deletable(Namespace):
    """Objects that can be deleted; the API has very few."""

    delete_operation: ClassVar[str]

    def delete(self, pk: str) -> None:
        """Delete an object, by its pk; there is no way back."""
        self._calls.operation(self.delete_operation, pk)


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value)
