"""Progress events, listeners and the display."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi import Client
from gcapi.exceptions import ProgressWarning
from gcapi.progress import (
    Display,
    Phase,
    Progress,
    ProgressBar,
    ProgressEvent,
    given_up_on_error,
    listener_for,
)

KIBI = 1024


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Shown:
    """A display on a pipe, and the lines it printed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.stream = io.StringIO()
        self.display = Display(self.stream, clock=self.clock)

    def begin(self, name: str, total: int | None, phase: Phase = "upload") -> Progress:
        return Progress(self.display, phase, name, total)

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def shown() -> Shown:
    """Return a display on a pipe."""
    return Shown()


# ---------------------------------------------------------------- events


def test_events_of_one_file() -> None:
    """A file reports its progress from 0 to all of its bytes, under a number of its own."""
    heard: list[ProgressEvent] = []
    first = Progress(heard.append, "upload", "a.bin", 10)
    Progress(heard.append, "upload", "a.bin", 10)
    first.add(4)
    first.add(6)
    of_first = [event for event in heard if event.item == heard[0].item]
    assert [(event.done, event.total) for event in of_first] == [(0, 10), (4, 10), (10, 10)]
    assert [event.is_finished for event in of_first] == [False, False, True]
    assert len({event.item for event in heard}) == 2


def test_repeats_and_restarts_go_back() -> None:
    """A retry and a restart take back what they repeat."""
    heard: list[int] = []
    counter = Progress(lambda event: heard.append(event.done), "upload", "a.bin", 10)
    counter.add(6)
    counter.add(-6)
    counter.add(10)
    counter.reset()
    assert heard == [0, 6, 0, 10, 0]


def test_late_totals() -> None:
    """The length of a file object is reported as soon as it is known."""
    heard: list[ProgressEvent] = []
    counter = Progress(heard.append, "upload", "a.bin")
    counter.add(3)
    counter.set_total(3)
    assert [(event.total, event.is_finished) for event in heard] == [
        (None, False),
        (None, False),
        (3, True),
    ]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=8))
def test_threads_count_together(counts: list[int]) -> None:
    """Several threads that report on one file lose no bytes, and their events are in order."""
    heard: list[int] = []
    counter = Progress(lambda event: heard.append(event.done), "upload", "a", sum(counts))
    threads = [threading.Thread(target=counter.add, args=(count,)) for count in counts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == sorted(heard)
    assert heard[-1] == sum(counts)


def test_unfinished_items_are_given_up() -> None:
    """When a block fails, unfinished items report it once, and the error is raised."""
    heard: list[ProgressEvent] = []
    counters = [Progress(heard.append, "upload", name, 2) for name in "ab"]
    counters[0].add(2)
    counters[1].add(1)
    with pytest.raises(OSError, match="broken"), given_up_on_error(counters):
        raise OSError("broken")
    assert [(event.name, event.done) for event in heard if event.given_up] == [("b", 1)]


def test_slow_listener_does_not_block_other_threads() -> None:
    """While the listener runs, other threads continue, and their events follow in order."""
    entered, release, heard = threading.Event(), threading.Event(), list[int]()

    def listen(event: ProgressEvent) -> None:
        heard.append(event.done)
        if event.done == 1:
            entered.set()
            assert release.wait(20)

    counter = Progress(listen, "upload", "a", 3)
    slow = threading.Thread(target=counter.add, args=(1,))
    slow.start()
    assert entered.wait(20)
    counter.add(1)
    counter.add(1)
    assert heard == [0, 1]
    release.set()
    slow.join()
    assert heard == [0, 1, 2, 3]


# ---------------------------------------------------------------- listeners


def test_listener_of_each_argument() -> None:
    """True shows progress, None and False ignore it, and a callable is called."""
    heard: list[ProgressEvent] = []
    event = ProgressEvent("upload", "a", 0, 1)
    listener_for(heard.append)(event)
    assert heard == [event]
    displays = [
        listener_for(progress=value).displays for value in (True, False, None, heard.append)
    ]
    assert displays == [True, False, False, False]


@pytest.mark.parametrize("progress", [3, 1, 0, "bar", [], 1.0])
def test_other_arguments_are_a_type_error(progress: Any) -> None:
    """Anything else is refused when the client is created."""
    with pytest.raises(TypeError, match="must be a callable, True or None"):
        Client(token="ff", progress=progress)


def test_failing_listener_is_called_once() -> None:
    """A listener that fails causes one warning, at the line that passed it in, and is not called again."""
    heard: list[ProgressEvent] = []

    def listen(event: ProgressEvent) -> None:
        heard.append(event)
        raise OSError("broken pipe")

    line = sys._getframe().f_lineno + 1
    listener = listener_for(listen)
    with pytest.warns(ProgressWarning, match=r"failed \(OSError: broken pipe\)") as caught:
        Progress(listener, "upload", "a", 1).add(1)
    assert len(heard) == len(caught) == 1
    assert (caught[0].filename, caught[0].lineno) == (__file__, line)


def test_listener_that_fails_in_several_threads() -> None:
    """A listener that fails in several threads at the same time causes one warning."""
    together = threading.Barrier(8)

    def listen(_: ProgressEvent) -> None:
        together.wait(20)
        raise ValueError

    listener = listener_for(listen)
    with pytest.warns(ProgressWarning) as caught, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: Progress(listener, "upload", name, 1), "abcdefgh"))
    assert len(caught) == 1


