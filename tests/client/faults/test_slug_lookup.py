"""A misspelt slug, and a server that cannot list the right ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
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


def test_suggestions_are_bounded_as_documented() -> None:
    """Similar slugs cost at most three requests and five seconds."""
    assert (similar_slugs.SUGGESTION_PAGES, similar_slugs.SUGGESTION_SECONDS) == (3, 5.0)
