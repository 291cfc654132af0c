"""Uploads against a store and an API that fail: parts, presigned URLs, checksums and completion."""

from __future__ import annotations

import functools
import hashlib
import io
import threading
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gcapi._transfer.multipart import CHECKSUM_ATTEMPTS, COMPLETE_PAUSES
from gcapi._transfer.upload_sources import BytesSource, FileObjectSource, PathSource, Source
from gcapi.exceptions import (
    StatusError,
    StorageError,
    TransferError,
    UnexpectedAnswer,
    UploadInterrupted,
)
from gcapi.retries import PatientStrategy
from tests.support.data import DEADLINE
from tests.support.servers.api_and_store import (
    UploadServer,
    etag_of,
    upload,
    upload_and_part,
)
from tests.support.servers.loopback import Answer, Seen
from tests.support.upload_faults import (
    CONTENT,
    PART,
    REFUSED,
    RESET,
    SOURCES,
    first_time,
    garbled,
    numbers,
    only,
    planned,
    resumed,
)

pytestmark = pytest.mark.usefixtures("small_parts", "no_thread_is_left")


# ---------------------------------------------------------------- how many at once


class Crowd:
    """Hold the first parts until every connection has one, and count the parts that are sent at once."""

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
    """One large file and two hundred small ones use all connections to the store, and never more."""
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
    # Not of all uploads: a busy machine may lose the answer to a creation, which is then repeated.
    assert {server.uploads[one.pk]["status"] for one in made} == {"Completed"}
    assert crowd.most == connections
    if kind == "one large":
        assert len(server.puts()) % connections == 0


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("fault", [Answer(status=503), RESET], ids=["503", "reset"])
def test_repeated_part_is_read_again(kind: str, fault: Answer, path: Path) -> None:
    """A retried part is sent whole, and no other part is sent again."""
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
    """A part whose connection breaks is retried as the retry strategy says."""
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
    """An empty source of any kind is uploaded as one empty part."""
    path = tmp_path / "empty.bin"
    path.touch()
    with UploadServer() as server, server.client() as client:
        upload(client, *(make(path) for make in SOURCES.values()))
    assert [seen.body for seen in server.store.seen] == [b"", b"", b""]
    assert {len(parts) for parts in server.parts.values()} == {1}


def test_file_object_that_cannot_seek_has_several_parts() -> None:
    """A file object that is not seekable and returns few bytes at a time is uploaded in full parts."""

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
    """A file object is not read any further after one of its parts was refused."""

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
    """At most two parts per connection are read ahead, whatever the number of file objects."""
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
    """Presigned URLs are requested in batches of the number of connections, when the first of a batch is needed."""
    with UploadServer() as server, server.client(max_concurrent_uploads=2) as client:
        when: list[tuple[int, int]] = []
        server.after = lambda step, _: (
            when.append((len(server.asked[-1]), len(server.store.seen)))
            if step == "generate-presigned-urls"
            else None
        )
        path.write_bytes(bytes(12 * PART))
        client.uploads._uploads._run(planned(client, PathSource(path)))
    assert sorted(server.asked) == [[number, number + 1] for number in range(1, 13, 2)]
    # All parts before have been sent, apart from those that the other three threads have.
    assert [sent for _, sent in when] == sorted(sent for _, sent in when)
    assert all(sent >= 2 * at - 3 for at, (_, sent) in enumerate(when))


def test_expired_url_is_asked_for_once_more(path: Path) -> None:
    """A part that is refused with 403 is sent again with a fresh URL."""
    with (
        UploadServer(first_time(REFUSED, 3)) as server,
        server.client(max_concurrent_uploads=5) as client,
    ):
        (made,) = upload(client, PathSource(path))
    assert server.content(made.pk) == CONTENT
    assert server.asked == [[1, 2, 3, 4, 5], [3]]
    assert numbers(server) == [1, 2, 3, 3, 4, 5]


def test_second_refusal_shows_the_words_of_the_store(path: Path) -> None:
    """If a fresh URL is refused too, the error quotes the store and names a proxy as a possible cause."""
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
    """If a fresh URL is refused with another status, the error does not mention a proxy."""
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
    """Missing or invalid presigned URLs raise `UnexpectedAnswer`."""

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


@pytest.mark.parametrize("kind", SOURCES)
def test_garbled_part_is_sent_again(kind: str, path: Path) -> None:
    """Only the part with a wrong checksum is sent again."""
    with (
        UploadServer(garbled(2, CHECKSUM_ATTEMPTS - 1)) as server,
        server.client(max_concurrent_uploads=5) as client,
    ):
        (made,) = upload(client, SOURCES[kind](path))
    assert server.content(made.pk) == CONTENT
    assert Counter(numbers(server)) == {1: 1, 2: CHECKSUM_ATTEMPTS, 3: 1, 4: 1, 5: 1}


