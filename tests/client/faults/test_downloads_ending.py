"""How downloads end before their time and what they leave; the connections, files and memory that they use."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gcapi._transfer.image_files import check_signed_request
from gcapi._transfer.parts import MEBI, MIN_RANGE_SIZE
from gcapi._transfer.range_reader import FIRST_RANGE
from gcapi.exceptions import (
    ProgressWarning,
    StatusError,
    StorageError,
    UnexpectedAnswer,
    UnsafeName,
)
from gcapi.progress import ProgressEvent
from tests.support.api_and_store import Pair, answer_of_store, asked, broken, served
from tests.support.api_objects import DICOM_IMAGE, PK, socket_value
from tests.support.data import everything_below
from tests.support.loopback import TOKEN, Answer, Loopback, Script, Seen, connect, in_turn

CONTENT = random.Random(4).randbytes(FIRST_RANGE + MIN_RANGE_SIZE + MEBI)
#: Seconds within which something has to happen that takes no time.
SOON = 20
#: A program that downloads a file to a directory.
PROGRAM = """
import resource, signal, ssl, sys
from pathlib import Path
from gcapi import Client
from gcapi.models import ImageFile

signal.signal(signal.SIGINT, signal.default_int_handler)
base_url, url, directory, *names = sys.argv[1:]
fields = {"pk": "p", "image": "p", "image_type": "MHD"}
client = Client("token", base_url=base_url, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

def download(name="a.mha", filename="x"):
    file = ImageFile.from_dict({**fields, "file": f"{url}/{name}"})
    return client.images.download(files=[file], output_directory=directory, filename=filename)
"""


def program(pair: Pair, directory: Path, body: str) -> subprocess.Popen[str]:
    """Start a program that may call `download()`."""
    arguments = [pair.api.base_url, f"{pair.api.origin}/media", str(directory)]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM + body, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def threads() -> list[threading.Thread]:
    """Return the threads of downloads that run."""
    return [one for one in threading.enumerate() if one.name.startswith("gcapi-download")]


@pytest.fixture(autouse=True)
def _no_threads_left() -> Iterator[None]:
    """See that no test leaves a thread."""
    yield
    until(lambda: not threads())


@pytest.fixture
def held() -> Iterator[threading.Event]:
    """Give what a server waits for; it is let go at the end."""
    event = threading.Event()
    yield event
    event.set()


# ---------------------------------------------------------------- interrupted


@pytest.mark.parametrize("where", ["first answer", "first stream", "later stream"])
def test_interrupted_program_ends_and_leaves_nothing(
    tmp_path: Path, held: threading.Event, where: str
) -> None:
    """Ctrl-C ends a program whose server says no more, long before its timeout, and no part of a file is left."""
    reached = threading.Event()

    def script(seen: Seen) -> Answer:
        answer = answer_of_store(seen, CONTENT)
        is_later = asked(seen) != (0, FIRST_RANGE)
        if where == "first answer":
            reached.set()
            held.wait(60)
        if (where == "first stream" and not is_later) or (where == "later stream" and is_later):
            reached.set()
            return replace(broken(answer, 700_000), hold=held)
        return answer

    with served(script) as pair:
        running = program(pair, tmp_path, "download()")
        try:
            assert reached.wait(SOON)
            if where != "first answer":
                until(lambda: everything_below(tmp_path))
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
    """After Ctrl-C in a program that goes on, no request of a download is sent, and its threads end."""
    reached = threading.Barrier(3)

    def script(seen: Seen) -> Answer:
        reached.wait(SOON)
        held.wait(60)
        return answer_of_store(seen, CONTENT)

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
        until(lambda: not threads())
        assert time.monotonic() - released < 1
        assert len(pair.store.seen) == 2
    interrupting.join()
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("hold", ["answer", "stream"])
def test_error_does_not_wait_for_other_files(
    tmp_path: Path, held: threading.Event, hold: str
) -> None:
    """The error of one file comes at once, whatever the server has not yet said of another."""

    def script(seen: Seen) -> Answer:
        if "zraw" in seen.path:
            until(lambda: any("mhd" in one.path for one in pair.store.seen))
            return Answer(status=404)
        if hold == "answer":
            held.wait(60)
        return replace(broken(answer_of_store(seen, CONTENT), 600_000), hold=held)

    with served(script) as pair:
        with pytest.raises(StorageError, match="404"):
            # Longer than the time that a test may take.
            pair.download(tmp_path, "a.mhd", "a.zraw", timeout=600)
        assert not held.is_set()
        assert everything_below(tmp_path) == set()
        held.set()
    until(lambda: not threads())
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
    """A progress listener that fails draws one warning, and the file arrives."""
    with served(lambda seen: answer_of_store(seen, CONTENT)) as pair:
        with pytest.warns(ProgressWarning, match="ZeroDivisionError") as caught:
            (path,) = pair.download(tmp_path, progress=fails_at(at, ZeroDivisionError))
        assert len(caught) == 1
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("at", ["first answer", "middle", "end"])
def test_listener_can_interrupt_a_download(tmp_path: Path, at: str) -> None:
    """KeyboardInterrupt in a progress listener ends the call, and leaves nothing."""
    with served(lambda seen: answer_of_store(seen, CONTENT)) as pair:
        with pytest.raises(KeyboardInterrupt):
            pair.download(tmp_path, progress=fails_at(at, KeyboardInterrupt))
        assert everything_below(tmp_path) == set()


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size there")
@pytest.mark.parametrize("limit", [600_000, 3_000_000])
def test_full_disk(tmp_path: Path, limit: int) -> None:
    """A disk that takes no more is an OSError that says so of the file, and nothing is left."""
    body = f"""
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    download()
except OSError as error:
    print(type(error).__name__, error.__notes__)
"""
    with served(lambda seen: answer_of_store(seen, CONTENT)) as pair:
        said, problem = program(pair, tmp_path, body).communicate(timeout=SOON)
    assert "x.mha was not written; no partial file is left" in said, problem
    assert everything_below(tmp_path) == set()


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the place of the directory is an error of the system."""
    (tmp_path / "out").write_text("precious")
    with served(in_turn(Answer(body=b"content"))) as pair, pytest.raises(OSError, match="out"):
        pair.download(tmp_path / "out")
    assert everything_below(tmp_path) == {"out"}


# ---------------------------------------------------------------- connections, files, memory


def recipes(store: Loopback, count: int, frames: int = 1) -> Script:
    """Return an API with a DICOM image of so many instances, each listed once for each frame."""
    instances = [
        {
            "sop_instance_uid": f"1.2.{number}",
            "get_instance": {
                "url": f"{store.origin}/{number}",
                "method": "GET",
                "data": None,
                "headers": {},
            },
        }
        for number in range(count)
        for _ in range(frames)
    ]

    def script(seen: Seen) -> Answer:
        if seen.path.endswith("/dicom/instances/"):
            return Answer(body={"image_set_id": "0" * 32, "instances": instances})
        return Answer(body=DICOM_IMAGE)

    return script


def test_instances_share_few_connections(tmp_path: Path) -> None:
    """Sixty instances go over at most `max_concurrent_downloads` connections, which a second call uses again."""
    with (
        Loopback(lambda seen: answer_of_store(seen, seen.path.encode())) as store,
        Loopback(recipes(store, 60, frames=3)) as api,
        connect(api, max_concurrent_downloads=5) as client,
    ):
        first = client.images.download(pk=PK, output_directory=tmp_path / "a")
        client.images.download(pk=PK, output_directory=tmp_path / "b")
        assert len(store.seen) == 120
        assert store.connections <= 5
        assert api.connections <= 2
    assert [path.name for path in first] == [f"1.2.{number}.dcm" for number in range(60)]
    assert first[7].read_bytes() == b"/7"


def test_files_of_the_api_share_few_connections(tmp_path: Path) -> None:
    """Many small files behind the API use no more connections, on either host."""
    with (
        served(lambda seen: answer_of_store(seen, seen.path.encode())) as pair,
        connect(pair.api, max_concurrent_downloads=3) as client,
    ):
        files = [pair.file(f"a.{number}") for number in range(60)]
        paths = client.images.download(files=files, output_directory=tmp_path, filename="x")
        assert len(paths) == len(pair.store.seen) == len(pair.api.seen) == 60
        assert pair.store.connections <= 3
        assert pair.api.connections <= 3 + 1  # and that of the version check


def test_files_and_ranges_share_the_connections(tmp_path: Path) -> None:
    """Small files and the ranges of large ones fill the same connections."""
    together, later = threading.Barrier(3), threading.Event()

    def script(seen: Seen) -> Answer:
        # The two further ranges of the large file, and a small file at the same time.
        is_first = "large" in seen.path and asked(seen) == (0, FIRST_RANGE)
        if not is_first and not later.is_set():
            together.wait(SOON)
            later.set()
        content = CONTENT if "large" in seen.path else b"small"
        return answer_of_store(seen, content)

    with served(script) as pair, connect(pair.api, max_concurrent_downloads=3) as client:
        files = [pair.file("large.0"), *(pair.file(f"small.{number}") for number in range(1, 9))]
        paths = client.images.download(files=files, output_directory=tmp_path, filename="x")
        assert pair.store.connections <= 3
    assert paths[0].read_bytes() == CONTENT
    assert {path.read_bytes() for path in paths[1:]} == {b"small"}


def test_few_files_are_open_at_once(tmp_path: Path) -> None:
    """However many large files a call has, each is finished before many others are begun."""
    most = 0

    def script(seen: Seen) -> Answer:
        nonlocal most
        most = max(most, len(list(tmp_path.glob(".*.part"))))
        return answer_of_store(seen, CONTENT[: FIRST_RANGE + 1])

    with served(script) as pair, connect(pair.api, max_concurrent_downloads=2) as client:
        files = [pair.file(f"a.{number}") for number in range(20)]
        paths = client.images.download(files=files, output_directory=tmp_path, filename="x")
    assert len({path.read_bytes() for path in paths}) == 1
    assert 1 <= most <= 4


def test_one_connection_is_enough(tmp_path: Path) -> None:
    """With one connection, large files that break and change come one after the other."""
    count = iter(range(1000))

    def script(seen: Seen) -> Answer:
        number = next(count)
        answer = answer_of_store(seen, CONTENT, '"old"' if number < 3 else '"new"')
        return broken(answer, 700_000) if number in {1, 6} else answer

    with served(script) as pair, connect(pair.api, max_concurrent_downloads=1) as client:
        files = [pair.file(f"a.{number}") for number in range(3)]
        paths = client.images.download(files=files, output_directory=tmp_path, filename="x")
        assert pair.store.connections <= 3
    assert [path.read_bytes() == CONTENT for path in paths] == [True] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="where the peak of a process is known")
