"""Retry strategies: the delays before retries, and the factories of strategies."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi import retries
from gcapi.exceptions import ConfigurationError
from gcapi.retries import (
    BaseRetryStrategy,
    PatientStrategy,
    SelectiveBackoffStrategy,
    check_factory,
    retry_after,
)

NOW = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)


class NoRetries(BaseRetryStrategy):
    """The strategy from the documentation."""

    def get_delay(self, latest_response: httpx.Response) -> None:  # noqa: ARG002
        return None


def answer(status: int, retry_after: str | None = None) -> httpx.Response:
    """Return a response, optionally with a Retry-After header."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx.Response(status, headers=headers)


# ---------------------------------------------------------------- backoff


@pytest.mark.parametrize("status", [429, 502, 503, 504, 507])
@pytest.mark.parametrize("factor", [0.1, 1, 3])
def test_delays_double_until_used_up(status: int, factor: float) -> None:
    """Delays double from the backoff factor on, until the retries are used up."""
    strategy = SelectiveBackoffStrategy(backoff_factor=factor, maximum_number_of_retries=5)
    delays = [strategy.get_delay(answer(status)) for _ in range(7)]
    assert delays == [factor, factor * 2, factor * 4, factor * 8, factor * 16, None, None]


def test_statuses_are_counted_by_themselves() -> None:
    """Retries are counted separately for each status."""
    strategy = SelectiveBackoffStrategy(1, 2)
    statuses = [503, 502, 503, 502, 503, 429]
    assert [strategy.get_delay(answer(status)) for status in statuses] == [1, 1, 2, 2, None, 1]


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 408, 409, 500, 501])
def test_other_statuses_are_final(status: int) -> None:
    """Success, refusals and 500, which this server returns for invalid requests, are never retried."""
    assert SelectiveBackoffStrategy(1, 8).get_delay(answer(status, "1")) is None


def test_no_retries_means_none() -> None:
    """With a maximum of 0 the first response is final."""
    assert SelectiveBackoffStrategy(1, 0).get_delay(answer(503)) is None


def test_instance_is_its_own_factory() -> None:
    """Calling a strategy returns a new one with the same arguments and no retries used."""
    used = SelectiveBackoffStrategy(2, 1)
    used.get_delay(answer(503))
    fresh = used()
    assert fresh is not used
    assert (used.get_delay(answer(503)), fresh.get_delay(answer(503))) == (None, 2)


def test_factory_keeps_the_class() -> None:
    """A subclass of the selective strategy creates instances of itself."""

    class Own(SelectiveBackoffStrategy):
        pass

    assert type(Own(1, 1)()) is Own


