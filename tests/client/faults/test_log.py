"""The log of the library: each request, and each wait for a retry."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import httpx
import pytest

from gcapi._http.retrying import SILENCE
from gcapi._http.transport import Transport
from tests.support.retried_calls import EMPTY, QUICK, settings_of
from tests.support.servers.loopback import AT_ONCE, TOKEN, Answer, Loopback, Seen, connect, in_turn


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[int], list[str]]:
    """Return a function that returns the messages of a level."""
    caplog.set_level(logging.DEBUG, "gcapi")
    return lambda level: [
        each.getMessage()
        for each in caplog.records
        if (each.name, each.levelno) == ("gcapi", level)
    ]


def test_each_request_and_each_retry_is_logged(log: Callable[[int], list[str]]) -> None:
    """Each attempt has a line at DEBUG, and each retry one at INFO, without queries and the token."""
    answers = [Answer(status=503), Answer(reset=True), EMPTY]
    with (
        Loopback(in_turn(*answers)) as server,
        connect(server, retry_strategy=QUICK) as client,
    ):
        client(path="archives/items/?title=Smith")
    host = httpx.URL(server.base_url).host
    url = f"GET {server.base_url}archives/items/"
    sent = [line.partition(" after ")[0] for line in log(logging.DEBUG)]
    assert sent[:2] == [f"GET {server.base_url}gcapi/: 200", f"{url}: 503"]
    assert sent[2].startswith(url)
    assert sent[2].endswith("Error")
    assert sent[3:] == [f"{url}: 200"]
    first, second = log(logging.INFO)
    assert first == f"{host} answers 503; retry 1 of 8 in 0 s"
    assert second.startswith(f"the connection to {host} broke (")
    assert second.endswith("; retry 2 of 8 in 0 s")
    assert not any(
        secret in str([*log(logging.DEBUG), first, second]) for secret in (TOKEN, "Smith")
    )


def test_presigned_queries_are_not_logged(log: Callable[[int], list[str]]) -> None:
    """A request to the object store is logged without the query, which is a credential."""
    with Loopback(in_turn(EMPTY), with_version=False) as server:
        transport = Transport(settings_of(server), AT_ONCE)
        transport.storage.get(f"{server.origin}/a.mha?X-Amz-Signature=0123")
        transport.close()
    (line,) = log(logging.DEBUG)
    assert line.startswith(f"GET {server.origin}/a.mha: 200 after ")


def test_a_wait_says_how_long_the_request_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """The record of a retry has the seconds from the beginning of the request to the next attempt."""
    caplog.set_level(logging.INFO, "gcapi")
    busy = Answer(status=503, headers={"Retry-After": "7"})
    with Loopback(in_turn(busy, EMPTY), with_version=False) as server:
        transport = Transport(settings_of(server), AT_ONCE, sleep=lambda _: None)
        transport.api.get(server.base_url)
        transport.close()
    (record,) = caplog.records
    assert 7 <= getattr(record, SILENCE) < 60


# ---------------------------------------------------------------- several threads


def test_threads_share_the_retries_of_an_outage() -> None:
    """While a server is down, one request is retried, and the others that failed end with it."""
    threads, failed = 6, threading.Event()
    seen: list[Seen] = []

    def wait(event: threading.Event) -> None:
        assert event.wait(30)

    def script(request: Seen) -> Answer:
        seen.append(request)
        if len(seen) >= threads:
            failed.set()
        return Answer(status=503)

    # The others fail before the first retry.
    with Loopback(script, with_version=False) as server:
        transport = Transport(settings_of(server), QUICK, sleep=lambda _: wait(failed))
        statuses: list[int] = []

        def call() -> None:
            statuses.append(transport.api.get(server.base_url).status_code)

        calls = [threading.Thread(target=call) for _ in range(threads)]
        for each in calls:
            each.start()
        for each in calls:
            each.join(30)
        transport.close()
    assert statuses == [503] * threads
    assert len(seen) == threads + 8
