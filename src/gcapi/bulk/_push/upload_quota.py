"""The server's limit of uploads per user, kept track of so that rows wait instead of exceeding it."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from gcapi._api.quota import MAX_QUOTA_WAIT, MAX_USER_UPLOADS
from gcapi._util.fork_safety import Lock
from gcapi._util.messages import format_duration
from gcapi._util.polling import poll
from gcapi._util.user_warnings import calling_line, warn_at
from gcapi.exceptions import LimitWarning, SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from gcapi._http.settings import OnLimit


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

        Raises:
            SpecError: The number exceeds the quota.
        """
        if number > MAX_USER_UPLOADS:
            raise SpecError(
                f"The row has {number} files, and the server lets you have {MAX_USER_UPLOADS} uploads at once. Pack"
                " them, for example into one .mha for an image."
            )
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
        if self._used is None:
            self._recount()
        if self._waits and not self._fits(number):
            self.warn(
                "earlier uploads of yours to be used", f"you may have {MAX_USER_UPLOADS} at once"
            )
            poll(lambda: self._fits_after_count(number), timeout=MAX_QUOTA_WAIT)
        with self._lock:
            self._used = (self._used or 0) + number
            self._reserved += number

    def _recount(self) -> None:
        counted = self._count()
        with self._lock:
            self._used = counted + self._reserved

    def _fits(self, number: int) -> bool:
        with self._lock:
            return (self._used or 0) + number <= MAX_USER_UPLOADS

    def _fits_after_count(self, number: int) -> bool | None:
        self._recount()
        return self._fits(number) or None

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
