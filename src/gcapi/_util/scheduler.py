"""A pool of threads that does not hold the program's end: after Ctrl-C nobody waits for what they wait for."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Pool:
    """Run steps in up to so many threads, like the standard library's executor but for its threads being daemons.

    Args:
        size: How many threads at the most.
        name: What they are called.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._steps: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, step: Callable[..., T], *arguments: Any) -> Future[T]:
        """Run a step in one of the threads.

        Raises:
            RuntimeError: The pool is shut down, or the system gives no thread at all.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("This pool is shut down.")
            if len(self._threads) < self._size:
                self._start()
            self._steps.put((future, partial(step, *arguments)))
        return future

    def shutdown(self, *, wait: bool, cancel_futures: bool = False) -> None:
        """Take no more steps.

        Args:
            wait: Whether to return only when all threads have ended.
            cancel_futures: Whether to forget the steps that were not begun.
        """
        with self._lock:
            self._closed = True
            if cancel_futures:
                self._forget()
            for _ in self._threads:
                self._steps.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _start(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads.append(thread)

    def _forget(self) -> None:
        while True:
            try:
                step = self._steps.get_nowait()
            except Empty:
                return
            if step is not None:
                step[0].cancel()

    def _work(self) -> None:
        while (taken := self._steps.get()) is not None:
            _run(*taken)
            del taken  # what a step held is let go of before the next one is waited for


def _run(future: Future[Any], step: Callable[[], Any]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = step()
    except BaseException as error:  # noqa: BLE001 - it is the future's result
        future.set_exception(error)
    else:
        future.set_result(result)
