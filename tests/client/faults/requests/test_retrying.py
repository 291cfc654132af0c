"""Which requests are retried, how often, and which are never sent twice."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
import trustme

from gcapi import Client
from gcapi.exceptions import GCAPIError, StatusError, UnreachableHostError
from gcapi.retries import PatientStrategy, SelectiveBackoffStrategy
from tests.support.retried_calls import (
    AT_ONCE,
    EMPTY,
    HARMLESS,
    QUICK,
    READS,
    WRITES,
    Eager,
    NoRetries,
    attempts,
    failed_attempts,
)
from tests.support.servers.loopback import VERSION, Answer, Loopback, Seen, connect, in_turn

# ---------------------------------------------------------------- reads


@pytest.mark.parametrize("status", [429, 502, 503, 504, 507])
@pytest.mark.parametrize("how", READS)
def test_transient_answers_to_reads_are_asked_again(status: int, how: str) -> None:
    """A read is retried up to eight times, whichever part of the client makes it."""
    busy = Answer(status=status, body=b"<html>busy</html>")
    assert attempts(READS[how], *[busy] * 8, EMPTY) == 9


def test_eight_repeats_are_the_end() -> None:
    """After eight retries the last response is raised."""
    assert failed_attempts(READS["namespace"], Answer(status=503)) == 9


def test_repeats_are_counted_for_each_status() -> None:
    """Retries are counted for each status."""
    answers = [Answer(status=503)] * 8 + [Answer(status=429)] * 8
    assert attempts(READS["namespace"], *answers, EMPTY) == 17


def test_repeats_are_counted_for_each_request() -> None:
    """Retries are counted for each request."""

    def twice(client: Client) -> None:
        client.archive_items.count()
        client.archive_items.count()

    once = [Answer(status=503)] * 8 + [EMPTY]
    assert attempts(twice, *once, *once) == 18


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 408, 409, 500, 501, 505])
def test_other_failures_are_final(status: int) -> None:
    """Permanent failures, including 500, are not retried."""
    assert failed_attempts(READS["namespace"], Answer(status=status)) == 1


def test_default_strategy_repeats() -> None:
    """The default strategy retries a transient response after a short time."""
    assert attempts(READS["namespace"], Answer(status=503), EMPTY, strategy=None) == 2


def test_version_check_is_asked_again() -> None:
    """The version check is retried like any other read."""
    script = in_turn(Answer(status=502), Answer(body=VERSION), EMPTY)
    with (
        Loopback(script, with_version=False) as server,
        connect(server, retry_strategy=AT_ONCE) as client,
    ):
        assert client.archive_items.count() == 0
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "header",
    ["0", "0.0", "Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 +0200"],
)
def test_retry_after_wins_over_the_backoff(header: str) -> None:
    """`Retry-After` overrides the backoff."""
    busy = Answer(status=429, headers={"Retry-After": header})
    slow = SelectiveBackoffStrategy(backoff_factor=3600.0, maximum_number_of_retries=8)
    assert attempts(READS["namespace"], busy, EMPTY, strategy=slow) == 2


@pytest.mark.parametrize("header", ["soon", "", "-1", "nan", "inf"])
def test_garbage_in_retry_after_means_backoff(header: str) -> None:
    """An invalid `Retry-After` is ignored."""
    busy = Answer(status=503, headers={"Retry-After": header})
    assert attempts(READS["namespace"], busy, EMPTY) == 2


# ---------------------------------------------------------------- writes


@pytest.mark.parametrize("status", [502, 503, 504, 507])
@pytest.mark.parametrize("how", WRITES)
def test_writes_that_may_have_happened_are_not_repeated(how: str, status: int) -> None:
    """A write that may have been carried out is sent once, even if the strategy wants a retry."""
    call, good = WRITES[how]
    assert failed_attempts(call, Answer(status=status), good, strategy=Eager) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504, 507])
@pytest.mark.parametrize("how", HARMLESS)
def test_harmless_writes_are_repeated(how: str, status: int) -> None:
    """An idempotent write is retried like a read."""
    call, good = HARMLESS[how]
    assert attempts(call, *[Answer(status=status)] * 8, good) == 9


@pytest.mark.parametrize("how", WRITES)
def test_refused_writes_may_be_repeated(how: str) -> None:
    """After a 4xx, which changed nothing, the strategy decides for writes too."""
    call, good = WRITES[how]
    too_many = Answer(status=400, body={"non_field_errors": ["You have too many active jobs"]})
    assert attempts(call, too_many, too_many, good, strategy=Eager) == 3


@pytest.mark.parametrize("how", WRITES)
def test_too_many_requests_repeat_writes(how: str) -> None:
    """The default strategy retries writes after a 429."""
    call, good = WRITES[how]
    assert attempts(call, Answer(status=429), good) == 2


# ---------------------------------------------------------------- broken connections


@pytest.mark.parametrize("how", READS)
def test_strategy_is_asked_about_broken_connections(how: str) -> None:
    """A strategy with `get_error_delay` decides about broken connections of reads."""
    broken = Answer(reset=True)
    assert attempts(READS[how], broken, broken, EMPTY, strategy=Eager) == 3
    assert failed_attempts(READS[how], broken, strategy=Eager, error=httpx.TransportError) == 4


@pytest.mark.parametrize("how", WRITES)
def test_broken_connections_do_not_repeat_writes(how: str) -> None:
    """A write whose connection breaks is not sent again, whatever the strategy says."""
    call, good = WRITES[how]
    broken = Answer(reset=True)
    assert failed_attempts(call, broken, good, strategy=Eager, error=httpx.TransportError) == 1


@pytest.mark.parametrize("how", HARMLESS)
def test_broken_connections_repeat_harmless_writes(how: str) -> None:
    """An idempotent write whose connection breaks is retried."""
    call, good = HARMLESS[how]
    assert attempts(call, Answer(reset=True), good, strategy=Eager) == 2


def test_broken_connection_without_an_opinion_comes_through() -> None:
    """Without `get_error_delay`, the error of a broken connection is raised."""
    broken = Answer(reset=True)
    assert failed_attempts(READS["namespace"], broken, error=httpx.TransportError) == 1


@pytest.mark.parametrize("how", WRITES)
def test_writes_that_never_left_are_repeated(how: str) -> None:
    """A write without a connection cannot have happened, and is retried as the strategy says."""
    asked: list[httpx.TransportError] = []

    class Patient(NoRetries):
        def get_error_delay(self, error: httpx.TransportError) -> float | None:
            asked.append(error)
            return 0.0 if len(asked) < 3 else None

    last = Answer(body=EMPTY.body, headers={"Connection": "close"})
    with Loopback(in_turn(last)) as server:
        client = connect(server, retry_strategy=Patient)
        client.archive_items.count()
    with client, pytest.raises(httpx.ConnectError):
        WRITES[how][0](client)
    assert [type(error) for error in asked] == [UnreachableHostError] * 3


#: What the network and what stands before the server do to an answer.
TROUBLE = {
    "reset": Answer(reset=True),
    "body cut short": Answer(
        body=b'{"count": 0', headers={"Content-Type": "application/json"}, length=999
    ),
    "error cut short": Answer(status=503, body=b"<html>", length=999),
    "503": Answer(status=503),
    "429": Answer(status=429, headers={"Retry-After": "0"}),
    "429 until long ago": Answer(
        status=429, headers={"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}
    ),
}


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("how", READS)
def test_reads_survive_all_trouble_by_default(how: str, trouble: str) -> None:
    """The default strategy retries reads after any fault of the network."""
    assert attempts(READS[how], *[TROUBLE[trouble]] * 3, EMPTY, strategy=QUICK) == 4


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("how", HARMLESS)
def test_harmless_writes_survive_all_trouble_by_default(how: str, trouble: str) -> None:
    """The default strategy retries idempotent writes after any fault of the network."""
    call, good = HARMLESS[how]
    assert attempts(call, TROUBLE[trouble], good, strategy=QUICK) == 2


@pytest.mark.parametrize("trouble", ["reset", "body cut short", "error cut short", "503"])
@pytest.mark.parametrize("strategy", ["default", "eager"])
@pytest.mark.parametrize("how", WRITES)
def test_no_strategy_makes_a_write_happen_twice(how: str, strategy: str, trouble: str) -> None:
    """A write that may have been carried out is sent once, whatever the strategy."""
    call, good = WRITES[how]
    made: Any = QUICK if strategy == "default" else Eager
    with (
        Loopback(in_turn(TROUBLE[trouble], good)) as server,
        connect(server, retry_strategy=made) as client,
    ):
        with pytest.raises((StatusError, httpx.TransportError)):
            call(client)
        assert len(server.seen) == 1


def silent(times: int, then: Answer, over: threading.Event) -> Callable[[Seen], Answer]:
    """Return a script that leaves a number of requests unanswered until an event is set."""
    left = list(range(times))

    def script(_: Seen) -> Answer:
        if left:
            left.pop()
            over.wait(30)
            return Answer(reset=True)
        return then

    return script


def test_reads_that_time_out_are_repeated() -> None:
    """A read is retried after a timeout."""
    over = threading.Event()
    with (
        Loopback(silent(2, EMPTY, over)) as server,
        connect(server, retry_strategy=QUICK, timeout=0.2) as client,
    ):
        READS["namespace"](client)
        over.set()
        assert len(server.seen) == 3


def test_writes_that_time_out_are_not_repeated() -> None:
    """A write is not sent again after a timeout."""
    over = threading.Event()
    call, good = WRITES["job"]
    with (
        Loopback(silent(1, good, over)) as server,
        connect(server, retry_strategy=Eager, timeout=0.2) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            call(client)
        over.set()
        assert len(server.seen) == 1


@pytest.mark.parametrize("how", [*READS, *WRITES])
def test_refused_connections_are_tried_again_by_default(how: str) -> None:
    """The outage of a host that was reached before is waited out, for reads and writes, with nine attempts in all."""
    asked: list[httpx.TransportError] = []

    class Counting(PatientStrategy):
        def get_error_delay(self, error: httpx.TransportError) -> float | None:
            asked.append(error)
            return super().get_error_delay(error)

    closing = Answer(body=EMPTY.body, headers={"Connection": "close"})
    with Loopback(in_turn(closing)) as server:
        client = connect(server, retry_strategy=partial(Counting, backoff_factor=0.0))
        client.archive_items.count()
    call = READS[how] if how in READS else WRITES[how][0]
    with client, pytest.raises(httpx.ConnectError):
        call(client)
    assert len(asked) == 9


@pytest.mark.parametrize("how", [*READS, *WRITES])
def test_a_host_that_was_never_reached_is_tried_three_times(how: str) -> None:
    """A refused connection ends a first request after three attempts, with the host and port in the error."""
    delays: list[float | None] = []

    class Counting(PatientStrategy):
        def get_error_delay(self, error: httpx.TransportError) -> float | None:
            delays.append(super().get_error_delay(error))
            return delays[-1]

    with Loopback(in_turn(EMPTY)) as server:
        url = httpx.URL(server.base_url)
    call = READS[how] if how in READS else WRITES[how][0]
    strategy = partial(Counting, backoff_factor=0.0)
    with (
        connect(server, retry_strategy=strategy) as client,
        pytest.raises(GCAPIError, match=f"{url.host}:{url.port} could not be reached: ") as caught,
    ):
        call(client)
    assert delays == [0.0, 0.0, None]
    assert isinstance(caught.value, httpx.ConnectError)


def test_a_name_that_does_not_resolve_is_tried_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve ends a request after three attempts, with the name in the error."""
    asked: list[object] = []

    def resolve(host: object, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    with (
        Client("t", base_url="https://gc.invalid/api/v1/", retry_strategy=QUICK) as client,
        pytest.raises(UnreachableHostError, match=r"gc.invalid:443 .*Name or service not known"),
    ):
        client.archive_items.count()
    assert asked == ["gc.invalid"] * 3


def test_a_certificate_that_is_not_trusted_is_asked_once() -> None:
    """A connection with an untrusted certificate is not retried."""
    delays: list[float | None] = []

    class Counting(PatientStrategy):
        def get_error_delay(self, error: httpx.TransportError) -> float | None:
            delays.append(super().get_error_delay(error))
            return delays[-1]

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with (
        Loopback(in_turn(EMPTY), tls=context) as server,
        connect(server, verify=ssl.create_default_context(), retry_strategy=Counting) as client,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        client.archive_items.count()
    assert delays == [None]


#: Says when it was interrupted, by the clock that all processes share.
_INTERRUPTED = """
import sys, time
from gcapi import Client
with Client(token="t", base_url=sys.argv[1]) as client:
    try:
        client.archive_items.count()
    except KeyboardInterrupt:
        print(time.monotonic())
"""


@pytest.mark.skipif(os.name != "posix", reason="SIGINT")
@pytest.mark.parametrize("wait", ["retry", "answer"])
def test_an_interruption_ends_a_wait_within_a_second(wait: str) -> None:
    """Ctrl-C ends the wait for a retry or a response within a second."""
    arrived, over = threading.Event(), threading.Event()

    def script(_: Seen) -> Answer:
        arrived.set()
        if wait == "answer":
            over.wait(30)
        return Answer(status=503, headers={"Retry-After": "30"})

    with Loopback(script) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", _INTERRUPTED, server.base_url],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert arrived.wait(30)
        begun = time.monotonic()
        child.send_signal(signal.SIGINT)
        told, _ = child.communicate(timeout=30)
        over.set()
    assert 0 <= float(told) - begun < 1.0
