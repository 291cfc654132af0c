"""Polling: its intervals and its end."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi._util.polling import FIRST_INTERVAL, GROWTH, LONGEST_INTERVAL, poll


class Clock:
    """A clock that advances only by sleeping."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept.append(seconds)


class Looks:
    """A function that returns a result at its nth call, if ever."""

    def __init__(self, clock: Clock, found_at: int | None = None, *, takes: float = 0.0) -> None:
        self.clock = clock
        self.found_at = found_at
        self.takes = takes
        self.times: list[float] = []

    def __call__(self) -> str | None:
        self.times.append(self.clock.now - 1000.0)
        self.clock.now += self.takes
        return "found" if len(self.times) == self.found_at else None


def wait(looks: Looks, timeout: float | None) -> str | None:
    """Poll on the looks' own clock."""
    return poll(looks, timeout=timeout, clock=looks.clock.time, sleep=looks.clock.sleep)


def intervals() -> Iterator[float]:
    """Yield the intervals between looks, one after the other."""
    interval = FIRST_INTERVAL
    while True:
        yield interval
        interval = min(interval * GROWTH, LONGEST_INTERVAL)


def test_first_look_is_at_once() -> None:
    """An existing result is found without waiting."""
    looks = Looks(Clock(), found_at=1)
    assert (wait(looks, 60), looks.clock.slept) == ("found", [])


def test_intervals_grow_to_the_cap() -> None:
    """Each interval is longer than the one before, up to the longest."""
    looks = Looks(Clock(), found_at=21)
    assert wait(looks, None) == "found"
    expected = intervals()
    assert looks.clock.slept == [next(expected) for _ in range(20)]
    assert looks.clock.slept[-1] == LONGEST_INTERVAL


@pytest.mark.parametrize("timeout", [0.1, 1.0, 10.0, 3600.0])
def test_last_look_is_at_the_end(timeout: float) -> None:
    """The last call is at the very end of the timeout."""
    looks = Looks(Clock())
    assert wait(looks, timeout) is None
    assert looks.times[-1] == pytest.approx(timeout)


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_no_time_is_one_look(timeout: float) -> None:
    """A timeout of 0 is one call without a wait."""
    looks = Looks(Clock())
    assert (wait(looks, timeout), looks.times, looks.clock.slept) == (None, [0.0], [])


def test_last_look_counts() -> None:
    """A result that appears in the last moment is found."""
    looks = Looks(Clock(), found_at=2)
    assert (wait(looks, 0.1), looks.times) == ("found", [0.0, pytest.approx(0.1)])


def test_no_timeout_goes_on() -> None:
    """Without a timeout, polling has no end."""
    looks = Looks(Clock(), found_at=20_000)
    assert wait(looks, None) == "found"
    assert looks.times[-1] > 3 * 86_400


def test_slow_look_uses_up_the_time() -> None:
    """The duration of the calls counts towards the timeout."""
    looks = Looks(Clock(), takes=10.0)
    assert (wait(looks, 5.0), looks.clock.slept) == (None, [])


@pytest.mark.parametrize("found", [0, "", [], False])
def test_only_none_is_nothing(found: object) -> None:
    """A result that is false but not None counts as found."""
    clock = Clock()
    assert poll(lambda: found, timeout=0, clock=clock.time, sleep=clock.sleep) == found


def test_error_of_a_look_comes_through() -> None:
    """An error while polling ends the waiting."""

    def broken() -> None:
        raise LookupError("gone")

    clock = Clock()
    with pytest.raises(LookupError, match="gone"):
        poll(broken, timeout=60, clock=clock.time, sleep=clock.sleep)
    assert clock.slept == []


@given(timeout=st.floats(0.001, 1e5), takes=st.floats(0, 20), found_at=st.integers(1, 50))
def test_wait_is_no_longer_than_told(timeout: float, takes: float, found_at: int) -> None:
    """The sum of all waits does not exceed the timeout, and no wait exceeds the longest interval."""
    looks = Looks(Clock(), found_at, takes=takes)
    wait(looks, timeout)
    assert sum(looks.clock.slept) <= timeout * (1 + 1e-9)
    assert all(0 < slept <= LONGEST_INTERVAL for slept in looks.clock.slept)
