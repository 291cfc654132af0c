"""Progress events of the files and values of a call, the listeners that receive them, and a display.

Each file or value has a number of its own, and reports its beginning (0 of so many bytes), its steps, and its end. When
a part is sent again, it goes back. Unfinished items of a call that fails are given up.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TextIO, TypeVar

from gcapi._util.progress_bar import ProgressBar as ProgressBar
from gcapi._util.scheduler import CancelToken, cancel_scope, current_token
from gcapi._util.user_warnings import calling_line, warn_at
from gcapi.exceptions import ProgressWarning

E = TypeVar("E")
Phase = Literal["de-identify", "upload", "import", "download", "check"]


@dataclass(frozen=True)
class ProgressEvent:
    """A step of one file or value, or of the check of a manifest.

    Attributes:
        phase: The work that is being done.
        name: The file, or the socket whose value is being imported.
        done: The bytes that were transferred, or the rows that were checked or shown; in the others 0 or 1.
        total: The value of `done` at the end; `None` while it is unknown.
        item: A number that identifies this file or value.
        given_up: True if its call failed; this is then its last event.
    """

    phase: Phase
    name: str
    done: int
    total: int | None
    item: int = 0
    given_up: bool = False

    @property
    def is_finished(self) -> bool:
        """True once the file or value is complete."""
        return self.done == self.total


#: Called with each event, in the thread that does the work; it should return quickly.
Listener = Callable[[ProgressEvent], None]

_item_numbers = itertools.count(1)


class Progress:
    """The progress of one file or value.

    Args:
        listener: Called with each event, in order, and never under a lock.
        phase: The work that is being done.
        name: The file or value.
        total: The value of `done` at the end; `None` while it is unknown.
    """

    def __init__(
        self, listener: Listener, phase: Phase, name: str, total: int | None = None
    ) -> None:
        self._listener = listener
        self._phase: Phase = phase
        self._name = name
        self._total = total
        self._done = 0
        self._item = next(_item_numbers)
        self._lock = threading.Lock()
        self._undelivered: deque[ProgressEvent] = deque()
        self._is_delivering = False
        self.add(0)

    def add(self, count: int) -> None:
        """Add to what is done; a negative count takes back what will be repeated."""
        with self._reported():
            self._done += count

    def set_total(self, total: int | None) -> None:
        """Set the total, which may become known only later; `None` while it is unknown."""
        with self._reported():
            self._total = total

    def reset(self) -> None:
        """Start again from 0."""
        with self._reported():
            self._done = 0

    def give_up(self) -> None:
        """Report that the call failed, unless this file or value is complete."""
        if self._done != self._total:
            with self._reported(given_up=True):
                pass

    @contextmanager
    def _reported(self, *, given_up: bool = False) -> Generator[None]:
        with self._lock:
            yield
            event = ProgressEvent(
                self._phase, self._name, self._done, self._total, self._item, given_up
            )
            self._undelivered.append(event)
        self._deliver()

    def _deliver(self) -> None:
        """Call the listener, unless another thread does: it then delivers these events too."""
        while True:
            with self._lock:
                if self._is_delivering or not self._undelivered:
                    return
                self._is_delivering = True
                event = self._undelivered.popleft()
            try:
                self._listener(event)
            finally:
                self._is_delivering = False


@contextmanager
def given_up_on_error(items: Iterable[Progress]) -> Generator[None]:
    """Give up unfinished files and values when the block fails."""
    try:
        yield
    except BaseException:
        for item in items:
            item.give_up()
        raise


# ---------------------------------------------------------------- listeners


class GuardedListener(Generic[E]):
    """A listener whose errors do not harm the work that it listens to.

    Its first error becomes a `ProgressWarning` at the line that passed the listener in, and it is not called again.
    `KeyboardInterrupt` is raised.

    Args:
        listener: Called with each event.
    """

    def __init__(self, listener: Callable[[E], object]) -> None:
        self._listener = listener
        self._line = calling_line()
        self._lock = threading.Lock()
        self._has_failed = False

    def __call__(self, event: E) -> None:
        """Call the listener with an event."""
        if self._has_failed:
            return
        try:
            self._listener(event)
        except Exception as error:  # noqa: BLE001 - whatever it is, the work goes on
            with self._lock:
                is_first, self._has_failed = not self._has_failed, True
            if is_first:
                self._warn(error)

    def _warn(self, error: Exception) -> None:
        message = (
            f"The progress listener failed ({type(error).__name__}: {error}) and is not called again. The call goes"
            " on."
        )
        try:
            warn_at(self._line, message, ProgressWarning)
        except ProgressWarning:  # where warnings are errors
            raise
        except Exception:  # noqa: BLE001, S110 - standard error is closed, or the like
            pass


def ignore_progress(_: ProgressEvent) -> None:
    """Do nothing."""


class ClientListener:
    """The listener of a client, in place of which the display of a push or a pull is called for its files.

    Args:
        listener: Called with each event.
        displays: Whether it is a display, for which another one can stand in.
    """

    def __init__(self, listener: Listener, *, displays: bool = False) -> None:
        self._listener = listener
        self.displays = displays
        #: The other displays by the tokens of their blocks; several, if pushes run at once.
        self._others: dict[CancelToken, Listener] = {}

    def __call__(self, event: ProgressEvent) -> None:
        """Call the listener, or the display of the block that this thread works for, with an event."""
        found = map(self._others.get, current_token().lineage() if self._others else ())
        display = next(filter(None, found), None)
        if display is not None:
            display(event)
        if display is None or not self.displays:
            self._listener(event)

    @contextmanager
    def shown_by(self, display: Listener) -> Generator[None]:
        """Call another display with the events of the block; a listener that is none is called too."""
        with cancel_scope() as token:
            self._others[token] = GuardedListener(display)
            try:
                yield
            finally:
                del self._others[token]


def listener_for(progress: Listener | bool | None) -> ClientListener:
    """Return the listener for a client's `progress` argument.

    Args:
        progress: A callable; `True` for a display on standard error; `None` or `False` for no listener.

    Raises:
        TypeError: It is anything else.
    """
    if progress is None or progress is False:
        return ClientListener(ignore_progress)
    if progress is True:
        return ClientListener(GuardedListener(Display()), displays=True)
    if not callable(progress):
        raise TypeError(f"progress={progress!r} must be a callable, True or None.")
    return ClientListener(GuardedListener(progress))


# ---------------------------------------------------------------- display


class Display:
    """A listener that shows a progress bar for each phase in a terminal or a notebook, and plain lines elsewhere.

    The bars need the package tqdm (extra ``[progress]``); without it there are plain lines, too.

    Args:
        stream: The output; `None` for standard error.
        interval: Seconds between two plain lines.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        interval: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_bar = partial(ProgressBar, stream=stream, interval=interval, clock=clock)
        self._lock = threading.Lock()
        self._sums: dict[Phase, _PhaseSum] = {}

    def __call__(self, event: ProgressEvent) -> None:
        """Show an event."""
        with self._lock:
            if event.phase not in self._sums:
                counts_bytes = event.phase in {"upload", "download"}
                bar = self._make_bar(event.phase, counts_bytes=counts_bytes)
                self._sums[event.phase] = _PhaseSum(bar)
            if self._sums[event.phase].add(event):
                del self._sums[event.phase]


class _PhaseSum:
    """The sum of all files or values in a phase, shown in a bar."""

    def __init__(self, bar: ProgressBar) -> None:
        self._bar = bar
        self._latest: dict[int, ProgressEvent] = {}
        self._done = self._total = self._finished = self._given_up = 0

    def add(self, event: ProgressEvent) -> bool:
        """Show an event, and return whether it ends the phase."""
        former = self._latest.get(event.item)
        if former is not None:
            self._count(former, -1)
        self._latest[event.item] = event
        self._count(event, 1)
        items = len(self._latest)
        self._bar.show(self._done, self._total, items=f"{self._finished} of {items}")
        # Until the first item moves, more may be announced; an empty file is complete when it is announced.
        is_over = former is not None and self._finished + self._given_up == items
        if is_over:
            self._bar.close()
        return is_over

    def _count(self, event: ProgressEvent, sign: int) -> None:
        self._done += sign * event.done
        self._total += sign * (event.total or 0)
        self._finished += sign * event.is_finished
        self._given_up += sign * event.given_up
