"""Uploads against a store and an API that fail in every way, over real sockets.

Longer than 500 lines: a catalogue of ways to fail, whose server is scripted anew for each.
"""

from __future__ import annotations

import functools
import io
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import Client
from gcapi._transfer.multipart import CHECKSUM_ATTEMPTS, COMPLETE_PAUSES
from gcapi._transfer.parts import MEBI, split
from gcapi._transfer.upload_sources import BytesSource, FileObjectSource, PathSource, Source
from gcapi.exceptions import (
    ProgressWarning,
    StatusError,
    StorageError,
    TransferError,
    UnexpectedAnswer,
    UploadInterrupted,
)
from gcapi.progress import ProgressEvent
from gcapi.retries import PatientStrategy
from tests.support.api_and_store import (
    UploadServer,
    etag_of,
    own_threads,
    upload,
    upload_and_part,
)
from tests.support.data import DEADLINE
from tests.support.loopback import NO_RETRIES, TOKEN, Answer, Seen

#: Parts are so small here, in bytes, that a file of a few kilobytes has several.
PART = 1000
CONTENT = os.urandom(4 * PART + 123)
REFUSED = Answer(
    status=403,
    body=b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
)
RESET = Answer(reset=True)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let parts be small."""
    monkeypatch.setattr("gcapi._transfer.parts.MIN_PART_SIZE", PART)
    monkeypatch.setattr("gcapi._transfer.uploads.MIN_PART_SIZE", PART)
    monkeypatch.setattr("gcapi._transfer.parts.STREAM_PART_SIZE", PART)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    """Check after every test that uploads have ended their threads."""
    yield
    assert own_threads() == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file of five parts."""
    file = tmp_path / "a.bin"
    file.write_bytes(CONTENT)
    return file


SOURCES: dict[str, Callable[[Path], Source]] = {
    "path": PathSource,
    "bytes": lambda path: BytesSource(path.read_bytes(), path.name),
    "file object": lambda path: FileObjectSource(io.BytesIO(path.read_bytes()), path.name),
}


def numbers(server: UploadServer) -> list[int]:
    """Return the part numbers that arrived, ordered."""
    return sorted(number for _, number in server.puts())


def first_time(answer: Answer, number: int, times: int = 1) -> Callable[[int, Seen], Answer | None]:
    """Give an answer the first times that a part comes."""
    left, lock = [times], threading.Lock()

    def on_put(at: int, _: Seen) -> Answer | None:
        with lock:
            if at != number or not left[0]:
                return None
            left[0] -= 1
            return answer

    return on_put


# ---------------------------------------------------------------- how many at once


class Crowd:
    """Hold the first parts back until as many as there are connections have come; count those under way."""

    def __init__(self, connections: int) -> None:
        self.most = 0
        self._here = 0
        self._lock = threading.Lock()
        self._left = connections
        self._barrier = threading.Barrier(connections)

    def __call__(self, _: int, __: Seen) -> None:
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
            self._left -= 1
            is_first = self._left >= 0
        if is_first:
            self._barrier.wait(DEADLINE)
        with self._lock:
            self._here -= 1


