"""Polling with an interval that grows to a cap, until a condition holds or the time is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from gcapi._util.scheduler import sleep as sleep_on_token

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

#: Seconds between the first two looks, the most between any two, and how fast it grows.
FIRST_INTERVAL, LONGEST_INTERVAL, GROWTH = 0.2, 15.0, 1.5


def poll(
    look: Callable[[], T | None],
    *,
    timeout: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = sleep_on_token,
) -> T | None:
    """Look until there is something to see.

    Args:
        look: Returns what was waited for, or `None` to be called again.
        timeout: Seconds after which it is given up; `None` to wait for as long as it takes. The last look is at
            its very end.
        clock: Tells the time in seconds.
        sleep: Waits for a number of seconds.

    Returns:
        What `look` found; `None` when the time is over.
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
