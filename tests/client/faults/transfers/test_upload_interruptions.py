"""Uploads that are interrupted or refused, and their progress."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path

import httpx
import pytest

from gcapi._transfer.parts import MEBI
from gcapi._transfer.upload_sources import BytesSource, FileObjectSource, PathSource
from gcapi.exceptions import (
    ProgressWarning,
    StatusError,
    StorageError,
    TransferError,
    UploadInterrupted,
)
from gcapi.progress import ProgressEvent
from tests.support.data import DEADLINE
from tests.support.servers.api_and_store import (
    UploadServer,
    as_usual,
    upload,
    upload_and_part,
)
from tests.support.servers.loopback import NO_RETRIES, TOKEN, Answer, Seen
from tests.support.upload_faults import (
    CONTENT,
    REFUSED,
    RESET,
    SOURCES,
    first_time,
    garbled,
    in_order,
    numbers,
    only,
    planned,
    resumed,
)

pytestmark = pytest.mark.usefixtures("small_parts", "no_thread_is_left")


# ---------------------------------------------------------------- interruptions


@pytest.mark.parametrize("fault", [RESET, Answer(status=503)], ids=["reset", "503"])
def test_interruption_leaves_the_upload_and_prints_the_call(fault: Answer, path: Path) -> None:
    """A failed network or store aborts nothing, and the printed call sends the missing parts."""
    with (
        UploadServer() as server,
        server.client(max_concurrent_uploads=1) as client,
    ):
        server.on_put = in_order(client, lambda number: fault if number == 3 else None)
        with pytest.raises(UploadInterrupted, match="Resume it with") as caught:
            client.uploads._uploads._run(planned(client, PathSource(path)))
        ((pk, name),) = caught.value.uploads.items()
        assert (name, server.uploads[pk]["status"]) == ("a.bin", "Initialized")
        assert sorted(server.parts[pk]) == [1, 2]
        server.on_put = as_usual
        server.store.seen.clear()
        made = resumed(client, caught.value)
    assert (made.pk, made.status) == (pk, "Completed")
    assert server.content(pk) == CONTENT
    assert numbers(server) == [3, 4, 5]
    assert server.count("uploads") == 1
    assert server.count("abort-multipart-upload") == 0


def test_store_that_is_gone_is_an_interruption(path: Path) -> None:
    """A store that refuses connections raises `UploadInterrupted`."""
    with UploadServer() as server, server.client() as client:
        server.store.__exit__(None, None, None)
        server._undo.pop_all().push(server.api)
        with pytest.raises(UploadInterrupted) as caught:
            upload(client, PathSource(path))
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert server.count("abort-multipart-upload") == 0


def test_api_that_is_gone_before_anything_began_is_no_interruption(path: Path) -> None:
    """If no upload was created, the error is httpx's own."""
    with (
        UploadServer(before=only("uploads", RESET)) as server,
        server.client(retry_strategy=NO_RETRIES) as client,
        pytest.raises(httpx.TransportError),
    ):
        upload(client, PathSource(path))
    assert server.steps == ["uploads"]


def test_interruption_names_every_upload(tmp_path: Path) -> None:
    """The error names all incomplete uploads, and a call for each file that outlives the failed call."""
    paths = [tmp_path / folder / "a.bin" for folder in "xy"]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(CONTENT)
    copy = PathSource(paths[0], "copy.bin", stays=False)
    sources = [*map(PathSource, paths), BytesSource(b"b", "b.bin"), copy]
    arrived = threading.Barrier(4)

    def on_put(_: int, __: Seen) -> Answer:
        arrived.wait(DEADLINE)
        return Answer(status=503)

    with (
        UploadServer(on_put) as server,
        # A file has one part here, so that four connections hold one of each.
        server.client(max_concurrent_uploads=4, retry_strategy=NO_RETRIES) as client,
        pytest.raises(UploadInterrupted) as caught,
    ):
        upload(client, *sources)
    assert Counter(caught.value.uploads.values()) == {"a.bin": 2, "b.bin": 1, "copy.bin": 1}
    assert set(caught.value.uploads) == set(server.uploads)
    assert str(caught.value).count("client.uploads.resume(") == 2
    assert all(str(path) in str(caught.value) for path in paths)