@pytest.mark.parametrize("option", ["default", "ignore"])
def test_closed_standard_error_harms_nothing(option: str) -> None:
    """If standard error is closed, neither the display nor the warning about it raises an error."""
    program = """
import sys
from gcapi.progress import Progress, listener_for
sys.stderr.close()
Progress(listener_for(True), "upload", "a", 1).add(1)
print("done")
"""
    command = [sys.executable, "-W", option, "-c", program]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"done\n"


def test_keyboard_interrupt_in_a_listener() -> None:
    """A listener can end a call with KeyboardInterrupt."""

    def listen(_: ProgressEvent) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Progress(listener_for(listen), "upload", "a", 1)


# ---------------------------------------------------------------- plain lines


def test_plain_lines(shown: Shown) -> None:
    """In a pipe, a line is printed every ten seconds, with the rate and the time left, and one at the end."""
    first, second = shown.begin("a", 3 * KIBI), shown.begin("b", 1536)
    shown.clock.now = 9.9
    first.add(KIBI)
    shown.clock.now = 10.0
    first.add(KIBI)
    first.add(KIBI)
    shown.clock.now = 20.0
    second.add(1536)
    assert shown.lines() == [
        "upload: 0 of 2, 2.0 KiB of 4.5 KiB, 205 bytes/s, 12 s left",
        "upload: 2 of 2, 4.5 KiB of 4.5 KiB",
    ]


def test_rate_of_the_last_minute(shown: Shown) -> None:
    """The rate is that of the last minute, and there is none while nothing moves."""
    file = shown.begin("a", 1000 * KIBI)
    for second in range(1, 301):
        shown.clock.now = second
        file.add(KIBI if second <= 100 else 0)
    assert shown.lines()[9].endswith("100.0 KiB of 1000.0 KiB, 1.0 KiB/s, 15 min left")
    assert shown.lines()[12].endswith("512 bytes/s, 30 min left")
    assert shown.lines()[-1] == "upload: 0 of 1, 100.0 KiB of 1000.0 KiB"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1536, "1.5 KiB"),
        (5 * KIBI**2, "5.0 MiB"),
        (int(2.25 * KIBI**3), "2.2 GiB"),
        (3 * KIBI**4, "3.0 TiB"),
        (3000 * KIBI**4, "3000.0 TiB"),
    ],
)
def test_sizes_are_readable(shown: Shown, size: int, text: str) -> None:
    """Sizes are shown in the unit that fits."""
    shown.begin("a", size).add(size)
    assert shown.lines() == [f"upload: 1 of 1, {text} of {text}"]


@pytest.mark.parametrize("phase", ["de-identify", "import"])
def test_phases_without_bytes_count_files(shown: Shown, phase: Phase) -> None:
    """A phase without bytes counts its files or values only."""
    counters = [shown.begin(name, 1, phase) for name in "ab"]
    for counter in counters:
        counter.add(1)
    assert shown.lines() == [f"{phase}: 2 of 2"]


def test_each_phase_ends_with_a_line(shown: Shown) -> None:
    """All phases of a call share one stream, and each ends with a line of its own."""
    for phase, total in (("de-identify", 1), ("upload", 7), ("import", 1), ("download", 7)):
        shown.begin("a", total, phase).add(total)
    assert shown.lines() == [
        "de-identify: 1 of 1",
        "upload: 1 of 1, 7 bytes of 7 bytes",
        "import: 1 of 1",
        "download: 1 of 1, 7 bytes of 7 bytes",
    ]


