"""Background work: a bounded number of threads take tasks from the store, oldest first.

There are two pools of `workers` threads each: one waits for the processes of jobs, the other does everything else,
imports above all, so that no import waits for a job of an hour. A thread holds at most one image in memory, that of an
import or of a job's output: beyond what it needs at rest, the sandbox takes at most twice `workers` images.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gcapi_sandbox._background.programs import Interrupted
from gcapi_sandbox._database.records import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._database.state import State

    # Works outside of any transaction, with a folder of its own, and returns what to do
    # inside the one that also removes the task: a crash leaves the task or its outcome.
    Work = Callable[[State, Task, Path], Callable[[], None]]
    # What to do instead, inside that transaction, when the work was refused.
    Failed = Callable[[State, Task, "Refused"], None]

_log = logging.getLogger("gcapi_sandbox")
UNEXPECTED = "An unexpected error occurred"


class Refused(Exception):  # an outcome, not a fault
    """What was uploaded cannot become what was asked for; `consume`: it is used up anyway."""

    def __init__(self, reason: str, *, consume: bool = False) -> None:
        super().__init__(reason)
        self.consume = consume


@dataclass(frozen=True)
class _Kind:
    work: Work
    failed: Failed


_KINDS: dict[str, _Kind] = {}


def work(kind: str, failed: Failed) -> Callable[[Work], Work]:
    """Register the function below as what does tasks of a kind."""

    def register(function: Work) -> Work:
        _KINDS[kind] = _Kind(function, failed)
        return function

    return register


class Worker:
    """Runs tasks in threads; tasks of one owner run one after another, in order.

    Args:
        state: Where the tasks are.
        threads: How many jobs run at the same time, and how many other tasks.
    """

    def __init__(self, state: State, threads: int) -> None:
        self._state = state
        self._owners: dict[int, str] = {}
        self._threads = [
            threading.Thread(target=self._loop, args=(which,), name=name, daemon=True)
            for name, which in (
                ("sandbox-job", "kind = 'run'"),
                ("sandbox-import", "kind != 'run'"),
            )
            for _ in range(threads)
        ]

    def start(self) -> None:
        """Start the threads; tasks left by an earlier process are taken up again."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let running imports end, kill running jobs, leave what is not done in the store."""
        self._state.stopping.set()
        self._state.announce()
        for thread in self._threads:
            thread.join()

    def wait_idle(self, timeout: float) -> None:
        """Return when no task is left; raise TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            seen = self._state.version
            pending = self._state.store.rows(Task).count()
            if pending == 0:
                return
            if not self._state.wait_change(seen, deadline - time.monotonic()):
                raise TimeoutError(f"{pending} background tasks after {timeout} s")

    def _loop(self, which: str) -> None:
        while not self._state.stopping.is_set():
            seen = self._state.version
            task = None if self._state.holds else self._claim(which)
            if task is None:
                self._state.wait_change(seen)
            else:
                self._perform(task)

    def _claim(self, which: str) -> Task | None:
        with self._state.store.transaction():
            marks = ", ".join("?" * len(self._owners))
            owners = self._owners.values()
            task = self._state.store.find(Task, f"{which} AND owner NOT IN ({marks})", *owners)
            if task is not None:
                self._owners[task.pk] = task.owner
            return task

    def _perform(self, task: Task) -> None:
        try:
            with tempfile.TemporaryDirectory(dir=self._state.work) as folder:
                self._run(task, Path(folder))
        except Exception:  # noqa: BLE001  # a fault of the sandbox, logged with its traceback
            _log.exception("Background task %s could not be finished", task.kind)
            self._settle(task, lambda: None)
        finally:
            with self._state.store.transaction():
                del self._owners[task.pk]
            self._state.announce()

    def _run(self, task: Task, folder: Path) -> None:
        kind = _KINDS[task.kind]
        try:
            self._settle(task, kind.work(self._state, task, folder))
        except Interrupted:
            pass  # the task stays in the store
        except Refused as refused:
            self._settle(task, partial(kind.failed, self._state, task, refused))
        except Exception:  # noqa: BLE001  # a fault of the sandbox, logged with its traceback
            _log.exception("Background task %s failed", task.kind)
            unexpected = Refused(UNEXPECTED)
            self._settle(task, partial(kind.failed, self._state, task, unexpected))

    def _settle(self, task: Task, finish: Callable[[], None]) -> None:
        with self._state.store.transaction():
            self._state.store.delete(Task, "pk = ?", task.pk)
            finish()
