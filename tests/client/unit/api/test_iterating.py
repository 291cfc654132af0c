"""Going through lists: prefetched, bounded, and with every object once."""

from __future__ import annotations

import gc
import random
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi._api.page import DEFAULT_PAGE_SIZE, Page
from gcapi._api.pagination import ITERATED_PAGE_SIZE, REPEATED_PASSES, iterate
from gcapi.exceptions import StatusError, UnstableListWarning
from gcapi.retries import BaseRetryStrategy
from tests.support.servers.loopback import Answer, Loopback, Seen, connect

DEADLINE = 20.0


class Item:
    """An object with a pk."""

    def __init__(self, pk: Any) -> None:
        self.pk = pk


class Nameless:
    """An object without anything that tells it apart."""


class Table:
    """A list on a server, and the pages that were asked for."""

    def __init__(self, items: list[Any], *, most: int = 1000, counted: int | None = None) -> None:
        self.items = items
        self.asked: list[tuple[int, int]] = []
        self._most = most
        self._counted = counted

    def order(self) -> list[Any]:
        return self.items

    def fetch(self, offset: int, limit: int) -> Page[Any]:
        self.asked.append((offset, limit))
        results = self.order()[offset : offset + min(limit, self._most)]
        total = len(self.items) if self._counted is None else self._counted
        return Page(results, offset=offset, limit=limit, total_count=total)

    def all(self) -> list[Any]:
        return list(iterate(self.fetch, name="Things"))


class Unordered(Table):
    """A list whose order is another one for each page."""

    def __init__(self, items: list[Any], seed: int) -> None:
        super().__init__(items, most=4)
        self._random = random.Random(seed)

    def order(self) -> list[Any]:
        return self._random.sample(self.items, len(self.items))


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is the case."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def list_threads() -> list[str]:
    """Return the threads that fetch pages."""
    return [one.name for one in threading.enumerate() if one.name.startswith("gcapi-list")]


# ---------------------------------------------------------------- each object once


@given(st.integers(0, 60), st.integers(1, 25))
def test_every_object_in_its_order(count: int, most: int) -> None:
    """All objects are yielded once, in the server's order, and no empty page is requested."""
    table = Table([Item(number) for number in range(1, count + 1)], most=most)
    assert [item.pk for item in table.all()] == list(range(1, count + 1))
    assert sorted(offset for offset, _ in table.asked) == (list(range(0, count, most)) or [0])


def test_pages_are_large() -> None:
    """A list of 20,000 objects takes 40 requests."""
    table = Table([Item(number) for number in range(1, 20_001)])
    assert len(table.all()) == 20_000
    pages = [(offset, ITERATED_PAGE_SIZE) for offset in range(0, 20_000, 500)]
    assert sorted(table.asked) == pages


def test_short_pages_lose_no_object() -> None:
    """After a page that is shorter than the one before, the next ones are requested from its end."""
    items = [Item(number) for number in range(1, 41)]

    class Shorter(Table):
        def fetch(self, offset: int, limit: int) -> Page[Any]:
            page = super().fetch(offset, 4 if offset == 10 else 10)
            return Page(page[:], offset=offset, limit=limit, total_count=len(items))

    table = Shorter(items)
    assert [item.pk for item in table.all()] == list(range(1, 41))
    assert {offset for offset, _ in table.asked} >= {0, 10, 14, 18}


@given(st.integers(5, 12), st.integers(0, 2**32))
def test_unordered_lists_are_mended_or_said(count: int, seed: int) -> None:
    """An unordered list repeats no object, and loses none without a warning."""
    table = Unordered([Item(number) for number in range(1, count + 1)], seed)
    with warnings.catch_warnings(record=True, category=UnstableListWarning) as said:
        warnings.simplefilter("always", UnstableListWarning)
        pks = [item.pk for item in table.all()]
    assert said is not None
    assert len(pks) == len(set(pks))
    assert len(said) == (len(pks) < count)


def test_missing_objects_are_found_again() -> None:
    """An object that a page boundary skipped is found by reading the list again."""
    items = [Item(number) for number in range(1, 7)]
    orders = [items, [*items[3:], *items[:3]], items, items]

    class Turned(Table):
        def order(self) -> list[Any]:
            return orders[len(self.asked) - 1]

    table = Turned(items, most=3)
    assert sorted(item.pk for item in table.all()) == [1, 2, 3, 4, 5, 6]
    assert len(table.asked) == 4


