"""Hostile servers: endless, compressed, malformed and redirecting responses are bounded errors without the token."""

from __future__ import annotations

import gzip
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from uuid import UUID

import httpx
import pytest

from gcapi import Client
from gcapi._api.operations import Calls
from gcapi._http.bounded_read import MAX_ERROR_BODY_BYTES
from gcapi._http.settings import Settings
from gcapi._http.transport import Transport
from gcapi._util.user_warnings import warn_user
from gcapi.exceptions import (
    GCAPIError,
    SpecError,
    StatusError,
    UnexpectedAnswer,
)
from gcapi.retries import check_factory
from grand_challenge_api import api
from tests.support.api_objects import ARCHIVE_ITEM, JOB
from tests.support.servers.loopback import (
    NO_RETRIES,
    RAW_CHUNK,
    TOKEN,
    Answer,
    Loopback,
    Script,
    Seen,
    connect,
    in_turn,
    raw_response,
)

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
JSON = {"Content-Type": "application/json"}
EMPTY = b'{"count": 0, "next": null, "previous": null, "results": []}'
CALLS: dict[str, Callable[[Client], Any]] = {
    "operation": lambda client: client.uploads.detail(pk=PK),
    "list": lambda client: client.archives.page(),
    "write": lambda client: client.uploads.create(filename="a"),
    "raw call": lambda client: client(path="archives/"),
    "raw write": lambda client: client("POST", path="archives/", json={}),
}


def failure(answer: Answer, call: str, **options: Any) -> Exception:
    """Return the error of a call that gets this response."""
    with (
        Loopback(in_turn(answer)) as server,
        connect(server, **{"retry_strategy": NO_RETRIES, **options}) as client,
        pytest.raises((GCAPIError, httpx.TransportError)) as caught,
    ):
        CALLS[call](client)
    assert TOKEN not in f"{caught.value!r} {caught.value}"
    return caught.value


# ---------------------------------------------------------------- bodies without end


def endless(head: str) -> Script:
    """Send headers, and a body that never ends."""
    begin = raw_response(f"{head}\nTransfer-Encoding: chunked")
    return lambda _: Answer(blocks=itertools.chain([begin], itertools.repeat(RAW_CHUNK)))


@pytest.fixture
def low_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit responses to 2 MiB, to save time."""
    monkeypatch.setattr("gcapi._http.bounded_read.MAX_BODY_BYTES", 2**21)


def give_up_on_an_endless_answer(call: str, words: str) -> None:
    """Make a call whose response does not end."""
    with (
        Loopback(endless("200 OK\nContent-Type: application/json")) as server,
        connect(server, retry_strategy=NO_RETRIES) as client,
        pytest.raises(UnexpectedAnswer, match=words),
    ):
        CALLS[call](client)
    assert len(server.seen) == 1


@pytest.mark.usefixtures("low_bound")
@pytest.mark.parametrize("call", CALLS)
def test_endless_bodies_are_not_read_to_their_end(call: str) -> None:
    """Reading stops at a limit when a response does not end."""
    give_up_on_an_endless_answer(call, "more than 2 MiB")


def test_endless_bodies_are_abandoned_at_256_mib() -> None:
    """The limit is 256 MiB."""
    give_up_on_an_endless_answer("operation", "more than 256 MiB")


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "302 Found"])
@pytest.mark.parametrize("call", ["operation", "raw write"])
def test_endless_error_bodies_are_cut(call: str, status: str) -> None:
    """An error body that does not end is cut, and raises the usual status error."""
    with (
        Loopback(endless(f"{status}\nContent-Type: application/json")) as server,
        connect(server, retry_strategy=NO_RETRIES) as client,
        pytest.raises(StatusError, match=status) as caught,
    ):
        CALLS[call](client)
    assert len(caught.value.response.content) == MAX_ERROR_BODY_BYTES


def test_endless_headers_are_a_transport_error() -> None:
    """Headers that do not end are a transport error."""
    header = b"X-More: " + b"x" * 1000 + b"\r\n"
    head = itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(header))
    with (
        Loopback(in_turn(Answer(blocks=head))) as server,
        connect(server, retry_strategy=NO_RETRIES) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.archives.count()


@pytest.mark.parametrize("length", [2**28 + 1, 10**12, 10**30])
def test_too_long_bodies_are_refused_unread(length: int) -> None:
    """A response that announces more than the limit is not read."""
    answer = Answer(headers={**JSON, "Content-Length": str(length)})
    error = failure(answer, "operation")
    assert isinstance(error, UnexpectedAnswer | httpx.RemoteProtocolError)
    if length < 10**30:
        assert "more than 256 MiB" in str(error)


@cache
def folded(kind: str) -> bytes:
    """Return a few bytes that decompress to 8 MiB of zeros or more."""
    once = gzip.compress(bytes(2**23))
    return gzip.compress(once) if kind == "gzip, gzip" else once


@pytest.mark.usefixtures("low_bound")
@pytest.mark.parametrize("kind", ["gzip", "gzip, gzip", "br", "zstd"])
def test_decompression_bombs_are_refused(kind: str) -> None:
    """Decompression bombs are refused."""
    error = failure(
        Answer(body=folded(kind), headers={**JSON, "Content-Encoding": kind}), "operation"
    )
    assert isinstance(error, UnexpectedAnswer)
    assert ("encoding" if kind != "gzip" else "more than 2 MiB") in str(error)


@pytest.mark.parametrize("kind", ["gzip", "gzip, gzip", "br"])
def test_decompression_bombs_in_errors_are_cut(kind: str) -> None:
    """A decompression bomb in an error body raises the error of its status."""
    answer = Answer(status=400, body=folded(kind), headers={**JSON, "Content-Encoding": kind})
    error = failure(answer, "operation")
    assert isinstance(error, StatusError)
    assert len(error.response.content) <= MAX_ERROR_BODY_BYTES


def test_compressed_answers_are_read() -> None:
    """A normal compressed response is read."""
    answer = Answer(body=gzip.compress(EMPTY), headers={**JSON, "Content-Encoding": "gzip"})
    with Loopback(in_turn(answer)) as server, connect(server) as client:
        assert client.archives.count() == 0
    assert server.seen[0].header("Accept-Encoding") == "gzip, deflate"


def test_announced_files_of_the_raw_call_are_not_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The raw call reads a file of any length that is announced."""
    monkeypatch.setattr("gcapi._http.bounded_read.MAX_BODY_BYTES", 1_000)
    with Loopback(in_turn(Answer(body=b"x" * 5_000))) as server, connect(server) as client:
        assert len(client(path="x/").content) == 5_000
        with pytest.raises(UnexpectedAnswer):
            client.archives.count()

    unannounced = Answer(body=b"x" * 5_000, chunked="whole")
    with (
        Loopback(in_turn(unannounced)) as server,
        connect(server) as client,
        pytest.raises(UnexpectedAnswer),
    ):
        client(path="x/")


