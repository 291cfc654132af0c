"""Uploads, and the storage of their parts."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from gcapi_sandbox import Faults
from tests.support.servers.raw_http import image_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.servers.raw_http import Web

MIB = 1024 * 1024


@pytest.fixture
def limits(web: Web) -> Iterator[object]:
    """Yield the limits, and restore them afterwards."""
    before = vars(web.sandbox.limits).copy()
    yield web.sandbox.limits
    vars(web.sandbox.limits).update(before)


def test_upload(web: Web) -> None:
    """An upload is created, receives parts, lists them, and is completed."""
    upload, path = web.create_upload("scan.mha")
    assert upload.keys() == {
        "pk",
        "created",
        "filename",
        "key",
        "s3_upload_id",
        "status",
        "api_url",
    }
    assert (upload["filename"], upload["status"]) == ("scan.mha", "Initialized")
    assert upload["key"].endswith(f"/{upload['pk']}")
    etag = web.put(web.presign(path, 1)["1"], b"bytes")
    assert etag == f'"{hashlib.md5(b"bytes").hexdigest()}"'
    (part,) = web.get(f"{path}list-parts/")["parts"]
    assert (part["ETag"], part["PartNumber"], part["Size"]) == (etag, 1, 5)
    reply = web.complete(path, (1, etag.strip('"')))
    assert reply.json() == {**upload, "status": "Completed"}
    assert web.get(upload["api_url"])["status"] == "Completed"


def test_parts_are_compared_with_their_checksum(web: Web) -> None:
    """A part whose bytes are not those of its `Content-MD5` is refused as S3 does, and not kept."""
    _, path = web.create_upload()
    url = web.presign(path, 1)["1"]
    told = b64encode(hashlib.md5(b"bytes").digest()).decode()
    refused = web.storage.put(url, content=b"other", headers={"Content-MD5": told})
    assert (refused.status_code, "<Code>BadDigest</Code>" in refused.text) == (400, True)
    assert web.get(f"{path}list-parts/")["parts"] == []
    assert web.storage.put(url, content=b"bytes", headers={"Content-MD5": told}).is_success


def test_parts_can_be_replaced(web: Web) -> None:
    """The last bytes sent as a part are used, and part numbers can have gaps."""
    _, path = web.create_upload()
    urls = web.presign(path, 3, 9000)
    web.put(urls["3"], b"wrong")
    etags = [web.put(urls["3"], bytes(5 * MIB)), web.put(urls["9000"], b"")]
    assert [part["Size"] for part in web.get(f"{path}list-parts/")["parts"]] == [5 * MIB, 0]
    assert web.complete(path, (3, etags[0]), (9000, etags[1])).status_code == 200


@pytest.mark.parametrize("action", ["complete", "abort", "list-parts"])
def test_completed_uploads_are_final(web: Web, action: str) -> None:
    """A completed upload cannot be completed, aborted or listed again: a 500 in HTML."""
    upload, path = web.create_upload()
    etag = web.put(web.presign(path, 1)["1"], b"x")
    web.complete(path, (1, etag))
    replies = {
        "complete": lambda: web.complete(path, (1, etag)),
        "abort": lambda: web.api.patch(f"{path}abort-multipart-upload/"),
        "list-parts": lambda: web.api.get(f"{path}list-parts/"),
    }
    reply = replies[action]()
    assert reply.status_code == 500
    assert reply.headers["Content-Type"].startswith("text/html")
    assert web.get(upload["api_url"])["status"] == "Completed"


def test_presigning_a_completed_upload(web: Web) -> None:
    """No URLs are signed for a completed upload."""
    _, path = web.create_upload()
    web.complete(path, (1, web.put(web.presign(path, 1)["1"], b"x")))
    reply = web.api.patch(f"{path}generate-presigned-urls/", json={"part_numbers": [2]})
    assert (reply.status_code, reply.json()) == (403, {"detail": "Upload limit reached"})


def test_abort(web: Web) -> None:
    """An aborted upload loses its S3 id, so later requests with it are not found."""
    upload, path = web.create_upload()
    url = web.presign(path, 1)["1"]
    reply = web.api.patch(f"{path}abort-multipart-upload/").json()
    assert (reply["status"], reply["s3_upload_id"]) == ("Aborted", "")
    assert web.api.get(f"{path}list-parts/").json() == {"detail": "Not found."}
    refused = web.storage.put(url, content=b"late")
    assert refused.status_code == 404
    assert "<Code>NoSuchUpload</Code>" in refused.text
    assert web.get(upload["api_url"])["status"] == "Aborted"


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [{"PartNumber": 1}],
        [{"PartNumber": 1, "ETag": "wrong"}],
        [{"PartNumber": 2, "ETag": "{2}"}, {"PartNumber": 1, "ETag": "{1}"}],
        [{"PartNumber": 1, "ETag": "{1}"}, {"PartNumber": 2, "ETag": "{2}"}],
        [{"PartNumber": 1, "ETag": "{1}", "LastModified": "2026-01-01T00:00:00Z", "Size": 1}],
    ],
    ids=["none", "no ETag", "wrong ETag", "descending", "too small", "stray keys"],
)
def test_storage_errors_are_500s(web: Web, parts: list[dict[str, object]]) -> None:
    """Errors of the storage are a 500 in HTML, and the upload can still be completed."""
    upload, path = web.create_upload()
    urls = web.presign(path, 1, 2)
    etags = {f"{{{number}}}": web.put(urls[str(number)], b"tiny") for number in (1, 2)}
    body = [{key: etags.get(str(value), value) for key, value in part.items()} for part in parts]
    reply = web.api.patch(f"{path}complete-multipart-upload/", json={"parts": body})
    assert reply.status_code == 500
    assert reply.headers["Content-Type"].startswith("text/html")
    assert web.get(upload["api_url"])["status"] == "Initialized"
    assert web.complete(path, (1, etags["{1}"])).status_code == 200


@pytest.mark.parametrize(
    ("action", "body", "error"),
    [
        ("complete-multipart-upload", {}, {"non_field_errors": ["The `parts` field is required"]}),
        ("complete-multipart-upload", {"parts": None}, {"parts": ["This field may not be null."]}),
        (
            "complete-multipart-upload",
            {"parts": [{"PartNumber": 0, "ETag": "x"}]},
            {"parts": [{"PartNumber": ["Ensure this value is greater than or equal to 1."]}]},
        ),
        (
            "generate-presigned-urls",
            {},
            {"non_field_errors": ["The `part_numbers` field is required"]},
        ),
        (
            "generate-presigned-urls",
            {"part_numbers": [0, 1, "x"]},
            {
                "part_numbers": {
                    "0": ["Ensure this value is greater than or equal to 1."],
                    "2": ["A valid integer is required."],
                }
            },
        ),
    ],
)
def test_invalid_part_lists(web: Web, action: str, body: object, error: object) -> None:
    """An invalid list of parts is refused in the server's three formats."""
    _, path = web.create_upload()
    reply = web.api.patch(f"{path}{action}/", json=body)
    assert (reply.status_code, reply.json()) == (400, error)


