"""A server that means harm, or is none: what it says is an error that is clear, bounded and without the token.

Longer than 500 lines: a catalogue, in which each hostile answer is a few lines.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import Client
from gcapi._api.operations import Calls
from gcapi._http.bounded_read import MAX_ERROR_BODY_BYTES
from gcapi._http.settings import Settings
from gcapi._http.transport import Transport
from gcapi.exceptions import (
    GCAPIError,
    InvalidTarget,
    ObjectNotFound,
    StatusError,
    UnexpectedAnswer,
)
from gcapi.retries import SelectiveBackoffStrategy, check_factory
from tests.support.loopback import (
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
ONCE = SelectiveBackoffStrategy(backoff_factor=0.0, maximum_number_of_retries=0)
UPLOAD: dict[str, Any] = {
    "pk": PK,
    "created": "2026-11-22T00:56:50Z",
    "filename": "a",
    "key": "k",
    "s3_upload_id": "s3",
    "status": "Initialized",
    "api_url": f"https://gc.localhost/api/v1/uploads/{PK}/",
}

CALLS: dict[str, Callable[[Client], Any]] = {
    "operation": lambda client: client.uploads.detail(pk=PK),
    "list": lambda client: client.archives.page(),
    "write": lambda client: client.uploads.create(filename="a"),
    "raw call": lambda client: client(path="archives/"),
    "raw write": lambda client: client("POST", path="archives/", json={}),
}


def failure(answer: Answer, call: str, **options: Any) -> Exception:
    """Return the error of a call that is answered so."""
    with (
        Loopback(in_turn(answer)) as server,
        connect(server, **{"retry_strategy": ONCE, **options}) as client,
        pytest.raises((GCAPIError, httpx.TransportError)) as caught,
    ):
        CALLS[call](client)
    assert TOKEN not in f"{caught.value!r} {caught.value}"
    return caught.value


# ---------------------------------------------------------------- bodies without end


def endless(head: str) -> Script:
    """Answer with a head, and a body that never ends."""
    begin = raw_response(f"{head}\nTransfer-Encoding: chunked")
    return lambda _: Answer(blocks=itertools.chain([begin], itertools.repeat(RAW_CHUNK)))


@pytest.fixture
def low_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bound answers at 2 MiB, to save time."""
    monkeypatch.setattr("gcapi._http.bounded_read.MAX_BODY_BYTES", 2**21)


def give_up_on_an_endless_answer(call: str, words: str) -> None:
    """Make a call whose answer does not end."""
    with (
        Loopback(endless("200 OK\nContent-Type: application/json")) as server,
        connect(server, retry_strategy=ONCE) as client,
        pytest.raises(UnexpectedAnswer, match=words),
    ):
        CALLS[call](client)
    assert len(server.seen) == 1


@pytest.mark.usefixtures("low_bound")
@pytest.mark.parametrize("call", CALLS)
def test_endless_answers_are_not_read_to_their_end(call: str) -> None:
    """An answer that goes on and on is given up, whoever asked for it."""
    give_up_on_an_endless_answer(call, "more than 2 MiB")


def test_endless_answers_are_given_up_at_the_stated_bound() -> None:
    """The bound is 256 MiB."""
    give_up_on_an_endless_answer("operation", "more than 256 MiB")


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "302 Found"])
@pytest.mark.parametrize("call", ["operation", "raw write"])
def test_endless_error_bodies_are_cut(call: str, status: str) -> None:
    """Of an error's body the beginning is enough: the error is the status error that it would be anyway."""
    with (
        Loopback(endless(f"{status}\nContent-Type: application/json")) as server,
        connect(server, retry_strategy=ONCE) as client,
        pytest.raises(StatusError, match=status) as caught,
    ):
        CALLS[call](client)
    assert len(caught.value.response.content) == MAX_ERROR_BODY_BYTES


