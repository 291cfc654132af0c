"""What the server does every hour: uploads that are too old go, overdue claims of evaluations are cancelled."""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Evaluation, Upload
from gcapi_sandbox._object_store import objects

if TYPE_CHECKING:
    from gcapi_sandbox._database.state import State

_HOUR = 3600


class Tidying:
    """Tidies before a request is answered, if the last time is an hour ago or a lifetime is shorter than that."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._last = -math.inf

    def run(self) -> None:
        """Tidy if it is time to."""
        limits = self._state.limits
        pause = min(_HOUR, limits.upload_seconds, limits.evaluation_seconds)
        with self._lock:
            moment = time.monotonic()
            if moment < self._last + pause:
                return
            self._last = moment
        with self._state.store.transaction():
            self._delete_uploads(_ago(limits.upload_seconds))
            self._cancel_claims(_ago(limits.evaluation_seconds))

    def _delete_uploads(self, before: datetime) -> None:
        old = [one.pk for one in self._state.store.rows(Upload) if _moment(one.created) < before]
        objects.discard(self._state, old)

    def _cancel_claims(self, before: datetime) -> None:
        claimed = "status = 'External Execution In Progress'"
        for one in self._state.store.rows(Evaluation, claimed):
            if one.claimed and _moment(one.claimed) < before:
                one.status = "Cancelled"
                self._state.store.save(one)


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
