"""Going through a list: large pages, the next one fetched while one is used, and no object lost or repeated.

Some lists have no order on the server, so that the boundary between two pages may repeat one object and skip another;
and any list may change while it is read. So the keys that were seen are remembered: a repeated object is left out, and
where some are missing at the end, the list is read again for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

import httpx

from gcapi._api.page import DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE
from gcapi._util.scheduler import Pool
from gcapi._util.user_warnings import warn_user
from gcapi.exceptions import StatusError, UnstableListWarning

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: How often a list is read again for objects that are missing.
MENDING_PASSES = 3
_TOO_MUCH_AT_ONCE = frozenset({502, 504})


class Chunk(Protocol[T_co]):
    """A page of a list."""

    total_count: int

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[T_co]: ...


Fetch = Callable[[int, int], Chunk[T]]


def iterate(fetch: Fetch[T], *, name: str) -> Iterator[T]:
    """Yield every object of a list once.

    At most two pages are held, and the keys of the objects that were seen.

    Args:
        fetch: Gets a page, by its offset and its limit.
        name: What a message calls the list.
    """
    seen: set[Any] = set()
    total = 0
    for _ in range(1 + MENDING_PASSES):
        keyless = 0
        for page in _pages(fetch):
            total = page.total_count
            for item in page:
                key = _key(item)
                if key is None:
                    keyless += 1
                elif key in seen:
                    continue
                seen.add(key)
                yield item
        if keyless or len(seen) >= total:
            return
    warn_user(
        f"{name}: the server counts {total} objects and shows {len(seen)}, however often the list is read; it changes,"
        " or has no order. Read it again later to be sure.",
        UnstableListWarning,
    )


def _pages(fetch: Fetch[T]) -> Iterator[Chunk[T]]:
    """Yield the pages of a list; the next one is on its way while one is used."""
    with _Prefetch(fetch) as ahead:
        page = ahead.page(0)
        offset = len(page)
        while True:
            is_last = not len(page) or offset >= page.total_count
            if not is_last:
                ahead.start(offset)
            yield page
            if is_last:
                return
            page = ahead.page(offset)
            offset += len(page)


class _Prefetch:
    """Fetch pages in a thread of its own, smaller ones once the server took too long for a large one."""

    def __init__(self, fetch: Fetch[Any]) -> None:
        self._fetch = fetch
        self._limit = MAX_PAGE_SIZE
        self._pool = Pool(1, "gcapi-list")
        self._next: Future[Chunk[Any]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def start(self, offset: int) -> None:
        """Begin to fetch the page at an offset."""
        self._next = self._pool.submit(self._get, offset)

    def page(self, offset: int) -> Chunk[Any]:
        """Return the page that was begun, or fetch the one at an offset."""
        future, self._next = self._next, None
        return self._get(offset) if future is None else future.result()

    def _get(self, offset: int) -> Chunk[Any]:
        try:
            return self._fetch(offset, self._limit)
        except (httpx.TimeoutException, StatusError) as error:
            if self._limit == DEFAULT_PAGE_SIZE or not _took_too_long(error):
                raise
        self._limit = DEFAULT_PAGE_SIZE
        return self._fetch(offset, self._limit)


def _took_too_long(error: httpx.TimeoutException | StatusError) -> bool:
    return not isinstance(error, StatusError) or error.status_code in _TOO_MUCH_AT_ONCE


def _key(item: Any) -> Any:
    """Return what tells objects apart, or `None` for those that have nothing of the kind."""
    return getattr(item, "pk", None) or getattr(item, "slug", None)