def test_endless_headers_are_a_transport_error() -> None:
    """A head without an end is given up too."""
    header = b"X-More: " + b"x" * 1000 + b"\r\n"
    head = itertools.chain([b"HTTP/1.1 200 OK\r\n"], itertools.repeat(header))
    with (
        Loopback(in_turn(Answer(blocks=head))) as server,
        connect(server, retry_strategy=ONCE) as client,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        client.archives.count()


@pytest.mark.parametrize("length", [2**28 + 1, 10**12, 10**30])
def test_enormous_answers_are_refused_before_they_come(length: int) -> None:
    """An answer that announces more than the bound is not read at all."""
    answer = Answer(headers={**JSON, "Content-Length": str(length)})
    error = failure(answer, "operation")
    assert isinstance(error, UnexpectedAnswer | httpx.RemoteProtocolError)
    if length < 10**30:
        assert "more than 256 MiB" in str(error)


@cache
def folded(kind: str) -> bytes:
    """Return a few bytes that unfold to 8 MiB of zeros, or far more."""
    once = gzip.compress(bytes(2**23))
    return gzip.compress(once) if kind == "gzip, gzip" else once


@pytest.mark.usefixtures("low_bound")
@pytest.mark.parametrize("kind", ["gzip", "gzip, gzip", "br", "zstd"])
def test_folded_answers_are_bounded_as_they_unfold(kind: str) -> None:
    """A few compressed bytes that unfold to more than the bound are refused, and so is what unfolds in one step."""
    error = failure(
        Answer(body=folded(kind), headers={**JSON, "Content-Encoding": kind}), "operation"
    )
    assert isinstance(error, UnexpectedAnswer)
    assert ("encoding" if kind != "gzip" else "more than 2 MiB") in str(error)


@pytest.mark.parametrize("kind", ["gzip", "gzip, gzip", "br"])
def test_folded_error_bodies_are_bounded_too(kind: str) -> None:
    """An error with such a body is the error that its status says."""
    answer = Answer(status=400, body=folded(kind), headers={**JSON, "Content-Encoding": kind})
    error = failure(answer, "operation")
    assert isinstance(error, StatusError)
    assert len(error.response.content) <= MAX_ERROR_BODY_BYTES


def test_compressed_answers_are_read() -> None:
    """An honest compressed answer is understood."""
    answer = Answer(body=gzip.compress(EMPTY), headers={**JSON, "Content-Encoding": "gzip"})
    with Loopback(in_turn(answer)) as server, connect(server) as client:
        assert client.archives.count() == 0
    assert server.seen[0].header("Accept-Encoding") == "gzip, deflate"


def test_announced_files_of_the_raw_call_are_not_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for a whole file with the raw call gets it, as long as its length is announced."""
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
def test_answers_that_break_off_are_transport_errors(call: str) -> None:
    """A body that is shorter than announced is no answer."""
    error = failure(Answer(body=b'{"co', length=100, headers=JSON), call)
    assert isinstance(error, httpx.RemoteProtocolError)


@pytest.mark.parametrize(
    "surplus", [b"x", b" " * 1000, b"<html>", b"HTTP/1.1 200 OK\r\n", b"\x00" * 70_000]
)
def test_surplus_bytes_are_no_answer_to_the_next_call(surplus: bytes) -> None:
    """What follows the announced end of a body is not taken as the answer to what is asked next."""

    def script(seen: Seen) -> Answer:
        head = f"200 OK\nContent-Type: application/json\nContent-Length: {len(seen.path) + 2}"
        whole = raw_response(head, json.dumps(seen.path).encode())
        return Answer(blocks=[whole + (surplus if "first" in seen.path else b"")])

    with Loopback(script) as server, connect(server) as client:
        for number in range(3):
            assert client(path=f"first/{number}/") == f"/api/v1/first/{number}/"
        assert client(path="then/") == "/api/v1/then/"


def test_dripping_bodies_are_read_as_long_as_they_drip() -> None:
    """A body in single bytes is read, however slow: only a pause as long as the timeout ends it."""
    head = f"200 OK\nContent-Type: application/json\nContent-Length: {len(EMPTY)}"

    def script(seen: Seen) -> Answer:
        sent = EMPTY[: None if "whole" in seen.path else 10]
        return Answer(blocks=[raw_response(head), *(bytes([byte]) for byte in sent)])

    with (
        Loopback(script) as server,
        connect(server, timeout=0.3, retry_strategy=ONCE) as client,
    ):
        assert client(path="whole/")["count"] == 0
        with pytest.raises(httpx.ReadTimeout):
            client(path="half/")


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
    """An API call that is sent elsewhere is an error that says where to, and nobody there hears of it."""
    location = ELSEWHERE[where]
    error = failure(Answer(status=302, headers={"Location": location}), call)
    assert isinstance(error, StatusError)
    assert "redirects to a different server" in str(error)
    assert httpx.URL(location).raw_host.decode() in str(error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", CALLS)
def test_redirects_take_no_token_along(status: int, call: str) -> None:
    """The server that a redirect of an API call names gets no request at all."""
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
def test_redirects_to_what_is_no_address_are_errors(location: str, call: str) -> None:
    """A redirect that no address can be made of is an error of this package or of the protocol."""
    failure(Answer(status=302, headers={"Location": location}), call)


# ---------------------------------------------------------------- Retry-After


@pytest.mark.parametrize(
    "told_seconds", ["31536000", "Sun, 22 Nov 2099 00:00:00 GMT", "1e300", "9" * 400, "-1", "soon"]
)
@pytest.mark.parametrize("status", [429, 503])
def test_long_waits_are_not_waited(told_seconds: str, status: int) -> None:
    """However long the server asks to wait, the default strategy waits no longer than it ever does."""
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
            Calls(transport).operation("archives.archives_list")
        transport.close()
    assert max(waited) <= 60
    assert sum(waited) <= 600


# ---------------------------------------------------------------- JSON that is a weapon


WEAPONS: dict[str, bytes] = {
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and broken": b"[" * 1_000_000,
    "a number of 10,000 digits": b"9" * 10_000,
    "a count beyond all numbers": b'{"count": 1e999, "next": null, "results": 3}',
    "half a surrogate pair": b'"\\ud800"',
    "control characters": b'"\\u001b[2J\\u202e"',
    "names twice": b'{"pk": 1, "pk": []}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"detail": "x"}'.encode("utf-16"),
}


#: What is strange and yet JSON.
PARSED = {"a count beyond all numbers", "half a surrogate pair", "control characters"}
PARSED |= {"names twice", "a byte order mark", "UTF-16"}


@pytest.mark.parametrize("weapon", WEAPONS)
@pytest.mark.parametrize("call", ["operation", "list"])
def test_strange_json_is_unexpected(weapon: str, call: str) -> None:
    """JSON that breaks parsers is an answer that was not promised."""
    error = failure(Answer(body=WEAPONS[weapon], headers=JSON), call)
    assert isinstance(error, UnexpectedAnswer)
    assert str(error).isprintable()


@pytest.mark.parametrize("weapon", WEAPONS)
def test_strange_json_of_the_raw_call(weapon: str) -> None:
    """The raw call gives what can be parsed, and else the same error."""
    answer = Answer(body=WEAPONS[weapon], headers=JSON)
    with Loopback(in_turn(answer)) as server, connect(server) as client:
        if weapon in PARSED:
            client(path="x/")
            return
        with pytest.raises(UnexpectedAnswer, match="invalid JSON"):
            client(path="x/")


@pytest.mark.parametrize("weapon", WEAPONS)
def test_strange_json_of_an_error(weapon: str) -> None:
    """An error with such a body is the error that its status says, and its message can be printed anywhere."""
    error = failure(Answer(status=400, body=WEAPONS[weapon], headers=JSON), "operation")
    assert isinstance(error, StatusError)
    assert str(error).isprintable()
    str(error).encode()


@pytest.mark.parametrize("weapon", WEAPONS)
def test_strange_json_of_the_version_check(weapon: str) -> None:
    """Who answers the first question so is no Grand Challenge."""
    answer = Answer(body=WEAPONS[weapon], headers=JSON)
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
def test_charsets_that_are_none(charset: str, status: int) -> None:
    """A body that claims an encoding which gives no text is still an error with a message."""
    headers = {"Content-Type": f"text/html; charset={charset}"}
    error = failure(Answer(status=status, body=b"\xff\x00odd", headers=headers), "operation")
    assert isinstance(error, StatusError if status == 400 else UnexpectedAnswer)


def test_words_of_the_server_control_no_terminal() -> None:
    """Control characters and text that runs backwards do not come through in a message."""
    words = "\x1b]0;owned\x07 \x9b2J \u202egnp.exe \ud800 \U0001f600 ümlaut"
    error = failure(Answer(status=400, body={"detail": words}), "operation")
    assert str(error).isprintable()
    assert str(error).endswith("�]0;owned� �2J �gnp.exe � \U0001f600 ümlaut")


# ---------------------------------------------------------------- names and addresses


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1", "a\nb", 'a"; x="y', "ü\u202egnp", "a" * 128])
def test_names_of_uploads_make_no_headers(name: str) -> None:
    """A file name goes into the request's JSON body, and nowhere near its head."""
    with (
        Loopback(in_turn(Answer(status=201, body={**UPLOAD, "filename": name}))) as server,
        connect(server) as client,
    ):
        assert client.uploads.create(filename=name).filename == name
    (seen,) = server.seen
    assert seen.json() == {"filename": name}
    assert "x-evil" not in {header.lower() for header in seen.headers}


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1\r\n\r\nbody", 'a"\r\nX-Evil: 1'])
def test_names_of_multipart_files_make_no_headers(name: str) -> None:
    """In a multipart body of the raw call, a line break in a file name is escaped."""
    with Loopback(in_turn(Answer(body=1))) as server, connect(server) as client:
        client("POST", path="x/", files={"file": (name, b"content")})
    assert b"\r\nX-Evil" not in server.seen[0].body


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00b"])
def test_headers_with_line_breaks_are_not_sent(value: str) -> None:
    """A header that would be two is refused by the HTTP library, and nothing arrives."""
    with (
        Loopback(in_turn(Answer(body=1))) as server,
        connect(server, retry_strategy=ONCE) as client,
        pytest.raises(httpx.LocalProtocolError),
    ):
        client(path="x/", extra_headers={"X-Mine": value})
    assert server.seen == []


@pytest.mark.parametrize("pk", ["../../../admin/", "a/b", "a?b=c", "a#b", "%2e%2e", "ü\n"])
def test_keys_stay_one_part_of_the_path(pk: str) -> None:
    """Whatever a primary key is made of, it is one part of the operation's path."""
    with Loopback(in_turn(Answer(body=UPLOAD))) as server, connect(server) as client:
        client.uploads.detail(pk=pk)
    (seen,) = server.seen
    assert seen.path.startswith("/api/v1/uploads/")
    assert seen.path.count("/") == 5
    assert "?" not in seen.path


@pytest.mark.parametrize("pk", [".", "..", ""])
def test_keys_that_would_change_the_path_are_refused(pk: str) -> None:
    """A key that would select another path is not sent, and the error names that key and no other."""
    with Loopback(in_turn(Answer(body=UPLOAD))) as server, connect(server) as client:
        with pytest.raises(ObjectNotFound, match=rf"^{re.escape(repr(pk))} is not a valid"):
            client.archive_items.partial_update(pk, title="a")
        with pytest.raises(ObjectNotFound, match=rf"^{re.escape(repr(pk))} is not a valid"):
            client.reader_studies.ground_truth(PK, pk)
    assert server.seen == []


@pytest.mark.parametrize(
    "url",
    [
        "https://[::1",
        "http://a:b:c/",
        "https://evil.example/api/v1/uploads/1/",
        "http://127.0.0.1@evil.example/",
        "http://127.0.0.1.evil.example/",
        "file:///etc/passwd",
        "//evil.example/",
        "http://127.0.0.1:99999999/",
        "https://xn--/",
        "https://\ud800/",
        "https://１２７.０.０.１/",
    ],
)
@pytest.mark.parametrize("how", ["detail", "raw"])
def test_addresses_elsewhere_are_not_visited(url: str, how: str) -> None:
    """An address that is none, or of another origin however much it looks alike, is refused before anything is sent."""
    with (
        Loopback(in_turn(Answer(body=UPLOAD))) as server,
        connect(server) as client,
        pytest.raises(InvalidTarget) as caught,
    ):
        client.uploads.detail(api_url=url) if how == "detail" else client(url=url)
    assert server.seen == []
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("path", ["http://[::1", "a\x00", "\ud800", "a" * 70_000, None])
def test_invalid_path_of_a_raw_call_is_named(path: Any) -> None:
    """A path that cannot be joined to the base URL is an InvalidTarget that names the path; nothing is sent."""
    with Loopback(in_turn(Answer(body=UPLOAD))) as server, connect(server) as client:
        with pytest.raises(InvalidTarget, match="is not a valid path") as caught:
            client(path=path)
        assert server.seen == []
    assert str(caught.value).startswith(repr(str(path)[:200]))


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://evil.example/x", "ftp://127.0.0.1/", "//evil.example"]
)
def test_parts_go_to_no_unsafe_place(target: str) -> None:
    """A presigned address that is neither https nor on this machine gets no part of a file."""

    def script(seen: Seen) -> Answer:
        if seen.path.endswith("generate-presigned-urls/"):
            return Answer(body={**UPLOAD, "presigned_urls": {"1": f"{target}?X-Amz-Signature=a"}})
        return Answer(status=201 if seen.path.endswith("uploads/") else 200, body=UPLOAD)

    with (
        Loopback(script) as server,
        connect(server, retry_strategy=ONCE) as client,
        pytest.raises(InvalidTarget, match="not https"),
    ):
        client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="a")


