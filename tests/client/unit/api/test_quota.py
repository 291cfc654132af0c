"""Waiting for quotas of the server, with a fake clock."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from gcapi._api.error_mapping import status_error
from gcapi._api.quota import MAX_QUOTA_WAIT, QuotaWait, note_unused_uploads, server_time
from gcapi._util.polling import LONGEST_INTERVAL
from gcapi.exceptions import LimitReached, LimitWarning, OutOfCredits, StatusError

JOBS = "You have too many active jobs, please try again after they have completed"
UPLOADS = "You have created too many uploads. Please try again later."
CREDITS = "You have run out of algorithm credits"


def refusal(words: str, date: str = "Sun, 22 Nov 2026 10:00:00 GMT") -> StatusError:
    """Return the error of a server that refuses with these words."""
    request = httpx.Request("POST", "https://gc.example/api/v1/algorithms/jobs/")
    body = {"non_field_errors": [words]}
    return status_error(httpx.Response(400, json=body, headers={"Date": date}, request=request))


class Clock:
    """A clock that advances only by sleeping."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Act:
    """A request that is refused a number of times."""

    def __init__(self, *refusals: StatusError | BaseException, forever: bool = False) -> None:
        self.refusals = list(refusals)
        self.forever = forever
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.forever:
            raise self.refusals[0]
        if self.refusals:
            raise self.refusals.pop(0)
        return "made"


