"""The event stream: how far the files of a call have come, and who may listen.

Each file or value of a call has a number of its own, and tells of itself from its beginning (0 of so many bytes) to its
end. A part that is sent again makes it go back; it never says more than there is. What fails is given up.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, TextIO

Phase = Literal["de-identify", "upload", "import", "download"]


@dataclass(frozen=True)
class ProgressEvent:
    """One step of one file or value.

    Attributes:
        phase: What is being done.
        name: The file, or the socket whose value is being imported.
        done: How far it has come: bytes of a transfer; else 0 or 1.
        total: What `done` will be at the end; `None` while nobody knows.
        item: A number that this file or value has to itself.
        given_up: Whether its call failed, so that it ends here.
    """

    phase: Phase
    name: str
    done: int
    total: int | None
    item: int = 0
    given_up: bool = False

    @property
    def is_finished(self) -> bool:
        """Whether this is the file's or value's last step."""
        return self.done == self.total


#: Called with each event, from the thread that did the work; it should return quickly.
Listener = Callable[[ProgressEvent], None]

_items = itertools.count(1)


def nobody(_: ProgressEvent) -> None:
    """Listen to nothing."""


class Progress:
    """Count how far one file or value has come, and tell a listener.

    Args:
        listener: Who hears of it.
        phase: What is being done.
        name: The file or value.
        total: What it comes to at the end; `None` while nobody knows.
    """

    def __init__(
        self, listener: Listener, phase: Phase, name: str, total: int | None = None
    ) -> None:
        self._listener = listener
        self._phase: Phase = phase
        self._name = name
        self._total = total
        self._done = 0
        self._item = next(_items)
        self._lock = threading.Lock()
        self.add(0)

    def add(self, count: int) -> None:
        """Count what was done, or less than zero for what will be done again."""
        with self._lock:
            self._done += count
            self._tell()

    def set_total(self, total: int | None) -> None:
        """Set what it comes to at the end, once that is known; `None` while nobody knows."""
        with self._lock:
            self._total = total
            self._tell()

    def reset(self) -> None:
        """Begin again."""
        with self._lock:
            self._done = 0
            self._tell()

    def give_up(self) -> None:
        """End here, short of the end."""
        with self._lock:
            if self._done != self._total:
                self._tell(given_up=True)

    def _tell(self, *, given_up: bool = False) -> None:
        self._listener(
            ProgressEvent(
                self._phase, self._name, self._done, self._total, self._item, given_up=given_up
            )
        )


@contextmanager
def given_up_on_error(counters: Iterable[Progress]) -> Generator[None]:
    """Give counters up when a block fails."""
    try:
        yield
    except BaseException:
        for counter in counters:
            # The listener may be what failed; its error is on its way already.
            with suppress(Exception):
                counter.give_up()
        raise


# ---------------------------------------------------------------- showing it


def listener_for(progress: Listener | bool | None) -> Listener:
    """Return who listens.

    Args:
        progress: A callable; `True` for a bar on standard error; `None` or `False` for nobody.

    Raises:
        TypeError: Something else.
    """
    if progress is None or progress is False:
        return nobody
    if progress is True:
        return Display()
    if not callable(progress):
        raise TypeError(f"progress={progress!r} must be a callable, True or None.")
    return progress


class Display:
    """Show progress: a bar for each phase in a terminal or a notebook, else plain lines.

    The bar needs the package tqdm (extra ``[progress]``); without it, and where the output is piped, lines are printed,
    at most one in `interval` seconds and one at the end of each phase.

    Args:
        stream: Where to; `None` for standard error.
        interval: Seconds between two plain lines.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        interval: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._interval = interval
        self._clock = clock
        self._lock = threading.Lock()
        self._phases: dict[Phase, _Phase] = {}

    def __call__(self, event: ProgressEvent) -> None:
        """Take an event in, and show where its phase stands."""
        with self._lock:
            phase = self._phases.get(event.phase)
            if phase is None:
                phase = self._phases[event.phase] = _Phase(event.phase, self._view(event.phase))
            phase.take(event)
            if phase.is_over:
                phase.close()
                del self._phases[event.phase]

    def _view(self, phase: Phase) -> Any:
        stream = self._stream or sys.stderr
        make_bar = _bar_factory(stream)
        if make_bar is None:
            return _Lines(phase, stream, self._interval, self._clock)
        return _Bar(make_bar(desc=phase, unit="B" if _counts_bytes(phase) else "", stream=stream))


class _Phase:
    """The files and values of a phase, added up."""

    def __init__(self, phase: Phase, view: Any) -> None:
        self._phase = phase
        self._view = view
        self._latest: dict[int, ProgressEvent] = {}
        self._done = self._total = self._files = self._given_up = 0
        #: More may be announced until the first of them moves, and an empty file is whole from the beginning.
        self._has_begun = False

    @property
    def is_over(self) -> bool:
        return self._has_begun and self._files + self._given_up == len(self._latest)

    def take(self, event: ProgressEvent) -> None:
        former = self._latest.get(event.item)
        if former is not None:
            self._has_begun = True
            self._count(former, -1)
        self._latest[event.item] = event
        self._count(event, 1)
        self._view.show(
            done=self._done, total=self._total, files=self._files, of_files=len(self._latest)
        )

    def _count(self, event: ProgressEvent, sign: int) -> None:
        self._done += sign * event.done
        self._total += sign * (event.total or 0)
        self._files += sign * event.is_finished
        self._given_up += sign * event.given_up

    def close(self) -> None:
        self._view.close()


class _Lines:
    """Plain lines, a few."""

    def __init__(
        self, phase: Phase, stream: TextIO, interval: float, clock: Callable[[], float]
    ) -> None:
        self._phase: Phase = phase
        self._stream = stream
        self._interval = interval
        self._clock = clock
        self._next = clock() + interval
        self._line = ""

    def show(self, *, done: int, total: int, files: int, of_files: int) -> None:
        size = f", {_size(done)} of {_size(total)}" if _counts_bytes(self._phase) else ""
        self._line = f"{self._phase}: {files} of {of_files}{size}"
        if self._clock() >= self._next:
            self._next = self._clock() + self._interval
            self._print()

    def close(self) -> None:
        self._print()

    def _print(self) -> None:
        print(self._line, file=self._stream, flush=True)


class _Bar:
    """A bar of tqdm's."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def show(self, *, done: int, total: int, files: int, of_files: int) -> None:
        self._bar.total = total
        self._bar.set_postfix_str(f"{files} of {of_files}", refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.refresh()
        self._bar.close()


def _bar_factory(stream: TextIO) -> Callable[..., Any] | None:
    """Return what makes a bar, or `None` where plain lines are right."""
    in_notebook = "ipykernel" in sys.modules
    if not in_notebook and not stream.isatty():
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None

    def make(*, desc: str, unit: str, stream: TextIO) -> Any:
        options: dict[str, Any] = {} if in_notebook else {"file": stream}
        return tqdm(desc=desc, unit=unit, unit_scale=bool(unit), unit_divisor=1024, **options)

    return make


def _counts_bytes(phase: Phase) -> bool:
    return phase in {"upload", "download"}


def _size(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
