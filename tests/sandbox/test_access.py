"""Who is let in, and which of several refusals comes first."""

from __future__ import annotations

import csv
import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from gcapi_sandbox import Sandbox
    from tests.support.raw_http import Web


def ask(
    sandbox: Sandbox,
    authorization: str | bytes | None,
    path: str = "archives/",
    method: str = "GET",
):
    """Send one request with this header."""
    headers = {} if authorization is None else {"Authorization": authorization}
    return httpx.request(method, f"{sandbox.base_url}{path}", headers=headers)


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_scheme_is_case_insensitive(sandbox: Sandbox, scheme: str) -> None:
    """The word Bearer is accepted in any case and with several blanks."""
    assert ask(sandbox, f"{scheme} {sandbox.token}", "components/interfaces/").status_code == 200


@pytest.mark.parametrize("case", [str.upper, str.lower])
def test_token_case_does_not_matter(sandbox: Sandbox, case) -> None:
    """A token's hexadecimal digits may be written in either case."""
    assert ask(sandbox, f"Bearer {case(sandbox.token)}").status_code == 200


@pytest.mark.parametrize("template", ["Token {}", "{}", "Basic {}"])
def test_other_schemes_are_anonymous(sandbox: Sandbox, template: str) -> None:
    """Another scheme, or none, is not refused: the request is nobody's and sees nothing."""
    sandbox.add_archive(f"Archive {uuid.uuid4()}")
    reply = ask(sandbox, template.format(sandbox.token))
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
def test_bad_tokens(sandbox: Sandbox, header: str | bytes, detail: str) -> None:
    """A bad token is a 401 with its own words, on public endpoints too."""
    reply = ask(sandbox, header, "gcapi/")
    assert reply.status_code == 401
    assert reply.json() == {"detail": detail}
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert reply.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("path", ["components/interfaces/", "workstations/configs/", ""])
def test_closed_resources_need_a_token(sandbox: Sandbox, path: str) -> None:
    """Sockets, viewer settings and the root are not for anonymous readers."""
    reply = ask(sandbox, None, path)
    assert (reply.status_code, reply.json()) == (
        401,
        {"detail": "Authentication credentials were not provided."},
    )


def test_root_is_forbidden_to_users(web: Web) -> None:
    """The root of the API is for staff."""
    assert web.api.get("").status_code == 403


@pytest.mark.parametrize("path", ["archives/items/", "uploads/", "algorithms/jobs/"])
def test_anonymous_writes_are_refused(sandbox: Sandbox, path: str) -> None:
    """Nobody writes without a token."""
    assert ask(sandbox, None, path, "POST").status_code == 401


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
    """A missing permission is 403, a missing method 405, both before the object is looked up."""
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
    """An unknown pk names the model, a malformed one does not."""
    unknown = web.api.get(f"{path}{uuid.uuid4()}/")
    assert (unknown.status_code, unknown.json()) == (
        404,
        {"detail": f"No {name} matches the given query."},
    )
    assert web.api.get(f"{path}nonsense/").json() == {"detail": "Not found."}


def test_invisible_objects_do_not_exist(web: Web, stranger: Web) -> None:
    """What a user may not see is a 404, for writing too, and never a 403."""
    path = web.item("mine")
    assert stranger.api.get(path).status_code == 404
    assert stranger.api.patch(path, json={"values": "nonsense"}).status_code == 404


def test_visible_but_not_changeable(web: Web, stranger: Web) -> None:
    """Who may look but not change is told so before the body is read."""
    web.sandbox.add_archive("Readable", users=["stranger"])
    path = web.item("readable")
    assert stranger.api.get(path).status_code == 200
    assert stranger.api.patch(path, content=b"{broken").status_code == 403


def test_unknown_urls_are_pages(web: Web) -> None:
    """An unknown URL below the root is a 404 in HTML."""
    reply = web.api.get("nothing/here/")
    assert reply.status_code == 404
    assert reply.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_missing_slash_redirects(web: Web, method: str) -> None:
    """A missing slash is a 301 for every method, with the query kept."""
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
def test_bodies(web: Web, content: bytes, content_type: str, status: int, body: object) -> None:
    """Bodies of another kind or shape are refused in the server's words."""
    reply = web.api.post("uploads/", content=content, headers={"Content-Type": content_type})
    assert (reply.status_code, reply.json()) == (status, body)


def test_forms_are_read(web: Web) -> None:
    """Urlencoded and multipart bodies are as good as JSON."""
    assert web.api.post("uploads/", data={"filename": "a.txt"}).status_code == 201
    reply = web.api.post("uploads/", files={"filename": (None, "b.txt")})
    assert reply.json()["filename"] == "b.txt"
    _, path = web.begin()
    numbers = {"part_numbers[1]": "7", "part_numbers[0]": "3"}
    signed = web.api.patch(f"{path}generate-presigned-urls/", data=numbers).json()
    assert list(signed["presigned_urls"]) == ["3", "7"]
    parts = {"parts[0]PartNumber": (None, "3"), "parts[0]ETag": (None, "x")}
    assert web.api.patch(f"{path}complete-multipart-upload/", files=parts).status_code == 500


def test_negotiation(web: Web) -> None:
    """CSV is rendered for some lists; elsewhere it is refused by parameter and by header."""
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
    refused = web.api.get("uploads/", headers={"Accept": "text/csv"})
    assert (refused.status_code, refused.json()) == (
        406,
        {"detail": "Could not satisfy the request Accept header."},
    )


def test_requests_are_recorded(web: Web) -> None:
    """Every request is recorded with the scheme of its header, not the token."""
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
