"""A misspelt slug, and a server that cannot list the right ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gcapi import Client
from gcapi._api import similar_slugs
from gcapi.exceptions import ObjectNotFound, SocketNotFound
from tests.support.api_objects import SOCKET
from tests.support.servers.loopback import Answer, Loopback, Script, Seen, connect

SLUG = "lung-vloume"
EMPTY: dict[str, Any] = {"count": 0, "next": None, "previous": None, "results": []}

#: A call with a misspelt slug for each kind of object.
CALLS: dict[str, Callable[[Client], Any]] = {
    "socket": lambda client: client.workflows.lookup.socket(SLUG),
    "archive": lambda client: client.add_case_to_archive(archive_slug=SLUG, values=[]),
    "reader study": lambda client: client.add_case_to_reader_study(
        reader_study_slug=SLUG, values=[]
    ),
    "algorithm": lambda client: client.start_algorithm_job(algorithm_slug=SLUG, inputs=[]),
}


def query(seen: Seen) -> dict[str, str]:
    """Return the query of a request."""
    return {name: value for name, (value,) in parse_qs(urlsplit(seen.path).query).items()}


def misspelt(listed: Script) -> Script:
    """Answer a search for a slug with nothing, and a list with a script."""
    return lambda seen: Answer(body=EMPTY) if "slug" in query(seen) else listed(seen)


def endless(seen: Seen) -> Answer:
    """Answer every page of a list with as many sockets as were asked for, and no last page."""
    start, limit = int(query(seen)["offset"]), int(query(seen)["limit"])
    sockets = [{**SOCKET, "slug": f"socket-{index}"} for index in range(start, start + limit)]
    if start == 2000:
        sockets[0]["slug"] = "lung-volume"
    return Answer(body={**EMPTY, "count": 10**9, "next": "more", "results": sockets})


BROKEN: dict[str, Answer] = {
    "504": Answer(504, b"Gateway Timeout"),
    "403": Answer(403, {"detail": "You do not have permission to perform this action."}),
    "a page": Answer(body=b"<html>"),
    "another shape": Answer(body={"count": "many", "results": {}}),
    "items without a slug": Answer(body={**EMPTY, "count": 1, "results": [{}]}),
    "a reset": Answer(reset=True),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.parametrize("noun", CALLS)
def test_broken_list_does_not_hide_the_misspelling(noun: str, broken: str) -> None:
    """Whatever the list of objects is answered with, the error says that the slug is unknown."""
    with (
        Loopback(misspelt(lambda _: BROKEN[broken])) as server,
        connect(server) as client,
        pytest.raises(ObjectNotFound, match=f"There is no {noun} '{SLUG}', or no access") as caught,
    ):
        CALLS[noun](client)
    assert isinstance(caught.value, SocketNotFound) == (noun == "socket")


def test_endless_list_is_looked_at_in_three_requests() -> None:
    """Of a list without an end, 3,000 entries in three requests are looked at for similar slugs."""
    with (
        Loopback(misspelt(endless)) as server,
        connect(server) as client,
        pytest.raises(SocketNotFound, match=r"Did you mean 'lung-volume'\?"),
    ):
        client.workflows.lookup.socket(SLUG)
    lists = [query(seen) for seen in server.seen if "slug" not in query(seen)]
    assert [(int(one["offset"]), int(one["limit"])) for one in lists] == [
        (0, 1000),
        (1000, 1000),
        (2000, 1000),
    ]


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Give an event that ends what the server waits for."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("noun", CALLS)
def test_slow_list_is_not_waited_for(
    noun: str, release: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that takes too long is given up while the server still works on it."""
    monkeypatch.setattr(similar_slugs, "SUGGESTION_SECONDS", 0.2)

    def slow(_: Seen) -> Answer:
        release.wait(60)
        return Answer(504)

    with Loopback(misspelt(slow)) as server, connect(server) as client:
        with pytest.raises(ObjectNotFound, match=f"There is no {noun} "):
            CALLS[noun](client)
        assert not release.is_set()
        release.set()


def found(seen: Seen) -> Answer:
    """Answer a search for a slug with a socket of it."""
    slug = query(seen)["slug"]
    return Answer(body={**EMPTY, "count": 1, "results": [{**SOCKET, "slug": slug}]})


def test_threads_request_a_socket_once() -> None:
    """Threads that look for the same socket at the same time send one request."""
    are_ready = threading.Barrier(8)

    with Loopback(found) as server, connect(server) as client:

        def look_for(slug: str) -> str:
            are_ready.wait()
            return client.workflows.lookup.socket(slug).slug

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(look_for, ["lung-volume"] * 8)) == {"lung-volume"}
    assert [query(seen)["slug"] for seen in server.seen] == ["lung-volume"]


def test_sockets_of_a_call_are_requested_at_once() -> None:
    """The requests for the sockets of a call do not wait for each other, and are sent once."""
    are_all_there = threading.Barrier(4)

    def answer(seen: Seen) -> Answer:
        are_all_there.wait(30)
        return found(seen)

    with Loopback(answer) as server, connect(server) as client:
        for _ in range(2):
            sockets = client.workflows.lookup.sockets("abcd")
            assert {slug: socket.slug for slug, socket in sockets.items()} == {
                slug: slug for slug in "abcd"
            }
    assert sorted(query(seen)["slug"] for seen in server.seen) == [*"abcd"]


def test_first_missing_socket_is_named() -> None:
    """Of several sockets that are missing, the first one of the call is named, whichever answer arrives first."""
    is_late = threading.Event()

    def answer(seen: Seen) -> Answer:
        slug = query(seen).get("slug")
        if slug == "b" and not is_late.is_set():
            is_late.wait(30)
        if slug == "c":
            is_late.set()
        return found(seen) if slug == "a" else Answer(body=EMPTY)

    with (
        Loopback(answer) as server,
        connect(server) as client,
        pytest.raises(SocketNotFound, match="no socket 'b'"),
    ):
        client.workflows.lookup.sockets("abc")


def test_suggestions_are_bounded_as_documented() -> None:
    """Similar slugs cost at most three requests and five seconds."""
    assert (similar_slugs.SUGGESTION_PAGES, similar_slugs.SUGGESTION_SECONDS) == (3, 5.0)