def test_keyboard_interrupt_leaves_the_upload(path: Path) -> None:
    """A KeyboardInterrupt aborts nothing, and its note has the call to resume."""

    def press(event: ProgressEvent) -> None:
        if event.done == event.total:
            raise KeyboardInterrupt

    with UploadServer() as server:
        with server.client(progress=press, max_concurrent_uploads=1) as client:
            server.on_put = in_order(client, lambda _: None)
            with pytest.raises(KeyboardInterrupt) as caught:
                client.uploads._uploads._run(planned(client, PathSource(path)))
        assert server.count("abort-multipart-upload") == 0
        server.on_put = as_usual
        server.store.seen.clear()
        with server.client() as client:
            made = resumed(client, caught.value)
    assert made.status == "Completed"
    # The part that was broken off may be seen late.
    assert [upload_and_part(seen)[1] for seen in server.store.seen if seen.body] == [5]
    assert server.content(made.pk) == CONTENT


CTRL_C = """
import sys
from pathlib import Path
from gcapi import Client
from gcapi._transfer.upload_sources import PathSource

with Client(sys.argv[1], sys.argv[2], max_concurrent_uploads=2) as client:
    try:
        client.uploads._uploads.upload_all([PathSource(Path(sys.argv[3]))])
    except KeyboardInterrupt as error:
        print(error.__notes__[-1].splitlines()[-1].strip(), flush=True)
"""


def test_ctrl_c_in_a_terminal(tmp_path: Path) -> None:
    """Ctrl-C during an upload ends it at once and prints the call to resume."""
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(12 * MEBI))
    answered, under_way = threading.Event(), threading.Event()

    def hold(_: int, __: Seen) -> None:
        under_way.set()
        answered.wait(DEADLINE)

    with UploadServer(hold) as server:
        arguments = [TOKEN, server.base_url, str(path)]
        with subprocess.Popen(
            [sys.executable, "-c", CTRL_C, *arguments], stdout=subprocess.PIPE, text=True
        ) as process:
            assert under_way.wait(DEADLINE)
            process.send_signal(signal.SIGINT)
            assert process.stdout is not None
            printed = process.stdout.readline()
            answered.set()
            assert process.wait(DEADLINE) == 0
        with server.client() as client:
            made = eval(printed, {"client": client})
        assert server.content(made.pk) == path.read_bytes()
    assert made.status == "Completed"
    assert server.count("abort-multipart-upload") == 0


# ---------------------------------------------------------------- what ends the others


def test_failed_begin_of_a_later_file_ends_all() -> None:
    """If a later upload cannot be created, all earlier ones are completed or aborted."""
    left = [7]

    def refuse(step: str, _: Seen) -> Answer | None:
        left[0] -= step == "uploads"
        return Answer(status=400, body=["Too many"]) if left[0] < 0 else None

    with (
        UploadServer(
            before=lambda step, seen: refuse(step, seen) if step == "uploads" else None
        ) as server,
        server.client(max_concurrent_uploads=2) as client,
        pytest.raises(StatusError, match="Too many"),
    ):
        upload(client, *(BytesSource(b"x", f"{number}") for number in range(60)))
    assert len(server.uploads) == 7
    assert {one["status"] for one in server.uploads.values()} <= {"Completed", "Aborted"}


@pytest.mark.parametrize("attempt", range(5))
def test_first_error_is_the_one_that_is_raised(attempt: int) -> None:
    """The first error is raised, and not one of its consequences for other files."""

    class Endless:
        def read(self, size: int) -> bytes:
            return bytes(size)

    are_others_sent = threading.Event()

    def refuse(_: int, seen: Seen) -> Answer | None:
        if server.uploads[upload_and_part(seen)[0]]["filename"] != "refused":
            are_others_sent.set()
            return None
        assert are_others_sent.wait(DEADLINE)
        return REFUSED

    # Parts are sent before further uploads are created, and those of the others have no end.
    sources = [
        BytesSource(b"x", "refused"),
        FileObjectSource(Endless(), "endless"),
        FileObjectSource(Endless(), "endless too"),
    ]
    with (
        UploadServer(refuse) as server,
        server.client(max_concurrent_uploads=3 + attempt) as client,
        pytest.raises(StorageError, match="AccessDenied"),
    ):
        upload(client, *sources)
    assert {one["status"] for one in server.uploads.values()} == {"Aborted"}


def test_file_that_changed_is_aborted(path: Path) -> None:
    """A file that changed during the upload is not completed."""

    def touch(event: ProgressEvent) -> None:
        if event.is_finished:
            os.utime(path, ns=(1, 1))

    with (
        UploadServer() as server,
        server.client(progress=touch) as client,
        pytest.raises(TransferError, match="changed while it was uploaded"),
    ):
        upload(client, PathSource(path))
    assert server.count("complete-multipart-upload") == 0
    assert server.count("abort-multipart-upload") == 1


