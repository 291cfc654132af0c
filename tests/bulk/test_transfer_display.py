"""The progress of a push and a pull: rows, bytes, their rate and the time left."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi._util.scheduler import Scheduler
from gcapi.bulk import PushProgress, Row, pull, push
from gcapi.bulk._push.reports import Ending
from gcapi.bulk._transfer_display import TransferDisplay
from gcapi.progress import Progress, ProgressBar, listener_for
from gcapi_sandbox import Sandbox
from tests.support.pull import add_archive, add_sockets, many_cases

MEBI = 2**20


class Shown:
    """The display of a push, its clock, and the lines it printed."""

    def __init__(self, rows: int, workers: int) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.display = TransferDisplay("rows", workers, self._bar)
        self.display.begin(rows)
        self._rows = rows

    def _bar(self, label: str) -> ProgressBar:
        return ProgressBar(label, stream=self.stream, clock=lambda: self.now)

    def file(self, size: int) -> Progress:
        return Progress(self.display.file_moved, "upload", "a.mha", size)

    def end_row(self, number: int, how: Ending = "done") -> None:
        self.display.row_ended(PushProgress(Row(number), how, number, self._rows))

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def test_one_large_row() -> None:
    """A single row of 30 MiB shows every ten seconds what was sent, how fast, and how long the rest takes."""
    shown = Shown(rows=1, workers=8)
    file = shown.file(30 * MEBI)
    for second in range(1, 31):
        shown.now = second
        file.add(MEBI)
    shown.end_row(1)
    assert shown.lines == [
        "rows: 0 of 1, 10.0 MiB of 30.0 MiB, 1.0 MiB/s, 20 s left",
        "rows: 0 of 1, 20.0 MiB of 30.0 MiB, 1.0 MiB/s, 10 s left",
        "rows: 0 of 1, 30.0 MiB of 30.0 MiB",
        "rows: 1 of 1, 30.0 MiB of 30.0 MiB",
    ]


def test_rows_that_have_not_begun() -> None:
    """Their bytes are estimated from the rows that have begun; rows that are skipped have none."""
    shown = Shown(rows=6, workers=2)
    shown.end_row(1, "skipped")
    shown.end_row(2, "skipped")
    files = [shown.file(10 * MEBI) for _ in range(2)]
    shown.now = 5.0
    files[0].add(5 * MEBI)
    shown.now = 10.0
    files[0].add(5 * MEBI)
    assert shown.lines == ["rows: 2 of 6, 10.0 MiB of about 40.0 MiB, 1.0 MiB/s, 30 s left"]


def test_files_that_are_sent_again() -> None:
    """The bytes of a transfer that failed do not count."""
    shown = Shown(rows=1, workers=1)
    lost = shown.file(8)
    lost.add(4)
    lost.give_up()
    shown.file(8).add(8)
    shown.end_row(1)
    assert shown.lines == ["rows: 1 of 1, 8 bytes of 8 bytes"]


def test_rows_without_files() -> None:
    """Without files, rows are counted, and nothing is shown of a call that fails before the first."""
    shown = Shown(rows=3, workers=1)
    shown.display.close()
    assert shown.lines == []
    for number in range(1, 4):
        shown.now += 10
        shown.end_row(number)
    assert shown.lines == ["rows: 2 of 3, 10 s left", "rows: 3 of 3"]


def test_progress_of_a_pull_and_a_push(
    sandbox: Sandbox, client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """progress=True shows one bar with bytes, also by default for a client that shows progress; False shows none."""
    source = tmp_path / "source"
    source.mkdir()
    slug = add_archive(sandbox, client, many_cases(source, add_sockets(sandbox), 2))
    other = f"archive:{sandbox.add_archive('Other')}"
    manifest = pull(client, f"archive:{slug}", tmp_path / "a", progress=True).manifest
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cases: 2 of 2, ")
    assert "KiB of" in line or "bytes of" in line
    with Client(sandbox.token, sandbox.base_url, progress=True) as showing:
        push(showing, manifest, other)
        pushed, *_ = capsys.readouterr().err.splitlines()
        pull(showing, f"archive:{slug}", tmp_path / "b", progress=False)
    assert pushed == line.replace("cases", "rows")


def test_two_displays_at_once() -> None:
    """Of two pushes or pulls of one client, each shows its own files, also after the other has ended."""
    listener = listener_for(None)
    shown: dict[str, list[str]] = {"first": [], "second": []}
    are_open, has_ended = threading.Barrier(2), threading.Event()

    def send(name: str) -> None:
        with listener.shown_by(lambda event: shown[name].append(event.name)):
            are_open.wait(10)
            with Scheduler(1, "test") as scheduler:
                scheduler.run_all(lambda file: Progress(listener, "upload", file), ["a", name])
            if name == "first":
                assert has_ended.wait(10)
                Progress(listener, "upload", "last")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, "first")
        pool.submit(send, "second").result()
        has_ended.set()
        first.result()
    assert shown == {"first": ["a", "first", "last"], "second": ["a", "second"]}


@pytest.mark.parametrize("progress", [1, "yes"])
def test_other_arguments(client: Client, tmp_path: Path, progress: Any) -> None:
    """Anything else is refused before anything is sent or written."""
    with pytest.raises(TypeError, match="must be a callable, True, False or None"):
        pull(client, "archive:none", tmp_path / "a", progress=progress)
