"""DICOM image sets on their way home: request recipes that the server signs, followed to the letter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gcapi.exceptions import (
    GCAPIError,
    InvalidTarget,
    StorageError,
    UnexpectedAnswer,
    UnsafeName,
)
from tests.support.api_objects import DICOM_IMAGE, PK
from tests.support.data import everything_below
from tests.support.loopback import TOKEN, Answer, Loopback, Seen, connect, in_turn


def recipe(url: str, **changes: Any) -> dict[str, Any]:
    """Return a recipe as the server makes them."""
    headers = {"Accept": "application/dicom", "X-Amz-Date": "today", "Authorization": "AWS4 signed"}
    return {"url": url, "method": "GET", "data": None, "headers": headers, **changes}


def dicom_script(instances: list[dict[str, Any]]) -> Any:
    """Return a script of an API that has one DICOM image with these instances."""

    def script(seen: Seen) -> Answer:
        if seen.path.endswith("/dicom/instances/"):
            return Answer(body={"image_set_id": "0" * 32, "instances": instances})
        return Answer(body=DICOM_IMAGE)

    return script


def fetch_dicom(instances: list[dict[str, Any]], directory: Path, **options: Any) -> list[Path]:
    """Download a DICOM image with these instances."""
    with Loopback(dicom_script(instances)) as server, connect(server) as client:
        return client.images.download(pk=PK, output_directory=directory, **options)


def test_recipes_are_followed_to_the_letter(tmp_path: Path) -> None:
    """Each uid is fetched once, with the headers of its recipe and without the token."""
    with Loopback(lambda seen: Answer(body=seen.path.encode())) as store:
        instances = [
            {"sop_instance_uid": uid, "get_instance": recipe(f"{store.origin}/{uid}?a=b")}
            for uid in ("1.2.3", "1.2.3", "1.2.4", "1.2.3")
        ]
        paths = fetch_dicom(instances, tmp_path)
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
def test_recipes_that_do_something_else_are_refused(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception]
) -> None:
    """One recipe that writes, goes to an unencrypted host or has the token in it, and none is followed."""
    with Loopback(in_turn(Answer(body=b"content"))) as store:
        instances = [
            {"sop_instance_uid": "1.2.3", "get_instance": recipe(f"{store.origin}/1")},
            {"sop_instance_uid": "1.2.4", "get_instance": recipe(f"{store.origin}/2") | changes},
        ]
        with pytest.raises(error):
            fetch_dicom(instances, tmp_path)
    assert store.seen == []
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("broken", [{}, {"method": "GET"}, None, "https://gc.localhost/", [1]])
def test_recipes_of_another_shape_are_unexpected(tmp_path: Path, broken: Any) -> None:
    """A recipe without an address is an answer that is not as promised."""
    with pytest.raises(GCAPIError):
        fetch_dicom([{"sop_instance_uid": "1.2.3", "get_instance": broken}], tmp_path)
    with pytest.raises(GCAPIError):
        fetch_dicom([{"get_instance": recipe("https://gc.localhost/")}], tmp_path)


@pytest.mark.parametrize("uid", ["../x", "1.2/3", "", "a", "CON", "1" * 65])
def test_uids_that_are_none_are_refused(tmp_path: Path, uid: str) -> None:
    """An instance is named after its uid, which has to be one."""
    with pytest.raises(UnsafeName):
        fetch_dicom(
            [{"sop_instance_uid": uid, "get_instance": recipe("https://gc.localhost/")}],
            tmp_path / "out",
        )
    assert everything_below(tmp_path) == set()


def test_recipe_that_is_answered_with_an_error(tmp_path: Path) -> None:
    """A recipe that the store no longer accepts is a StorageError, and no file; nor is a redirect followed."""
    for answer in (
        Answer(status=403, body=b"<Error/>"),
        Answer(status=302, headers={"Location": "/x"}),
    ):
        with Loopback(in_turn(answer)) as store:
            instances = [{"sop_instance_uid": "1.2", "get_instance": recipe(f"{store.origin}/1")}]
            with pytest.raises(StorageError):
                fetch_dicom(instances, tmp_path)
            assert len(store.seen) == 1
    assert everything_below(tmp_path) == set()


def test_image_set_takes_no_filename(tmp_path: Path) -> None:
    """One name for many instances is a ValueError."""
    with pytest.raises(ValueError, match="leave filename out"):
        fetch_dicom([], tmp_path, filename="x")


def test_existing_instance_is_kept(tmp_path: Path) -> None:
    """An instance that is there already stops the download before the first transfer."""
    (tmp_path / "1.2.4.dcm").write_text("precious")
    with Loopback(in_turn(Answer(body=b"content"))) as store:
        instances = [
            {"sop_instance_uid": uid, "get_instance": recipe(f"{store.origin}/{uid}")}
            for uid in ("1.2.3", "1.2.4")
        ]
        with pytest.raises(FileExistsError):
            fetch_dicom(instances, tmp_path)
    assert store.seen == []
    assert everything_below(tmp_path) == {"1.2.4.dcm"}
