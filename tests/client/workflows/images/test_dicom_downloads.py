"""Downloads of DICOM image sets, whose instances are fetched with requests that the server signs."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gcapi._http.settings import Settings
from gcapi._http.urls import DEFAULT_BASE_URL, parse_base_url
from gcapi._transfer.image_files import check_signed_request
from gcapi.exceptions import (
    GCAPIError,
    InvalidTarget,
    StorageError,
    UnexpectedAnswer,
    UnsafeName,
)
from tests.support.api_objects import DICOM_IMAGE, PK
from tests.support.data import everything_below
from tests.support.servers.loopback import TOKEN, Answer, Loopback, Seen, connect, in_turn


def signed_request(url: str, **changes: Any) -> dict[str, Any]:
    """Return a signed request as the server describes it."""
    headers = {"Accept": "application/dicom", "X-Amz-Date": "today", "Authorization": "AWS4 signed"}
    return {"url": url, "method": "GET", "data": None, "headers": headers, **changes}


def dicom_script(instances: list[dict[str, Any]]) -> Any:
    """Return the script of an API with one DICOM image of these instances."""

    def script(seen: Seen) -> Answer:
        if seen.path.endswith("/dicom/instances/"):
            return Answer(body={"image_set_id": "0" * 32, "instances": instances})
        return Answer(body=DICOM_IMAGE)

    return script


def download_dicom(instances: list[dict[str, Any]], directory: Path, **options: Any) -> list[Path]:
    """Download a DICOM image with these instances."""
    with Loopback(dicom_script(instances)) as server, connect(server) as client:
        return client.images.download(pk=PK, output_directory=directory, **options)


def test_signed_requests_are_sent_unchanged(tmp_path: Path) -> None:
    """Each instance is fetched once, with its signed headers and without the token."""
    with Loopback(lambda seen: Answer(body=seen.path.encode())) as store:
        instances = [
            {"sop_instance_uid": uid, "get_instance": signed_request(f"{store.origin}/{uid}?a=b")}
            for uid in ("1.2.3", "1.2.3", "1.2.4", "1.2.3")
        ]
        paths = download_dicom(instances, tmp_path)
    assert paths == [tmp_path / "1.2.3.dcm", tmp_path / "1.2.4.dcm"]
    assert paths[0].read_bytes() == b"/1.2.3?a=b"
    assert Counter(seen.path for seen in store.seen) == {"/1.2.3?a=b": 1, "/1.2.4?a=b": 1}
    for seen in store.seen:
        assert seen.method == "GET"
        assert seen.header("Authorization") == "AWS4 signed"
        assert seen.header("Accept") == "application/dicom"
        assert TOKEN not in str(seen)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"method": "POST"}, UnexpectedAnswer),
        ({"method": "DELETE"}, UnexpectedAnswer),
        ({"data": {"a": 1}}, UnexpectedAnswer),
        ({"url": "http://example.org/1"}, InvalidTarget),
        ({"url": "ftp://localhost/1"}, InvalidTarget),
        ({"url": "file:///etc/hosts"}, InvalidTarget),
        ({"url": None}, InvalidTarget),
        ({"headers": {"Authorization": f"Bearer {TOKEN}"}}, InvalidTarget),
        ({"headers": {"X-Token": TOKEN}}, InvalidTarget),
    ],
)
def test_other_requests_are_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception]
) -> None:
    """If one request writes, is unencrypted, or contains the token, none is sent."""
    with Loopback(in_turn(Answer(body=b"content"))) as store:
        instances = [
            {"sop_instance_uid": "1.2.3", "get_instance": signed_request(f"{store.origin}/1")},
            {
                "sop_instance_uid": "1.2.4",
                "get_instance": signed_request(f"{store.origin}/2") | changes,
            },
        ]
        with pytest.raises(error):
            download_dicom(instances, tmp_path)
    assert store.seen == []
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("broken", [{}, {"method": "GET"}, None, "https://gc.localhost/", [1]])
def test_malformed_requests_are_refused(tmp_path: Path, broken: Any) -> None:
    """A malformed description of a request is an error of gcapi."""
    with pytest.raises(GCAPIError):
        download_dicom([{"sop_instance_uid": "1.2.3", "get_instance": broken}], tmp_path)
    with pytest.raises(GCAPIError):
        download_dicom([{"get_instance": signed_request("https://gc.localhost/")}], tmp_path)


@pytest.mark.parametrize("uid", ["../x", "1.2/3", "", "a", "CON", "1" * 65])
def test_invalid_uids_are_refused(tmp_path: Path, uid: str) -> None:
    """An instance without a valid UID, after which its file is named, is refused."""
    with pytest.raises(UnsafeName):
        download_dicom(
            [{"sop_instance_uid": uid, "get_instance": signed_request("https://gc.localhost/")}],
            tmp_path / "out",
        )
    assert everything_below(tmp_path) == set()


def test_refusal_of_a_signed_request(tmp_path: Path) -> None:
    """A signed request that the store refuses or redirects is a StorageError, and leaves no file."""
    for answer in (
        Answer(status=403, body=b"<Error/>"),
        Answer(status=302, headers={"Location": "/x"}),
    ):
        with Loopback(in_turn(answer)) as store:
            instances = [
                {"sop_instance_uid": "1.2", "get_instance": signed_request(f"{store.origin}/1")}
            ]
            with pytest.raises(StorageError):
                download_dicom(instances, tmp_path)
            assert len(store.seen) == 1
    assert everything_below(tmp_path) == set()


def test_image_set_takes_no_filename(tmp_path: Path) -> None:
    """A filename for a DICOM image set is a ValueError."""
    with pytest.raises(ValueError, match="leave filename out"):
        download_dicom([], tmp_path, filename="x")


def test_existing_instance_is_kept(tmp_path: Path) -> None:
    """An instance that exists prevents the download before the first transfer."""
    (tmp_path / "1.2.4.dcm").write_text("precious")
    with Loopback(in_turn(Answer(body=b"content"))) as store:
        instances = [
            {"sop_instance_uid": uid, "get_instance": signed_request(f"{store.origin}/{uid}")}
            for uid in ("1.2.3", "1.2.4")
        ]
        with pytest.raises(FileExistsError):
            download_dicom(instances, tmp_path)
    assert store.seen == []
    assert everything_below(tmp_path) == {"1.2.4.dcm"}


def test_headers_that_cannot_be_sent() -> None:
    """Signed headers that are not plain ASCII text are refused."""
    settings = Settings(token=TOKEN, base_url=parse_base_url(DEFAULT_BASE_URL))
    for headers in ({"A": "b\r\nC: d"}, {"A": "ü"}, {"A\n": "b"}):
        with pytest.raises(UnexpectedAnswer):
            check_signed_request({"url": "https://files.example/", "headers": headers}, settings)
