"""Iteration over lists: large pages, two of them requested ahead, and no object lost or repeated.

Some lists have no order on the server, so the boundary between two pages may repeat one object and skip another; and
any list may change while it is read. So the keys of all objects are remembered: repeated objects are left out, and if
some are missing at the end, the list is read again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import httpx

from gcapi._api.page import DEFAULT_PAGE_SIZE, Page
from gcapi._util.scheduler import Cancelled, Scheduler, result_of
from gcapi._util.user_warnings import warn_user
from gcapi.exceptions import StatusError, UnexpectedAnswer, UnstableListWarning

T = TypeVar("T")

#: The number of objects of a page, and of pages that are requested while one is used: three of them take less memory
#: than two of the largest, and hide the latency as well.
ITERATED_PAGE_SIZE, PAGES_AHEAD = 500, 2
#: How often a list is read again for missing objects.
REPEATED_PASSES = 3
#: How many pages in a row may bring no new object, and how many objects a list may gain beyond twice its first count.
MAX_REPEATED_PAGES, MAX_GROWTH = 3, 10_000
_TOOK_TOO_LONG = frozenset({502, 504})


Fetch = Callable[[int, int], Page[T]]


def iterate(fetch: Fetch[T], *, name: str) -> Iterator[T]:
    """Yield every object of a list once.

    Memory: at most 1 + `PAGES_AHEAD` pages of `ITERATED_PAGE_SIZE` objects, and the keys of all objects.

    Args:
        fetch: Returns the page at an offset, with at most a number of objects.
        name: The list's name in a warning.

    Raises:
        UnexpectedAnswer: The list repeats its pages, or grows faster than it can be read.
    """
    seen: set[Any] = set()
    total, first_total = 0, None
    for _ in range(1 + REPEATED_PASSES):
        keyless, repeated = 0, 0
        in_pass: set[Any] = set()
        for page in _pages(fetch):
            total = page.total_count
            first_total = total if first_total is None else first_total
            known = len(in_pass)
            in_pass.update(map(_key_of, page))
            repeated = repeated + 1 if len(page) and len(in_pass) == known else 0
            has_key = None not in in_pass
            if total > 2 * first_total + MAX_GROWTH or (has_key and repeated >= MAX_REPEATED_PAGES):
                raise UnexpectedAnswer(
                    f"{name}: the list repeats its pages, or grows without end; {len(seen)} objects were read. Check"
                    " base_url, or try again later."
                )
            for item in page:
                key = _key_of(item)
                if key is None:
                    keyless += 1
                elif key in seen:
                    continue
                seen.add(key)
                yield item
        if keyless or len(seen) >= total:
            return
    warn_user(
        f"{name}: the server counts {total} objects and lists {len(seen)}, however often the list is read. It is being"
        " changed, or has no order; read it again later to be sure.",
        UnstableListWarning,
    )


def _key_of(item: Any) -> Any:
    return getattr(item, "pk", None) or getattr(item, "slug", None)


def _pages(fetch: Fetch[T]) -> Iterator[Page[T]]:
    """Yield the pages of a list, and fetch the next `PAGES_AHEAD` while one is used.

    After a page of `ITERATED_PAGE_SIZE` took the server too long, pages have `DEFAULT_PAGE_SIZE`.
    """
    limit = ITERATED_PAGE_SIZE

    def get(offset: int) -> Page[T]:
        nonlocal limit
        asked = limit
        try:
            return fetch(offset, asked)
        except (httpx.TimeoutException, StatusError) as error:
            is_slow = not isinstance(error, StatusError) or error.status_code in _TOOK_TOO_LONG
            if asked == DEFAULT_PAGE_SIZE or not is_slow:
                raise
        limit = DEFAULT_PAGE_SIZE
        return fetch(offset, limit)

    with Scheduler(PAGES_AHEAD, "gcapi-list", grace=0.0) as scheduler:
        page = get(0)
        offset = length = len(page)
        following: deque[Future[Page[T]]] = deque()
        while len(page) and offset < page.total_count:
            while len(following) < PAGES_AHEAD:
                start = offset + len(following) * length
                if start >= page.total_count:
                    break
                following.append(scheduler.submit(get, start))
            yield page
            try:
                page = result_of(following.popleft())
            except Cancelled:
                scheduler.wait()  # raises the error of the page that failed first
                raise
            offset += len(page)
            if len(page) != length:  # so the others were requested at wrong offsets
                following.clear()
                length = len(page)
    yield page
