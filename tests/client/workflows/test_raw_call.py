"""The raw call, which sends any request to the API."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    GCAPIError,
    InvalidTarget,
    NotFoundError,
    PermissionDenied,
    StatusError,
    TransferError,
    UnexpectedAnswer,
)
from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import TOKEN, Answer, Loopback, Seen, connect, in_turn


def say(answer: Answer, *args: Any, **kwargs: Any) -> tuple[Any, Seen]:
    """Call a server that always returns this response; return the result and the request."""
    with (
        Loopback(in_turn(answer)) as server,
        connect(server) as client,
    ):
        return client(*args, **kwargs), server.seen[0]


# ---------------------------------------------------------------- what comes back


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        "application/vnd.oai.openapi+json",
    ],
)
@pytest.mark.parametrize("value", [{"a": [1, None]}, [], {}, "text", 3, None])
def test_json_is_parsed(content_type: str, value: object) -> None:
    """A JSON body is parsed, with or without a charset."""
    answer = Answer(body=value, headers={"Content-Type": content_type})
    assert say(answer, path="x/")[0] == value


@pytest.mark.parametrize(
    "content_type", ["text/csv", "text/html; charset=utf-8", "application/jsonlines", ""]
)
def test_other_types_come_back_as_the_response(content_type: str) -> None:
    """A body of another type is returned as the response."""
    headers = {"Content-Type": content_type} if content_type else {}
    response = say(Answer(body=b'{"a": 1}', headers=headers), path="x/")[0]
    assert isinstance(response, httpx.Response)
    assert response.content == b'{"a": 1}'


@pytest.mark.parametrize(
    "answer",
    [Answer(status=204), Answer(headers={"Content-Type": "application/json"}), Answer()],
)
def test_empty_bodies_come_back_as_the_response(answer: Answer) -> None:
    """An empty body is returned as the response, whatever its content type is."""
    response = say(answer, "DELETE", path="x/")[0]
    assert isinstance(response, httpx.Response)
    assert (response.status_code, response.content) == (answer.status, b"")


def test_broken_json_is_an_unexpected_answer() -> None:
    """The error for invalid JSON has the URL."""
    answer = Answer(body=b"{", headers={"Content-Type": "application/json"})
    with pytest.raises(UnexpectedAnswer, match=r"/api/v1/x/ answered with invalid JSON"):
        say(answer, path="x/")


def test_csv_by_accept(sandbox: Sandbox, client: Client) -> None:
    """Other formats can be requested with a header."""
    sandbox.add_archive("As CSV")
    response = client(path="archives/", extra_headers={"Accept": "text/csv"})
    assert response.headers["Content-Type"].startswith("text/csv")
    assert "as-csv" in response.text


# ---------------------------------------------------------------- what goes out


def test_it_gets_by_default(client: Client) -> None:
    """The default method is GET, and paths are relative to the base URL."""
    assert client(path="profiles/users/self/")["user"] == {"username": "sandbox"}


def test_arguments_are_in_the_published_order() -> None:
    """The parameters are positional, in the published order."""
    _, seen = say(Answer(body=1), "post", "", "x/", {"a": [1, 2]}, {"b": None}, {"X-Own": "own"})
    assert (seen.method, seen.path) == ("POST", "/api/v1/x/?a=1&a=2")
    assert seen.json() == {"b": None}
    assert seen.header("X-Own") == "own"
    assert seen.header("Content-Type") == "application/json"
    assert seen.header("Authorization") == f"Bearer {TOKEN}"


@pytest.mark.parametrize("body", [{}, [], 0, False, ""])
def test_falsy_json_is_sent(body: object) -> None:
    """An empty or false JSON body is sent."""
    assert say(Answer(body=1), "POST", path="x/", json=body)[1].json() == body


def test_forms_are_sent() -> None:
    """`data` is sent as a form."""
    _, seen = say(Answer(body=1), "POST", path="x/", data={"a": "ü", "b": ["1", "2"]})
    assert seen.header("Content-Type") == "application/x-www-form-urlencoded"
    assert seen.body == b"a=%C3%BC&b=1&b=2"


def test_files_are_sent() -> None:
    """`files` are sent as a multipart body with the fields of `data`."""
    files = {"screenshot": ("s.png", io.BytesIO(b"\x89PNG"), "image/png")}
    _, seen = say(Answer(body=1), "POST", path="x/", files=files, data={"user_comment": "slow"})
    assert seen.header("Content-Type").startswith("multipart/form-data; boundary=")
    assert b'name="screenshot"; filename="s.png"' in seen.body
    assert b"\x89PNG" in seen.body
    assert b'name="user_comment"\r\n\r\nslow' in seen.body


def test_writes_reach_the_server(sandbox: Sandbox, client: Client) -> None:
    """The raw call can create, update and read objects."""
    archive = client.archives.detail(slug=sandbox.add_archive("Raw writes"))
    made = client("POST", path="archives/items/", json={"archive": archive.api_url, "values": []})
    changed = client("PATCH", path=f"archives/items/{made['pk']}/", json={"title": "new"})
    assert changed["title"] == client(path=f"archives/items/{made['pk']}/")["title"] == "new"


def test_a_whole_address_is_taken(client: Client) -> None:
    """The raw call accepts absolute URLs from the server."""
    page = client(url=f"{client.base_url}components/interfaces/?limit=1")
    assert (
        client(url=httpx.URL(f"{client.base_url}components/interfaces/"))["count"] == page["count"]
    )


def test_the_callers_objects_are_not_changed(client: Client) -> None:
    """The caller's params, JSON, headers, data and files are not changed."""
    given: dict[str, Any] = {
        "params": {"limit": 1},
        "json": {"values": [{"interface": "a"}]},
        "extra_headers": {"X-Own": "own"},
    }
    form: dict[str, Any] = {"data": {"a": ["b"]}, "files": {"f": ("n", b"content")}}
    before = copy.deepcopy((given, form))
    for options in (given, form):
        with pytest.raises(StatusError):
            client("POST", path="archives/items/", **options)
    assert (given, form) == before