def test_presigning_without_or_repeated_numbers(web: Web) -> None:
    """No part numbers return no URLs, and a repeated number returns one."""
    _, path = web.create_upload()
    assert web.presign(path) == {}
    assert web.presign(path, 7, 7).keys() == {"7"}


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a/b.txt", "a/b.txt is not a valid filename"),
        (".", ". is not a valid filename"),
        ("  ", "This field may not be blank."),
        ("x" * 129, "Ensure this field has no more than 128 characters."),
        ("a\0b", "Null characters are not allowed."),
        (None, "This field may not be null."),
    ],
)
def test_refused_filenames(web: Web, name: str | None, problem: str) -> None:
    """A file name must be a base name of a limited length."""
    reply = web.api.post("uploads/", json={"filename": name})
    assert (reply.status_code, reply.json()) == (400, {"filename": [problem]})


@pytest.mark.parametrize("name", ["..", "a\\b", 'a:b*?"', "ä", 12])
def test_accepted_filenames(web: Web, name: object) -> None:
    """Many unusual names are accepted, and numbers become text."""
    assert web.post("uploads/", {"filename": name})["filename"] == str(name)


def test_upload_limits(web: Web, limits) -> None:
    """Too many uploads are a 400, and too many bytes a 403 before URLs are signed."""
    _, path = web.create_upload()
    url = web.presign(path, 1)["1"]
    web.put(url, b"12345")
    limits.upload_bytes = 5
    reply = web.api.patch(f"{path}generate-presigned-urls/", json={"part_numbers": [2]})
    assert (reply.status_code, reply.json()) == (403, {"detail": "Upload limit reached"})
    web.put(url, b"123456")
    limits.uploads_per_user = 1
    reply = web.api.post("uploads/", json={"filename": "x"})
    assert reply.json() == {
        "non_field_errors": ["You have created too many uploads. Please try again later."]
    }


