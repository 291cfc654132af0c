"""Successful responses that differ from the schema."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from gcapi import Client
from gcapi.exceptions import GCAPIError, UnexpectedAnswer
from tests.support.servers.loopback import Answer, Loopback, connect, in_turn

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
JSON = {"Content-Type": "application/json"}
UPLOAD: dict[str, Any] = {
    "pk": PK,
    "created": "2026-11-22T00:56:50.008000Z",
    "filename": "a.mha",
    "key": f"uploads/1/{PK}",
    "s3_upload_id": "s3",
    "status": "Initialized",
    "api_url": f"https://gc.localhost/api/v1/uploads/{PK}/",
}
IMAGE: dict[str, Any] = {
    "pk": PK,
    "name": "a.mha",
    "files": [],
    "dicom_image_set": None,
    "width": 2,
    "height": 2,
    "depth": None,
    "color_space": "GRAY",
    "modality": None,
    "eye_choice": "NA",
    "stereoscopic_choice": None,
    "field_of_view": None,
    "shape_without_color": [2, 2],
    "shape": [2, 2],
    "voxel_width_mm": None,
    "voxel_height_mm": None,
    "voxel_depth_mm": None,
    "api_url": f"https://gc.localhost/api/v1/cases/images/{PK}/",
    "window_center": None,
    "window_width": None,
    "segments": None,
}


def page(*results: Any) -> dict[str, Any]:
    """Return a page with the whole list."""
    return {"count": len(results), "next": None, "previous": None, "results": list(results)}


def ask(answer: Answer, call: Callable[[Client], Any]) -> Any:
    """Make a call to a server that always returns this response."""
    with Loopback(in_turn(answer)) as server, connect(server) as client:
        return call(client)


CALLS: dict[str, Callable[[Client], Any]] = {
    "list": lambda client: client.uploads.page(),
    "detail": lambda client: client.uploads.detail(pk=PK),
    "by url": lambda client: client.uploads.detail(api_url=f"{client.base_url}uploads/{PK}/"),
    "count": lambda client: client.uploads.count(),
    "write": lambda client: client.uploads.create(filename="a.mha"),
}
WRONG: dict[str, Answer] = {
    "HTML": Answer(
        body=b"<!doctype html><title>Log in</title>", headers={"Content-Type": "text/html"}
    ),
    "HTML called JSON": Answer(body=b"<!doctype html>", headers=JSON),
    "broken JSON": Answer(body=b'{"count": 1, "results": [', headers=JSON),
    "no JSON at all": Answer(body=b"", headers=JSON),
    "not UTF-8": Answer(body=b'{"pk": "\xff"}', headers=JSON),
    "null": Answer(body=None),
    "a number": Answer(body=3),
    "a string": Answer(body="surprise"),
    "a list": Answer(body=[1, 2]),
    "another object": Answer(body={"detail": "Maintenance"}),
    "an empty object": Answer(body={}),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("wrong", WRONG)
def test_other_shapes_are_unexpected_answers(call: str, wrong: str) -> None:
    """A response of another shape raises UnexpectedAnswer, which names the URL and quotes the beginning."""
    body = WRONG[wrong].content()
    status = 201 if call == "write" else 200
    answer = Answer(status=status, body=body, headers=WRONG[wrong].all_headers())
    with pytest.raises(
        UnexpectedAnswer, match=r"/api/v1/uploads/.* differs from the API's schema"
    ) as caught:
        ask(answer, CALLS[call])
    assert body[:10].decode(errors="replace") in str(caught.value)
    assert isinstance(caught.value, GCAPIError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        {**page(), "results": None},
        {**page(), "results": {}},
        {**page(), "count": None},
        page("surprise"),
        page(None),
        page([]),
    ],
)
@pytest.mark.parametrize("call", ["list", "count"])
def test_pages_without_objects_or_a_count_are_unexpected(body: dict[str, Any], call: str) -> None:
    """A page without a list of objects or a count is unexpected."""
    with pytest.raises(UnexpectedAnswer, match="is not a page with a count"):
        ask(Answer(body=body), CALLS[call])


@pytest.mark.parametrize("missing", ["results", "count"])
@pytest.mark.parametrize("call", ["list", "count"])
def test_incomplete_pages_are_unexpected(missing: str, call: str) -> None:
    """A page without its objects or its count is unexpected."""
    body = {name: value for name, value in page(UPLOAD).items() if name != missing}
    with pytest.raises(UnexpectedAnswer, match="is not a page with a count"):
        ask(Answer(body=body), CALLS[call])


@pytest.mark.parametrize("field", UPLOAD)
def test_missing_fields_are_named_when_they_are_read(field: str) -> None:
    """A response without a required field is parsed, and the error for reading that field names it."""
    lacking = {name: value for name, value in UPLOAD.items() if name != field}
    upload = ask(Answer(body=lacking), CALLS["detail"])
    assert upload.to_dict() == lacking
    with pytest.raises(AttributeError, match=rf"UserUpload.*'{field}'.*check_schema\(\)"):
        getattr(upload, field)


def test_invalid_dates_are_kept() -> None:
    """An invalid date is kept as it came."""
    assert ask(Answer(body={**UPLOAD, "created": "soon"}), CALLS["detail"]).created == "soon"


@pytest.mark.parametrize("status", [201, 202, 203, 204, 206])
def test_undocumented_successful_statuses_are_unexpected(status: int) -> None:
    """A successful status that is not in the schema is unexpected."""
    with pytest.raises(UnexpectedAnswer, match=str(status)):
        ask(Answer(status=status, body=UPLOAD if status != 204 else b""), CALLS["detail"])


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize(
    "content", [b"x" * 200_000, json.dumps({"created": "y" * 200_000, **UPLOAD, "pk": 3}).encode()]
)
def test_quotes_are_short(status: int, content: bytes) -> None:
    """The message is short, however long the response is."""
    answer = Answer(status=status, body=content[: len(content) - (status == 200)], headers=JSON)
    with pytest.raises(UnexpectedAnswer) as caught:
        ask(answer, CALLS["detail"])
    assert len(str(caught.value)) < 2_500


@pytest.mark.parametrize("body", [{"a": "patient"}, "patient", None, 3])
def test_lists_of_strings_are_lists(body: object) -> None:
    """Another shape in place of a plain list is unexpected."""
    with pytest.raises(UnexpectedAnswer):
        ask(Answer(body=body), lambda client: client.archives.patients(PK))


# ---------------------------------------------------------------- more than is promised


def test_unknown_fields_are_kept() -> None:
    """An unknown field can be read, and is sent back unchanged."""
    newer = {**UPLOAD, "checksum": {"md5": "e"}, "tags": ["a"]}
    upload = ask(Answer(body=newer), CALLS["detail"])
    assert upload["checksum"] == {"md5": "e"}
    assert upload.to_dict() == newer


@pytest.mark.parametrize(
    "field", ["color_space", "eye_choice", "stereoscopic_choice", "field_of_view"]
)
def test_unknown_enum_values_are_kept(field: str) -> None:
    """An unknown enum value is read as it is."""
    image = ask(
        Answer(body={**IMAGE, field: "HOLOGRAM"}), lambda client: client.images.detail(pk=PK)
    )
    assert getattr(image, field) == "HOLOGRAM"


def test_enum_values_are_members_by_their_value() -> None:
    """An enum field equals the member of the published enum."""
    from gcapi.models import ColorSpaceEnum

    image = ask(Answer(body=IMAGE), lambda client: client.images.detail(pk=PK))
    assert image.color_space == ColorSpaceEnum.GRAY
    assert image.color_space in set(ColorSpaceEnum)


@pytest.mark.parametrize("field", sorted(set(IMAGE) - {"pk", "files", "api_url", "name"}))
def test_null_is_read_where_the_schema_has_none(field: str) -> None:
    """Null is accepted in fields that are not nullable in the schema."""
    image = ask(Answer(body={**IMAGE, field: None}), lambda client: client.images.detail(pk=PK))
    assert getattr(image, field) is None


def test_missing_shape_is_read() -> None:
    """DICOM images, whose shape the server leaves out, are parsed."""
    body = {**IMAGE, "shape_without_color": [None, None], "color_space": ""}
    del body["shape"]
    image = ask(Answer(body=body), lambda client: client.images.detail(pk=PK))
    assert not image.shape
    assert image.shape_without_color == [None, None]


def test_times_become_datetimes() -> None:
    """Times are parsed as aware datetimes, with or without fractions of a second."""
    upload = ask(Answer(body=UPLOAD), CALLS["detail"])
    assert upload.created == datetime(2026, 11, 22, 0, 56, 50, 8000, tzinfo=UTC)
    whole = {**UPLOAD, "created": "2026-11-22T00:56:50Z"}
    assert ask(Answer(body=whole), CALLS["detail"]).created.microsecond == 0


def test_more_than_was_asked_for_is_taken() -> None:
    """A page with more objects than its limit is returned unchanged."""
    uploads = ask(
        Answer(body=page(UPLOAD, UPLOAD, UPLOAD)), lambda client: client.uploads.page(limit=1)
    )
    assert len(uploads) == 3