@pytest.mark.parametrize("connections", [1, 3, 8])
@pytest.mark.parametrize("kind", ["one large", "two hundred small", "both", "file objects"])
def test_connections_are_filled(kind: str, connections: int, tmp_path: Path) -> None:
    """One large file and two hundred small ones both use every connection to the store, and never one more."""
    large, crowd = tmp_path / "large.bin", Crowd(connections)
    large.write_bytes(bytes(40 * PART))
    small = [BytesSource(b"small", f"{number}.bin") for number in range(200)]
    sources: dict[str, list[Source]] = {
        "one large": [PathSource(large)],
        "two hundred small": [*small],
        "both": [PathSource(large), *small],
        "file objects": [
            FileObjectSource(io.BytesIO(bytes(3 * PART)), f"{number}") for number in range(30)
        ],
    }
    with (
        UploadServer(crowd) as server,
        server.client(max_concurrent_uploads=connections) as client,
    ):
        made = upload(client, *sources[kind])
    assert [one.filename for one in made] == [source.name for source in sources[kind]]
    assert {one["status"] for one in server.uploads.values()} == {"Completed"}
    assert crowd.most == connections
    if kind == "one large":
        assert len(server.puts()) % connections == 0


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("fault", [Answer(status=503), RESET], ids=["503", "reset"])
def test_repeated_part_is_read_again(kind: str, fault: Answer, path: Path) -> None:
    """A part that is sent again is sent whole, from its beginning, and nothing else is sent again."""
    with (
        UploadServer(first_time(fault, 1)) as server,
        server.client(max_concurrent_uploads=5) as client,
    ):
        (made,) = upload(client, SOURCES[kind](path))
    assert server.content(made.pk) == CONTENT
    first, second = [seen.body for seen in server.store.seen if upload_and_part(seen)[1] == 1]
    assert first == second == server.parts[made.pk][1]
    assert numbers(server) == [1, *sorted(server.parts[made.pk])]


def test_part_whose_connection_breaks_is_tried_a_few_times(path: Path) -> None:
    """A network that is gone for a moment is waited for, as the retry strategy says."""
    breaks = 4
    at_once = functools.partial(PatientStrategy, backoff_factor=0.0)
    with (
        UploadServer(first_time(RESET, 2, breaks)) as server,
        server.client(max_concurrent_uploads=5, retry_strategy=at_once) as client,
    ):
        (made,) = upload(client, PathSource(path))
    assert server.content(made.pk) == CONTENT
    assert numbers(server).count(2) == breaks + 1


def test_empty_sources_are_one_empty_part(tmp_path: Path) -> None:
    """Whatever it comes from, a file without bytes is uploaded as one empty part."""
    path = tmp_path / "empty.bin"
    path.touch()
    with UploadServer() as server, server.client() as client:
        upload(client, *(make(path) for make in SOURCES.values()))
    assert [seen.body for seen in server.store.seen] == [b"", b"", b""]
    assert {len(parts) for parts in server.parts.values()} == {1}


def test_file_object_that_cannot_seek_has_several_parts() -> None:
    """A file object that only reads, and little at a time, arrives whole in full parts."""

    class Socket:
        def __init__(self) -> None:
            self._file = io.BytesIO(CONTENT)

        def read(self, size: int) -> bytes:
            return self._file.read(min(size, 77))

    with UploadServer() as server, server.client() as client:
        made = client.uploads.upload_fileobj(fileobj=Socket(), filename="a.bin")
    assert server.content(made.pk) == CONTENT
    assert [len(data) for _, data in sorted(server.parts[made.pk].items())] == [PART] * 4 + [123]


def test_refusal_ends_an_endless_file_object() -> None:
    """A file object is not read on when one of its parts was refused."""

    class Endless:
        parts = 0

        def read(self, size: int) -> bytes:
            self.parts += 1
            return bytes(size)

    endless = Endless()
    with (
        UploadServer(lambda *_: REFUSED) as server,
        server.client(max_concurrent_uploads=2) as client,
        pytest.raises(StorageError, match="AccessDenied"),
    ):
        client.uploads.upload_fileobj(fileobj=endless, filename="a.bin")
    # Two under way, and two that wait.
    assert endless.parts <= 5
    assert server.steps[-1] == "abort-multipart-upload"