def test_what_cannot_be_mended_is_said() -> None:
    """A list that counts more objects than it has causes a warning with both numbers."""
    table = Table([Item(number) for number in range(1, 6)], counted=7)
    with pytest.warns(UnstableListWarning, match="Things: the server counts 7 objects and lists 5"):
        assert [item.pk for item in table.all()] == [1, 2, 3, 4, 5]
    assert table.asked.count((0, ITERATED_PAGE_SIZE)) == 1 + REPEATED_PASSES


def test_list_that_shrinks_ends_quietly() -> None:
    """A list that shrinks while it is read is not read again."""
    items = [Item(number) for number in range(1, 7)]

    class Shrinks(Table):
        def fetch(self, offset: int, limit: int) -> Page[Any]:
            if offset:
                del self.items[-1]
            return super().fetch(offset, limit)

    assert len(Shrinks(items, most=3).all()) == 5


def test_objects_without_a_pk_come_as_they_are() -> None:
    """Objects without a pk are all returned, and the list is read once."""
    table = Table([Nameless() for _ in range(5)], most=2)
    assert table.all() == table.items
    assert len(table.asked) == 3


def test_slugs_tell_objects_apart() -> None:
    """Objects without a pk are identified by their slug."""

    class Slugged:
        slug = "the-same"

    table = Table([Slugged(), Slugged()], counted=1)
    assert table.all() == table.items[:1]


def test_at_most_three_pages_are_held() -> None:
    """At most three pages are held in memory."""

    class Counted(Item):
        alive: ClassVar[weakref.WeakSet[Item]] = weakref.WeakSet()

        def __init__(self, pk: int) -> None:
            super().__init__(pk)
            self.alive.add(self)

    def fetch(offset: int, limit: int) -> Page[Counted]:
        results = [Counted(offset + number + 1) for number in range(10)]
        return Page(results, offset=offset, limit=limit, total_count=100)

    most = 0
    for _ in iterate(fetch, name="Things"):
        most = max(most, len(Counted.alive))
    # And the object in hand, where a new page begins.
    assert 0 < most <= 31


# ---------------------------------------------------------------- on a server


def listed(count: int, most: int = 1000) -> Callable[[Seen], Answer]:
    """Answer as a list of so many objects does."""

    def answer(seen: Seen) -> Answer:
        offset, limit = page_of(seen)
        pks = range(offset + 1, min(count, offset + min(limit, most)) + 1)
        results = [{"pk": pk, "flag": ""} for pk in pks]
        return Answer(body={"count": count, "next": None, "previous": None, "results": results})

    return answer


def page_of(seen: Seen) -> tuple[int, int]:
    """Return the offset and the limit that were asked for."""
    query = parse_qs(urlsplit(seen.path).query)
    return int(query["offset"][0]), int(query["limit"][0])


class Never(BaseRetryStrategy):
    """Take every answer as it is."""

    def get_delay(self, latest_response: httpx.Response) -> None:  # noqa: ARG002
        return None


@contextmanager
def listing(script: Callable[[Seen], Answer], **options: Any) -> Iterator[tuple[Any, Loopback]]:
    """Give a namespace of a scripted server."""
    options = {"retry_strategy": Never, **options}
    with Loopback(script) as server, connect(server, **options) as client:
        yield client.subscriptions, server


def test_next_pages_are_fetched_while_one_is_used() -> None:
    """While the first page is used, the second and third one are requested, and not the fourth."""
    with listing(listed(40, 10)) as (subscriptions, server):
        objects = subscriptions.iterate_all()
        assert server.seen == []
        assert next(objects).pk == 1
        wait_for(lambda: len(server.seen) == 3)
        for _ in range(9):
            next(objects)
        assert {page_of(seen)[0] for seen in server.seen} == {0, 10, 20}
        assert next(objects).pk == 11
        wait_for(lambda: len(server.seen) == 4)
        assert [one.pk for one in objects] == list(range(12, 41))
        assert sorted(page_of(seen)[0] for seen in server.seen) == [0, 10, 20, 30]
    wait_for(lambda: not list_threads())


