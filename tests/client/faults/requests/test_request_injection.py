"""Names, headers, keys and URLs that would change a request or send it elsewhere."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi.exceptions import GCAPIError, InvalidTarget, ObjectNotFound
from tests.support.retried_calls import UPLOAD
from tests.support.servers.loopback import (
    NO_RETRIES,
    TOKEN,
    Answer,
    Loopback,
    Seen,
    connect,
    in_turn,
)

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1", "a\nb", 'a"; x="y', "ü\u202egnp", "a" * 128])
def test_upload_names_do_not_become_headers(name: str) -> None:
    """The file name of an upload is sent in the JSON body, not in headers."""
    with (
        Loopback(in_turn(Answer(status=201, body={**UPLOAD, "filename": name}))) as server,
        connect(server) as client,
    ):
        assert client.uploads.create(filename=name).filename == name
    (seen,) = server.seen
    assert seen.json() == {"filename": name}
    assert "x-evil" not in {header.lower() for header in seen.headers}


@pytest.mark.parametrize("name", ["a\r\nX-Evil: 1\r\n\r\nbody", 'a"\r\nX-Evil: 1'])
def test_multipart_names_do_not_become_headers(name: str) -> None:
    """Line breaks in file names of a multipart body are escaped."""
    with Loopback(in_turn(Answer(body=1))) as server, connect(server) as client:
        client("POST", path="x/", files={"file": (name, b"content")})
    assert b"\r\nX-Evil" not in server.seen[0].body


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\x00b"])
def test_headers_with_line_breaks_are_not_sent(value: str) -> None:
    """A header with a line break is refused by httpx, and nothing is sent."""
    with (
        Loopback(in_turn(Answer(body=1))) as server,
        connect(server, retry_strategy=NO_RETRIES) as client,
        pytest.raises(httpx.LocalProtocolError),
    ):
        client(path="x/", extra_headers={"X-Mine": value})
    assert server.seen == []


@pytest.mark.parametrize("pk", ["../../../admin/", "a/b", "a?b=c", "a#b", "%2e%2e", "ü\n"])
def test_keys_are_one_segment_of_the_path(pk: str) -> None:
    """A primary key is quoted as one segment of the path."""
    with Loopback(in_turn(Answer(body=UPLOAD))) as server, connect(server) as client:
        client.uploads.detail(pk=pk)
    (seen,) = server.seen
    assert seen.path.startswith("/api/v1/uploads/")
    assert seen.path.count("/") == 5
    assert "?" not in seen.path


@pytest.mark.parametrize("pk", [".", "..", ""])
def test_keys_that_would_change_the_path_are_refused(pk: str) -> None:
    """A primary key that would change the path is not sent, and the error names it."""
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
def test_urls_of_other_origins_are_refused(url: str, how: str) -> None:
    """An invalid URL, or one of another origin, is refused before anything is sent."""
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
    """A path that cannot be joined to the base URL raises InvalidTarget, and nothing is sent."""
    with Loopback(in_turn(Answer(body=UPLOAD))) as server, connect(server) as client:
        with pytest.raises(InvalidTarget, match="is not a valid path") as caught:
            client(path=path)
        assert server.seen == []
    assert str(caught.value).startswith(repr(str(path)[:200]))


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "http://evil.example/x", "ftp://127.0.0.1/", "//evil.example"]
)
def test_parts_are_not_sent_to_insecure_urls(target: str) -> None:
    """Parts are not sent to a presigned URL that is neither https nor loopback."""

    def script(seen: Seen) -> Answer:
        if seen.path.endswith("generate-presigned-urls/"):
            return Answer(body={**UPLOAD, "presigned_urls": {"1": f"{target}?X-Amz-Signature=a"}})
        return Answer(status=201 if seen.path.endswith("uploads/") else 200, body=UPLOAD)

    with (
        Loopback(script) as server,
        connect(server, retry_strategy=NO_RETRIES) as client,
        pytest.raises(InvalidTarget, match="not https"),
    ):
        client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="a")


@pytest.mark.parametrize("header", ["a\r\nAuthorization: x", "a\nb"])
def test_recipes_with_line_breaks_are_not_sent(tmp_path: Path, header: str) -> None:
    """A DICOM recipe with a line break in a header is refused, and leaves no file."""
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
            connect(server, retry_strategy=NO_RETRIES) as client,
            pytest.raises((GCAPIError, httpx.TransportError)),
        ):
            client.images.download(pk=PK, output_directory=tmp_path)
    assert store.seen == []
    assert list(tmp_path.iterdir()) == []