def test_file_objects_are_read_no_faster_than_they_are_sent() -> None:
    """While no part is answered, at most two for each connection are read, however many file objects there are."""
    read, lock, full = [0], threading.Lock(), threading.Event()

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            with lock:
                read[0] += bool(data)
                if read[0] >= 4:
                    full.set()
            return data

    most: list[int] = []

    def on_put(_: int, __: Seen) -> None:
        assert full.wait(DEADLINE)
        with lock:
            most.append(read[0])

    with UploadServer(on_put) as server, server.client(max_concurrent_uploads=2) as client:
        client.uploads.upload_multiple_fileobj(
            file_objects=[Counted(CONTENT) for _ in range(5)], filenames=list("abcde")
        )
    # When the n-th part is answered, no more than the n before it have made room.
    assert all(count <= 4 + answered for answered, count in enumerate(most, start=1))
    assert {server.content(pk) for pk in server.uploads} == {CONTENT}


# ---------------------------------------------------------------- URLs


def test_urls_are_asked_for_late_and_in_batches(path: Path) -> None:
    """URLs are asked for as many at once as there are connections, when the first of them is needed."""
    with UploadServer() as server, server.client(max_concurrent_uploads=2) as client:
        when: list[tuple[int, int]] = []
        server.after = lambda step, _: (
            when.append((len(server.asked[-1]), len(server.store.seen)))
            if step == "generate-presigned-urls"
            else None
        )
        path.write_bytes(bytes(12 * PART))
        client.uploads._uploads._run(_planned(client, PathSource(path)))
    assert sorted(server.asked) == [[number, number + 1] for number in range(1, 13, 2)]
    # All parts before have been sent, apart from those that the other three threads have.
    assert [sent for _, sent in when] == sorted(sent for _, sent in when)
    assert all(sent >= 2 * at - 3 for at, (_, sent) in enumerate(when))


def _planned(client: Client, source: PathSource) -> list[Any]:
    """Return a file in parts of `PART`, however many connections there are."""
    file = client.uploads._uploads._file(source)
    file.plan(split(source.size or 0, PART))
    return [file]


def test_expired_url_is_asked_for_once_more(path: Path) -> None:
    """A part that is answered 403 gets a fresh URL of its own, and arrives."""
    with (
        UploadServer(first_time(REFUSED, 3)) as server,
        server.client(max_concurrent_uploads=5) as client,
    ):
        (made,) = upload(client, PathSource(path))
    assert server.content(made.pk) == CONTENT
    assert server.asked == [[1, 2, 3, 4, 5], [3]]
    assert numbers(server) == [1, 2, 3, 3, 4, 5]


def test_second_refusal_shows_the_words_of_the_store(path: Path) -> None:
    """A fresh URL that is refused too is an error with the store's words, which names a proxy as a cause."""
    with (
        UploadServer(lambda number, _: REFUSED if number == 3 else None) as server,
        server.client(max_concurrent_uploads=5) as client,
        pytest.raises(StorageError, match=r"403.*AccessDenied: Request has expired") as refused,
    ):
        upload(client, PathSource(path))
    assert any("proxy" in note for note in refused.value.__notes__)
    assert "Signature" not in str(refused.value)
    assert numbers(server).count(3) == 2
    assert server.count("abort-multipart-upload") == 1


def test_other_refusals_do_not_blame_a_proxy(path: Path) -> None:
    """A store that answers a fresh URL with something else than 403 is shown as it is."""
    answers = iter([REFUSED, Answer(status=400, body=b"<Error><Code>BadDigest</Code></Error>")])
    with (
        UploadServer(lambda *_: next(answers)) as server,
        server.client(max_concurrent_uploads=1) as client,
        pytest.raises(StorageError, match="BadDigest") as refused,
    ):
        upload(client, PathSource(path))
    assert getattr(refused.value, "__notes__", []) == []


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        ({"99": "https://store/99"}, "no URL for part"),
        (None, "no URLs"),
        ({"one": "https://store/1"}, "no URLs"),
        ({str(number): "https://store:99999/" for number in range(1, 100)}, "invalid URL"),
    ],
)
def test_missing_url_is_an_unexpected_answer(path: Path, urls: Any, words: str) -> None:
    """A server that signs other parts than it was asked for, or gives no addresses, is told so."""

    def other(step: str, seen: Seen) -> Answer | None:
        if step != "generate-presigned-urls":
            return None
        pk = seen.path.split("/")[4]
        return Answer(body={**server.uploads[pk], "presigned_urls": urls})

    with (
        UploadServer(before=other) as server,
        server.client() as client,
        pytest.raises(UnexpectedAnswer, match=words),
    ):
        upload(client, PathSource(path))