def test_others_uploads_are_invisible(web: Web, stranger: Web) -> None:
    """Uploads are visible to their creator only."""
    upload, path = web.create_upload()
    assert stranger.get("uploads/")["count"] == 0
    assert stranger.api.get(upload["api_url"]).status_code == 404
    assert stranger.api.get(f"{path}list-parts/").status_code == 404
    assert web.api.get(f"uploads/{upload['pk']}/other/list-parts/").json() == {
        "detail": "Not found."
    }


def test_expired_url(web: Web, limits) -> None:
    """An expired URL is a 403 in S3's XML, and a new one works."""
    _, path = web.create_upload()
    limits.presigned_url_seconds = 0
    refused = web.storage.put(web.presign(path, 1)["1"], content=b"x")
    assert (refused.status_code, refused.headers["Content-Type"]) == (403, "application/xml")
    assert "Request has expired" in refused.text
    limits.presigned_url_seconds = 60
    assert web.put(web.presign(path, 1)["1"], b"x")


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url.replace("partNumber=1", "partNumber=2"),
        lambda url: url.replace("X-Amz-Expires=3600", "X-Amz-Expires=999999"),
        lambda url: url.partition("?")[0],
    ],
    ids=["another part", "a longer life", "no signature"],
)
def test_changed_urls(web: Web, change) -> None:
    """A changed URL is refused."""
    _, path = web.create_upload()
    refused = web.storage.put(change(web.presign(path, 1)["1"]), content=b"x")
    assert refused.status_code == 403
    assert refused.text.startswith("<?xml")


def test_signed_for_one_method(web: Web) -> None:
    """A URL signed for PUT cannot be used for GET."""
    _, path = web.create_upload()
    refused = web.storage.get(web.presign(path, 1)["1"])
    assert "SignatureDoesNotMatch" in refused.text


def test_storage_refuses_tokens(web: Web) -> None:
    """A request with an API token to the storage origin is refused and logged."""
    _, path = web.create_upload()
    url = web.presign(path, 1)["1"]
    web.sandbox.requests.clear()
    refused = web.storage.put(url, content=b"x", headers={"Authorization": "Bearer secret"})
    assert refused.status_code == 400
    (recorded,) = web.sandbox.requests
    assert (recorded.origin, recorded.authorization, recorded.status) == ("storage", "Bearer", 400)


def test_storage_is_another_origin(web: Web) -> None:
    """Presigned URLs point to the storage origin and are signed in the query."""
    _, path = web.create_upload()
    url = web.presign(path, 1)["1"]
    assert url.startswith(web.sandbox.storage_url)
    assert not url.startswith(web.sandbox.base_url.removesuffix("api/v1/"))
    for name in (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "X-Amz-SignedHeaders=host",
        "X-Amz-Expires=3600",
    ):
        assert name in url


def test_old_uploads_are_deleted(web: Web) -> None:
    """An upload older than its lifetime is deleted with its parts, in any state."""
    done, (begun, path) = web.upload("done.txt"), web.create_upload()
    web.put(web.presign(path, 1)["1"], b"data")
    (late,) = web.presign(path, 2).values()
    before, web.sandbox.limits.upload_seconds = web.sandbox.limits.upload_seconds, 0
    assert web.get("uploads/")["count"] == 0
    web.sandbox.limits.upload_seconds = before
    assert {web.api.get(url).status_code for url in (done, begun["api_url"])} == {404}
    assert web.storage.put(late, content=b"late").status_code == 404
    body = {"uploads": [done]}
    assert web.api.post("cases/upload-sessions/", json=body).json() == {
        "uploads": ["Invalid hyperlink - Object does not exist."]
    }


def test_uploads_that_wait_for_their_import_are_kept(web: Web) -> None:
    """An upload that was given to a case does not expire before it is imported."""
    web.sandbox.add_socket("Waiting", "CSV file")
    web.sandbox.add_socket("Waiting image")
    path = web.item()
    given = [
        {"interface": "waiting", "user_upload": web.upload("a.csv", b"a;b")},
        {"interface": "waiting-image", "user_uploads": [web.upload("a.mha", image_bytes())]},
    ]
    with web.sandbox.hold_background():
        assert web.patch(path, *given).is_success
        web.sandbox.faults = Faults(clock_offset=2 * 86_400)
        unused = web.upload("unused.csv")
        web.sandbox.faults = Faults(clock_offset=4 * 86_400)
        assert web.api.get(unused).status_code == 404
    web.sandbox.faults = Faults()
    assert web.values(path).keys() == {"waiting", "waiting-image"}
