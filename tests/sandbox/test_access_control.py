"""Authentication, permissions, and which of several errors is reported."""

from __future__ import annotations

import csv
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from gcapi_sandbox import Sandbox
    from tests.support.servers.raw_http import Web


def send_with_header(
    sandbox: Sandbox,
    authorization: str | bytes | None,
    path: str = "archives/",
    method: str = "GET",
):
    """Send a request with an Authorization header."""
    headers = {} if authorization is None else {"Authorization": authorization}
    return httpx.request(method, f"{sandbox.base_url}{path}", headers=headers)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_scheme_is_case_insensitive(sandbox: Sandbox, scheme: str) -> None:
    """The scheme Bearer is accepted in any case and with several spaces."""
    assert (
        send_with_header(sandbox, f"{scheme} {sandbox.token}", "components/interfaces/").status_code
        == 200
    )


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_token_is_case_insensitive(sandbox: Sandbox, case) -> None:
    """The hexadecimal digits of a token are accepted in either case."""
    assert send_with_header(sandbox, f"Bearer {case(sandbox.token)}").status_code == 200


@pytest.mark.parametrize("template", ["Token {}", "{}", "Basic {}"])
def test_other_schemes_are_anonymous(sandbox: Sandbox, template: str) -> None:
    """A request with another scheme, or without one, is anonymous and sees no objects."""
    sandbox.add_archive(f"Archive {uuid.uuid4()}")
    reply = send_with_header(sandbox, template.format(sandbox.token))
    assert (reply.status_code, reply.json()["count"]) == (200, 0)


@pytest.mark.parametrize(
    ("header", "detail"),
    [
        ("Bearer " + "0" * 64, "Invalid token."),
        ("Bearer xyz", "Invalid token."),
        ("Bearer", "Invalid token header. No credentials provided."),
        ("Bearer a b", "Invalid token header. Token string should not contain spaces."),
        (
            "Bearer é".encode(),
            "Invalid token header. Token string should not contain invalid characters.",
        ),
    ],
)
def test_invalid_tokens_are_refused(sandbox: Sandbox, header: str | bytes, detail: str) -> None:
    """An invalid token is a 401 with a specific message, on public endpoints too."""
    reply = send_with_header(sandbox, header, "gcapi/")
    assert reply.status_code == 401
    assert reply.json() == {"detail": detail}
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["components/interfaces/", "workstations/configs/", ""])
def test_private_resources_require_a_token(sandbox: Sandbox, path: str) -> None:
    """Sockets, viewer settings and the API root require a token."""
    reply = send_with_header(sandbox, None, path)
    assert (reply.status_code, reply.json()) == (
        401,
        {"detail": "Authentication credentials were not provided."},
    )


def test_root_is_forbidden_to_users(web: Web) -> None:
    """The API root is a 403 for ordinary users."""
    assert web.api.get("").status_code == 403


@pytest.mark.parametrize("path", ["archives/items/", "uploads/", "algorithms/jobs/"])
def test_anonymous_writes_are_refused(sandbox: Sandbox, path: str) -> None:
    """Every write requires a token."""
    assert send_with_header(sandbox, None, path, "POST").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "archives/items/{}/", 403),
        ("DELETE", "uploads/{}/", 403),
        ("PUT", "uploads/{}/", 405),
        ("PATCH", "uploads/{}/", 405),
        ("DELETE", "reader-studies/answers/{}/", 403),
        ("DELETE", "reader-studies/display-sets/{}/", 405),
        ("PATCH", "algorithms/jobs/{}/", 403),
        ("POST", "cases/images/", 403),
        ("DELETE", "cases/images/{}/", 403),
        ("POST", "gcapi/", 405),
        ("PATCH", "archives/items/", 405),
    ],
)
def test_methods_are_checked_before_objects(web: Web, method: str, path: str, status: int) -> None:
    """A missing permission is a 403 and a missing method a 405, both before the object is looked up."""
    reply = web.api.request(method, path.format(uuid.uuid4()))
    assert reply.status_code == status
    expected = {
        403: "You do not have permission to perform this action.",
        405: f'Method "{method}" not allowed.',
    }
    assert reply.json() == {"detail": expected[status]}
    assert ("Allow" in reply.headers) == (status == 405)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("archives/items/", "ArchiveItem"),
        ("reader-studies/display-sets/", "DisplaySet"),
        ("uploads/", "UserUpload"),
        ("cases/images/", "Image"),
        ("algorithms/jobs/", "Job"),
        ("reader-studies/answers/", "Answer"),
    ],
)
def test_unknown_and_malformed_pks(web: Web, path: str, name: str) -> None:
    """The error for an unknown pk names the model, the one for a malformed pk does not."""
    unknown = web.api.get(f"{path}{uuid.uuid4()}/")
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"detail": f"No {name} matches the given query."},
    )
    assert web.api.get(f"{path}nonsense/").json() == {"detail": "Not found."}


def test_invisible_objects_are_not_found(web: Web, stranger: Web) -> None:
    """An object that is not visible to the user is a 404 for reads and writes, never a 403."""
    path = web.item("mine")
    assert stranger.api.get(path).status_code == 404
    assert stranger.api.patch(path, json={"values": "nonsense"}).status_code == 404


def test_permission_is_checked_before_the_body(web: Web, stranger: Web) -> None:
    """A write without permission to a visible object is a 403 before the body is read."""
    web.sandbox.add_archive("Readable", users=["stranger"])
    path = web.item("readable")
    assert stranger.api.get(path).status_code == 200
    assert stranger.api.patch(path, content=b"{broken").status_code == 403


