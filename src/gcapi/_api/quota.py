"""Waiting for quotas of the server: with a warning, for a bounded time, and only where waiting helps.

The server has no 429 for its quotas: a refusal is a 400 or a 403 that says in words which quota is used up. A refusal
changes nothing, so the request can be repeated.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from gcapi._util.http_dates import parse_http_date
from gcapi._util.messages import format_duration
from gcapi._util.polling import FIRST_INTERVAL, poll
from gcapi._util.scheduler import sleep
from gcapi._util.user_warnings import calling_line, warn_at
from gcapi.exceptions import LimitReached, LimitWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from gcapi._http.settings import OnLimit

T = TypeVar("T")

#: The longest wait in seconds: the server removes uploads after a day, and using them takes a while.
MAX_QUOTA_WAIT = 23 * 3600.0
#: The number of uploads that the server lets a user have at once, completed or not.
MAX_USER_UPLOADS = 2001


class QuotaWait:
    """The waits for quotas during one call, in any number of threads, with one warning for each quota.

    Args:
        on_limit: Whether to wait at all.
        time_left: Called with each refusal, returns the seconds for which to wait on; 0 or less to stop. `None` for
            `MAX_QUOTA_WAIT` from now on.
        clock: Returns the time in seconds.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        on_limit: OnLimit,
        *,
        time_left: Callable[[LimitReached], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = sleep,
    ) -> None:
        self._waits = on_limit == "wait"
        end = clock() + MAX_QUOTA_WAIT
        self._time_left: Callable[[LimitReached], float] = time_left or (lambda _: end - clock())
        self._clock = clock
        self._sleep = sleep
        # A wait may be in a thread of the scheduler, whose stack does not lead to the user's line.
        self._line = calling_line()
        self._warned: set[type[LimitReached]] = set()
        self._lock = threading.Lock()

    def call(self, request: Callable[[], T]) -> T:
        """Call a function, again and again as long as a quota refuses it and waiting helps.

        Args:
            request: The function; it must change nothing when it is refused.

        Raises:
            LimitReached: The last refusal, if waiting did not help in time, or would not help.
        """
        try:
            return request()
        except LimitReached as error:
            refused = error
        seconds = self._seconds_for(refused)
        if not seconds:
            raise refused
        self._warn(refused, seconds)
        started = self._clock()

        def repeat() -> tuple[T] | None:
            nonlocal refused
            try:
                return (request(),)
            except LimitReached as error:
                refused = error
            if not self._seconds_for(refused):
                raise self._waited_in_vain(refused, started)
            return None

        self._sleep(min(FIRST_INTERVAL, seconds))
        timeout = started + seconds - self._clock()
        result = poll(repeat, timeout=timeout, clock=self._clock, sleep=self._sleep)
        if result is None:
            raise self._waited_in_vain(refused, started)
        return result[0]

    def _seconds_for(self, refused: LimitReached) -> float:
        """Return the seconds for which to wait, 0 for not at all."""
        return max(self._time_left(refused), 0.0) if self._waits and refused.awaits else 0.0

    def _waited_in_vain(self, refused: LimitReached, started: float) -> LimitReached:
        if refused.awaits:
            waited = format_duration(self._clock() - started)
            refused.add_note(f"Waited {waited} for {refused.awaits}.")
        return refused

    def _warn(self, refused: LimitReached, seconds: float) -> None:
        with self._lock:
            if type(refused) in self._warned:
                return
            self._warned.add(type(refused))
        until = (datetime.now(UTC) + timedelta(seconds=seconds)).astimezone()
        warn_at(
            self._line,
            f"Waiting for {refused.awaits}, until {until:%Y-%m-%d %H:%M} at most. The server says: {refused.words}"
            ' Client(on_limit="raise") does not wait.',
            LimitWarning,
        )


@contextmanager
def note_unused_uploads(count: Callable[[], int]) -> Generator[None]:
    """Add to a `LimitReached` of the block how many files were uploaded in vain.

    Args:
        count: Returns their number.
    """
    try:
        yield
    except LimitReached as error:
        files = count()
        if files:
            error.add_note(
                f"{files} file{'s were' if files > 1 else ' was'} uploaded for it and not used; the server removes"
                f" {'them' if files > 1 else 'it'} after a day."
            )
        raise


def server_time(error: LimitReached) -> datetime:
    """Return the time of a response by the server's clock, against which its other times are compared."""
    return parse_http_date(error.response.headers.get("Date", "")) or datetime.now(UTC)
