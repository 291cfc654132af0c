"""The state of one sandbox: its data folder, its database and its limits."""

from __future__ import annotations

import logging
import secrets
import shutil
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._database.records import TABLES, Notification, Setting, Task
from gcapi_sandbox._database.store import Store
from gcapi_sandbox._util.clock import Clock
from gcapi_sandbox.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


_log = logging.getLogger("gcapi_sandbox")


def _locked(path: Path) -> sqlite3.Connection:
    """Lock a folder for the life of this process, with an SQLite file, which works on every system."""
    lock = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.OperationalError as error:
        lock.close()
        raise RuntimeError(f"Another sandbox uses {path.parent}") from error
    return lock


@dataclass
class State:
    """The state that all parts of a sandbox share; `storage_url` is the root URL of the storage origin."""

    folder: Path
    latest_version: str
    lowest_supported_version: str
    limits: Limits = field(default_factory=Limits)
    storage_url: str = ""
    pickles: dict[str, bytes] = field(default_factory=dict[str, bytes])
    import_seconds: float = 0.0
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.objects = self.folder / "objects"
        self.parts = self.folder / "parts"
        self.work = self.folder / "work"
        self.incoming = self.folder / "incoming"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.folder / "lock.sqlite3")
        for folder in (self.work, self.incoming):  # temporary files of a process that crashed
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.objects, self.parts, self.work, self.incoming):
            folder.mkdir(exist_ok=True)
        self.store = Store(self.folder / "sandbox.sqlite3", self.clock)
        try:
            self.store.create(*TABLES)
        except RuntimeError:
            self.close()
            raise
        self.secret = self.setting("secret", secrets.token_hex(20))
        self.stopping = threading.Event()
        self._changed = threading.Condition()
        self.version = 0
        self.holds = 0
        self.deliveries = 0

    def close(self) -> None:
        """Close the database and unlock the folder."""
        self.store.close()
        self._lock.close()

    def setting(self, name: str, default: str) -> str:
        """Return the stored value of a setting; store the default if there is none."""
        with self.store.transaction():
            found = self.store.find(Setting, "pk = ?", name)
            return (found or self.store.add(Setting(pk=name, value=default))).value

    def schedule(self, kind: str, owner: str, payload: dict[str, Any] | None = None) -> Task:
        """Add a background task, which starts after the transaction is committed."""
        task = self.store.add(Task(kind=kind, owner=owner, payload=payload or {}))
        self.notify_workers()
        return task

    def notify_workers(self) -> None:
        """Wake the threads that wait for a background task to be added, released or finished."""
        with self._changed:
            self.version += 1
            self._changed.notify_all()

    def wait_for_change(self, seen: int, timeout: float | None = None) -> bool:
        """Wait until the version differs from `seen`; return False after the timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: self.version != seen, timeout)

    @contextmanager
    def hold(self) -> Generator[None]:
        """Start no background task inside the block."""
        self._change_holds(1)
        try:
            yield
        finally:
            self._change_holds(-1)

    def _change_holds(self, change: int) -> None:
        with self._changed:
            self.holds += change
        self.notify_workers()

    @contextmanager
    def deliver_late(self) -> Generator[None]:
        """Count the block as background work."""
        with self._changed:
            self.deliveries += 1
        try:
            yield
        finally:
            with self._changed:
                self.deliveries -= 1
            self.notify_workers()

    def notify_user(self, user: int, message: str) -> None:
        """Store a notification about a failed background task, and log it."""
        _log.warning("%s", message)
        self.store.add(Notification(user=user, message=message))
