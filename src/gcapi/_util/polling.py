"""Polling with an interval that grows up to a limit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from gcapi._util.scheduler import sleep

T = TypeVar("T")

#: The first interval and the longest one, in seconds, and the factor between one interval and the next.
FIRST_INTERVAL, LONGEST_INTERVAL, GROWTH = 0.2, 15.0, 1.5


def poll(
    look: Callable[[], T | None],
    *,
    timeout: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = sleep,
) -> T | None:
    """Call a function until it returns something, or until the time is over.

    Args:
        look: Returns a result, or `None` to be called again.
        timeout: Seconds after which to stop, with a last call at the very end; `None` for no limit.
        clock: Returns the time in seconds.
        sleep: Waits for a number of seconds.

    Returns:
        The result of `look`; `None` after the timeout.
    """
    end = None if timeout is None else clock() + timeout
    interval = FIRST_INTERVAL
    while True:
        found = look()
        if found is not None:
            return found
        left = interval if end is None else end - clock()
        if left <= 0:
            return None
        sleep(min(interval, left))
        interval = min(interval * GROWTH, LONGEST_INTERVAL)
