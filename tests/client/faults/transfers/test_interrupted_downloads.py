"""Downloads that end early: by Ctrl-C, an error of another file, a progress listener, or a full disk."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gcapi._transfer.parts import MEBI, MIN_RANGE_SIZE
from gcapi._transfer.range_reader import FIRST_RANGE
from gcapi.exceptions import (
    ProgressWarning,
    StorageError,
)
from gcapi.progress import ProgressEvent
from tests.support.data import everything_below
from tests.support.programs.download_program import start_download_program
from tests.support.servers.api_and_store import asked, broken, served, store_answer
from tests.support.servers.loopback import Answer, Seen, connect, in_turn

CONTENT = random.Random(4).randbytes(FIRST_RANGE + MIN_RANGE_SIZE + MEBI)
#: Seconds after which a test fails that waits for something immediate.
SOON = 20


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def download_threads() -> list[threading.Thread]:
    """Return the running download_threads of downloads."""
    return [one for one in threading.enumerate() if one.name.startswith("gcapi-download")]


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    """Check that no test leaves a thread."""
    yield
    wait_until(lambda: not download_threads())


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Yield an event for which a server waits; it is set at the end."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("where", ["first answer", "first stream", "later stream"])
def test_interrupted_program_ends_and_leaves_nothing(
    tmp_path: Path, held: threading.Event, where: str
) -> None:
    """Ctrl-C ends a program whose server is silent, long before the timeout, and leaves no partial file."""
    reached = threading.Event()

    def script(seen: Seen) -> Answer:
        answer = store_answer(seen, CONTENT)
        is_later = asked(seen) != (0, FIRST_RANGE)
        if where == "first answer":
            reached.set()
            held.wait(60)
        if (where == "first stream" and not is_later) or (where == "later stream" and is_later):
            reached.set()
            return replace(broken(answer, 700_000), hold=held)
        return answer

    with served(script) as pair:
        running = start_download_program(pair, tmp_path, "download()")
        try:
            assert reached.wait(SOON)
            if where != "first answer":
                wait_until(lambda: everything_below(tmp_path))
            running.send_signal(signal.SIGINT)
            _, said = running.communicate(timeout=SOON)
        finally:
            running.kill()
            running.communicate()
        assert not held.is_set()
    assert "KeyboardInterrupt" in said
    assert "Exception ignored" not in said
    assert everything_below(tmp_path) == set()


def test_interrupted_call_sends_nothing_more(tmp_path: Path, held: threading.Event) -> None:
    """After Ctrl-C in a program that continues, the download sends no request, and its threads end."""
    reached = threading.Barrier(3)

    def script(seen: Seen) -> Answer:
        reached.wait(SOON)
        held.wait(60)
        return store_answer(seen, CONTENT)

    def interrupt() -> None:
        reached.wait(SOON)
        os.kill(os.getpid(), signal.SIGINT)

    interrupting = threading.Thread(target=interrupt)
    interrupting.start()
    names = [f"a.{number}" for number in range(10)]
    with served(script) as pair, connect(pair.api, max_concurrent_downloads=2) as client:
        files = [pair.file(name) for name in names]
        with pytest.raises(KeyboardInterrupt):
            client.images.download(files=files, output_directory=tmp_path, filename="x")
        held.set()
        released = time.monotonic()
        wait_until(lambda: not download_threads())
        assert time.monotonic() - released < 1
        assert len(pair.store.seen) == 2
    interrupting.join()
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("hold", ["answer", "stream"])
def test_error_does_not_wait_for_other_files(
    tmp_path: Path, held: threading.Event, hold: str
) -> None:
    """The error of one file is raised at once, even while the server is silent about another."""

    def script(seen: Seen) -> Answer:
        if "zraw" in seen.path:
            wait_until(lambda: any("mhd" in one.path for one in pair.store.seen))
            return Answer(status=404)
        if hold == "answer":
            held.wait(60)
        return replace(broken(store_answer(seen, CONTENT), 600_000), hold=held)

    with served(script) as pair:
        with pytest.raises(StorageError, match="404"):
            pair.download(tmp_path, "a.mhd", "a.zraw", timeout=600)
        assert not held.is_set()
        assert everything_below(tmp_path) == set()
        held.set()
    wait_until(lambda: not download_threads())
    assert everything_below(tmp_path) == set()


def fails_at(at: str, error: type[BaseException]) -> Callable[[ProgressEvent], None]:
    """Return a progress listener that fails at a point of a download."""

    def listen(event: ProgressEvent) -> None:
        is_reached = {
            "first answer": event.total is not None,
            "middle": event.done > 2 * MEBI,
            "end": event.is_finished,
        }
        if is_reached[at]:
            raise error

    return listen


@pytest.mark.parametrize("at", ["first answer", "middle", "end"])
def test_failing_listener_harms_no_download(tmp_path: Path, at: str) -> None:
    """A progress listener that fails causes one warning, and the file is downloaded."""
    with served(lambda seen: store_answer(seen, CONTENT)) as pair:
        with pytest.warns(ProgressWarning, match="ZeroDivisionError") as caught:
            (path,) = pair.download(tmp_path, progress=fails_at(at, ZeroDivisionError))
        assert len(caught) == 1
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("at", ["first answer", "middle", "end"])
def test_listener_can_interrupt_a_download(tmp_path: Path, at: str) -> None:
    """KeyboardInterrupt in a progress listener ends the call, and leaves nothing."""
    with served(lambda seen: store_answer(seen, CONTENT)) as pair:
        with pytest.raises(KeyboardInterrupt):
            pair.download(tmp_path, progress=fails_at(at, KeyboardInterrupt))
        assert everything_below(tmp_path) == set()


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
@pytest.mark.parametrize("limit", [600_000, 3_000_000])
def test_full_disk(tmp_path: Path, limit: int) -> None:
    """A full disk is an OSError that names the file, and leaves nothing."""
    body = f"""
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    download()
except OSError as error:
    print(type(error).__name__, error.__notes__)
"""
    with served(lambda seen: store_answer(seen, CONTENT)) as pair:
        said, problem = start_download_program(pair, tmp_path, body).communicate(timeout=SOON)
    assert "x.mha was not written; no partial file is left" in said, problem
    assert everything_below(tmp_path) == set()


def test_directory_that_cannot_be_created(tmp_path: Path) -> None:
    """A file in the place of the output directory is an OSError."""
    (tmp_path / "out").write_text("precious")
    with served(in_turn(Answer(body=b"content"))) as pair, pytest.raises(OSError, match="out"):
        pair.download(tmp_path / "out")
    assert everything_below(tmp_path) == {"out"}


def test_partial_files_have_unique_names(tmp_path: Path) -> None:
    """Two downloads of the same file use different hidden names beside the target, and one of them is kept."""
    together, names = threading.Barrier(2), []

    def listener(event: ProgressEvent) -> None:
        if event.done and not event.is_finished:
            together.wait(SOON)
            names.append({path.name for path in tmp_path.iterdir()})

    with served(lambda seen: store_answer(seen, CONTENT[:600_000])) as pair:

        def call() -> None:
            pair.download(tmp_path, existing="overwrite", progress=listener)

        both = [threading.Thread(target=call) for _ in range(2)]
        for one in both:
            one.start()
        for one in both:
            one.join()
    assert len(names[0]) == 2
    assert all(name.startswith(".x.mha.") and name.endswith(".part") for name in names[0])
    assert everything_below(tmp_path) == {"x.mha"}
    assert (tmp_path / "x.mha").read_bytes() == CONTENT[:600_000]
