"""What a forked process must not take over from its parent: locks that nobody there will open, and connections.

A fork copies the thread that forks and no other, so a lock that another thread held stays held in the child for ever.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import TracebackType


class ForkAware(Protocol):
    """Something that begins anew in a forked process."""

    def after_fork(self) -> None:
        """Begin anew; called in the child, while it has one thread only."""
        ...


_aware: WeakSet[ForkAware] = WeakSet()


def tell_of_forks(thing: ForkAware) -> None:
    """Call `thing.after_fork` in every process that is forked off while it lives."""
    _aware.add(thing)


def _in_child() -> None:
    for thing in list(_aware):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_in_child)


class Lock:
    """A lock for a ``with`` statement that is free in a forked process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        tell_of_forks(self)

    def after_fork(self) -> None:
        """Be free, whoever held it in the parent."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The lock that a thread holds across its own fork is a new one in the child.
        if self._lock.locked():
            self._lock.release()


class Slots:
    """So many places for a ``with`` statement, all of which are free in a forked process."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.after_fork()
        tell_of_forks(self)

    def after_fork(self) -> None:
        """Be free, whoever held a place in the parent."""
        self._places = threading.Semaphore(self._count)

    @contextmanager
    def one(self) -> Generator[None]:
        """Hold a place, as soon as there is one."""
        with self._places:
            yield
