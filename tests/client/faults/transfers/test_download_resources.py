"""The connections, open files and memory of downloads."""

from __future__ import annotations

import random
import sys
import threading
from pathlib import Path

import pytest

from gcapi._transfer.parts import MEBI, MIN_RANGE_SIZE
from gcapi._transfer.range_reader import FIRST_RANGE
from tests.support.api_objects import DICOM_IMAGE, PK
from tests.support.programs.download_program import start_download_program
from tests.support.servers.api_and_store import asked, broken, served, store_answer
from tests.support.servers.loopback import Answer, Loopback, Script, Seen, connect

CONTENT = random.Random(4).randbytes(FIRST_RANGE + MIN_RANGE_SIZE + MEBI)
#: Seconds after which a test fails that waits for something immediate.
SOON = 20


def dicom_api(store: Loopback, count: int, frames: int = 1) -> Script:
    """Return an API with a DICOM image of `count` instances, each listed once for each frame."""
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
    """Sixty instances use at most `max_concurrent_downloads` connections, which a second call reuses."""
    with (
        Loopback(lambda seen: store_answer(seen, seen.path.encode())) as store,
        Loopback(dicom_api(store, 60, frames=3)) as api,
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
        served(lambda seen: store_answer(seen, seen.path.encode())) as pair,
        connect(pair.api, max_concurrent_downloads=3) as client,
    ):
        files = [pair.file(f"a.{number}") for number in range(60)]
        paths = client.images.download(files=files, output_directory=tmp_path, filename="x")
        assert len(paths) == len(pair.store.seen) == len(pair.api.seen) == 60
        # The first one, and another after each of two broken bodies and of two that are left unread, because the
        # version of their file changed.
        assert pair.store.connections <= 5
        assert pair.api.connections <= 3 + 1  # and that of the version check


def test_files_and_ranges_share_the_connections(tmp_path: Path) -> None:
    """Small files and the ranges of large ones are downloaded at the same time."""
    together, later = threading.Barrier(3), threading.Event()

    def script(seen: Seen) -> Answer:
        # The two further ranges of the large file, and a small file at the same time.
        is_first = "large" in seen.path and asked(seen) == (0, FIRST_RANGE)
        if not is_first and not later.is_set():
            together.wait(SOON)
            later.set()
        content = CONTENT if "large" in seen.path else b"small"
        return store_answer(seen, content)

    with served(script) as pair, connect(pair.api, max_concurrent_downloads=3) as client:
        files = [pair.file("large.0"), *(pair.file(f"small.{number}") for number in range(1, 9))]
        paths = client.images.download(files=files, output_directory=tmp_path, filename="x")
        # The first one, and another after each of two broken bodies and of two that are left unread, because the
        # version of their file changed.
        assert pair.store.connections <= 5
    assert paths[0].read_bytes() == CONTENT
    assert {path.read_bytes() for path in paths[1:]} == {b"small"}


def test_few_files_are_open_at_once(tmp_path: Path) -> None:
    """However many large files a call has, at most two files per connection are open."""
    most = 0

    def script(seen: Seen) -> Answer:
        nonlocal most
        most = max(most, len(list(tmp_path.glob(".*.part"))))
        return store_answer(seen, CONTENT[: FIRST_RANGE + 1])

    with served(script) as pair, connect(pair.api, max_concurrent_downloads=2) as client:
        files = [pair.file(f"a.{number}") for number in range(20)]
        paths = client.images.download(files=files, output_directory=tmp_path, filename="x")
    assert len({path.read_bytes() for path in paths}) == 1
    assert 1 <= most <= 4


def test_one_connection_is_enough(tmp_path: Path) -> None:
    """One connection is enough for several large files, even if they break and change."""
    count = iter(range(1000))

    def script(seen: Seen) -> Answer:
        number = next(count)
        answer = store_answer(seen, CONTENT, '"old"' if number < 3 else '"new"')
        return broken(answer, 700_000) if number in {1, 6} else answer

    with served(script) as pair, connect(pair.api, max_concurrent_downloads=1) as client:
        files = [pair.file(f"a.{number}") for number in range(3)]
        paths = client.images.download(files=files, output_directory=tmp_path, filename="x")
        # The first one, and another after each of two broken bodies and of two that are left unread, because the
        # version of their file changed.
        assert pair.store.connections <= 5
    assert [path.read_bytes() == CONTENT for path in paths] == [True] * 3


@pytest.mark.skipif(sys.platform != "linux", reason="where the peak of a process is known")
def test_memory(tmp_path: Path) -> None:
    """Downloading a file of 128 MiB needs less than 60 MB of memory."""
    size = 128 * MEBI

    def script(seen: Seen) -> Answer:
        if "small" in seen.path:
            return store_answer(seen, b"small")
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
        said, problem = start_download_program(pair, tmp_path, body).communicate(timeout=60)
    assert said, problem
    written, growth = map(int, said.split())
    assert written == size
    assert growth * 1024 < 60_000_000