@contextmanager
def warned(count: int = 1) -> Iterator[list[str]]:
    """Collect the limit warnings of a block, and check how many there are and where they point."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield messages
    assert [one.category for one in caught] == [LimitWarning] * count
    assert {one.filename for one in caught} <= {__file__}
    messages += [str(one.message) for one in caught]


def wait(clock: Clock, **options: Any) -> QuotaWait:
    """Return a wait with a fake clock."""
    return QuotaWait(options.pop("on_limit", "wait"), clock=clock, sleep=clock.sleep, **options)


def test_what_is_not_refused_is_done_at_once() -> None:
    """Without a refusal there is no wait and no warning."""
    clock, act = Clock(), Act()
    with warned(0):
        assert wait(clock).call(act) == "made"
    assert (act.calls, clock.slept) == (1, [])


def test_waiting_ends_with_the_limit() -> None:
    """A refused call is repeated at growing intervals until it succeeds, with one warning."""
    clock, act = Clock(), Act(*[refusal(JOBS) for _ in range(20)])
    with warned() as messages:
        assert wait(clock).call(act) == "made"
    assert act.calls == 21
    assert clock.slept == sorted(clock.slept)
    assert (clock.slept[0], clock.slept[-1]) == (0.2, LONGEST_INTERVAL)
    assert "jobs of yours to end" in messages[0]
    assert JOBS in messages[0]
    assert " at most" in messages[0]


def test_each_kind_of_limit_warns_once() -> None:
    """There is one warning for each kind of quota."""
    clock = Clock()
    waiting = wait(clock)
    with warned(2) as messages:
        for words in (JOBS, UPLOADS, JOBS):
            assert waiting.call(Act(refusal(words), refusal(words))) == "made"
    assert len(set(messages)) == 2


def test_waiting_is_bounded_and_the_last_refusal_comes_through() -> None:
    """After 23 hours, before uploads are removed, the last refusal is raised with the duration of the wait."""
    clock, act = Clock(), Act(refusal(UPLOADS), forever=True)
    with warned(), pytest.raises(LimitReached, match="too many uploads") as caught:
        wait(clock).call(act)
    assert clock.now - 100.0 == pytest.approx(MAX_QUOTA_WAIT)
    assert MAX_QUOTA_WAIT < 24 * 3600
    assert caught.value.__notes__ == [
        "Waited 23 h for earlier uploads of yours to be used, or removed after a day."
    ]


def test_the_bound_counts_from_the_beginning_of_the_call() -> None:
    """The bound of the wait counts from the start of the call."""
    clock = Clock()
    waiting = wait(clock)
    clock.now += MAX_QUOTA_WAIT - 60
    with warned(), pytest.raises(LimitReached):
        waiting.call(Act(refusal(JOBS), forever=True))
    assert sum(clock.slept) == pytest.approx(60)


@pytest.mark.parametrize("left", [0.0, -5.0])
def test_no_time_is_no_wait(left: float) -> None:
    """If the uploads have expired, or waiting cannot help, the refusal is raised at once."""
    clock, act = Clock(), Act(refusal(JOBS))
    with warned(0), pytest.raises(LimitReached):
        wait(clock, time_left=lambda _: left).call(act)
    assert (act.calls, clock.slept) == (1, [])


def test_hope_may_end_while_waiting() -> None:
    """A wait that no longer helps ends with the next refusal."""
    clock, act, left = Clock(), Act(refusal(JOBS), forever=True), [9.0, 9.0, 0.0]
    with warned(), pytest.raises(LimitReached):
        wait(clock, time_left=lambda _: left.pop(0)).call(act)
    assert act.calls == 3


@pytest.mark.parametrize(
    ("on_limit", "words", "cls"),
    [("raise", JOBS, LimitReached), ("wait", CREDITS, OutOfCredits)],
)
def test_refusals_that_are_not_waited_for(on_limit: str, words: str, cls: type[Exception]) -> None:
    """With on_limit="raise", or if waiting does not help, the refusal is raised at once."""
    clock, act = Clock(), Act(refusal(words))
    with warned(0), pytest.raises(cls):
        wait(clock, on_limit=on_limit).call(act)
    assert act.calls == 1


@pytest.mark.parametrize(
    "end", [refusal(CREDITS), refusal("Something else"), httpx.ConnectError("gone"), KeyError("x")]
)
def test_another_error_ends_the_wait(end: Exception) -> None:
    """Another error than a refusal ends the wait."""
    clock, act = Clock(), Act(refusal(JOBS), refusal(JOBS), end)
    with warned(), pytest.raises(type(end)) as caught:
        wait(clock).call(act)
    assert caught.value is end


def test_interruption_ends_the_wait() -> None:
    """Ctrl-C ends the wait."""

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with warned(), pytest.raises(KeyboardInterrupt):
        QuotaWait("wait", sleep=interrupted).call(Act(refusal(JOBS), forever=True))


def test_threads_of_one_wait_warn_once() -> None:
    """Threads that are refused at once cause one warning, at the user's line."""
    clock, together = Clock(), threading.Barrier(8)

    def refused_together() -> Callable[[], str]:
        act = Act(refusal(UPLOADS))

        def call() -> str:
            if act.refusals:
                together.wait(10)
            return act()

        return call

    with warned(), ThreadPoolExecutor(8) as pool:
        waiting = wait(clock)
        done = [pool.submit(waiting.call, refused_together()) for _ in range(8)]
        assert [one.result() for one in done] == ["made"] * 8


@pytest.mark.parametrize(
    ("files", "notes"),
    [
        (0, []),
        (
            1,
            ["1 file was uploaded for it and not used; the server removes it after a day."],
        ),
        (
            3,
            ["3 files were uploaded for it and not used; the server removes them after a day."],
        ),
    ],
)
def test_unused_files_are_told_of(files: int, notes: list[str]) -> None:
    """The note of a refusal says what happens to the unused files."""
    with pytest.raises(LimitReached) as caught, note_unused_uploads(lambda: files):
        raise refusal(CREDITS)
    assert getattr(caught.value, "__notes__", []) == notes


@pytest.mark.parametrize(
    ("date", "year"),
    [
        ("Sun, 22 Nov 2026 10:00:00 GMT", 2026),
        ("Sun, 22 Nov 2037 10:00:00 -0000", 2037),
        ("soon", None),
        ("", None),
    ],
)
def test_time_is_the_servers_own(date: str, year: int | None) -> None:
    """The time of a response is the server's, or this machine's if it has none."""
    error = refusal(JOBS, date)
    assert isinstance(error, LimitReached)
    told = server_time(error)
    assert told.tzinfo is not None
    assert year in {told.year, None}
