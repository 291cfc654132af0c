"""Threads that end with the call they work for: cancel tokens, and the one scheduler that uses them.

The *current token* of a thread is a context variable. `gcapi._http` checks it before it sends anything, and every wait
sleeps on it. A `Scheduler` gives its threads a token of its own, a child of the token that was current where it was
made; leaving the scheduler's ``with`` block cancels it. So after a call ends, for whatever reason, its threads send
nothing more, and end when their current read or write does.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from typing import Any, Generic, Self, TypeVar, TypeVarTuple
from weakref import WeakSet

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
Ts = TypeVarTuple("Ts")

#: Seconds that an idle thread waits for a further task before it ends.
IDLE_SECONDS = 0.3
#: Seconds that leaving a scheduler waits for its threads: one that waits for a response cannot be interrupted.
GRACE_SECONDS = 1.0


class Cancelled(BaseException):
    """Raised when the call of a thread has ended; not an `Exception`, so that nobody handles it as a failure."""


class CancelToken:
    """A request to stop, which can be checked, slept on, and cancelled once.

    Args:
        on_cancel: Called once, in the thread that cancels.

    Attributes:
        is_cancelled: Whether the call that the token belongs to has ended.
        error: The error that ended it; `None` if it was cancelled for another reason.
    """

    def __init__(self, on_cancel: Callable[[], None] | None = None) -> None:
        self._on_cancel = on_cancel
        self.is_cancelled = False
        self.error: BaseException | None = None
        #: Locked until the token is cancelled. Unlike an event it stays usable if Ctrl-C interrupts a wait for it.
        self._gate = threading.Lock()
        self._gate.acquire()
        # Reentrant, because the garbage collector may end an abandoned generator, and its scheduler, at any point.
        self._lock = threading.RLock()
        #: Kept alive, because it would not reach its grandchildren once it is collected.
        self._parent: CancelToken | None = None
        self._children: WeakSet[CancelToken] = WeakSet()

    def child(self, on_cancel: Callable[[], None] | None = None) -> CancelToken:
        """Return a token that is cancelled with this one."""
        token = CancelToken(on_cancel)
        token._parent = self
        with self._lock:
            self._children.add(token)
        if self.is_cancelled:
            token.cancel()
        return token

    def lineage(self) -> Iterator[CancelToken]:
        """Yield this token, that which it is a child of, and so on."""
        yield self
        if self._parent is not None:
            yield from self._parent.lineage()

    def cancel(self, error: BaseException | None = None) -> None:
        """Cancel the token and its children.

        Args:
            error: The error that is the reason. A later one may be a consequence of the first, and is not kept.
        """
        with self._lock:
            if self.is_cancelled:
                return
            self.error = error
            self.is_cancelled = True
            self._gate.release()
            children = list(self._children)
        for child in children:
            child.cancel()
        if self._on_cancel is not None:
            self._on_cancel()

    def raise_if_cancelled(self) -> None:
        """Raise `Cancelled` if the token is cancelled."""
        if self.is_cancelled:
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Sleep, and raise `Cancelled` as soon as the token is cancelled."""
        if self._gate.acquire(timeout=min(max(seconds, 0.0), threading.TIMEOUT_MAX)):
            self._gate.release()
            raise Cancelled


_current: ContextVar[CancelToken | None] = ContextVar("gcapi_cancel_token", default=None)


def current_token() -> CancelToken:
    """Return the token of the call that this thread works for; one that nobody cancels outside of calls."""
    return _current.get() or CancelToken()


def sleep(seconds: float) -> None:
    """Sleep on the current token."""
    current_token().sleep(seconds)


def result_of(future: Future[ResultT]) -> ResultT:
    """Return the result of a future; raise `Cancelled` if the current token is cancelled before."""
    has_ended = threading.Event()
    token = current_token().child(on_cancel=has_ended.set)
    future.add_done_callback(lambda _: has_ended.set())
    has_ended.wait()
    token.raise_if_cancelled()
    return future.result()


@contextmanager
def cancel_scope() -> Generator[CancelToken]:
    """Make a child of the current token current, and cancel it when the block ends for whatever reason.

    Not for generators: their caller would run under the scope's token between two items.
    """
    token = current_token().child()
    previous = _current.set(token)
    try:
        yield token
    finally:
        token.cancel()
        _current.reset(previous)


@dataclass(frozen=True)
class TaskResult(Generic[ItemT, ResultT]):
    """The result of a task of `Scheduler.map_unordered`.

    Attributes:
        item: What the task was given.
        result: What it returned.
        error: What it raised, in which case there is no result.
    """

    item: ItemT
    result: ResultT | None = None
    error: BaseException | None = None


#: The priority of a task, its number, by which tasks of the same priority are ordered, its function and its future.
_Task = tuple[int, int, Callable[[], Any], Future[Any]]


