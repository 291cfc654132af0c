"""Locks and connections that a forked process must not take over from its parent.

A fork copies the forking thread alone, so a lock that another thread held would stay locked in the child.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Protocol
from weakref import WeakSet

from gcapi._util.scheduler import current_token

#: Seconds between two checks of the cancel token while waiting for a lock.
CHECK_INTERVAL = 0.1


class ForkAware(Protocol):
    """An object with state to reset in a forked process."""

    def after_fork(self) -> None:
        """Reset the state; called in the child, while it has one thread."""
        ...


_fork_aware: WeakSet[ForkAware] = WeakSet()


def reset_after_fork(instance: ForkAware) -> None:
    """Call `instance.after_fork` in every process that is forked during its life."""
    _fork_aware.add(instance)


def _in_child() -> None:
    for instance in list(_fork_aware):
        instance.after_fork()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_in_child)


class Slots:
    """A number of slots for ``with`` statements, given out in FIFO order, and all free in a forked process.

    Args:
        count: The number of slots.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.after_fork()
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Free all slots in the child process."""
        # Reentrant, because Ctrl-C may interrupt a thread that holds it.
        self._lock = threading.RLock()
        self._held: set[threading.Lock] = set()
        #: A locked lock for each thread that waits; it is released when the thread gets a slot.
        self._waiting: deque[threading.Lock] = deque()

    @property
    def waiting(self) -> int:
        """The number of threads that wait for a slot."""
        return len(self._waiting)

    @contextmanager
    def hold_one(self) -> Generator[None]:
        """Hold a slot as soon as one is free; raise `Cancelled` if the current token is cancelled before."""
        turn = threading.Lock()
        turn.acquire()
        token = current_token()
        try:
            with self._lock:
                self._waiting.append(turn)
                self._give_out()
            while not turn.acquire(timeout=CHECK_INTERVAL):
                token.raise_if_cancelled()
            token.raise_if_cancelled()
            yield
        finally:
            with self._lock:
                self._held.discard(turn)
                if turn in self._waiting:
                    self._waiting.remove(turn)
                self._give_out()

    def _give_out(self) -> None:
        while self._waiting and len(self._held) < self.count:
            turn = self._waiting.popleft()
            self._held.add(turn)
            turn.release()


class Lock:
    """A lock for ``with`` statements that is unlocked in a forked process.

    Waiting for it ends with `Cancelled` if the current token is cancelled.
    """

    def __init__(self) -> None:
        self.after_fork()
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Reset to unlocked in the child process."""
        # Reentrant, because only such a lock refuses to be released by a thread that does not hold it.
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        lock = self._lock
        try:
            while not lock.acquire(timeout=CHECK_INTERVAL):
                current_token().raise_if_cancelled()
        except BaseException:
            # Ctrl-C may come just after the lock was acquired.
            with suppress(RuntimeError):
                lock.release()
            raise

    def __exit__(self, *_: object) -> None:
        # The lock that a thread holds across its own fork is a new one in the child.
        with suppress(RuntimeError):
            self._lock.release()