def test_memory(tmp_path: Path) -> None:
    """A file of 128 MiB needs less than 60 MB of memory."""
    size = 128 * MEBI

    def script(seen: Seen) -> Answer:
        if "small" in seen.path:
            return answer_of_store(seen, b"small")
        start, end = asked(seen) or (0, None)
        end = min(end or size, size)
        headers = {"ETag": '"1"', "Content-Range": f"bytes {start}-{end - 1}/{size}"}
        return Answer(status=206, body=bytes(end - start), headers=headers)

    body = """
def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

download("small.mha", "small")
before = peak()
(path,) = download()
print(path.stat().st_size, peak() - before)
"""
    with served(script) as pair:
        said, problem = program(pair, tmp_path, body).communicate(timeout=60)
    assert said, problem
    written, growth = map(int, said.split())
    assert written == size
    assert growth * 1024 < 60_000_000


# ---------------------------------------------------------------- files that are there already


@pytest.mark.parametrize("existing", ["skip", "overwrite"])
def test_files_that_are_there(tmp_path: Path, existing: str) -> None:
    """A file that is there is left alone without a transfer, or replaced; the others come."""
    (tmp_path / "x.mhd").write_text("old")
    with served(lambda seen: answer_of_store(seen, b"new")) as pair:
        paths = pair.download(tmp_path, "a.mhd", "a.zraw", existing=existing)
        assert len(pair.store.seen) == len(pair.api.seen) == (1 if existing == "skip" else 2)
    assert [path.name for path in paths] == ["x.mhd", "x.zraw"]
    old = "old" if existing == "skip" else "new"
    assert [path.read_text() for path in paths] == [old, "new"]
    assert everything_below(tmp_path) == {"x.mhd", "x.zraw"}


