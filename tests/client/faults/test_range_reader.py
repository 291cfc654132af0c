"""Downloads over connections that break, from stores that change, expire, refuse or send wrong bytes."""

from __future__ import annotations

import hashlib
import random
import threading
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gcapi._transfer.downloads import MAX_RESTARTS
from gcapi._transfer.parts import MEBI, MIN_RANGE_SIZE
from gcapi._transfer.range_reader import FIRST_RANGE, MAX_RESUMES
from gcapi.exceptions import (
    PermissionDenied,
    StorageError,
    TransferError,
)
from tests.support.api_objects import image_file
from tests.support.data import everything_below
from tests.support.servers.api_and_store import TAG, asked, broken, served, store_answer
from tests.support.servers.loopback import TOKEN, Answer, Loopback, Script, Seen, connect, in_turn

BYTES = random.Random(3).randbytes(16 * MEBI)
SMALL = BYTES[:300_000]
LARGE = BYTES[: FIRST_RANGE + MIN_RANGE_SIZE + 1_000_000]


@pytest.fixture(autouse=True)
def _no_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resume broken streams at once."""
    monkeypatch.setattr("gcapi._transfer.range_reader.RESUME_DELAY", 0.0)


def store_of(content: bytes, tag: str = TAG, **headers: str) -> Script:
    """Return the script of a correct store."""
    return lambda seen: store_answer(seen, content, tag, **headers)


def breaking(content: bytes, *breaks: int, tag: str = TAG) -> Script:
    """Return a store whose first responses each break after the given number of bytes."""
    left = iter(breaks)

    def script(seen: Seen) -> Answer:
        answer, after = store_answer(seen, content, tag), next(left, None)
        return answer if after is None else broken(answer, after)

    return script


def start_of(seen: Seen) -> int:
    """Return the first byte of the requested range."""
    return (asked(seen) or (0, None))[0]


def assert_fails(script: Script, directory: Path, error: type[Exception], match: str = "") -> int:
    """Check that a download assert_fails and leaves nothing, and return the number of requests to the store."""
    with served(script) as pair:
        with pytest.raises(error, match=match):
            pair.download(directory)
        assert everything_below(directory) == set()
        return len(pair.store.seen)


# ---------------------------------------------------------------- ranges

SIZES = [
    *(0, 1, FIRST_RANGE - 1, FIRST_RANGE, FIRST_RANGE + 1),
    *(FIRST_RANGE + MIN_RANGE_SIZE + by for by in (-1, 0, 1)),
    *(FIRST_RANGE + 3 * MIN_RANGE_SIZE + by for by in (-1, 0, 1)),
]


@pytest.mark.parametrize("connections", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_complete(tmp_path: Path, size: int, connections: int) -> None:
    """Around every limit the bytes are right, and each is requested once."""
    with served(store_of(BYTES[:size])) as pair:
        (path,) = pair.download(tmp_path, max_concurrent_downloads=connections)
        ranges = sorted(wanted for wanted in pair.ranges() if wanted)
    assert path.read_bytes() == BYTES[:size]
    assert ranges[0] == (0, FIRST_RANGE)
    ends = [end for _, end in ranges]
    assert [start for start, _ in ranges[1:]] == ends[:-1]
    assert ends[-1] == max(size, FIRST_RANGE)
    assert everything_below(tmp_path) == {"x.mha"}


@pytest.mark.parametrize("size", [1, 300_000, FIRST_RANGE])
def test_small_file_is_one_request(tmp_path: Path, size: int) -> None:
    """A file of up to the first range is one request to the API and one to the store."""
    with served(store_of(BYTES[:size])) as pair:
        pair.download(tmp_path)
    assert (len(pair.api.seen), len(pair.store.seen)) == (1, 1)


def test_ranges_fill_the_connections(tmp_path: Path) -> None:
    """The ranges of a large file are requested at the same time, on as many connections as allowed."""
    content = BYTES + BYTES[:MEBI]  # four of the shortest ranges, and the first
    together = threading.Barrier(4)

    def script(seen: Seen) -> Answer:
        if start_of(seen) > 0:
            together.wait(20)
        return store_answer(seen, content)

    with served(script) as pair:
        (path,) = pair.download(tmp_path, max_concurrent_downloads=4)
        assert (len(pair.store.seen), pair.store.connections) == (5, 4)
    assert path.read_bytes() == content


def test_one_api_request_for_all_ranges(tmp_path: Path) -> None:
    """The API gets one request with the token; the store gets all ranges on the same URL, without the token."""
    with served(store_of(LARGE)) as pair:
        pair.download(tmp_path)
    assert [seen.header("Authorization") for seen in pair.api.seen] == [f"Bearer {TOKEN}"]
    assert len(pair.store.seen) == 3
    assert {seen.path for seen in pair.store.seen} == {"/media/a.mha?X-Amz-Signature=s3cret"}
    assert TOKEN not in str(pair.store.seen)
    assert [seen.header("If-Range") for seen in pair.store.seen] == ["", TAG, TAG]


def test_store_without_ranges(tmp_path: Path) -> None:
    """A store that answers a range request with the whole file gets one request."""
    with served(in_turn(Answer(body=LARGE, headers={"ETag": TAG}))) as pair:
        (path,) = pair.download(tmp_path)
    assert path.read_bytes() == LARGE
    assert len(pair.store.seen) == 1


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_body_without_a_length(tmp_path: Path, size: int) -> None:
    """A chunked body of unannounced length is downloaded completely."""
    heard = []
    with served(in_turn(Answer(body=BYTES[:size], chunked="whole"))) as pair:
        (path,) = pair.download(tmp_path, progress=heard.append)
    assert path.read_bytes() == BYTES[:size]
    assert heard[-1].is_finished
    assert heard[-1].done == size


def test_store_without_validators(tmp_path: Path) -> None:
    """Without a validator, a large file is downloaded in one stream, because its version could change."""
    with served(store_of(LARGE, tag="")) as pair:
        (path,) = pair.download(tmp_path)
        assert pair.ranges() == [(0, FIRST_RANGE), (0, None)]
    assert path.read_bytes() == LARGE


@pytest.mark.parametrize("body", [b"", b"<Error><Code>InvalidRange</Code></Error>"])
def test_empty_file_that_has_no_range(tmp_path: Path, body: bytes) -> None:
    """An empty file for which the store answers 416 is requested again without a range."""

    def script(seen: Seen) -> Answer:
        return Answer(status=416, body=body) if asked(seen) else Answer()

    with served(script) as pair:
        (path,) = pair.download(tmp_path)
    assert path.read_bytes() == b""


# ---------------------------------------------------------------- broken streams


@pytest.mark.parametrize("breaks", [(0,), (1,), (299_999,), (100_000, 0, 50_000, 1, 148_000)])
def test_broken_stream_is_resumed(tmp_path: Path, breaks: tuple[int, ...]) -> None:
    """A broken stream is resumed at the exact byte: none is requested twice, and none is missing."""
    with served(breaking(SMALL, *breaks)) as pair:
        (path,) = pair.download(tmp_path)
        reached = [sum(breaks[:count]) for count in range(len(breaks) + 1)]
        assert pair.ranges() == [
            (0, FIRST_RANGE),
            *((start, len(SMALL)) for start in reached[1:]),
        ]
    assert path.read_bytes() == SMALL
    assert [seen.header("If-Range") for seen in pair.store.seen[1:]] == [TAG] * len(breaks)
    assert len(pair.api.seen) == 1


def test_broken_ranges_are_resumed(tmp_path: Path) -> None:
    """Each broken range is resumed by itself, and progress never exceeds the size of the file."""
    breaks = iter([700_000, 1_000_000, 0, 12_345, 500_000])
    lock, heard = threading.Lock(), []

    def script(seen: Seen) -> Answer:
        answer = store_answer(seen, LARGE)
        with lock:
            after = next(breaks, None)
        return answer if after is None else broken(answer, min(after, len(answer.body) - 1))

    with served(script) as pair:
        (path,) = pair.download(tmp_path, progress=heard.append)
    assert path.read_bytes() == LARGE
    assert [event.done for event in heard] == sorted(event.done for event in heard)
    assert heard[-1].done == heard[-1].total == len(LARGE)


def test_date_is_a_validator(tmp_path: Path) -> None:
    """Without a strong entity tag, the modification date identifies the version."""
    date = "Sun, 22 Nov 2026 00:56:50 GMT"
    scripts = iter([50_000])

    def script(seen: Seen) -> Answer:
        answer = store_answer(seen, SMALL, 'W/"weak"', **{"Last-Modified": date})
        after = next(scripts, None)
        return answer if after is None else broken(answer, after)

    with served(script) as pair:
        (path,) = pair.download(tmp_path)
        assert pair.ranges()[1] == (50_000, len(SMALL))
    assert pair.store.seen[1].header("If-Range") == date
    assert path.read_bytes() == SMALL


def test_connection_that_breaks_before_the_response(tmp_path: Path) -> None:
    """A connection that breaks before the response is retried, for the first request and while resuming."""
    answers = iter(["reset", "reset", 1_000, "reset"])

    def script(seen: Seen) -> Answer:
        match next(answers, None):
            case "reset":
                return Answer(reset=True)
            case int(after):
                return broken(store_answer(seen, SMALL), after)
            case _:
                return store_answer(seen, SMALL)

    with served(script) as pair:
        (path,) = pair.download(tmp_path)
        assert pair.ranges()[3:] == [(1_000, len(SMALL))] * 2
    assert path.read_bytes() == SMALL


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_repeated_breaks_are_an_error(tmp_path: Path, content: bytes) -> None:
    """A stream that breaks again and again ends with a TransferError, and leaves nothing."""
    script = lambda seen: broken(store_answer(seen, content), 10)  # noqa: E731
    count = assert_fails(script, tmp_path, TransferError, "and was resumed")
    assert count >= MAX_RESUMES + 1


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_break_without_a_validator_starts_again(tmp_path: Path, content: bytes) -> None:
    """A broken stream without a validator starts again from the first byte."""
    first = 2 if content is LARGE else 1
    left = iter([None] * (first - 1) + [1_000, 2_000])

    def script(seen: Seen) -> Answer:
        after = next(left, None)
        answer = store_answer(seen, content, "")
        return answer if after is None else broken(answer, after)

    with served(script) as pair:
        (path,) = pair.download(tmp_path)
        assert {wanted[0] for wanted in pair.ranges() if wanted} == {0}
    assert path.read_bytes() == content


def test_broken_chunks_start_again(tmp_path: Path) -> None:
    """A broken body of unknown length starts again from the first byte, a limited number of times."""
    half = Answer(body=SMALL[:5_000], chunked="broken", headers={"ETag": TAG})
    with served(in_turn(half, half, Answer(body=SMALL, chunked="whole"))) as pair:
        (path,) = pair.download(tmp_path)
    assert path.read_bytes() == SMALL
    assert (
        assert_fails(in_turn(half), tmp_path / "again", TransferError, "started again")
        == MAX_RESTARTS + 1
    )


# ---------------------------------------------------------------- changed files


@pytest.mark.parametrize("size", [10, 200_000, len(LARGE), 7 * MEBI])
@pytest.mark.parametrize("former", [SMALL, LARGE])
def test_changed_file_is_the_new_one(tmp_path: Path, former: bytes, size: int) -> None:
    """A file that changes during the download starts again, and the result is the new version."""
    new, count = BYTES[-size:], iter(range(1000))

    def script(seen: Seen) -> Answer:
        if next(count) == 0:
            return broken(store_answer(seen, former), 100_000)
        return store_answer(seen, new, '"second"')

    with served(script) as pair:
        (path,) = pair.download(tmp_path)
    assert path.read_bytes() == new
    assert everything_below(tmp_path) == {"x.mha"}


@pytest.mark.parametrize("length", [len(LARGE), len(LARGE) - 1])
def test_store_that_ignores_the_condition(tmp_path: Path, length: int) -> None:
    """A range of another version is not mixed with the old one, even if the store ignores `If-Range`."""
    new, count = BYTES[-length:], iter(range(1000))

    def script(seen: Seen) -> Answer:
        bare = replace(seen, headers={"Range": seen.header("Range")})
        if next(count) == 0:
            return store_answer(bare, LARGE)
        return store_answer(bare, new, '"second"')

    with served(script) as pair:
        (path,) = pair.download(tmp_path)
    assert path.read_bytes() == new


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_file_that_always_changes(tmp_path: Path, content: bytes) -> None:
    """A file that changes with every request ends with a TransferError, and leaves nothing."""
    count = iter(range(1000))

    def script(seen: Seen) -> Answer:
        answer = store_answer(seen, content, f'"{next(count)}"')
        return broken(answer, 5_000) if content is SMALL else answer

    assert_fails(script, tmp_path, TransferError, "The file changes while it is downloaded")


# ---------------------------------------------------------------- refusals and wrong bytes


@pytest.mark.parametrize("status", [403, 404, 416, 500])
def test_error_while_resuming(tmp_path: Path, status: int) -> None:
    """An error response while resuming is raised with the store's message, and is not written to the file."""
    words = b"<Error><Code>Oops</Code><Message>Not now</Message></Error>"

    def script(seen: Seen) -> Answer:
        if start_of(seen):
            return Answer(status=status, body=words)
        return broken(store_answer(seen, SMALL), 1_000)

    assert_fails(script, tmp_path, StorageError, "Oops: Not now")


