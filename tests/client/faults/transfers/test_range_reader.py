"""Downloads in byte ranges, over connections that break, and of files that change meanwhile."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from gcapi._transfer.downloads import MAX_RESTARTS
from gcapi._transfer.parts import MEBI, MIN_RANGE_SIZE
from gcapi._transfer.range_reader import FIRST_RANGE, MAX_RESUMES
from gcapi.exceptions import (
    TransferError,
)
from tests.support.data import everything_below
from tests.support.download_faults import BYTES, LARGE, SMALL, assert_fails, start_of, store_of
from tests.support.servers.api_and_store import TAG, asked, broken, served, store_answer
from tests.support.servers.loopback import TOKEN, Answer, Script, Seen, in_turn

pytestmark = pytest.mark.usefixtures("no_resume_delay")


def breaking(content: bytes, *breaks: int, tag: str = TAG) -> Script:
    """Return a store whose first responses each break after the given number of bytes."""
    left = iter(breaks)

    def script(seen: Seen) -> Answer:
        answer, after = store_answer(seen, content, tag), next(left, None)
        return answer if after is None else broken(answer, after)

    return script


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


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_repeated_breaks_are_an_error(tmp_path: Path, content: bytes) -> None:
    """A stream that breaks again and again ends with a TransferError, and leaves nothing."""
    script = lambda seen: broken(store_answer(seen, content), 10)  # noqa: E731
    count = assert_fails(script, tmp_path, TransferError, "and was resumed")
    assert count >= MAX_RESUMES + 1


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
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
@pytest.mark.parametrize("former", [SMALL, LARGE], ids=["small", "large"])
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


@pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])
def test_file_that_always_changes(tmp_path: Path, content: bytes) -> None:
    """A file that changes with every request ends with a TransferError, and leaves nothing."""
    count = iter(range(1000))

    def script(seen: Seen) -> Answer:
        answer = store_answer(seen, content, f'"{next(count)}"')
        return broken(answer, 5_000) if content is SMALL else answer

    assert_fails(script, tmp_path, TransferError, "The file changes while it is downloaded")