# ---------------------------------------------------------------- what is never sent


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/api/v1/archives/",
        "http://example.org/api/v1/archives/",
        "https://{host}/api/v1/archives/",
        "http://{host}:1/api/v1/archives/",
        "http://{host}/api/v1/archives/",
        "http://localhost:{port}/api/v1/archives/",
        "http://{host}:{port}@example.org/api/v1/archives/",
        "ftp://{host}:{port}/api/v1/archives/",
    ],
)
@pytest.mark.parametrize("how", ["url", "path"])
def test_other_hosts_get_nothing(url: str, how: str) -> None:
    """A URL with another host, scheme or port is a RuntimeError, and nothing is sent."""
    with (
        Loopback(in_turn(Answer(body=1)), with_version=False) as server,
        connect(server) as client,
    ):
        base = client.base_url
        with pytest.raises(RuntimeError, match="the request was not sent") as caught:
            client(**{how: url.format(host=base.host, port=base.port)})
    assert isinstance(caught.value, InvalidTarget)
    assert server.seen == []


@pytest.mark.parametrize("url", ["example.org/api/v1/archives/", "localhost:1/x", "archives/"])
def test_an_address_without_a_scheme_is_no_path(client: Client, url: str) -> None:
    """A URL without `https://` is refused rather than taken for a path on the API's host."""
    with pytest.raises(InvalidTarget, match="is not a URL of a server"):
        client(url=url)


def test_paths_to_other_hosts_are_refused(sandbox: Sandbox, client: Client) -> None:
    """A path that names another host is refused."""
    sandbox.requests.clear()
    with pytest.raises(InvalidTarget):
        client(path="//example.org/api/v1/archives/")
    assert len(sandbox.requests) == 0


def test_the_refusal_quotes_no_query_and_no_password() -> None:
    """The error for a refused URL shows neither its query nor its password."""
    with (
        Client(token=TOKEN) as client,
        pytest.raises(InvalidTarget) as caught,
    ):
        client(url="https://me:s3cret@example.org/x/?X-Amz-Signature=s3cret")
    assert "s3cret" not in str(caught.value)


# ---------------------------------------------------------------- errors

