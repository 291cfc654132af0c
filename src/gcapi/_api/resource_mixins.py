"""Mixins for namespaces: list and retrieve."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar, overload

from gcapi._api.dataframes import CATEGORIES, dataframe, object_rows
from gcapi._api.identifiers import pk_of, slug_of
from gcapi._api.notebook import namespace_html
from gcapi._api.operations import Lazy
from gcapi._api.page import DEFAULT_PAGE_SIZE, Page
from gcapi._api.pagination import iterate
from gcapi._api.similar_slugs import similar_slugs
from gcapi._util.json_types import is_array
from gcapi._util.near_names import did_you_mean
from gcapi._util.user_warnings import warn_user
from gcapi.exceptions import (
    MultipleObjectsReturned,
    ObjectNotFound,
    SpecTypeError,
    UnexpectedAnswer,
    UnknownFilterWarning,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gcapi._api.operations import Calls

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
#: The `TypedDict` of the query parameters of a list.
QueryT = TypeVar("QueryT", bound=Mapping[str, Any])
Params = Mapping[str, Any]

#: Query parameters that select a part of the list, rather than objects.
_PAGING = frozenset({"limit", "offset"})
_MAX_REPR_CHARACTERS = 190


def _first_line(namespace: object) -> str:
    """Return the first line of the docstring of an object's class."""
    return (type(namespace).__doc__ or "").partition("\n")[0]