def test_error_of_one_range(tmp_path: Path) -> None:
    """When one range is refused, the call raises that error, whatever happens to the other ranges."""

    def script(seen: Seen) -> Answer:
        answer = store_answer(seen, LARGE)
        return Answer(status=500) if start_of(seen) > FIRST_RANGE else answer

    for number in range(10):
        assert_fails(script, tmp_path / str(number), StorageError, "500")


@pytest.mark.parametrize("status", [201, 202, 204, 207])
def test_other_success_is_no_file(tmp_path: Path, status: int) -> None:
    """A successful status other than 200 and 206 is an error."""
    assert assert_fails(in_turn(Answer(status=status)), tmp_path, StorageError, str(status)) == 1


WRONG = [
    "",
    "bytes 1-300000/300001",
    "bytes 0-299999/*",
    "bytes */300000",
    "items 0-299999/300000",
    "bytes 0-299999/" + "9" * 5000,
    "0-299999/300000",
]


@pytest.mark.parametrize("header", WRONG)
def test_wrong_range_is_refused(tmp_path: Path, header: str) -> None:
    """A response with another range than the requested one is a TransferError."""
    answer = Answer(status=206, body=SMALL, headers={"Content-Range": header})
    assert_fails(in_turn(answer), tmp_path, TransferError, "which was not requested")