SHAPES: dict[str, tuple[Any, str]] = {
    "detail": ({"detail": "No such thing."}, "No such thing."),
    "field": ({"title": ["Too long.", "Too odd."]}, "title: Too long.; title: Too odd."),
    "non_field_errors": ({"non_field_errors": ["Clash."]}, "Clash."),
    "array": (["Values can only be added via update"], "Values can only be added via update"),
    "aligned": (
        {"values": [{}, {"non_field_errors": ["Choose one."]}, {"interface": ["Unknown."]}]},
        "values[1]: Choose one.; values[2].interface: Unknown.",
    ),
    "__all__": (
        {"values": [{"__all__": ["JSON does not fulfill schema."]}]},
        "values[0]: JSON does not fulfill schema.",
    ),
    "index as key": (
        {"part_numbers": {"0": ["Too small."], "3": ["Too large."]}},
        "part_numbers[0]: Too small.; part_numbers[3]: Too large.",
    ),
    "list-level": (
        {"values": {"non_field_errors": ['Expected a list of items but got type "str".']}},
        'values: Expected a list of items but got type "str".',
    ),
    "status": (
        {"status": "You can only claim pending evaluations."},
        "status: You can only claim pending evaluations.",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_every_shape_of_error_is_quoted(shape: str, status: int) -> None:
    """Each shape of error body is quoted, with the places of its messages."""
    body, words = SHAPES[shape]
    with pytest.raises(GCAPIError) as caught:
        say(Answer(status=status, body=body), "PATCH", path="archives/items/x/")
    error = caught.value
    assert isinstance(error, StatusError)
    assert isinstance(error, httpx.HTTPStatusError)
    assert error.words == words
    assert words in str(error)
    assert "PATCH http://127.0.0.1" in str(error)
    assert f"/api/v1/archives/items/x/ was answered {status}" in str(error)
    assert (error.status_code, error.response.status_code, error.body) == (status, status, body)
    assert error.request.method == "PATCH"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html><html><body>A long page</body></html>", "(an HTML page)"),
        (b"  <html lang='en'>", "(an HTML page)"),
        (b"upstream\n\n timed   out", "upstream timed out"),
        (b"", ""),
    ],
)
def test_error_bodies_that_are_not_json_are_quoted(body: bytes, words: str) -> None:
    """HTML pages are not quoted, and plain text is quoted in one line."""
    with pytest.raises(StatusError) as caught:
        say(Answer(status=500, body=body), path="x/")
    assert caught.value.words == words


def test_long_words_are_cut() -> None:
    """A quote has at most 1,024 characters."""
    with pytest.raises(StatusError) as caught:
        say(Answer(status=400, body={"detail": "x" * 5000}), path="x/")
    assert len(caught.value.words) == 1024
    assert len(str(caught.value)) < 1200


def test_invalid_json_error_bodies_are_quoted() -> None:
    """An invalid JSON error body is quoted as text."""
    answer = Answer(status=400, body=b"{oops", headers={"Content-Type": "application/json"})
    with pytest.raises(StatusError, match=r"\{oops"):
        say(answer, path="x/")


def test_errors_of_the_sandbox(client: Client) -> None:
    """The error for a refused write has the field, the server's words and the right class."""
    with pytest.raises(StatusError, match=r"400 Bad Request: archive: This field is required\."):
        client("POST", path="archives/items/", json={})
    with pytest.raises(PermissionDenied, match="ask an editor"):
        client("DELETE", path="archives/items/0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d/")
    with pytest.raises(NotFoundError):
        client(path="no/such/page/")


def test_missing_slash_is_explained(client: Client) -> None:
    """The error for a path without a trailing slash says so."""
    with pytest.raises(StatusError, match=r"301.*Paths of the API end in a slash") as caught:
        client(path="archives")
    assert caught.value.status_code == 301


# ---------------------------------------------------------------- redirects


@pytest.fixture
def file_url(sandbox: Sandbox, client: Client, tmp_path: Path) -> str:
    """Return the URL of a text file in an archive."""
    number = client.archives.count()
    archive = sandbox.add_archive(f"Files {number}")
    socket = sandbox.add_socket(f"Report {number}", "CSV file")
    report = tmp_path / "report.csv"
    report.write_text("a;b\n")
    values = [SocketValueSpec(socket, file=report)]
    item = client.add_case_to_archive(archive_slug=archive, values=values)
    sandbox.wait_idle()
    return str(client.archive_items.detail(pk=item.pk).values[0].file)