# ---------------------------------------------------------------- bodies of another length


@pytest.mark.parametrize("call", CALLS)
def test_incomplete_bodies_are_transport_errors(call: str) -> None:
    """A body that is shorter than announced is a transport error."""
    error = failure(Answer(body=b'{"co', length=100, headers=JSON), call)
    assert isinstance(error, httpx.RemoteProtocolError)


@pytest.mark.parametrize(
    "surplus", [b"x", b" " * 1000, b"<html>", b"HTTP/1.1 200 OK\r\n", b"\x00" * 70_000]
)
def test_surplus_bytes_are_not_the_next_response(surplus: bytes) -> None:
    """Surplus bytes after a body are not read as the response to the next request."""

    def script(seen: Seen) -> Answer:
        head = f"200 OK\nContent-Type: application/json\nContent-Length: {len(seen.path) + 2}"
        whole = raw_response(head, json.dumps(seen.path).encode())
        return Answer(blocks=[whole + (surplus if "first" in seen.path else b"")])

    with Loopback(script) as server, connect(server) as client:
        for number in range(3):
            assert client(path=f"first/{number}/") == f"/api/v1/first/{number}/"
        assert client(path="then/") == "/api/v1/then/"


def test_slow_bodies_are_read() -> None:
    """A slow body is read as long as bytes arrive within the timeout."""
    head = f"200 OK\nContent-Type: application/json\nContent-Length: {len(EMPTY)}"

    def script(seen: Seen) -> Answer:
        sent = EMPTY[: None if "whole" in seen.path else 10]
        return Answer(blocks=[raw_response(head), *(bytes([byte]) for byte in sent)])

    with (
        Loopback(script) as server,
        connect(server, timeout=0.3, retry_strategy=NO_RETRIES) as client,
    ):
        assert client(path="whole/")["count"] == 0
        with pytest.raises(httpx.ReadTimeout):
            client(path="half/")


@pytest.mark.parametrize("before", ["", "HTTP/1.1 102 Processing\r\n\r\n"])
def test_headers_that_drip_do_not_outlive_the_timeout(before: str) -> None:
    """A header of which a byte arrives now and then is given up after the timeout."""
    header = f"{before}HTTP/1.1 200 OK\r\nX-Padding: {'x' * 200}\r\n".encode()

    over = threading.Event()

    def drops() -> Iterator[bytes]:
        for byte in header:
            yield bytes([byte])
            over.wait(0.03)

    with (
        Loopback(lambda _: Answer(blocks=drops())) as server,
        connect(server, timeout=0.2, retry_strategy=NO_RETRIES) as client,
    ):
        begun = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            client(path="x/")
        assert time.monotonic() - begun < 3
        over.set()