def test_unknown_urls_are_html_404s(web: Web) -> None:
    """An unknown URL below the root is a 404 in HTML."""
    reply = web.api.get("nothing/here/")
    assert reply.status_code == 404
    assert reply.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_missing_slash_redirects(web: Web, method: str) -> None:
    """A missing trailing slash is a 301 for every method, and the query is kept."""
    reply = web.api.request(method, "archives/items?limit=3")
    assert reply.status_code == 301
    assert reply.headers["Location"] == "/api/v1/archives/items/?limit=3"


@pytest.mark.parametrize(
    ("content", "content_type", "status", "body"),
    [
        (b"x", "text/plain", 415, {"detail": 'Unsupported media type "text/plain" in request.'}),
        (
            b"[]",
            "application/json",
            400,
            {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]},
        ),
        (b"null", "application/json", 400, {"non_field_errors": ["No data provided"]}),
        (b"", "application/json", 400, {"filename": ["This field is required."]}),
    ],
)
def test_invalid_bodies_are_refused(
    web: Web, content: bytes, content_type: str, status: int, body: object
) -> None:
    """Bodies of an unsupported type or structure are refused with the server's messages."""
    reply = web.api.post("uploads/", content=content, headers={"Content-Type": content_type})
    assert (reply.status_code, reply.json()) == (status, body)


def test_forms_are_accepted(web: Web) -> None:
    """URL-encoded and multipart bodies are accepted like JSON."""
    assert web.api.post("uploads/", data={"filename": "a.txt"}).status_code == 201
    reply = web.api.post("uploads/", files={"filename": (None, "b.txt")})
    assert reply.json()["filename"] == "b.txt"
    _, path = web.create_upload()
    numbers = {"part_numbers[1]": "7", "part_numbers[0]": "3"}
    signed = web.api.patch(f"{path}generate-presigned-urls/", data=numbers).json()
    assert list(signed["presigned_urls"]) == ["3", "7"]
    parts = {"parts[0]PartNumber": (None, "3"), "parts[0]ETag": (None, "x")}
    assert web.api.patch(f"{path}complete-multipart-upload/", files=parts).status_code == 500


def test_csv_negotiation(web: Web) -> None:
    """Some lists are available as CSV; for others CSV is refused by parameter and by header."""
    path = web.item("csv", "with, comma")
    assert path
    archives = web.api.get("archives/?format=csv&slug=csv")
    assert archives.headers["Content-Type"] == "text/csv"
    (row,) = csv.DictReader(archives.text.splitlines())
    assert row["api_url"] == f"{web.archive('csv')['api_url']}?format=csv"
    plain = web.api.get("archives/?slug=csv", headers={"Accept": "text/csv"})
    (row,) = csv.DictReader(plain.text.splitlines())
    assert row["api_url"] == web.archive("csv")["api_url"]
    empty = web.api.get("archives/?format=csv&slug=none")
    assert (empty.status_code, empty.content, "Content-Type" in empty.headers) == (200, b"", False)
    assert web.api.get("uploads/?format=csv").json() == {"detail": "Not found."}
    json_only = {"Accept": "application/json"}
    for refused in (
        web.api.get("uploads/", headers={"Accept": "text/csv"}),
        web.api.get("archives/?format=csv", headers=json_only),
    ):
        assert (refused.status_code, refused.json()) == (
            406,
            {"detail": "Could not satisfy the request Accept header."},
        )


def test_requests_are_recorded(web: Web) -> None:
    """Every request is logged with the scheme of its Authorization header, but not the token."""
    web.sandbox.requests.clear()
    web.api.get("archives/?limit=1")
    httpx.get(f"{web.sandbox.base_url}gcapi/")
    first, second = web.sandbox.requests
    assert (first.origin, first.method, first.path, first.query) == (
        "api",
        "GET",
        "/api/v1/archives/",
        "limit=1",
    )
    assert (first.authorization, first.status, second.authorization) == ("Bearer", 200, "")
    assert web.sandbox.token not in repr(web.sandbox.requests)


def test_bodies_without_a_token_are_bounded(sandbox: Sandbox, web: Web) -> None:
    """A long body is read only with a valid token."""
    url = f"{sandbox.base_url}archives/items/"
    for token, status in ((None, 413), ("0" * 64, 413), (sandbox.token, 400)):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"title": "x" * 2**20}
        assert httpx.post(url, json=body, headers=headers).status_code == status
    assert web.get("archives/")


@pytest.mark.parametrize("depth", [300, 100_000])
def test_deeply_nested_json_is_refused(web: Web, depth: int) -> None:
    """JSON that is nested too deeply is an error of the request, and not of the server."""
    content = b'{"title":' + b"[" * depth + b"]" * depth + b"}"
    headers = {"Content-Type": "application/json"}
    refused = web.api.post("archives/items/", content=content, headers=headers)
    assert (refused.status_code, "JSON parse error" in refused.text) == (400, True)


def test_open_connections_are_bounded(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection beyond the limit is closed, and those that are open go on."""
    web.get("archives/")
    monkeypatch.setattr("gcapi_sandbox._app.server._MAX_CONNECTIONS", 0)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{web.sandbox.base_url}gcapi/", trust_env=False)
    assert web.get("archives/")
    monkeypatch.undo()
    assert httpx.get(f"{web.sandbox.base_url}gcapi/", trust_env=False).is_success