@pytest.mark.parametrize("answer", [Answer(status=500), Answer(body={}), RESET])
def test_failed_abort_hides_nothing(answer: Answer, path: Path) -> None:
    """A failed abort does not hide the error that led to it."""
    with (
        UploadServer(lambda *_: REFUSED, before=only("abort-multipart-upload", answer)) as server,
        server.client() as client,
        pytest.raises(StorageError, match="AccessDenied"),
    ):
        upload(client, PathSource(path))
    assert "abort-multipart-upload" in server.steps


def test_threads_that_cannot_be_started_are_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If no thread can be started, the call fails instead of waiting."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("gcapi-upload"):
            raise RuntimeError("can't start new thread")
        start(thread)

    with UploadServer() as server, server.client() as client:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            upload(client, PathSource(path))
        monkeypatch.undo()


# ---------------------------------------------------------------- progress


@pytest.mark.parametrize("kind", SOURCES)
def test_progress_never_overshoots_and_ends_at_the_total(kind: str, path: Path) -> None:
    """Whatever is retried, the progress of a file never exceeds its total and ends at it."""
    faults = [
        first_time(Answer(status=503), 1),
        first_time(REFUSED, 2),
        garbled(3, 1),
        first_time(RESET, 4),
    ]

    def on_put(number: int, seen: Seen) -> Answer | None:
        return next((said for fault in faults if (said := fault(number, seen))), None)

    heard: list[ProgressEvent] = []
    with (
        UploadServer(on_put) as server,
        server.client(progress=heard.append, max_concurrent_uploads=5) as client,
    ):
        upload(client, SOURCES[kind](path), BytesSource(b"", "empty"))
    assert {(event.phase, event.total) for event in heard if event.name == "empty"} == {
        ("upload", 0)
    }
    done = [event.done for event in heard if event.name == "a.bin"]
    assert max(done) == done[-1] == len(CONTENT)
    assert any(later < sooner for sooner, later in pairwise(done))
    assert min(done) == done[0] == 0
    if kind != "file object":
        assert {event.total for event in heard if event.name == "a.bin"} == {len(CONTENT)}
    assert heard[-1].given_up is False


def test_totals_are_told_before_anything_is_sent() -> None:
    """The size of every file is reported before the first request."""
    heard: list[ProgressEvent] = []
    seen_at_first: list[int] = []
    with (
        UploadServer(before=lambda *_: seen_at_first.append(len(heard))) as server,
        server.client(progress=heard.append) as client,
    ):
        upload(client, *(BytesSource(bytes(size), f"{size}") for size in range(1, 5)))
    assert seen_at_first[0] == 4
    assert [(event.done, event.total) for event in heard[:4]] == [(0, 1), (0, 2), (0, 3), (0, 4)]


def test_failing_listener_harms_no_upload(path: Path) -> None:
    """A progress listener that fails draws one warning, and the file is uploaded."""

    def listen(event: ProgressEvent) -> None:
        if event.done:
            raise ZeroDivisionError

    with (
        UploadServer() as server,
        server.client(progress=listen) as client,
        pytest.warns(ProgressWarning, match="ZeroDivisionError") as caught,
    ):
        upload(client, PathSource(path))
    assert len(caught) == 1
    assert "abort-multipart-upload" not in server.steps


def test_listener_can_interrupt_an_upload(path: Path) -> None:
    """KeyboardInterrupt in a progress listener ends the call."""

    def listen(event: ProgressEvent) -> None:
        if event.done:
            raise KeyboardInterrupt

    with (
        UploadServer() as server,
        server.client(progress=listen) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        upload(client, PathSource(path))
    assert "complete-multipart-upload" not in server.steps


def test_failed_files_are_given_up(path: Path) -> None:
    """A failed call reports its unfinished files as aborted, and not its finished ones."""
    heard: list[ProgressEvent] = []
    with (
        UploadServer(lambda number, _: REFUSED if number == 5 else None) as server,
        server.client(progress=heard.append, max_concurrent_uploads=1) as client,
        pytest.raises(StorageError),
    ):
        client.uploads._uploads._run(planned(client, PathSource(path)))
    last = heard[-1]
    # The last part was handed out whole before the answer came.
    assert last.given_up == (last.done != last.total)
