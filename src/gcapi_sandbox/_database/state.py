"""What all parts of one sandbox share: records, folder, limits, and the way to ask for work."""

from __future__ import annotations

import logging
import secrets
import shutil
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._background.programs import Interrupted
from gcapi_sandbox._database.records import TABLES, Meta, Notification, Task
from gcapi_sandbox._database.store import Store

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


_log = logging.getLogger("gcapi_sandbox")


@dataclass
class Limits:
    """The numbers that the server enforces; lower them to meet a limit in a test."""

    uploads_per_user: int = 2001
    upload_bytes: int = 128 * 1024**3
    smallest_part: int = 5 * 1024**2
    active_jobs_per_user: int = 16
    credits: int = 1000
    credits_per_job: int = 20
    free_jobs_for_editors: int = 5
    files_per_session: int = 100
    imports_per_user: int = 16
    presigned_url_seconds: int = 3600
    dicom_recipe_seconds: int = 300
    session_extension_seconds: int = 300
    session_seconds: int = 10_000
    endpoint_seconds: int = 600
    upload_seconds: int = 86_400
    evaluation_seconds: int = 86_400


def _locked(path: Path) -> sqlite3.Connection:
    """Lock a folder for as long as this process lives, by SQLite, which can on every system."""
    lock = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        raise RuntimeError(f"Another sandbox uses {path.parent}") from error
    return lock


@dataclass
class State:
    """One sandbox's memory; `storage_url` is known once the storage origin listens."""

    folder: Path
    latest_version: str
    lowest_supported_version: str
    limits: Limits = field(default_factory=Limits)
    storage_url: str = ""
    pickles: dict[str, bytes] = field(default_factory=dict[str, bytes])
    import_seconds: float = 0.0

    def __post_init__(self) -> None:
        self.objects = self.folder / "objects"
        self.parts = self.folder / "parts"
        self.work = self.folder / "work"
        self.incoming = self.folder / "incoming"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.folder / "lock.sqlite3")
        for folder in (self.work, self.incoming):  # what a crash left behind
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.objects, self.parts, self.work, self.incoming):
            folder.mkdir(exist_ok=True)
        self.store = Store(self.folder / "sandbox.sqlite3")
        try:
            self.store.create(*TABLES)
        except RuntimeError:
            self.close()
            raise
        self.secret = self.remember("secret", secrets.token_hex(20))
        self.stopping = threading.Event()
        self._changed = threading.Condition()
        self.version = 0
        self.holds = 0

    def close(self) -> None:
        """Close the records, and let another sandbox have the folder."""
        self.store.close()
        self._lock.close()

    def remember(self, name: str, value: str) -> str:
        """Return the remembered value of a setting; the first one given is remembered."""
        with self.store.transaction():
            found = self.store.find(Meta, "pk = ?", name)
            return (found or self.store.add(Meta(pk=name, value=value))).value

    def schedule(self, kind: str, owner: str, payload: dict[str, Any] | None = None) -> Task:
        """Leave work for the background; it starts when the transaction is committed."""
        task = self.store.add(Task(kind=kind, owner=owner, payload=payload or {}))
        self.announce()
        return task

    def announce(self) -> None:
        """Wake whoever waits for background work to appear, to be released or to end."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()

    def wait_change(self, seen: int, timeout: float | None = None) -> bool:
        """Wait until something was announced after version `seen`; tell whether it was."""
        with self._changed:
            return self._changed.wait_for(lambda: self.version != seen, timeout)

    @contextmanager
    def hold(self) -> Generator[None]:
        """Let no background work start inside the block."""
        self._hold(1)
        try:
            yield
        finally:
            self._hold(-1)

    def _hold(self, change: int) -> None:
        with self._changed:
            self.holds += change
        self.announce()

    def begin_import(self) -> None:
        """Wait as long as imports are to be slow; raise Interrupted if the sandbox stops."""
        if self.stopping.wait(self.import_seconds):
            raise Interrupted

    def notify(self, user: int, message: str) -> None:
        """Tell a user what went wrong in the background, and whoever runs the sandbox."""
        _log.warning("%s", message)
        self.store.add(Notification(user=user, message=message))