class Namespace:
    """A part of the API, offered as an attribute of a client.

    Args:
        calls: Calls the API.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def __repr__(self) -> str:
        shown = f"<{type(self).__name__} of {self._calls.settings.base_url}: {_first_line(self)}"
        return f"{shown[:_MAX_REPR_CHARACTERS]}>"

    def _repr_html_(self) -> str:
        methods = [
            name
            for name in dir(type(self))
            if not name.startswith("_") and callable(getattr(type(self), name))
        ]
        filters = sorted(self._known_filters())
        return namespace_html(type(self).__name__, _first_line(self), methods, filters)

    def _known_filters(self) -> set[str]:
        return set()


class PageModel(Protocol[T_co]):
    """A generated model of a page."""

    @property
    def count(self) -> int:
        """The number of objects in the whole list."""
        ...

    @property
    def results(self) -> Sequence[T_co]:
        """The objects of the page."""
        ...


class ListMixin(Namespace, Generic[T, QueryT]):
    """Objects that can be listed."""

    list_operation: Lazy[PageModel[T]]
    #: What an object is called in messages; by default the words of the class's name.
    noun: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not cls.__dict__.get("noun"):
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", cls.__name__).lower()
            cls.noun = re.sub(r"s$", "", re.sub(r"ies$", "y", words))

    def page(
        self,
        offset: int = 0,
        limit: int = DEFAULT_PAGE_SIZE,
        params: QueryT | None = None,
        extra_params: Params | None = None,
    ) -> Page[T]:
        """Get one page of the list.

        Args:
            offset: The number of objects to skip.
            limit: The number of objects to get; the server returns at most 1,000.
            params: Filters by their API names, whose values may be objects; `None` for everything that you may see.
            extra_params: Filters that only some servers honour, by their API names; `None` for none.

        Raises:
            ValueError: The offset is negative, or the limit is below 1.
        """
        if offset < 0 or limit < 1:
            raise ValueError(f"offset={offset} must be at least 0, and limit={limit} at least 1.")
        return self._page(offset, limit, self._filters(params, extra_params))

    def _page(self, offset: int, limit: int, params: Params) -> Page[T]:
        query = {**params, "offset": offset, "limit": limit}
        answer: Any = self._calls.call(self.list_operation, params=query)
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

    def iterate_all(
        self, params: QueryT | None = None, extra_params: Params | None = None
    ) -> Iterator[T]:
        """Iterate over all objects of the list, each once.

        The list is read in pages of 500; two are fetched while one is in use, so at most three are in memory. If
        the list changes meanwhile, or has no stable order, it is read again for missing objects. If some are still
        missing then, an `UnstableListWarning` is issued.

        Args:
            params: Filters by their API names, whose values may be objects; `None` for everything that you may see.
            extra_params: Filters that only some servers honour, by their API names; `None` for none.

        Examples:
            >>> archive = client.archives.detail(slug="my-archive")
            >>> [item.title for item in client.archive_items.iterate_all({"archive": archive.pk})]
            ['Earlier case']
        """
        filters = self._filters(params, extra_params)
        return iterate(
            lambda offset, limit: self._page(offset, limit, filters), name=type(self).__name__
        )

    def to_dataframe(self, params: QueryT | None = None, extra_params: Params | None = None) -> Any:
        """Return all objects of the list as a `pandas.DataFrame`, one row each.

        Numbers, booleans and texts have nullable types, times are UTC, pks are text, and statuses and kinds are
        categories. Socket values have a column for each socket: the value itself, or the address of its image or file;
        those of jobs begin with ``input:`` or ``output:``.

        Args:
            params: Filters by their API names, whose values may be objects; `None` for everything that you may see.
            extra_params: Filters that only some servers honour, by their API names; `None` for none.

        Raises:
            MissingExtra: pandas is not installed.
        """
        found: Iterator[Any] = self.iterate_all(params, extra_params)
        return dataframe(object_rows(one.to_dict() for one in found), None, CATEGORIES)

    def count(self, params: QueryT | None = None, extra_params: Params | None = None) -> int:
        """Count the objects of the list, in one small request.

        Args:
            params: Filters by their API names, whose values may be objects; `None` for everything that you may see.
            extra_params: Filters that only some servers honour, by their API names; `None` for none.
        """
        return self.page(0, 1, params, extra_params).total_count

    def _only(self, filters: Params) -> T:
        unknown = self._unknown_filters(filters)
        if unknown:
            # With a filter that the server ignores, it would return any object.
            known = sorted({"pk", "api_url", *self._known_filters()})
            hint = did_you_mean(unknown[0], known) or f"Use {', '.join(known)}."
            raise SpecTypeError(f"The server cannot find one {self.noun} by {unknown[0]!r}. {hint}")
        filters = _plain_filters(filters)
        page = self._page(0, 2, filters)
        shown = ", ".join(f"{name}={value!r}" for name, value in filters.items())
        if page.total_count == 0:
            similar = similar_slugs(filters["slug"], self.page) if "slug" in filters else ""
            raise ObjectNotFound(
                f"There is no {self.noun} with {shown}, or no access to it. {similar}".rstrip()
            )
        if page.total_count > 1:
            raise MultipleObjectsReturned(
                f"The server has {page.total_count} objects ({self.noun}) with {shown}, and one was expected."
                " Use iterate_all to go through them."
            )
        return page[0]

    def _filters(self, params: Params | None, extra_params: Params | None) -> dict[str, Any]:
        """Return the filters of a list, and warn of those that the server ignores."""
        unknown = self._unknown_filters(params or {})
        if unknown:
            known = sorted(self._known_filters())
            similar = " ".join(filter(None, (did_you_mean(name, known) for name in unknown)))
            warn_user(
                f"The server ignores {', '.join(unknown)} and returns unfiltered objects ({self.noun}). {similar}"
                f" Filters: {', '.join(known) or 'none'}. Pass filters of other servers as extra_params.",
                UnknownFilterWarning,
            )
        return _plain_filters({**(params or {}), **(extra_params or {})})

    def _known_filters(self) -> set[str]:
        return set(self.list_operation.query_parameters) - _PAGING

    def _unknown_filters(self, params: Params) -> list[str]:
        return sorted(params.keys() - self._known_filters() - _PAGING)


class ReadMixin(ListMixin[T, QueryT]):
    """Objects that can be listed, and retrieved one at a time."""

    detail_operation: Lazy[T]

    @overload
    def detail(self, pk: str, api_url: None = None) -> T: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> T: ...

    def detail(self, pk: str | None = None, api_url: str | None = None, **filters: Any) -> T:
        """Get one object, by its primary key or its API URL.

        Args:
            pk: The primary key; `None` if you give the URL.
            api_url: The API URL, as other objects refer to it; `None` if you give the primary key.
            filters: Filters that match exactly one object, by their API names, for lists that have any.

        Raises:
            ValueError: None of the three was given, or more than one.
            SpecTypeError: The server has no such filter; nothing was sent.
            ObjectNotFound: The object does not exist, or you have no access.
            MultipleObjectsReturned: The filters match several objects.
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
            return self._calls.call(self.detail_operation, pk_of(pk))
        if api_url:
            return self._calls.get(self.detail_operation, api_url)
        return self._only(given)


class SlugMixin(ReadMixin[T, QueryT]):
    """Objects that have a slug."""

    @overload
    def detail(self, pk: str, api_url: None = None) -> T: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> T: ...

    @overload
    def detail(self, *, slug: str) -> T: ...

    def detail(self, pk: str | None = None, api_url: str | None = None, **filters: Any) -> T:
        """Get one object, by its primary key, its API URL or its slug.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL, as other objects refer to it; `None` if you give one of the others.
            filters: ``slug``.

        Raises:
            ValueError: None of the three was given, or more than one.
            ObjectNotFound: The object does not exist, or you have no access.

        Examples:
            >>> client.algorithms.detail(slug="my-algorithm").title
            'My Algorithm'
        """
        return self._one(pk, api_url, filters)


def _plain_filters(filters: Params) -> dict[str, Any]:
    """Return filters with the slug or the primary key in the place of each object."""
    return {
        name: slug_of(value) if name == "slug" else pk_of(value) for name, value in filters.items()
    }