# ---------------------------------------------------------------- checksums


def garbled(number: int, times: int) -> Callable[[int, Seen], Answer | None]:
    """Answer with the ETag of other bytes, the first times that a part comes."""
    return first_time(Answer(headers={"ETag": etag_of(b"other")}), number, times)


@pytest.mark.parametrize("kind", SOURCES)
def test_garbled_part_is_sent_again(kind: str, path: Path) -> None:
    """Only the part whose ETag is the MD5 of something else is sent again."""
    with (
        UploadServer(garbled(2, CHECKSUM_ATTEMPTS - 1)) as server,
        server.client(max_concurrent_uploads=5) as client,
    ):
        (made,) = upload(client, SOURCES[kind](path))
    assert server.content(made.pk) == CONTENT
    assert Counter(numbers(server)) == {1: 1, 2: CHECKSUM_ATTEMPTS, 3: 1, 4: 1, 5: 1}


def test_part_that_stays_garbled_is_given_up(path: Path) -> None:
    """A part that arrives garbled three times is an error, and the upload is aborted."""
    with (
        UploadServer(garbled(2, 99)) as server,
        server.client(max_concurrent_uploads=5) as client,
        pytest.raises(TransferError, match=r"Part 2 of 'a.bin' .* another checksum 3 times"),
    ):
        upload(client, PathSource(path))
    assert numbers(server).count(2) == CHECKSUM_ATTEMPTS
    assert server.steps[-1] == "abort-multipart-upload"


@pytest.mark.parametrize("etag", ['"d41d8cd98f00b204e9800998ecf8427e-2"', "opaque", '"é"'])
def test_etag_that_is_no_md5_is_taken(etag: str, path: Path) -> None:
    """A store whose ETags are something else, as with server-side keys, is believed."""
    with (
        UploadServer(lambda *_: Answer(headers={"ETag": etag})) as server,
        server.client() as client,
    ):
        upload(client, PathSource(path))
    assert numbers(server) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("bare", [True, False])
def test_etags_with_and_without_quotes_are_compared(bare: bool, path: Path) -> None:
    """An MD5 is one in quotes or without, in letters of either case."""

    def on_put(_: int, seen: Seen) -> Answer:
        etag = etag_of(seen.body)
        return Answer(headers={"ETag": etag.strip('"') if bare else etag.upper()})

    with UploadServer(on_put) as server, server.client() as client:
        upload(client, PathSource(path))
    assert numbers(server) == [1, 2, 3, 4, 5]


# ---------------------------------------------------------------- completing


def test_complete_sends_etags_and_numbers_only(path: Path) -> None:
    """The parts are named in ascending order by the two fields that the server takes."""
    with UploadServer() as server, server.client() as client:
        (made,) = upload(client, PathSource(path))
    parts = server.parts[made.pk]
    assert server.completed_with == [
        {
            "parts": [
                {"ETag": etag_of(data), "PartNumber": number}
                for number, data in sorted(parts.items())
            ]
        }
    ]


@pytest.mark.parametrize("lost", [RESET, Answer(status=502), Answer(status=504)])
def test_lost_answer_of_complete_is_found_out(lost: Answer, path: Path) -> None:
    """When the upload was completed and the answer lost, its status says so, and it is not completed again."""

    def lose(step: str, _: Seen) -> Answer | None:
        return lost if step == "complete-multipart-upload" else None

    with UploadServer(after=lose) as server, server.client() as client:
        (made,) = upload(client, PathSource(path))
    assert made.status == "Completed"
    assert server.count("complete-multipart-upload") == 1
    assert server.steps[-1] == "detail"