def test_part_that_stays_garbled_is_given_up(path: Path) -> None:
    """A part with a wrong checksum three times raises an error, and the upload is aborted."""
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
    """ETags that are no MD5, as with server-side encryption, are accepted."""
    with (
        UploadServer(lambda *_: Answer(headers={"ETag": etag})) as server,
        server.client() as client,
    ):
        upload(client, PathSource(path))
    assert numbers(server) == [1, 2, 3, 4, 5]


def test_etag_of_an_encrypted_part_is_taken(path: Path) -> None:
    """A store that encrypts with a key of its own has ETags that look like MD5, and each part is sent once."""
    headers = {"ETag": etag_of(b"cipher text"), "x-amz-server-side-encryption": "aws:kms"}
    with UploadServer(lambda *_: Answer(headers=headers)) as server, server.client() as client:
        upload(client, PathSource(path))
    assert numbers(server) == [1, 2, 3, 4, 5]


def test_etags_that_only_look_like_md5_are_found_out(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The store compares a part that it names another ETag for; then its ETags are compared no more, said once."""

    def on_put(_: int, seen: Seen) -> Answer:
        return Answer(headers={"ETag": etag_of(b"key" + seen.body)})

    with UploadServer(on_put) as server, server.client(max_concurrent_uploads=1) as client:
        upload(client, PathSource(path), PathSource(path))
    assert Counter(numbers(server)) == {1: 3}
    first, second, *others = server.store.seen
    assert b64decode(second.header("Content-MD5")) == hashlib.md5(first.body).digest()
    assert not any(seen.header("Content-MD5") for seen in (first, *others))
    (record,) = [one for one in caplog.records if "look like MD5" in one.message]
    assert record.levelname == "WARNING"


def test_other_checksum_of_a_part_is_compared(path: Path) -> None:
    """A CRC-32 that the store tells of a part is compared in the place of its ETag."""

    def answer(seen: Seen, *, is_right: bool) -> Answer:
        crc32 = zlib.crc32(seen.body if is_right else b"other")
        told = b64encode(crc32.to_bytes(4, "big")).decode()
        return Answer(headers={"ETag": etag_of(b"key"), "x-amz-checksum-crc32": told})

    with (
        UploadServer(lambda _, seen: answer(seen, is_right=True)) as server,
        server.client() as client,
    ):
        upload(client, PathSource(path))
        assert numbers(server) == [1, 2, 3, 4, 5]
        server.on_put = lambda number, seen: answer(seen, is_right=number != 2)
        with pytest.raises(TransferError, match=r"Part 2 of 'a.bin' .* another checksum 3 times"):
            upload(client, PathSource(path))


@pytest.mark.parametrize("bare", [True, False])
def test_etags_with_and_without_quotes_are_compared(bare: bool, path: Path) -> None:
    """An ETag is compared regardless of quotes and case."""

    def on_put(_: int, seen: Seen) -> Answer:
        etag = etag_of(seen.body)
        return Answer(headers={"ETag": etag.strip('"') if bare else etag.upper()})

    with UploadServer(on_put) as server, server.client() as client:
        upload(client, PathSource(path))
    assert numbers(server) == [1, 2, 3, 4, 5]


# ---------------------------------------------------------------- completing


def test_complete_sends_etags_and_numbers_only(path: Path) -> None:
    """Completing sends the number and the ETag of each part in ascending order."""
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
    """If the response to completing is lost and the upload is complete, it is not completed again."""

    def lose(step: str, _: Seen) -> Answer | None:
        return lost if step == "complete-multipart-upload" else None

    with UploadServer(after=lose) as server, server.client() as client:
        (made,) = upload(client, PathSource(path))
    assert made.status == "Completed"
    assert server.count("complete-multipart-upload") == 1
    assert server.steps[-1] == "detail"


@pytest.mark.parametrize("lost", [RESET, Answer(status=503)])
def test_complete_that_did_not_happen_is_tried_again(lost: Answer, path: Path) -> None:
    """If the response to completing is lost and the upload is not complete, completing is retried."""
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
    """A 500 to completing is raised, and the upload is aborted."""
    with (
        UploadServer(before=only("complete-multipart-upload", Answer(status=500))) as server,
        server.client() as client,
        pytest.raises(StatusError, match="500"),
    ):
        upload(client, PathSource(path))
    assert server.count("complete-multipart-upload") == 1
    assert server.steps[-2:] == ["detail", "abort-multipart-upload"]


def test_complete_that_never_comes_through_is_an_interruption(path: Path) -> None:
    """If completing fails for a while, the upload can be resumed with all its parts."""
    with (
        UploadServer(before=only("complete-multipart-upload", Answer(status=503))) as server,
        server.client() as client,
    ):
        with pytest.raises(UploadInterrupted) as caught:
            upload(client, PathSource(path))
        server.before = only("", RESET)
        made = resumed(client, caught.value)
    assert made.status == "Completed"
    assert numbers(server) == [1, 2, 3, 4, 5]