def test_redirects_are_followed_on_demand(sandbox: Sandbox, client: Client, file_url: str) -> None:
    """Redirects to the object store are followed on request, without the token."""
    sandbox.requests.clear()
    response = client(url=file_url, follow_redirects=True)
    assert response.content == b"a;b\n"
    hops = [(seen.origin, seen.authorization, seen.status) for seen in sandbox.requests]
    assert hops[-2:] == [("api", "Bearer", 302), ("storage", "", 200)]


def test_redirects_are_not_followed_by_themselves(client: Client, file_url: str) -> None:
    """Redirects are not followed by default."""
    with pytest.raises(StatusError) as caught:
        client(url=file_url)
    assert caught.value.status_code == 302


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_redirects_of_writes_are_never_followed(method: str, status: int) -> None:
    """Redirects of writes are never followed."""
    answer = Answer(status=status, headers={"Location": "/api/v1/elsewhere/"})
    with Loopback(in_turn(answer)) as server, connect(server) as client:
        with pytest.raises(StatusError):
            client(method, path="x/", json={}, follow_redirects=True)
        assert len(server.seen) == 1


def hops(count: int) -> Loopback:
    """Return a server that redirects `count` times before it responds."""

    def script(seen: Seen) -> Answer:
        number = int(seen.path.rstrip("/").rpartition("/")[2])
        location = {"Location": f"/api/v1/{number + 1}/"}
        return Answer(body=number) if number == count else Answer(status=302, headers=location)

    return Loopback(script)


def test_five_redirects_are_followed_and_no_more() -> None:
    """Five redirects are followed, and a sixth is an error."""
    with hops(5) as server, connect(server) as client:
        assert client(path="0/", follow_redirects=True) == 5
    with hops(99) as server, connect(server) as client:
        with pytest.raises(TransferError, match="more than 5 redirects"):
            client(path="0/", follow_redirects=True)
        assert [seen.path for seen in server.seen] == [f"/api/v1/{n}/" for n in range(6)]


@pytest.mark.parametrize(
    "location", ["http://example.org/file", "ftp://127.0.0.1/file", "file:///etc/hosts"]
)
def test_redirects_to_unencrypted_hosts_are_refused(location: str) -> None:
    """A redirect to a URL that is neither https nor loopback is a RuntimeError."""
    answer = Answer(status=302, headers={"Location": location})
    with pytest.raises(RuntimeError, match="not fetched: it is not https") as caught:
        say(answer, path="x/", follow_redirects=True)
    assert isinstance(caught.value, InvalidTarget)


@pytest.mark.parametrize("headers", [{}, {"Location": "http://[::1"}, {"Location": "https://"}])
def test_redirects_to_nowhere_are_errors(headers: dict[str, str]) -> None:
    """A redirect with an invalid URL is an error of this package or of the protocol."""
    with pytest.raises((GCAPIError, httpx.RemoteProtocolError)):
        say(Answer(status=302, headers=headers), path="x/", follow_redirects=True)


def test_the_token_comes_back_to_the_api_alone() -> None:
    """When redirects lead to another origin and back, only the API's origin gets the token."""
    with Loopback(in_turn(Answer(status=404))) as away:
        back = {"/api/v1/x/": f"{away.origin}/away", "/api/v1/y/": ""}

        def script(seen: Seen) -> Answer:
            location = back[seen.path]
            return (
                Answer(status=302, headers={"Location": location}) if location else Answer(body=1)
            )

        with Loopback(script) as server, connect(server) as client:
            home = Answer(status=302, headers={"Location": f"{server.base_url}y/"})
            away.script = in_turn(home)
            assert client(path="x/", follow_redirects=True) == 1
    assert [seen.header("Authorization") for seen in away.seen] == [""]
    assert [seen.header("Authorization") for seen in server.seen] == [f"Bearer {TOKEN}"] * 2