# ---------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Wed, 01 Jul 2026 14:01:00 +0200", 60.0),
        ("Wed, 01 Jul 2026 12:01:00 -0000", 60.0),
        ("-5", None),
        ("nan", None),
        ("inf", None),
        ("soon", None),
        ("", None),
        ("Wed, 99 Jul 2026 12:00:00 GMT", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("Thu, 01 Jan 2026 00:00:00 +99999999999999999999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, expected: float | None) -> None:
    """Retry-After is a number of seconds or a date, at least 0, and anything else is ignored."""
    assert retry_after(header, now=NOW) == expected


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d+ Jan \d+ \d+:\d+:\d+ ([+-]\d+|GMT)"))
def test_any_retry_after_is_seconds_or_nothing(header: str) -> None:
    """Any header gives a non-negative number of seconds or nothing."""
    seconds = retry_after(header, now=NOW)
    assert seconds is None or seconds >= 0


def test_clock_is_asked_by_default() -> None:
    """By default a date is compared with the current time."""
    assert retry_after("Thu, 01 Jan 1970 00:00:00 GMT") == 0.0


@pytest.mark.parametrize(
    ("header", "delays"),
    [
        ("3", [3.0, 3.0, None]),
        ("Thu, 01 Jan 1970 00:00:00 GMT", [0.0, 0.0, None]),
        ("soon", [1, 2, None]),
        (None, [1, 2, None]),
    ],
)
def test_retry_after_replaces_the_backoff(header: str | None, delays: list[float | None]) -> None:
    """A valid Retry-After header replaces the backoff, and counts as a retry."""
    strategy = SelectiveBackoffStrategy(1, 2)
    assert [strategy.get_delay(answer(503, header)) for _ in range(3)] == delays


# ---------------------------------------------------------------- the default


class Clock:
    """A clock that only advances when told to."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def patient(**options: Any) -> PatientStrategy:
    """Return the default strategy, with the jitter at its upper bound."""
    return PatientStrategy(**{"random": lambda: 1.0, "clock": Clock(), **options})


@pytest.mark.parametrize("status", [429, 502, 503, 504, 507])
def test_bound_of_the_jitter_doubles_up_to_a_cap(status: int) -> None:
    """The default strategy retries eight times, with delays bounded by 0.5 s, doubled each time, up to 30 s."""
    strategy = patient()
    delays = [strategy.get_delay(answer(status)) for _ in range(9)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, None]


@given(st.floats(0, 1))
def test_jitter_is_full(share: float) -> None:
    """A delay is anything from 0 to its bound."""
    strategy = patient(random=lambda: share)
    assert [strategy.get_delay(answer(503)) for _ in range(2)] == [0.5 * share, share]


def test_statuses_and_broken_connections_are_counted_together() -> None:
    """A request is retried eight times in total, whatever the failures are."""
    strategy = patient(random=lambda: 0.0)
    broken = httpx.ReadError("reset")
    delays = [strategy.get_delay(answer(503)), strategy.get_error_delay(broken)]
    delays += [strategy.get_delay(answer(429)) for _ in range(6)]
    assert delays == [0.0] * 8
    assert strategy.get_error_delay(broken) is None


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 408, 409, 500, 501])
def test_other_statuses_are_final_by_default(status: int) -> None:
    """Refusals and 500 are never retried, whatever Retry-After says."""
    assert patient().get_delay(answer(status, "1")) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [("7", 7.0), ("31536000", 30.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 30.0), ("0", 0.0)],
)
def test_retry_after_is_obeyed_up_to_a_cap(header: str, expected: float) -> None:
    """A Retry-After header of a year is capped at half a minute."""
    assert patient().get_delay(answer(503, header)) == expected


def test_total_time_is_bounded() -> None:
    """No retry starts later than three minutes after the first failure."""
    clock = Clock()
    strategy = patient(clock=clock)
    clock.now += 600
    assert strategy.get_delay(answer(503, "20")) == 20.0
    clock.now += 160
    assert strategy.get_delay(answer(503, "20")) == 20.0
    clock.now += 1
    assert strategy.get_delay(answer(503, "20")) is None
    clock.now += 20
    assert strategy.get_error_delay(httpx.ReadTimeout("slow")) is None


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("cut short"),
        httpx.WriteError("closed"),
    ],
)
def test_broken_connections_are_repeated(error: httpx.TransportError) -> None:
    """Transport errors are retried like a 503."""
    assert patient().get_error_delay(error) == 0.5


def test_a_certificate_that_is_not_trusted_is_final() -> None:
    """An untrusted certificate is not retried."""
    error = httpx.ConnectError("no TLS")
    error.__cause__ = OSError("handshake")
    error.__cause__.__context__ = ssl.SSLCertVerificationError("self-signed")
    assert patient().get_error_delay(error) is None


@pytest.mark.parametrize("kind", [httpx.LocalProtocolError, httpx.UnsupportedProtocol])
def test_a_request_that_could_not_be_sent_is_final(kind: type[httpx.TransportError]) -> None:
    """An invalid request is not retried."""
    assert patient().get_error_delay(kind("wrong")) is None


# ---------------------------------------------------------------- what may make a strategy


@pytest.mark.parametrize(
    "factory",
    [
        NoRetries,
        SelectiveBackoffStrategy(1, 1),
        lambda: SelectiveBackoffStrategy(1, 1),
    ],
)
def test_factory_is_taken_as_it_is(factory: Callable[[], BaseRetryStrategy]) -> None:
    """A strategy class, a callable instance and any function that returns a strategy are valid factories."""
    assert check_factory(factory) is factory


def test_documented_class_runs_as_it_stands() -> None:
    """The documented NoRetries class accepts every response."""
    assert check_factory(NoRetries)().get_delay(answer(503)) is None


def test_none_is_the_default() -> None:
    """Without a factory the default strategy is used."""
    assert check_factory(None) is PatientStrategy


def raising() -> BaseRetryStrategy:
    """Raise an error instead of returning a strategy."""
    raise LookupError("no luck")


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (NoRetries(), "must be a strategy class or a callable"),
        (3, "must be a strategy class or a callable"),
        ("NoRetries", "must be a strategy class or a callable"),
        (lambda: None, "returns None"),
        (lambda: NoRetries, "has no method"),
        (dict, "has no method"),
        (raising, "no luck"),
        (SelectiveBackoffStrategy, "cannot be called"),
        (lambda argument: argument, "cannot be called"),
    ],
)
def test_what_makes_no_strategy_is_refused(factory: Any, words: str) -> None:
    """An invalid factory is refused at construction, not at the first failed request."""
    with pytest.raises(ConfigurationError, match=words) as caught:
        check_factory(factory)
    assert isinstance(caught.value, RuntimeError)


def test_base_class_asks_for_get_delay() -> None:
    """A strategy without get_delay raises an error that says so."""
    with pytest.raises(NotImplementedError, match=r"get_delay\(\)"):
        retries.BaseRetryStrategy().get_delay(answer(503))