def test_one_file_that_is_there_stops_all(tmp_path: Path) -> None:
    """By default one of several targets that is there is an error before any transfer."""
    (tmp_path / "x.zraw").write_text("old")
    with served(in_turn(Answer(body=b"new"))) as pair:
        with pytest.raises(FileExistsError, match=r"x\.zraw already exists.*existing='skip'"):
            pair.download(tmp_path, "a.mhd", "a.zraw")
        assert pair.api.seen == []
    assert everything_below(tmp_path) == {"x.zraw"}


@pytest.mark.parametrize("fails", [False, True])
def test_old_file_stays_until_the_new_one_is_whole(tmp_path: Path, fails: bool) -> None:
    """A file that is replaced is the old one while the new one comes, and for ever if that fails."""
    target = tmp_path / "x.mha"
    target.write_text("old")
    during = []

    def script(seen: Seen) -> Answer:
        during.append(target.read_bytes())
        if fails and asked(seen) != (0, FIRST_RANGE):
            return Answer(status=500)
        return answer_of_store(seen, CONTENT)

    with served(script) as pair:
        if fails:
            with pytest.raises(StatusError):
                pair.download(tmp_path, existing="overwrite")
        else:
            pair.download(tmp_path, existing="overwrite")
    assert set(during) == {b"old"}
    assert target.read_bytes() == (b"old" if fails else CONTENT)
    assert everything_below(tmp_path) == {"x.mha"}


