"""Periodic clean-up: old uploads are deleted, and overdue claims of evaluations are cancelled."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Evaluation, Task, Upload, UploadSession
from gcapi_sandbox._object_store import objects

if TYPE_CHECKING:
    from gcapi_sandbox._state import State

_HOUR = 3600


class Housekeeping:
    """A clean-up that runs at most once an hour, or more often if a lifetime is shorter than that."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._last: datetime | None = None

    def run_if_due(self) -> None:
        """Clean up if the last time is long enough ago."""
        limits = self._state.limits
        interval = min(_HOUR, limits.upload_seconds, limits.evaluation_seconds)
        with self._lock:
            now = self._state.clock.now()
            # A clock that was set back postpones nothing.
            if self._last and abs((now - self._last).total_seconds()) < interval:
                return
            self._last = now
        with self._state.store.transaction():
            self._delete_uploads(limits.upload_seconds)
            self._cancel_claims(limits.evaluation_seconds)

    def _delete_uploads(self, lifetime: float) -> None:
        awaited = self._awaited_uploads()
        old = [
            upload.pk
            for upload in self._state.store.rows(Upload)
            if upload.pk not in awaited and self._is_older(upload.created, lifetime)
        ]
        objects.delete_uploads(self._state, old)

    def _awaited_uploads(self) -> set[str]:
        """Return the uploads of background tasks, for which the server's clock may have jumped."""
        store = self._state.store
        awaited: set[str] = set()
        for task in store.rows(Task):
            awaited |= {task.payload.get("upload", ""), *task.payload.get("uploads", ())}
            if "session" in task.payload:
                awaited |= {*store.get(UploadSession, task.payload["session"]).uploads}
        return awaited

    def _cancel_claims(self, lifetime: float) -> None:
        claimed = "status = 'External Execution In Progress'"
        for evaluation in self._state.store.rows(Evaluation, claimed):
            if evaluation.claimed and self._is_older(evaluation.claimed, lifetime):
                evaluation.status = "Cancelled"
                self._state.store.save(evaluation)

    def _is_older(self, moment: str, seconds: float) -> bool:
        now = self._state.clock.now()
        return datetime.fromisoformat(moment) < now - timedelta(seconds=seconds)