# ---------------------------------------------------------------- redirects of API calls


ELSEWHERE = {
    "another host": "https://evil.example/api/v1/archives/",
    "another port": "http://127.0.0.1:9/",
    "http": "http://example.org/",
    "no scheme": "//evil.example/x",
    "with a user": "https://127.0.0.1@evil.example/",
    "a look-alike": "https://127.0.0.1.evil.example/",
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("where", ELSEWHERE)
def test_redirects_of_api_calls_are_refused(call: str, where: str) -> None:
    """A redirect of an API call is an error that names its target, and is not followed."""
    location = ELSEWHERE[where]
    error = failure(Answer(status=302, headers={"Location": location}), call)
    assert isinstance(error, StatusError)
    assert "redirects to a different server" in str(error)
    assert httpx.URL(location).raw_host.decode() in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", CALLS)
def test_redirect_targets_get_no_request(status: int, call: str) -> None:
    """The target of a redirected API call gets no request."""
    with Loopback(in_turn(Answer(body=EMPTY, headers=JSON))) as thief:
        away = Answer(status=status, headers={"Location": f"{thief.origin}/api/v1/archives/"})
        failure(away, call)
    assert thief.seen == []


@pytest.mark.parametrize(
    "location",
    [
        "http://[::1",
        "https://a:b:c/",
        "\x80\xff",
        "http://a b/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://xn--/",
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_redirects_to_invalid_urls_are_errors(location: str, call: str) -> None:
    """A redirect with an invalid target is an error of this package or of the protocol."""
    failure(Answer(status=302, headers={"Location": location}), call)


# ---------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    "told_seconds", ["31536000", "Sun, 22 Nov 2099 00:00:00 GMT", "1e300", "9" * 400, "-1", "soon"]
)
@pytest.mark.parametrize("status", [429, 503])
def test_long_delays_are_capped(told_seconds: str, status: int) -> None:
    """The default strategy caps the delay that the server asks for."""
    waited: list[float] = []
    busy = Answer(status=status, headers={"Retry-After": told_seconds})
    with Loopback(in_turn(busy)) as server:
        settings = Settings(
            token=TOKEN,
            base_url=httpx.URL(server.base_url),
            verify=False,
            timeout=5.0,
            max_concurrent_uploads=1,
            max_concurrent_downloads=1,
        )
        transport = Transport(settings, check_factory(None), sleep=waited.append)
        with pytest.raises(StatusError, match=str(status)):
            Calls(transport).call(api.archives_list)
        transport.close()
    assert max(waited) <= 60
    assert sum(waited) <= 600


# ---------------------------------------------------------------- JSON that is a weapon


STRANGE_JSON: dict[str, bytes] = {
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and broken": b"[" * 1_000_000,
    "a number of 10,000 digits": b"9" * 10_000,
    "a count beyond all numbers": b'{"count": 1e999, "next": null, "results": 3}',
    "half a surrogate pair": b'"\\ud800"',
    "control characters": b'"\\u001b[2J\\u202e"',
    "names twice": b'{"id": 1, "id": []}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"detail": "x"}'.encode("utf-16"),
}


#: Strange JSON that can be parsed.
PARSED = {"a count beyond all numbers", "half a surrogate pair", "control characters"}
PARSED |= {"names twice", "a byte order mark", "UTF-16"}


@pytest.mark.parametrize("weapon", STRANGE_JSON)
@pytest.mark.parametrize("call", ["operation", "list"])
def test_strange_json_is_unexpected(weapon: str, call: str) -> None:
    """JSON that breaks parsers raises UnexpectedAnswer."""
    error = failure(Answer(body=STRANGE_JSON[weapon], headers=JSON), call)
    assert isinstance(error, UnexpectedAnswer)
    assert str(error).isprintable()


@pytest.mark.parametrize("weapon", STRANGE_JSON)
def test_strange_json_of_the_raw_call(weapon: str) -> None:
    """The raw call returns JSON that can be parsed, and raises UnexpectedAnswer otherwise."""
    answer = Answer(body=STRANGE_JSON[weapon], headers=JSON)
    with Loopback(in_turn(answer)) as server, connect(server) as client:
        if weapon in PARSED:
            client(path="x/")
            return
        with pytest.raises(UnexpectedAnswer, match="invalid JSON"):
            client(path="x/")


@pytest.mark.parametrize("weapon", STRANGE_JSON)
def test_strange_json_of_an_error(weapon: str) -> None:
    """Strange JSON in an error body gives the error of its status, with a printable message."""
    error = failure(Answer(status=400, body=STRANGE_JSON[weapon], headers=JSON), "operation")
    assert isinstance(error, StatusError)
    assert str(error).isprintable()
    str(error).encode()


@pytest.mark.parametrize("weapon", STRANGE_JSON)
def test_strange_json_of_the_version_check(weapon: str) -> None:
    """Strange JSON in response to the version check is not a Grand Challenge server."""
    answer = Answer(body=STRANGE_JSON[weapon], headers=JSON)
    with (
        Loopback(in_turn(answer), with_version=False) as server,
        connect(server) as client,
        pytest.raises(UnexpectedAnswer, match="is not a Grand Challenge API"),
    ):
        client.archives.count()


@pytest.mark.parametrize(
    "charset", ["hex", "base64", "rot13", "idna", "zlib", "undefined", "utf-16", "nonsense", ""]
)
@pytest.mark.parametrize("status", [200, 400])
def test_invalid_charsets_still_give_a_message(charset: str, status: int) -> None:
    """An error body with an invalid charset still gives a message."""
    headers = {"Content-Type": f"text/html; charset={charset}"}
    error = failure(Answer(status=status, body=b"\xff\x00odd", headers=headers), "operation")
    assert isinstance(error, StatusError if status == 400 else UnexpectedAnswer)


def test_messages_have_no_control_characters() -> None:
    """Control and bidirectional characters are replaced in messages."""
    words = "\x1b]0;owned\x07 \x9b2J \u202egnp.exe \ud800 \U0001f600 ümlaut"
    error = failure(Answer(status=400, body={"detail": words}), "operation")
    assert str(error).isprintable()
    assert str(error).endswith("�]0;owned� �2J �gnp.exe � \U0001f600 ümlaut")


HOSTILE = "a\x1b[31m\x9b2J\u202eb\nc"


@pytest.mark.parametrize("kind", [GCAPIError, UnexpectedAnswer, SpecError])
def test_no_error_controls_a_terminal(kind: type[GCAPIError]) -> None:
    """The text of an error has no control characters but line feeds; its arguments are as they were given."""
    error = kind(HOSTILE)
    assert str(error) == "a�[31m�2J�b\nc"
    assert error.args == (HOSTILE,)


def test_no_warning_controls_a_terminal() -> None:
    """The text of a warning has no control characters but line feeds."""
    with pytest.warns(UserWarning, match="^a�") as caught:
        warn_user(HOSTILE, UserWarning)
    assert str(caught[0].message) == "a�[31m�2J�b\nc"


PATHS = ["../../escaped", "/tmp/escaped", "..", "C:\\escaped", "a/b", ""]


@pytest.mark.parametrize("pk", PATHS)
def test_primary_keys_that_are_paths_are_refused(pk: str) -> None:
    """A pk that is neither a UUID nor an integer is `UnexpectedAnswer`, so that users can name folders after pks."""
    item = ARCHIVE_ITEM | {"pk": pk}
    page = {"count": 1, "next": None, "previous": None, "results": [item]}
    calls: dict[str, Callable[[Client], Any]] = {
        json.dumps(page): lambda client: next(client.archive_items.iterate_all()),
        json.dumps(item): lambda client: client.archive_items.detail(pk=PK),
        json.dumps(JOB | {"pk": pk}): lambda client: client.wait_for_job(PK),
    }
    for body, call in calls.items():
        with (
            Loopback(in_turn(Answer(body=body.encode(), headers=JSON))) as server,
            connect(server, retry_strategy=NO_RETRIES) as client,
            pytest.raises(UnexpectedAnswer, match="is not a primary key"),
        ):
            call(client)


@pytest.mark.parametrize("way", ["repeats", "grows"])
def test_lists_without_end_are_refused(way: str) -> None:
    """A list that repeats one page, or that grows with each page, ends with an error after a few requests."""

    def answer(seen: Seen) -> Answer:
        offset = int(httpx.URL(seen.path).params["offset"]) if way == "grows" else 0
        results = [{"pk": str(UUID(int=offset + number))} for number in range(1_000)]
        count = 10**12 if way == "repeats" else 4 * offset + 2_000
        return Answer(body=json.dumps({"count": count, "results": results}).encode(), headers=JSON)

    with (
        Loopback(answer) as server,
        connect(server, retry_strategy=NO_RETRIES) as client,
        pytest.raises(UnexpectedAnswer, match="grows without end"),
    ):
        for _ in client.archive_items.iterate_all():
            pass
    assert len(server.seen) < 20
