"""The number of uploads that the server lets a user have at once, as a limit of all rows of a push together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from gcapi._api.quota import MAX_QUOTA_WAIT, MAX_USER_UPLOADS
from gcapi._http.settings import OnLimit
from gcapi._util.fork_safety import Lock
from gcapi._util.messages import format_duration
from gcapi._util.polling import poll
from gcapi._util.user_warnings import calling_line, warn_at
from gcapi.exceptions import LimitWarning


class UploadQuota:
    """The uploads that the server still lets this user create.

    All uploads of the user count, of whatever program, until an import uses them or they are a day old. They are
    counted once, and again only if the quota seems to be used up.

    Args:
        count: Counts the uploads on the server.
        on_limit: Whether to wait for the quota; otherwise the server may refuse.
    """

    def __init__(self, count: Callable[[], int], on_limit: OnLimit) -> None:
        self._count = count
        self._waits = on_limit == "wait"
        self._used: int | None = None
        self._reserved = 0
        self._lock = threading.Lock()
        #: Held while waiting, so that small rows do not overtake a large one; the wait hears the cancel token.
        self._turn = Lock()
        self._line = calling_line()
        self._warned: set[str] = set()

    @contextmanager
    def reserve(self, number: int) -> Generator[Callable[[], None]]:
        """Reserve a number of uploads, and yield a function to call for each that was created.

        Args:
            number: At most the quota.
        """
        left = number

        def created() -> None:
            nonlocal left
            with self._lock:
                left -= 1
                self._reserved -= 1

        if number:
            with self._turn:
                self._wait_for(number)
        try:
            yield created
        finally:
            with self._lock:
                self._reserved -= left
                self._used = (self._used or 0) - left

    def _wait_for(self, number: int) -> None:
        if self._take(number, recount=self._used is None):
            return
        self.warn("earlier uploads of yours to be used", f"you may have {MAX_USER_UPLOADS} at once")
        if not poll(lambda: self._take(number, recount=True) or None, timeout=MAX_QUOTA_WAIT):
            self._waits = False  # uploads do not live longer, so the server may decide now
            self._take(number, recount=False)

    def _take(self, number: int, *, recount: bool) -> bool:
        """Reserve uploads if the server accepts them, or if nobody waits for the quota."""
        counted = self._count() if recount else None
        with self._lock:
            used = (self._used or 0) if counted is None else counted + self._reserved
            fits = not self._waits or used + number <= MAX_USER_UPLOADS
            self._used = used + number if fits else used
            self._reserved += number if fits else 0
        return fits

    def warn(self, awaited: str, reason: str) -> None:
        """Warn, once, of a wait."""
        with self._lock:
            if awaited in self._warned:
                return
            self._warned.add(awaited)
        warn_at(
            self._line,
            f"Waiting for {awaited} ({reason}), for {format_duration(MAX_QUOTA_WAIT)} at most."
            ' Client(on_limit="raise") does not wait.',
            LimitWarning,
        )