def test_objects_come_while_the_next_page_is_awaited() -> None:
    """A slow page does not hold back the objects of the page before."""
    usual, go_on = listed(20, 10), threading.Event()

    def answer(seen: Seen) -> Answer:
        if page_of(seen)[0]:
            assert go_on.wait(DEADLINE)
        return usual(seen)

    with listing(answer) as (subscriptions, server):
        objects = subscriptions.iterate_all()
        assert [next(objects).pk for _ in range(10)] == list(range(1, 11))
        wait_for(lambda: len(server.seen) == 2)
        go_on.set()
        assert [one.pk for one in objects] == list(range(11, 21))


@pytest.mark.parametrize("status", [502, 504])
def test_smaller_pages_after_a_timeout_of_the_server(status: int) -> None:
    """After a 502 or 504, the page is requested again in smaller pages."""
    usual = listed(1650)

    def answer(seen: Seen) -> Answer:
        offset, limit = page_of(seen)
        too_much = offset >= ITERATED_PAGE_SIZE == limit
        return Answer(status=status) if too_much else usual(seen)

    with listing(answer) as (subscriptions, server):
        assert [one.pk for one in subscriptions.iterate_all()] == list(range(1, 1651))
    pages = {page_of(seen) for seen in server.seen}
    assert {offset for offset, limit in pages if limit == ITERATED_PAGE_SIZE} <= {0, 500, 1000}
    assert pages >= {(offset, DEFAULT_PAGE_SIZE) for offset in range(500, 1650, 100)}


def test_smaller_pages_after_a_timeout_of_the_client() -> None:
    """After a timeout of the client, the page is requested again in smaller pages."""
    usual, go_on = listed(150), threading.Event()

    def answer(seen: Seen) -> Answer:
        if page_of(seen)[1] == ITERATED_PAGE_SIZE:
            go_on.wait(DEADLINE)
        return usual(seen)

    with listing(answer, timeout=0.3) as (subscriptions, server):
        assert len(list(subscriptions.iterate_all())) == 150
        go_on.set()
    assert [page_of(seen) for seen in server.seen] == [
        (0, ITERATED_PAGE_SIZE),
        (0, DEFAULT_PAGE_SIZE),
        (100, DEFAULT_PAGE_SIZE),
    ]


@pytest.mark.parametrize(("status", "requests"), [(500, 1), (503, 1), (403, 1), (504, 2), (502, 2)])
def test_failures_come_through(status: int, requests: int) -> None:
    """Other failures are raised, and no thread is left."""
    with (
        listing(lambda _: Answer(status=status)) as (subscriptions, server),
        pytest.raises(StatusError, match=str(status)),
    ):
        list(subscriptions.iterate_all())
    assert len(server.seen) == requests
    wait_for(lambda: not list_threads())


def test_failure_of_a_later_page_comes_after_what_was_there() -> None:
    """The error of a later page is raised after the objects of the pages before it."""
    usual = listed(20, 10)

    def answer(seen: Seen) -> Answer:
        return Answer(status=500) if page_of(seen)[0] else usual(seen)

    with listing(answer) as (subscriptions, _):
        objects = subscriptions.iterate_all()
        assert [next(objects).pk for _ in range(10)] == list(range(1, 11))
        with pytest.raises(StatusError, match="500"):
            next(objects)
    wait_for(lambda: not list_threads())


@pytest.mark.parametrize("how", ["closed", "forgotten"])
def test_no_thread_is_left_when_nobody_goes_on(how: str) -> None:
    """An iteration that is abandoned ends its thread when the current page has arrived."""
    usual, go_on = listed(100, 10), threading.Event()

    def answer(seen: Seen) -> Answer:
        if page_of(seen)[0]:
            assert go_on.wait(DEADLINE)
        return usual(seen)

    with listing(answer) as (subscriptions, server):
        objects = subscriptions.iterate_all()
        next(objects)
        wait_for(lambda: len(server.seen) == 3)
        if how == "closed":
            objects.close()
        del objects
        gc.collect()
        go_on.set()
        wait_for(lambda: not list_threads())
        assert len(server.seen) == 3


def test_two_iterations_do_not_meet() -> None:
    """Two interleaved iterations over a list yield the same objects."""
    with listing(listed(25, 10)) as (subscriptions, _):
        both = zip(subscriptions.iterate_all(), subscriptions.iterate_all(), strict=True)
        assert all(one.pk == other.pk for one, other in both)
