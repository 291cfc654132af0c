"""The progress of a push or a pull: rows or cases, bytes, rate and time left, in one bar."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from gcapi.bulk._pull.reports import PullProgress
from gcapi.bulk._push.reports import PushProgress
from gcapi.client import Client
from gcapi.progress import GuardedListener, ProgressBar, ProgressEvent


class TransferDisplay:
    """The bar of a push or a pull.

    The sizes of rows that have not begun are unknown: they are estimated from those that have.

    Args:
        unit: What is counted, such as ``rows``.
        workers: The number of rows that are in work at once.
        make_bar: Makes a bar from its label.
    """

    def __init__(
        self, unit: str, workers: int, make_bar: Callable[[str], ProgressBar] = ProgressBar
    ) -> None:
        self._unit = unit
        self._workers = workers
        self._make_bar = make_bar
        self._bar: ProgressBar | None = None
        self._lock = threading.Lock()
        #: The files that are in transfer, by their numbers.
        self._files: dict[int, ProgressEvent] = {}
        self._done = self._announced = 0
        self._rows = self._ended = self._skipped = 0

    def begin(self, rows: int) -> None:
        """Note how many rows there are."""
        self._rows = rows

    def row_ended(self, event: PushProgress | PullProgress) -> None:
        """Show that a row has ended."""
        with self._lock:
            self._ended, self._rows = event.ended, event.total
            self._skipped += event.how in {"skipped", "there"}
            self._show()
            if self._ended == self._rows:  # a push may wait for the server from here on
                self._close()

    def file_moved(self, event: ProgressEvent) -> None:
        """Show that bytes of a file were transferred."""
        if event.phase not in {"upload", "download"}:
            return
        with self._lock:
            former = self._files.pop(event.item, None)
            if former is not None:
                self._count(former, -1)
            if not event.given_up:  # else it is sent again as another file
                self._count(event, 1)
                if not event.is_finished:
                    self._files[event.item] = event
            self._show()

    def _count(self, event: ProgressEvent, sign: int) -> None:
        self._done += sign * event.done
        self._announced += sign * (event.done if event.total is None else event.total)

    def _show(self) -> None:
        if self._bar is None:  # not earlier: nothing is shown of a call that fails at once
            self._bar = self._make_bar(self._unit)
        if not self._announced:
            self._bar.show(self._ended, self._rows)
            return
        self._bar.count_bytes()
        rows = self._rows - self._skipped
        begun = min(rows, self._ended - self._skipped + self._workers)
        total = self._announced * rows // begun if begun else self._announced
        items = f"{self._ended} of {self._rows}"
        self._bar.show(self._done, total, items=items, is_estimate=begun < rows)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
            # The masks of a pull's answers are files of no case.
            self._done = self._announced = 0

    def close(self) -> None:
        """End the bar."""
        with self._lock:
            self._close()


@dataclass(frozen=True)
class RowListener:
    """Callbacks for the rows of a push, or the cases of a pull.

    Attributes:
        begin: Called with their number.
        ended: Called with the end of each.
    """

    begin: Callable[[int], object]
    ended: Callable[[Any], object]


@contextmanager
def row_listener(
    client: Client, progress: Callable[[Any], object] | bool | None, unit: str, workers: int
) -> Generator[RowListener]:
    """Yield the listener for the argument `progress` of a push or a pull.

    Args:
        client: The client, whose display is replaced during the block.
        progress: The argument.
        unit: What is counted, such as ``rows``.
        workers: The number of rows that are in work at once.

    Raises:
        TypeError: It is neither a callable, nor a boolean, nor `None`.
    """
    if progress is None:
        progress = client.workflows.listener.displays
    if not isinstance(progress, bool):
        if not callable(progress):
            raise TypeError(f"progress={progress!r} must be a callable, True, False or None.")
        yield RowListener(ignore, GuardedListener(progress))
    elif progress:
        with (
            closing(TransferDisplay(unit, workers)) as display,
            client.workflows.listener.shown_by(display.file_moved),
        ):
            yield RowListener(display.begin, GuardedListener(display.row_ended))
    else:
        yield RowListener(ignore, ignore)


def ignore(_: object) -> None:
    """Do nothing."""