@pytest.mark.parametrize("lost", [RESET, Answer(status=503)])
def test_complete_that_did_not_happen_is_tried_again(lost: Answer, path: Path) -> None:
    """When the status says that the upload is not complete, completing it is tried again."""
    left = [len(COMPLETE_PAUSES)]

    def lose(step: str, _: Seen) -> Answer | None:
        if step != "complete-multipart-upload" or not left[0]:
            return None
        left[0] -= 1
        return lost

    with UploadServer(before=lose) as server, server.client() as client:
        (made,) = upload(client, PathSource(path))
    assert made.status == "Completed"
    assert server.count("complete-multipart-upload") == 1 + len(COMPLETE_PAUSES)


def test_complete_that_fails_is_an_error(path: Path) -> None:
    """A 500 that left the upload unfinished is raised, and the upload aborted."""
    with (
        UploadServer(before=only("complete-multipart-upload", Answer(status=500))) as server,
        server.client() as client,
        pytest.raises(StatusError, match="500"),
    ):
        upload(client, PathSource(path))
    assert server.count("complete-multipart-upload") == 1
    assert server.steps[-2:] == ["detail", "abort-multipart-upload"]


def test_complete_that_never_comes_through_is_an_interruption(path: Path) -> None:
    """An upload that could not be completed for a while is left to be resumed, with all its parts."""
    with (
        UploadServer(before=only("complete-multipart-upload", Answer(status=503))) as server,
        server.client() as client,
    ):
        with pytest.raises(UploadInterrupted) as caught:
            upload(client, PathSource(path))
        server.before = only("", RESET)
        made = _resumed(client, caught.value)
    assert made.status == "Completed"
    assert numbers(server) == [1, 2, 3, 4, 5]


def only(step: str, answer: Answer) -> Callable[[str, Seen], Answer | None]:
    """Answer one step in the place of the server."""
    return lambda at, _: answer if at == step else None


def _resumed(client: Client, error: BaseException) -> Any:
    """Run the call that an error prints."""
    words = "\n".join([str(error), *getattr(error, "__notes__", [])])
    (call,) = [line.strip() for line in words.splitlines() if ".resume(" in line]
    return eval(call, {"client": client})


# ---------------------------------------------------------------- interruptions


@pytest.mark.parametrize("fault", [RESET, Answer(status=503)], ids=["reset", "503"])
def test_interruption_leaves_the_upload_and_prints_the_call(fault: Answer, path: Path) -> None:
    """When the network or the store is gone, nothing is aborted, and the printed call sends what is missing."""
    with (
        UploadServer(lambda number, _: fault if number == 3 else None) as server,
        server.client(max_concurrent_uploads=1) as client,
    ):
        with pytest.raises(UploadInterrupted, match="Resume it with") as caught:
            client.uploads._uploads._run(_planned(client, PathSource(path)))
        ((pk, name),) = caught.value.uploads.items()
        assert (name, server.uploads[pk]["status"]) == ("a.bin", "Initialized")
        assert sorted(server.parts[pk]) == [1, 2]
        server.on_put = lambda *_: None
        server.store.seen.clear()
        made = _resumed(client, caught.value)
    assert (made.pk, made.status) == (pk, "Completed")
    assert server.content(pk) == CONTENT
    assert numbers(server) == [3, 4, 5]
    assert server.count("uploads") == 1
    assert server.count("abort-multipart-upload") == 0


def test_store_that_is_gone_is_an_interruption(path: Path) -> None:
    """A store that refuses connections is an interruption as well."""
    with UploadServer() as server, server.client() as client:
        server.store.__exit__(None, None, None)
        server._undo.pop_all().push(server.api)
        with pytest.raises(UploadInterrupted) as caught:
            upload(client, PathSource(path))
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert server.count("abort-multipart-upload") == 0