class Scheduler:
    """A bounded number of daemon threads that work for one call, by priority.

    Threads are started as they are needed, and end after `IDLE_SECONDS` without a task. The first task that fails
    cancels all others; so does leaving the ``with`` block, which then waits for the threads up to `grace` seconds.

    Memory: what the queued tasks hold, and what `size` running tasks use; `map_unordered` holds at most `size` items
    and results.

    Args:
        size: The maximal number of threads.
        name: The beginning of their names.
        grace: Seconds to wait for threads at the end; `None` for `GRACE_SECONDS`.
    """

    def __init__(self, size: int, name: str, *, grace: float | None = None) -> None:
        self.size = size
        self._name = name
        self._grace = grace
        #: Guards everything below. `with` takes the lock and not the condition, whose methods are not written in C, so
        #: that Ctrl-C could leave it locked. Reentrant for the same reason as the lock of a token.
        self._lock = threading.RLock()
        #: Notified when a task is queued or ends, and when the token is cancelled.
        self._changed = threading.Condition(self._lock)
        self._queue: list[_Task] = []
        self._numbers = count(1)
        self._threads: set[threading.Thread] = set()
        self._idle = 0
        self._unfinished = 0
        self.token = current_token().child(on_cancel=self._drop_queued)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.token.cancel()
        grace = GRACE_SECONDS if self._grace is None else self._grace
        deadline = time.monotonic() + grace
        with self._lock:
            threads = self._threads - {threading.current_thread()}
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def submit(
        self, function: Callable[[*Ts], ResultT], *arguments: *Ts, priority: int = 0
    ) -> Future[ResultT]:
        """Queue a task.

        Args:
            function: Called in one of the threads, under the scheduler's token.
            arguments: Its arguments.
            priority: Tasks with a lower number run first, those with the same number in the order of submission.

        Raises:
            Cancelled: The scheduler was left, or the call was cancelled.
            BaseException: The error of the first task that failed; in other tasks, `Cancelled`.
            RuntimeError: The system has no thread to give.
        """
        future: Future[ResultT] = Future()
        with self._lock:
            self._raise_if_ended()
            if self._idle <= len(self._queue) and len(self._threads) < self.size:
                self._start_thread()
            task: _Task = (priority, next(self._numbers), partial(function, *arguments), future)
            heapq.heappush(self._queue, task)
            self._unfinished += 1
            self._changed.notify_all()
        return future

    def wait(self) -> None:
        """Wait until all tasks have ended, including those that they submit.

        Raises:
            Cancelled: The call was cancelled.
            BaseException: The error of the first task that failed, without waiting for the others.
        """
        self._wait_for(lambda: not self._unfinished)

    def run_all(
        self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]
    ) -> list[ResultT]:
        """Call a function for every item, and return the results in the order of the items.

        Raises:
            BaseException: The error of the first task that failed.
        """
        futures = [self.submit(function, item) for item in items]
        self.wait()
        return [future.result() for future in futures]

    def map_unordered(
        self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT]
    ) -> Generator[TaskResult[ItemT, ResultT]]:
        """Yield the result of a function for every item, in the order in which they end.

        A task that fails does not stop the others. The generator may be left early; leaving the scheduler's ``with``
        block then cancels what is running.

        Args:
            function: Called in the threads.
            items: Taken one by one, as threads become free.

        Raises:
            Cancelled: The call was cancelled.
        """
        ended: deque[TaskResult[ItemT, ResultT]] = deque()

        def run(item: ItemT) -> None:
            result: TaskResult[ItemT, ResultT]
            try:
                result = TaskResult(item, function(item))
            except BaseException as error:  # noqa: BLE001 - it belongs to the item
                result = TaskResult(item, error=error)
            with self._lock:
                ended.append(result)
                self._changed.notify_all()

        remaining = iter(items)
        running = len([self.submit(run, item) for item in islice(remaining, self.size)])
        while running:
            self._wait_for(lambda: ended)
            running += len([self.submit(run, item) for item in islice(remaining, 1)]) - 1
            yield ended.popleft()

    def _wait_for(self, condition: Callable[[], object]) -> None:
        with self._lock:
            self._changed.wait_for(lambda: condition() or self.token.is_cancelled)
            if not condition() or self.token.error is not None:
                self._raise_if_ended()

    def _raise_if_ended(self) -> None:
        if self.token.error is not None and threading.current_thread() not in self._threads:
            raise self.token.error
        self.token.raise_if_cancelled()

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads) + 1}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads.add(thread)

    def _work(self) -> None:
        _current.set(self.token)
        while (task := self._next_task()) is not None:
            self._run(task)
            del task  # before waiting for the next one, because it may hold the bytes of a part

    def _next_task(self) -> _Task | None:
        with self._lock:
            self._idle += 1
            self._changed.wait_for(lambda: self._queue or self.token.is_cancelled, IDLE_SECONDS)
            self._idle -= 1
            if self._queue:
                return heapq.heappop(self._queue)
            self._threads.discard(threading.current_thread())
            return None

    def _run(self, task: _Task) -> None:
        _, _, function, future = task
        try:
            if future.set_running_or_notify_cancel():
                future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is the future's
            self.token.cancel(error)
            future.set_exception(error)
        with self._lock:
            self._unfinished -= 1
            self._changed.notify_all()

    def _drop_queued(self) -> None:
        with self._lock:
            dropped, self._queue = self._queue, []
            self._unfinished -= len(dropped)
            self._changed.notify_all()
        for *_, future in dropped:
            future.set_exception(Cancelled())
