"""A progress bar in a terminal or a notebook, and plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any, TextIO

from gcapi._util.messages import format_duration, size_text

#: The seconds before now whose average is the rate that is shown.
RATE_SECONDS = 60.0


@dataclass(eq=False)
class ProgressBar:
    """A bar in a terminal or a notebook, if tqdm is installed; else plain lines, the last one at the end.

    Attributes:
        label: The beginning of each line.
        counts_bytes: True to show sizes and their rate rather than numbers.
        stream: The output; `None` for standard error.
        interval: Seconds between two plain lines.
        clock: Returns the time in seconds.
    """

    label: str
    _: KW_ONLY
    counts_bytes: bool = False
    stream: TextIO | None = None
    interval: float = 10.0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._stream = self.stream or sys.stderr
        self._next = self.clock() + self.interval
        self._line = self._printed = ""
        self._rate = _Rate()
        self._tqdm = self._tqdm_bar()

    def _tqdm_bar(self) -> Any:
        in_notebook = "ipykernel" in sys.modules
        if not in_notebook and not self._stream.isatty():
            return None
        try:
            from tqdm.auto import tqdm
        except ImportError:
            return None
        try:
            has_width = os.get_terminal_size(self._stream.fileno()).columns > 0
        except (OSError, ValueError):  # a notebook
            has_width = False
        return tqdm(
            desc=self.label,
            total=1.0,
            bar_format="{desc} {percentage:3.0f}%|{bar}|",
            ncols=None if has_width else 80,
            nrows=None if has_width else 24,
            dynamic_ncols=has_width,
            miniters=0,
            file=None if in_notebook else self._stream,
        )

    def show(self, done: int, total: int, *, items: str = "", is_estimate: bool = False) -> None:
        """Show the progress.

        Args:
            done: The number, or the size in bytes, of what is done.
            total: The value of `done` at the end.
            items: The number of finished items, shown beside sizes.
            is_estimate: Whether the total is an estimate.
        """
        now = self.clock()
        self._rate.add(now, done)
        about = "about " if is_estimate else ""
        sizes = f"{items}, {size_text(done)} of {about}{size_text(total)}"
        self._line = f"{self.label}: {sizes if self.counts_bytes else f'{done} of {total}'}"
        if self._tqdm is not None:
            self._tqdm.set_description_str(self._line + self._pace(done, total), refresh=False)
            self._tqdm.update((done / total if total else 0.0) - self._tqdm.n)
        elif now >= self._next:
            self._next = now + self.interval
            self._print(self._line + self._pace(done, total))

    def count_bytes(self) -> None:
        """Show sizes from now on, rather than numbers."""
        if not self.counts_bytes:
            self.counts_bytes, self._rate = True, _Rate()

    def _pace(self, done: int, total: int) -> str:
        """Return the rate and the time left, as far as they are known."""
        rate = self._rate.value
        if rate <= 0 or done >= total:
            return ""
        rate_text = f", {size_text(rate)}/s" if self.counts_bytes else ""
        return f"{rate_text}, {format_duration(round((total - done) / rate))} left"

    def close(self) -> None:
        """End the bar, or print the last line."""
        if self._tqdm is not None:
            self._tqdm.set_description_str(self._line or self.label)
            self._tqdm.close()
        elif self._line != self._printed:
            self._print(self._line)

    def _print(self, line: str) -> None:
        self._printed = line
        print(line, file=self._stream, flush=True)


class _Rate:
    """The average rate of the last `RATE_SECONDS`."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()
        #: In 1/s; 0 while it is unknown.
        self.value = 0.0

    def add(self, now: float, done: int) -> None:
        """Note what is done at a time."""
        samples = self._samples
        if not samples or now - samples[-1][0] >= 1.0:
            samples.append((now, done))
        while len(samples) > 2 and now - samples[1][0] >= RATE_SECONDS:  # noqa: PLR2004
            samples.popleft()
        seconds = now - samples[0][0]
        self.value = (done - samples[0][1]) / seconds if seconds >= 1.0 else 0.0