@pytest.mark.parametrize("header", ["bytes 0-299999/300000", "bytes 999-299999/300000", "x"])
def test_wrong_range_while_resuming_is_refused(tmp_path: Path, header: str) -> None:
    """A response with another range than the missing one is a TransferError."""

    def script(seen: Seen) -> Answer:
        answer = broken(store_answer(seen, SMALL), 1_000)
        start = start_of(seen)
        return replace(answer, headers={"Content-Range": header}) if start else answer

    assert_fails(script, tmp_path, TransferError, "which was not requested")


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_more_than_announced_is_refused(tmp_path: Path, content: bytes) -> None:
    """A range with more bytes than it announced is a TransferError."""

    def script(seen: Seen) -> Answer:
        answer = store_answer(seen, content)
        return replace(answer, body=answer.body + b"more")

    assert_fails(script, tmp_path, TransferError, "more than it announced")


def test_bytes_after_the_announced_length_are_ignored(tmp_path: Path) -> None:
    """Bytes on the connection after the announced length are not part of the file."""
    with served(in_turn(Answer(body=SMALL + b"more", length=len(SMALL)))) as pair:
        (path,) = pair.download(tmp_path)
    assert path.read_bytes() == SMALL


def md5_tag(content: bytes) -> str:
    """Return the entity tag of a file that was uploaded in one part."""
    return f'"{hashlib.md5(content).hexdigest()}"'


