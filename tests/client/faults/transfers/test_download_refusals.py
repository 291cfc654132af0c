"""Downloads from stores that refuse, send wrong bytes, or whose presigned URLs expire."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gcapi._transfer.range_reader import FIRST_RANGE
from gcapi.exceptions import (
    PermissionDenied,
    StorageError,
    TransferError,
)
from tests.support.api_objects import image_file
from tests.support.data import everything_below
from tests.support.download_faults import BYTES, LARGE, SMALL, assert_fails, start_of, store_of
from tests.support.servers.api_and_store import asked, broken, served, store_answer
from tests.support.servers.loopback import Answer, Loopback, Script, Seen, connect, in_turn

pytestmark = pytest.mark.usefixtures("no_resume_delay")


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


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
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


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
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


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
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
