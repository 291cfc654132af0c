"""File URLs, and the download of files from the storage origin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from gcapi_sandbox import Sandbox
    from tests.support.servers.raw_http import Web

CONTENT = bytes(range(100))


@pytest.fixture(scope="module", autouse=True)
def _sockets(sandbox: Sandbox) -> None:
    """Add the sockets of this module."""
    sandbox.add_socket("Picture")
    sandbox.add_socket("Report", "PDF file")


@pytest.fixture
def report(web: Web) -> tuple[str, str]:
    """Return the path of an item and the URL of its file."""
    path = web.item()
    web.patch(path, {"interface": "report", "user_upload": web.upload("report.pdf", CONTENT)})
    return path, web.values(path)["report"]["file"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_file_url_redirects_to_storage(web: Web, report: tuple[str, str], method: str) -> None:
    """A file URL redirects with an empty 302 to the storage origin."""
    reply = web.api.request(method, report[1])
    assert (reply.status_code, reply.content) == (302, b"")
    assert "Content-Type" not in reply.headers
    assert reply.headers["Location"].startswith(web.sandbox.storage_url)


def test_download_has_length_type_and_etag(web: Web, report: tuple[str, str]) -> None:
    """A download needs no credentials and has a length, a type and an ETag."""
    reply = web.storage.get(web.api.get(report[1]).headers["Location"])
    assert reply.content == CONTENT
    assert reply.headers["Content-Type"] == "application/pdf"
    assert reply.headers["Content-Length"] == str(len(CONTENT))
    assert reply.headers["Accept-Ranges"] == "bytes"
    assert reply.headers["ETag"].startswith('"')


def test_range_requests(web: Web, report: tuple[str, str]) -> None:
    """A range returns a part, a stale validator the whole file, and a range past the end a 416."""
    url = web.api.get(report[1]).headers["Location"]
    etag = web.storage.get(url).headers["ETag"]
    part = web.storage.get(url, headers={"Range": "bytes=10-", "If-Range": etag})
    assert (part.status_code, part.content) == (206, CONTENT[10:])
    assert part.headers["Content-Range"] == "bytes 10-99/100"
    assert part.headers["ETag"] == etag
    whole = web.storage.get(url, headers={"Range": "bytes=10-", "If-Range": '"old"'})
    assert (whole.status_code, whole.content) == (200, CONTENT)
    beyond = web.storage.get(url, headers={"Range": "bytes=100-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, "bytes */100")


def test_storage_requires_a_signature(web: Web, report: tuple[str, str]) -> None:
    """The storage origin refuses a request without a signature or with a token."""
    url = web.api.get(report[1]).headers["Location"]
    assert web.storage.get(url.partition("?")[0]).status_code == 403
    leaked = web.storage.get(url, headers={"Authorization": f"Bearer {web.sandbox.token}"})
    assert leaked.status_code == 400


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nonsense"}])
def test_anonymous_users_cannot_download(
    web: Web, report: tuple[str, str], header: dict[str, str]
) -> None:
    """Without a valid token a file is a 404 and an image file a 403, both in HTML."""
    image = web.image()["files"][0]["file"]
    for url, status in ((report[1], 404), (image, 403)):
        reply = httpx.get(url, headers=header)
        assert reply.status_code == status
        assert reply.headers["Content-Type"].startswith("text/html")


def test_strangers_cannot_download(web: Web, stranger: Web, report: tuple[str, str]) -> None:
    """The same holds for users without a role."""
    assert stranger.api.get(report[1]).status_code == 404
    assert stranger.api.get(web.image()["files"][0]["file"]).status_code == 403


@pytest.mark.parametrize("path", ["media/images/aa/bb/x/y/z.mha", "media/nothing"])
def test_unknown_files(web: Web, path: str) -> None:
    """An unknown file is a 404."""
    assert web.api.get(web.sandbox.base_url.replace("api/v1/", path)).status_code == 404


def test_replaced_files_are_gone(web: Web, report: tuple[str, str]) -> None:
    """The URL of a replaced value is a 404."""
    path, url = report
    web.patch(path, {"interface": "report", "user_upload": web.upload("report.pdf", b"new")})
    assert web.values(path)["report"]["file"] != url
    assert web.api.get(url).status_code == 404


def test_logos_are_public(web: Web) -> None:
    """A logo is served without a token and without a redirect."""
    reply = httpx.get(web.archive("cases")["logo"])
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "image/png")
    assert reply.content[:8] == b"\x89PNG\r\n\x1a\n"