def garbling(content: bytes, place: int, times: int = 99) -> Script:
    """Return a store behind a connection that changes a byte to another one each time it sends it."""
    numbers = iter(range(1, 100))

    def script(seen: Seen) -> Answer:
        answer = store_answer(seen, content, md5_tag(content))
        at = place - start_of(seen)
        if not 0 <= at < len(answer.body) or (number := next(numbers)) > times:
            return answer
        body = bytearray(answer.body)
        body[at] ^= number
        return replace(answer, body=bytes(body))

    return script


@pytest.mark.parametrize("status", [200, 206])
def test_other_checksum_is_refused(tmp_path: Path, status: int) -> None:
    """A file in one stream, resumed or not, is compared with the store's MD5 checksum."""
    store = garbling(SMALL, len(SMALL) - 1)

    def script(seen: Seen) -> Answer:
        garbled = replace(store(seen), status=status)
        return garbled if status == 200 or start_of(seen) else broken(garbled, 150_000)

    assert_fails(script, tmp_path, TransferError, "another checksum")


@pytest.mark.parametrize(
    "place", [0, FIRST_RANGE - 1, FIRST_RANGE, len(LARGE) // 2, len(LARGE) - 1]
)
def test_one_garbled_byte_of_a_large_file_is_refused(tmp_path: Path, place: int) -> None:
    """A file in several ranges is compared with the store's MD5 checksum, wherever the wrong byte is."""
    assert_fails(garbling(LARGE, place), tmp_path, TransferError, "another checksum")
    with served(garbling(LARGE, place, times=1)) as pair:
        (path,) = pair.download(tmp_path)
        assert pair.ranges().count((0, FIRST_RANGE)) == 2
    assert path.read_bytes() == LARGE


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_etags_that_only_look_like_md5_are_found_out(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """If the same bytes arrive twice, the store's ETags are compared no more, which is said once."""
    with (
        served(store_of(content, md5_tag(b"cipher text"))) as pair,
        connect(pair.api) as client,
    ):
        for name, count in (("first", 2), ("second", 1)):
            (path,) = client.images.download(
                files=[pair.file()], output_directory=tmp_path, filename=name
            )
            assert path.read_bytes() == content
            assert pair.ranges().count((0, FIRST_RANGE)) == count
            pair.store.seen.clear()
    (record,) = [one for one in caplog.records if "look like MD5" in one.message]
    assert record.levelname == "WARNING"


def test_file_that_the_store_itself_changed_is_refused(tmp_path: Path) -> None:
    """If an ETag of the store was an MD5 checksum before, the same wrong bytes are refused however often they come."""

    def script(seen: Seen) -> Answer:
        return store_answer(seen, SMALL, md5_tag(SMALL if "good" in seen.path else b"other"))

    with served(script) as pair, connect(pair.api) as client:
        for name in ("good", "bad", "good-too"):
            files = [pair.file(f"{name}.mha")]
            if name == "bad":
                with pytest.raises(TransferError, match="another checksum"):
                    client.images.download(
                        files=files, output_directory=tmp_path / name, filename=name
                    )
            else:
                client.images.download(files=files, output_directory=tmp_path, filename=name)
        assert everything_below(tmp_path) == {"good.mha", "good-too.mha"}


@pytest.mark.parametrize("content", [SMALL, LARGE])
def test_etags_of_encrypted_files_are_not_compared(tmp_path: Path, content: bytes) -> None:
    """A store that encrypts with a key of its own has ETags that look like MD5, and the file is accepted."""
    headers = {"x-amz-server-side-encryption": "aws:kms"}
    with served(store_of(content, md5_tag(b"cipher text"), **headers)) as pair:
        (path,) = pair.download(tmp_path)
    assert path.read_bytes() == content
    headers["x-amz-checksum-sha256"] = b64encode(hashlib.sha256(b"other").digest()).decode()
    script = store_of(content, md5_tag(b"cipher text"), **headers)
    assert_fails(script, tmp_path / "other", TransferError, "another checksum")


@pytest.mark.parametrize(
    "tag", ["", md5_tag(SMALL), '"0123-3"', f"W/{md5_tag(b'')}", '"' + "0" * 40 + '"', "\xff"]
)
def test_tags_that_are_no_checksum(tmp_path: Path, tag: str) -> None:
    """A correct MD5 checksum is accepted, and other entity tags are not compared."""
    with served(store_of(SMALL, tag)) as pair:
        (path,) = pair.download(tmp_path)
    assert path.read_bytes() == SMALL


# ---------------------------------------------------------------- expired URLs


def expiring(
    content: bytes, is_good: Callable[[str, Seen], bool]
) -> tuple[Script, Callable[[str], Script]]:
    """Return a store that refuses some presigned URLs, and an API that gives a new one with each request."""
    count = iter(range(1, 100))

    def store(seen: Seen) -> Answer:
        number = seen.path.rpartition("=")[2]
        if is_good(number, seen):
            return store_answer(seen, content)
        return Answer(status=403, body=b"<Error><Message>Request has expired</Message></Error>")

    def api(origin: str) -> Script:
        return lambda _: Answer(
            status=302, headers={"Location": f"{origin}/a?X-Amz-Signature={next(count)}"}
        )

    return store, api


@pytest.mark.parametrize(
    "is_good",
    [
        pytest.param(lambda number, _: number != "1", id="the first request"),
        pytest.param(
            lambda number, seen: number != "1" or asked(seen) == (0, FIRST_RANGE), id="later ranges"
        ),
    ],
)
def test_expired_url_is_renewed(tmp_path: Path, is_good: Callable[[str, Seen], bool]) -> None:
    """A presigned URL that has expired is renewed once, for all ranges."""
    content = BYTES
    store_script, api_script = expiring(content, is_good)
    with (
        Loopback(store_script) as store,
        Loopback(api_script(store.origin)) as api,
        connect(api, max_concurrent_downloads=4) as client,
    ):
        (path,) = client.images.download(
            files=[image_file(f"{api.origin}/media/a.mha")], output_directory=tmp_path, filename="x"
        )
    assert path.read_bytes() == content
    assert len(api.seen) == 2


@pytest.mark.parametrize("good", [0, 1])
def test_fresh_url_that_is_refused_is_an_error(tmp_path: Path, good: int) -> None:
    """A presigned URL that is refused although it is fresh is not renewed again."""
    count = iter(range(100))

    def script(seen: Seen) -> Answer:
        if next(count) < good:
            return broken(store_answer(seen, SMALL), 1_000)
        return Answer(status=403, body=b"<Error><Message>Request has expired</Message></Error>")

    with served(script) as pair:
        with pytest.raises(StorageError, match="Request has expired"):
            pair.download(tmp_path)
        assert (len(pair.api.seen), len(pair.store.seen)) == (2, 2 + good)
    assert everything_below(tmp_path) == set()


def test_refusal_by_the_api_is_final(tmp_path: Path) -> None:
    """A 403 from the API is not retried."""
    with served(in_turn(Answer()), in_turn(Answer(status=403, body={"detail": "No."}))) as pair:
        with pytest.raises(PermissionDenied):
            pair.download(tmp_path)
        assert (len(pair.api.seen), len(pair.store.seen)) == (1, 0)
    assert everything_below(tmp_path) == set()
