"""State of a server, shared by all threads of a client: whether it was reached, its ETags, and the current outage.

During an outage one request is retried, and the others that failed wait for its result. So a server that is down gets
the retries of one request, however many threads a call has, and all of them give up together.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future


class ServerState:
    """The state of one server, for all threads of a client.

    Attributes:
        was_reached: Whether it has responded in this process.
        has_md5_etags: Whether ETags of 32 hex digits are MD5 checksums; `None` until a transfer has shown it.
    """

    def __init__(self) -> None:
        self.was_reached = False
        self.has_md5_etags: bool | None = None
        self._lock = threading.Lock()
        self._outage: Future[bool] | None = None

    def join_outage(self) -> Future[bool] | None:
        """Return the outage that another request retries in, whose result is whether to try again.

        Returns:
            `None` if there was no such outage. The caller retries from now on, and calls `end_outage`.
        """
        with self._lock:
            if self._outage is None:
                self._outage = Future()
                return None
            return self._outage

    def end_outage(self, *, gave_up: bool) -> None:
        """Let the waiting requests try again, or give up as the caller does."""
        with self._lock:
            outage, self._outage = self._outage, None
        assert outage is not None
        outage.set_result(not gave_up)
