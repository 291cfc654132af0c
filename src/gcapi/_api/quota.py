"""Waiting for a limit of the server to pass: visible, bounded, and only where waiting helps.

The server has no 429 for its limits; each is a 400 or a 403 that says in words what there is too much of. A refusal
changes nothing, so that what was refused can be asked for again.
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
from gcapi._util.user_warnings import calling_line, warn_at
from gcapi.exceptions import LimitReached, LimitWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from gcapi._http.settings import OnLimit

T = TypeVar("T")

#: Seconds that uploads can be waited with: the server removes them after a day, and needs them a little while.
LONGEST_WAIT = 23 * 3600.0
#: The server lets a user have this many uploads at once, finished or not.
MAX_USER_UPLOADS = 2001


class LimitWait:
    """Wait for limits in one call of the user's, in however many threads; warn once.

    Args:
        on_limit: Whether to wait at all.
        left: Tells after each refusal how many seconds the wait may go on; 0 or less for no longer. By default
            `LONGEST_WAIT` from now on.
        clock: Tells the time in seconds.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        on_limit: OnLimit,
        *,
        left: Callable[[LimitReached], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._waits = on_limit == "wait"
        end = clock() + LONGEST_WAIT
        self._left: Callable[[LimitReached], float] = left or (lambda _: end - clock())
        self._clock = clock
        self._sleep = sleep
        # The wait may be in a thread of a pool, whose stack does not lead to the user's line.
        self._line = calling_line()
        self._warned: set[type[LimitReached]] = set()
        self._lock = threading.Lock()

    def call(self, act: Callable[[], T]) -> T:
        """Do something that the server may refuse because of a limit, again and again while waiting helps.

        Args:
            act: What is done; it must change nothing when it is refused.

        Raises:
            LimitReached: The last refusal, once waiting has not helped in time, or would not help.
        """
        try:
            return act()
        except LimitReached as error:
            refused = error
        left = self._time_for(refused)
        if not left:
            raise refused
        self._warn(refused, left)
        return self._repeat(act, refused, left)

    def _repeat(self, act: Callable[[], T], refused: LimitReached, left: float) -> T:
        begun = self._clock()

        def look() -> tuple[T] | None:
            nonlocal refused
            try:
                return (act(),)
            except LimitReached as error:
                refused = error
            if not self._time_for(refused):
                raise self._in_vain(refused, begun)
            return None

        self._sleep(min(FIRST_INTERVAL, left))
        done = poll(
            look, timeout=begun + left - self._clock(), clock=self._clock, sleep=self._sleep
        )
        if done is None:
            raise self._in_vain(refused, begun)
        return done[0]

    def _in_vain(self, refused: LimitReached, begun: float) -> LimitReached:
        if refused.awaits:
            waited = format_duration(self._clock() - begun)
            refused.add_note(f"Waited {waited} for {refused.awaits}.")
        return refused

    def _time_for(self, refused: LimitReached) -> float:
        """Return for how many seconds to wait, 0 for not at all."""
        return max(self._left(refused), 0.0) if self._waits and refused.awaits else 0.0

    def _warn(self, refused: LimitReached, left: float) -> None:
        with self._lock:
            if type(refused) in self._warned:
                return
            self._warned.add(type(refused))
        until = (datetime.now(UTC) + timedelta(seconds=left)).astimezone()
        warn_at(
            self._line,
            f"Waiting for {refused.awaits}, until {until:%Y-%m-%d %H:%M} at most. The server says: {refused.words}"
            ' Client(on_limit="raise") does not wait.',
            LimitWarning,
        )


@contextmanager
def unused_noted(count: Callable[[], int]) -> Generator[None]:
    """Say, where a limit ends a block, what becomes of the files that were uploaded in vain.

    Args:
        count: Tells how many there are.
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
    """Return when the server answered by its own clock, which its times are to be compared with."""
    return parse_http_date(error.response.headers.get("Date", "")) or datetime.now(UTC)