def test_next_call_starts_at_zero(shown: Shown) -> None:
    """A second call on the same client counts its own files only."""
    shown.begin("a", 5).add(5)
    shown.begin("b", 7).add(7)
    assert shown.lines()[1:] == ["upload: 1 of 1, 7 bytes of 7 bytes"]


@pytest.mark.parametrize("empty_first", [True, False])
def test_empty_files_do_not_end_a_phase(shown: Shown, empty_first: bool) -> None:
    """An empty file, complete from its beginning, counts as one of the files of its call."""
    empty, other = shown.begin("a", 0), shown.begin("b", 5)
    for counter, size in ((empty, 0), (other, 5))[:: 1 if empty_first else -1]:
        counter.add(size)
    assert shown.lines() == ["upload: 2 of 2, 5 bytes of 5 bytes"]


def test_lone_empty_file_is_shown(shown: Shown) -> None:
    """A call with a single empty file has a line."""
    shown.begin("a", 0).add(0)
    assert shown.lines() == ["upload: 1 of 1, 0 bytes of 0 bytes"]


def test_failed_call_ends_its_phase(shown: Shown) -> None:
    """The files of a failed call are shown, and are not counted in the next call."""
    counters = [shown.begin(name, 5) for name in "ab"]
    counters[0].add(5)
    with pytest.raises(OSError, match="broken"), given_up_on_error(counters):
        raise OSError("broken")
    shown.begin("c", 7).add(7)
    assert shown.lines() == [
        "upload: 1 of 2, 5 bytes of 10 bytes",
        "upload: 1 of 1, 7 bytes of 7 bytes",
    ]


def test_sum_after_a_retry(shown: Shown) -> None:
    """A retry reduces the sum, which never exceeds the total."""
    first, second = shown.begin("a", 5), shown.begin("b", 5)
    first.add(4)
    first.add(-4)
    second.add(5)
    shown.clock.now = 10.0
    first.add(2)
    assert shown.lines() == ["upload: 1 of 2, 7 bytes of 10 bytes, 1 bytes/s, 4 s left"]


def test_standard_error_is_looked_up_late(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream, lines are printed to the standard error of the moment."""
    Progress(Display(), "upload", "a", 1).add(1)
    assert capsys.readouterr().err == "upload: 1 of 1, 1 bytes of 1 bytes\n"


def test_bar_of_numbers() -> None:
    """A bar of numbers prints plain lines, and none if nothing was shown."""
    stream, clock = io.StringIO(), Clock()
    bar = ProgressBar("push", stream=stream, clock=clock)
    bar.close()
    assert stream.getvalue() == ""
    for number in range(1, 4):
        clock.now += 5
        bar.show(number, 3)
    bar.close()
    assert stream.getvalue().splitlines() == ["push: 2 of 3, 5 s left", "push: 3 of 3"]


# ---------------------------------------------------------------- bars


def output_on_terminal(work: Callable[[Any], None]) -> str:
    """Return what a display writes to a pseudo-terminal."""
    screen, keyboard = pty.openpty()
    with os.fdopen(keyboard, "w") as stream:
        work(stream)
    written = b""
    try:
        while block := os.read(screen, 4096):
            written += block
    except OSError:  # the other end is closed
        pass
    os.close(screen)
    return written.decode()


def show_upload(stream: Any) -> None:
    """Show the upload of a file of two parts, one of which is retried."""
    counter = Progress(Display(stream), "upload", "a", 2 * KIBI)
    counter.add(KIBI)
    counter.add(-KIBI)
    counter.add(2 * KIBI)


def test_bar_on_a_terminal() -> None:
    """In a terminal, a bar goes to the end and counts the files."""
    screen = output_on_terminal(show_upload)
    assert "upload: 1 of 1, 2.0 KiB of 2.0 KiB 100%" in screen


def test_lines_on_a_terminal_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tqdm, plain lines are printed."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    assert output_on_terminal(show_upload).splitlines() == ["upload: 1 of 1, 2.0 KiB of 2.0 KiB"]


def test_bar_in_a_notebook(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a notebook, whose standard error is not a terminal, there is a bar too."""
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    show_upload(None)
    assert "upload: 1 of 1, 2.0 KiB of 2.0 KiB 100%" in capsys.readouterr().err