def test_api_that_is_gone_before_anything_began_is_no_interruption(path: Path) -> None:
    """Where no upload exists there is none to resume, and the error is httpx's own."""
    with (
        UploadServer(before=only("uploads", RESET)) as server,
        server.client(retry_strategy=NO_RETRIES) as client,
        pytest.raises(httpx.TransportError),
    ):
        upload(client, PathSource(path))
    assert server.steps == ["uploads"]


def test_interruption_names_every_upload(tmp_path: Path) -> None:
    """All unfinished uploads are named by their pks, also of files of one name; only files that stay can be resumed."""
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
        server.client(max_concurrent_uploads=4, retry_strategy=None) as client,
    ):
        client._transport.strategy_factory = _never
        with pytest.raises(UploadInterrupted) as caught:
            upload(client, *sources)
    assert Counter(caught.value.uploads.values()) == {"a.bin": 2, "b.bin": 1, "copy.bin": 1}
    assert set(caught.value.uploads) == set(server.uploads)
    assert str(caught.value).count("client.uploads.resume(") == 2
    assert all(str(path) in str(caught.value) for path in paths)


def _never() -> Any:
    from gcapi.retries import SelectiveBackoffStrategy

    return SelectiveBackoffStrategy(0.0, 0)


def test_keyboard_interrupt_leaves_the_upload(path: Path) -> None:
    """A KeyboardInterrupt stays one, carries the call that resumes, and aborts nothing."""

    def press(event: ProgressEvent) -> None:
        if event.done == event.total:
            raise KeyboardInterrupt

    with UploadServer() as server:
        with (
            server.client(progress=press, max_concurrent_uploads=1) as client,
            pytest.raises(KeyboardInterrupt) as caught,
        ):
            client.uploads._uploads._run(_planned(client, PathSource(path)))
        assert server.count("abort-multipart-upload") == 0
        server.store.seen.clear()
        with server.client() as client:
            made = _resumed(client, caught.value)
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
    """Ctrl-C while parts are under way is answered at once, by the call that sends the rest."""
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
    """When a later upload cannot be begun, those that were are completed or aborted, and no more are begun."""
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
    """The refusal of one file is raised, and not what it does to a file object before it that is still being read."""

    class Endless:
        def read(self, size: int) -> bytes:
            return bytes(size)

    def refuse(_: int, seen: Seen) -> Answer | None:
        return (
            REFUSED if server.uploads[upload_and_part(seen)[0]]["filename"] == "refused" else None
        )

    sources = [
        FileObjectSource(Endless(), "endless"),
        FileObjectSource(Endless(), "endless too"),
        BytesSource(b"x", "refused"),
    ]
    with (
        UploadServer(refuse) as server,
        server.client(max_concurrent_uploads=3 + attempt) as client,
        pytest.raises(StorageError, match="AccessDenied"),
    ):
        upload(client, *sources)
    assert {one["status"] for one in server.uploads.values()} == {"Aborted"}


def test_file_that_changed_is_aborted(path: Path) -> None:
    """A file that changed before it was completed is not completed."""

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
    """Whatever comes of aborting, the error that is raised is the one that led to it."""
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
    """Where the system gives no thread the call fails, rather than wait for one for ever."""
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
    """Through repeats, refusals and checksums, no file says more than it has, and each ends at its total."""
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
    """Every file of a call is announced with its size before the first request."""
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
    """What a failed call leaves unfinished is told as given up, and what was finished is not."""
    heard: list[ProgressEvent] = []
    with (
        UploadServer(lambda number, _: REFUSED if number == 5 else None) as server,
        server.client(progress=heard.append, max_concurrent_uploads=1) as client,
        pytest.raises(StorageError),
    ):
        client.uploads._uploads._run(_planned(client, PathSource(path)))
    last = heard[-1]
    # The last part was handed out whole before the answer came.
    assert last.given_up == (last.done != last.total)