def test_link_is_replaced_and_not_what_it_leads_to(tmp_path: Path) -> None:
    """Where a link is in the place of the file, overwriting puts the file there."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "x.mha").symlink_to(tmp_path / "precious")
    with served(lambda seen: answer_of_store(seen, b"new")) as pair:
        pair.download(tmp_path, existing="overwrite")
    assert not (tmp_path / "x.mha").is_symlink()
    assert (tmp_path / "precious").read_text() == "precious"


def test_partial_files_have_names_of_their_own(tmp_path: Path) -> None:
    """Two calls for the same file write beside the target under different hidden names, and one of them wins."""
    together, names = threading.Barrier(2), []

    def listener(event: ProgressEvent) -> None:
        if event.done and not event.is_finished:
            together.wait(SOON)
            names.append({path.name for path in tmp_path.iterdir()})

    with served(lambda seen: answer_of_store(seen, CONTENT[:600_000])) as pair:

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


# ---------------------------------------------------------------- names


def test_slug_in_place_of_a_path_stays_in_the_directory(tmp_path: Path) -> None:
    """A socket without a relative path whose slug would leave the directory is refused."""
    with Loopback(in_turn(Answer(body=b"content"))) as server, connect(server) as client:
        value = socket_value("", value=3)
        value.interface.slug = "../x"
        with pytest.raises(UnsafeName):
            client.download_socket_value(value, output_directory=tmp_path / "out")
    assert everything_below(tmp_path) == set()


def test_headers_that_cannot_be_sent() -> None:
    """A recipe whose headers would be another request's, or are no text, is refused."""
    for headers in ({"A": "b\r\nC: d"}, {"A": "ü"}, {"A\n": "b"}):
        with pytest.raises(UnexpectedAnswer):
            check_signed_request({"url": "https://gc.localhost/", "headers": headers}, TOKEN)
