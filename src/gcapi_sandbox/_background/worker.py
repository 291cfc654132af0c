"""The threads that carry out background tasks, oldest first.

There are two pools of `workers` threads each: one waits for the processes of jobs, the other does everything else,
mainly imports, so that no import waits for a long job. A thread holds at most one image in memory, that of an import or
of a job's output, so the sandbox needs memory for at most twice `workers` images.
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

from gcapi_sandbox._background.programs import ProgramInterruptedError
from gcapi_sandbox._database.records import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._state import State

    # Runs outside of any transaction, with its own temporary folder. Returns what to do in the
    # transaction that also removes the task, so that a crash leaves either the task or its outcome.
    TaskFunction = Callable[[State, Task, Path], Callable[[], None]]
    # Runs in that transaction instead, if the task failed.
    FailureFunction = Callable[[State, Task, "TaskError"], None]

_log = logging.getLogger("gcapi_sandbox")
UNEXPECTED = "An unexpected error occurred"


class TaskError(Exception):
    """Raised when an upload or an output is invalid."""


@dataclass(frozen=True)
class _Handler:
    run: TaskFunction
    on_failure: FailureFunction


_HANDLERS: dict[str, _Handler] = {}


def task_handler(kind: str, on_failure: FailureFunction) -> Callable[[TaskFunction], TaskFunction]:
    """Register a function as the handler of a kind of task."""

    def register(function: TaskFunction) -> TaskFunction:
        _HANDLERS[kind] = _Handler(function, on_failure)
        return function

    return register


class Worker:
    """Two pools of threads that run tasks; tasks of one owner run one after another, in order.

    Args:
        state: The state of the sandbox, with the tasks.
        threads: Number of threads for jobs, and for other tasks.
    """

    def __init__(self, state: State, threads: int) -> None:
        self._state = state
        self._owners: dict[int, str] = {}
        self._threads = [
            threading.Thread(target=self._loop, args=(condition,), name=name, daemon=True)
            for name, condition in (
                ("sandbox-job", "kind = 'run'"),
                ("sandbox-import", "kind != 'run'"),
            )
            for _ in range(threads)
        ]

    def start(self) -> None:
        """Start the threads, which also resume the tasks of an earlier process."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish running imports, kill running jobs, and leave pending tasks in the database."""
        self._state.stopping.set()
        self._state.notify_workers()
        for thread in self._threads:
            thread.join()

    def wait_idle(self, timeout: float) -> None:
        """Wait until no task or late request is left; raise TimeoutError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            seen = self._state.version
            # A request that was carried out may have added a task.
            pending = self._state.deliveries
            pending += self._state.store.rows(Task).count()
            if pending == 0:
                return
            if not self._state.wait_for_change(seen, deadline - time.monotonic()):
                raise TimeoutError(f"{pending} background tasks are left after {timeout} s")

    def _loop(self, condition: str) -> None:
        while not self._state.stopping.is_set():
            seen = self._state.version
            task = None if self._state.holds else self._claim(condition)
            if task is None:
                self._state.wait_for_change(seen)
            else:
                self._perform(task)

    def _claim(self, condition: str) -> Task | None:
        with self._state.store.transaction():
            marks = ", ".join("?" * len(self._owners))
            owners = self._owners.values()
            task = self._state.store.find(Task, f"{condition} AND owner NOT IN ({marks})", *owners)
            if task is not None:
                self._owners[task.pk] = task.owner
            return task

    def _perform(self, task: Task) -> None:
        try:
            with tempfile.TemporaryDirectory(dir=self._state.work) as folder:
                self._run(task, Path(folder))
        except Exception:  # noqa: BLE001  # a bug in the sandbox, logged with its traceback
            _log.exception("Background task %s could not be finished", task.kind)
            self._settle(task, lambda: None)
        finally:
            with self._state.store.transaction():
                del self._owners[task.pk]
            self._state.notify_workers()

    def _run(self, task: Task, folder: Path) -> None:
        handler = _HANDLERS[task.kind]
        try:
            self._settle(task, handler.run(self._state, task, folder))
        except ProgramInterruptedError:
            pass  # the task stays in the database
        except TaskError as error:
            self._settle(task, partial(handler.on_failure, self._state, task, error))
        except Exception:  # noqa: BLE001  # a bug in the sandbox, logged with its traceback
            _log.exception("Background task %s failed", task.kind)
            unexpected = TaskError(UNEXPECTED)
            self._settle(task, partial(handler.on_failure, self._state, task, unexpected))

    def _settle(self, task: Task, finish: Callable[[], None]) -> None:
        with self._state.store.transaction():
            self._state.store.delete(Task, "pk = ?", task.pk)
            finish()