@pytest.mark.parametrize("header", ["a\r\nAuthorization: x", "a\nb"])
def test_recipes_with_line_breaks_are_not_sent(tmp_path: Path, header: str) -> None:
    """A DICOM recipe whose header would be two is refused, and leaves no file."""
    instances: dict[str, Any] = {"image_set_id": "0" * 32, "instances": []}
    image: dict[str, Any] = {"pk": PK, "files": [], "dicom_image_set": {"image_set_id": "0" * 32}}
    rest = ["name", "width", "height", "depth", "color_space", "modality", "eye_choice"]
    rest += ["stereoscopic_choice", "field_of_view", "shape_without_color", "shape"]
    rest += ["voxel_width_mm", "voxel_height_mm", "voxel_depth_mm", "api_url", "window_center"]
    image |= dict.fromkeys([*rest, "window_width", "segments"])
    with Loopback(in_turn(Answer(body=b"x"))) as store:
        get = {"url": store.origin, "method": "GET", "data": None, "headers": {"Accept": header}}
        instances["instances"] = [{"sop_instance_uid": "1.2.3", "get_instance": get}]

        def script(seen: Seen) -> Answer:
            return Answer(body=instances if "dicom" in seen.path else image)

        with (
            Loopback(script) as server,
            connect(server, retry_strategy=ONCE) as client,
            pytest.raises((GCAPIError, httpx.TransportError)),
        ):
            client.images.download(pk=PK, output_directory=tmp_path)
    assert store.seen == []
    assert list(tmp_path.iterdir()) == []
