"""Archive items, and values that are set at once."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.servers.raw_http import image_bytes, wait_until

if TYPE_CHECKING:
    from gcapi_sandbox import Sandbox
    from tests.support.servers.raw_http import Web

POINT = {"type": "Point", "version": {"major": 1, "minor": 0}, "point": [1, 2, 3]}
SOURCES = (
    "['image', 'value', 'file', 'user_upload', 'upload_session', ('image_name', 'user_uploads')]"
)


TABLE = {
    "definitions": {"row": {"properties": {"x": {"exclusiveMinimum": 0}}}},
    "properties": {
        "rows": {"items": {"$ref": "#/definitions/row"}, "contains": {"type": "object"}}
    },
    "propertyNames": {"const": "rows"},
}


@pytest.fixture(scope="module", autouse=True)
def _sockets(sandbox: Sandbox) -> None:
    """Add a socket of each kind."""
    sandbox.add_socket("Text", "String")
    sandbox.add_socket("Number", "Float")
    sandbox.add_socket("Count", "Integer", schema={"maximum": 10})
    sandbox.add_socket("Free", "Anything")
    sandbox.add_socket("Table", "Anything", schema=TABLE)
    sandbox.add_socket("Plot", "Chart")
    sandbox.add_socket("Spot", "Point")
    sandbox.add_socket("Report", "PDF file")
    sandbox.add_socket("Findings", "Anything", store_in_database=False)
    sandbox.add_socket("Picture")
    sandbox.add_socket("Other Picture")
    sandbox.add_socket("Mask", "Segmentation")
    sandbox.add_socket("Series", "DICOM Image Set")


def test_sockets(web: Web) -> None:
    """Sockets show labels, super kinds and default paths, but not their schema."""
    shown = {one["slug"]: one for one in web.get("components/interfaces/")["results"]}
    assert shown["count"] == web.get(f"components/interfaces/{shown['count']['pk']}/")
    assert "schema" not in shown["count"]
    expected = {
        "text": ("String", "Value", "text.json"),
        "report": ("PDF file", "File", "report.pdf"),
        "findings": ("Anything", "File", "findings.json"),
        "picture": ("Image", "Image", "images/picture"),
        "series": ("DICOM Image Set", "Image", "images/series"),
    }
    for slug, (kind, super_kind, path) in expected.items():
        one = shown[slug]
        assert (one["kind"], one["super_kind"], one["relative_path"]) == (kind, super_kind, path)


def test_new_item(web: Web) -> None:
    """A new item has the JSON of a write, and a GET shows the same item."""
    archive = web.archive("new")
    item = web.post("archives/items/", {"archive": archive["api_url"], "title": " one "})
    assert item == {
        "pk": item["pk"],
        "title": "one",
        "archive": archive["api_url"],
        "values": [],
        "hanging_protocol": None,
        "optional_hanging_protocols": [],
        "view_content": {},
    }
    assert web.get(f"archives/items/{item['pk']}/") == item


def test_parents_are_urls(web: Web) -> None:
    """A parent is given by its URL, of which only the path is used."""
    pk = web.archive("new")["pk"]
    for url in (f"/api/v1/archives/{pk}/", f"https://elsewhere.example/api/v1/archives/{pk}/"):
        assert web.post("archives/items/", {"archive": url})
    for parent, problem in (
        (pk, "Invalid hyperlink - No URL match."),
        (f"/api/v1/archives/{uuid.uuid4()}/", "Invalid hyperlink - Object does not exist."),
        (3, "Incorrect type. Expected URL string, received int."),
    ):
        reply = web.api.post("archives/items/", json={"archive": parent})
        assert reply.json() == {"archive": [problem]}
    assert web.api.post("archives/items/", json={}).json() == {
        "archive": ["This field is required."]
    }


def test_titles_are_unique(web: Web) -> None:
    """A title is unique in its archive unless empty."""
    url = web.archive("titles")["api_url"]
    for _ in range(2):
        web.post("archives/items/", {"archive": url, "title": ""})
    first = web.post("archives/items/", {"archive": url, "title": "x"})
    reply = web.api.post("archives/items/", json={"archive": url, "title": "x"})
    assert (reply.status_code, reply.json()) == (
        400,
        {"non_field_errors": ["The fields title, archive must make a unique set."]},
    )
    assert web.api.patch(f"archives/items/{first['pk']}/", json={"title": "x"}).is_success
    assert web.post("archives/items/", {"archive": web.archive("new")["api_url"], "title": "x"})


@pytest.mark.parametrize(
    ("title", "problem"),
    [
        (None, "This field may not be null."),
        ("x" * 256, "Ensure this field has no more than 255 characters."),
    ],
)
def test_invalid_titles(web: Web, title: str | None, problem: str) -> None:
    """A title must be text of a limited length."""
    body = {"archive": web.archive("titles")["api_url"], "title": title}
    assert web.api.post("archives/items/", json=body).json() == {"title": [problem]}


def test_values_in_a_post_are_refused(web: Web) -> None:
    """Values in a POST are refused with an array of one message, after errors in the values."""
    url = web.archive("new")["api_url"]
    good = {"interface": "text", "value": "x"}
    reply = web.api.post("archives/items/", json={"archive": url, "values": [good]})
    assert (reply.status_code, reply.json()) == (400, ["Values can only be added via update"])
    reply = web.api.post("archives/items/", json={"archive": url, "values": [{"value": 1}]})
    assert reply.json() == {"values": [{"interface": ["This field is required."]}]}
    assert web.post("archives/items/", {"archive": url, "values": []})


def test_json_of_reads_and_writes(web: Web) -> None:
    """Writes show sockets by slug in order of pk; reads show full sockets in order of slug."""
    path = web.item()
    reply = web.patch(
        path,
        {"interface": "text", "value": str(uuid.uuid4())},
        {"interface": "number", "value": 2.5},
    ).json()
    written = reply["values"]
    assert [value["pk"] for value in written] == sorted(value["pk"] for value in written)
    assert {value["interface"] for value in written} == {"text", "number"}
    assert written[0].keys() == {"interface", "value", "file", "image", "pk", "image_name"}
    read = web.get(path)["values"]
    assert [value["interface"]["slug"] for value in read] == ["number", "text"]
    assert read[0]["interface"] == read[0]["socket"]
    assert (read[0]["value"], read[0]["file"], read[0]["image"]) == (2.5, None, None)


def test_equal_values_share_a_pk(web: Web) -> None:
    """The same JSON for the same socket has the same pk in all items."""
    value = {"interface": "text", "value": "shared"}
    pks = {web.patch(web.item(), value).json()["values"][0]["pk"] for _ in range(2)}
    assert len(pks) == 1


@pytest.mark.parametrize(
    ("old", "new"), [(0, False), (1, True), (1, 1.0), ([0], [False]), ({"a": 1}, {"a": True})]
)
def test_values_equal_in_python_are_kept(web: Web, old: object, new: object) -> None:
    """A value that equals the old one in Python does not replace it."""
    path = web.item()
    web.patch(path, {"interface": "free", "value": old})
    (value,) = web.patch(path, {"interface": "free", "value": new}).json()["values"]
    assert repr(value["value"]) == repr(old)
    web.patch(path, {"interface": "free", "value": "other"})
    (value,) = web.patch(path, {"interface": "free", "value": new}).json()["values"]
    assert value["value"] == new


def test_patch_replaces_and_put_removes(web: Web) -> None:
    """PATCH keeps the values of other sockets; PUT removes them and the title."""
    path = web.item(title=str(uuid.uuid4()))
    web.patch(path, {"interface": "text", "value": "a"}, {"interface": "number", "value": 1})
    web.patch(path, {"interface": "text", "value": "b"})
    assert {slug: one["value"] for slug, one in web.values(path).items()} == {
        "text": "b",
        "number": 1,
    }
    reply = web.api.put(path, json={"values": [{"interface": "number", "value": 2}]}).json()
    assert (reply["title"], [one["value"] for one in reply["values"]]) == ("", [2])
    assert web.api.put(path, json={}).json()["values"] == []


def test_last_value_of_a_socket_wins(web: Web) -> None:
    """If a socket is given twice, the last value is kept."""
    values = [{"interface": "number", "value": number} for number in (1, 2)]
    (value,) = web.patch(web.item(), *values).json()["values"]
    assert value["value"] == 2


def test_one_invalid_value_refuses_all(web: Web) -> None:
    """One invalid value refuses the whole request; valid ones are empty objects in the error."""
    path = web.item(title="kept")
    reply = web.api.patch(
        path,
        json={
            "title": "changed",
            "values": [{"interface": "text", "value": "x"}, {"interface": "nope", "value": 1}],
        },
    )
    assert (reply.status_code, reply.json()) == (
        400,
        {"values": [{}, {"interface": ["Object with slug=nope does not exist."]}]},
    )
    assert (web.get(path)["title"], web.get(path)["values"]) == ("kept", [])
    web.api.patch(path, json={"title": ""})


def test_item_can_move(web: Web) -> None:
    """An item can move to another archive that the user edits."""
    path = web.item("from")
    other = web.archive("to")["api_url"]
    assert web.api.patch(path, json={"archive": other}).json()["archive"] == other


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({}, {"non_field_errors": ["An interface must be specified"]}),
        (
            {"interface": "text"},
            {"non_field_errors": [f"You must provide at least one of {SOURCES}."]},
        ),
        (
            {"interface": "text", "value": "x", "image_name": "y"},
            {"non_field_errors": [f"You can only provide one of {SOURCES} for each socket."]},
        ),
        (
            {"interface": "spot", "value": None},
            {"non_field_errors": ["value is required for interface kind POIN"]},
        ),
        (
            {"interface": "report", "user_upload": None},
            {"non_field_errors": ["user_upload or file is required for interface kind PDF"]},
        ),
        (
            {"interface": "findings", "value": 1},
            {"non_field_errors": ["user_upload or file is required for interface kind JSON"]},
        ),
        (
            {"interface": "picture", "user_uploads": []},
            {
                "non_field_errors": [
                    "upload_session, user_uploads or image are required for interface kind IMG"
                ]
            },
        ),
        (
            {"interface": "series", "image_name": "x"},
            {
                "non_field_errors": [
                    (
                        "either user_uploads with image_name, or image are required "
                        "for interface kind DCMIS"
                    )
                ]
            },
        ),
        (
            {"interface": "text", "value": 5},
            {"__all__": ["JSON does not fulfill schema: instance 5 is not of type 'string'"]},
        ),
        (
            {"interface": "count", "value": 11},
            {
                "__all__": [
                    "JSON does not fulfill schema: instance 11 is greater than the maximum of 10"
                ]
            },
        ),
        (
            {"interface": "picture", "image": "nonsense"},
            {"image": ["Invalid hyperlink - No URL match."]},
        ),
        (
            {"interface": "picture", "user_uploads": [f"/api/v1/uploads/{uuid.uuid4()}/"]},
            {"user_uploads": ["Invalid hyperlink - Object does not exist."]},
        ),
    ],
)
def test_refused_values(web: Web, value: object, error: object) -> None:
    """Each invalid value has its specific message and key."""
    reply = web.patch(web.item(), value)
    assert (reply.status_code, reply.json()) == (400, {"values": [error]})


def test_null_fields_are_ignored(web: Web) -> None:
    """All fields can be sent if all but one are null."""
    keys = ("image", "file", "user_upload", "user_uploads", "upload_session", "image_name")
    value = {"interface": "number", "value": 1, **dict.fromkeys(keys)}
    assert web.patch(web.item(), value).status_code == 200


@pytest.mark.parametrize(
    ("content", "status", "body"),
    [
        (
            b'{"values": [{"interface": "free", "value": NaN}]}',
            400,
            {
                "detail": "JSON parse error - Out of range float values are not JSON compliant: 'NaN'"
            },
        ),
        (
            b'{"values": [{"interface": "free", "value": 1e400}]}',
            400,
            {"values": [{"value": ["Value must be valid JSON."]}]},
        ),
        (
            b'{"values": "x"}',
            400,
            {"values": {"non_field_errors": ['Expected a list of items but got type "str".']}},
        ),
        (b'{"values": null}', 400, {"values": ["This field may not be null."]}),
        (b'{"values": [{"interface": "free", "value": "\\u0000"}]}', 500, None),
    ],
)
def test_unusual_json(web: Web, content: bytes, status: int, body: object) -> None:
    """NaN, non-lists and NUL characters are handled as by the server."""
    reply = web.api.patch(web.item(), content=content, headers={"Content-Type": "application/json"})
    assert reply.status_code == status
    assert body is None or reply.json() == body


@pytest.mark.parametrize(
    ("socket", "good", "bad"),
    [
        ("number", [1, 1.5, -3], [True, "1"]),
        ("count", [1, 1.0], [True, 1.5, "1"]),
        ("spot", [POINT, {**POINT, "name": "x", "probability": 0.5}], []),
        (
            "spot",
            [],
            [{**POINT, "extra": 1}, {**POINT, "point": [1, 2]}, {**POINT, "probability": 2}],
        ),
        ("free", ["", [], {"a": None}, False], []),
        ("table", [{"rows": [{"x": 1}]}], [{"rows": [{"x": 0}]}, {"rows": []}, {"a": 1}]),
        ("plot", [{}, {"mark": "bar"}], ["bar", []]),
    ],
)
def test_json_must_match_the_kind(
    web: Web, socket: str, good: list[object], bad: list[object]
) -> None:
    """Each kind accepts only JSON that matches its schema."""
    path = web.item()
    for value in good:
        assert web.patch(path, {"interface": socket, "value": value}).is_success, value
    for value in bad:
        reply = web.patch(path, {"interface": socket, "value": value})
        (message,) = reply.json()["values"][0]["__all__"]
        assert message.startswith("JSON does not fulfill schema: instance")


def test_existing_images_are_set_at_once(web: Web) -> None:
    """An existing image is in the reply, and images that the socket does not accept are refused."""
    image = web.image()["api_url"]
    (value,) = web.patch(web.item(), {"interface": "other-picture", "image": image}).json()[
        "values"
    ]
    assert value["image"] == image
    reply = web.patch(web.item(), {"interface": "series", "image": image})
    assert reply.json() == {"values": [{"__all__": ["Image must be DICOM"]}]}


def test_segments_are_checked(web: Web) -> None:
    """A segmentation can contain only the voxel values that its socket declares."""
    from tests.support.servers.raw_http import image_bytes

    path = web.item()
    for value, filename in ((1, "good.mha"), (7, "bad.mha")):
        upload = web.upload(filename, image_bytes(value=value))
        web.patch(path, {"interface": "mask", "user_uploads": [upload]})
    image = web.get(web.values(path)["mask"]["image"])
    assert (image["name"], image["segments"]) == ("good.mha", [1])
    errors = [one["error_message"] for one in web.get("cases/upload-sessions/")["results"]]
    assert any("The valid voxel values for this segmentation are" in error for error in errors)


def test_simultaneous_creates_of_one_title(web: Web) -> None:
    """Of concurrent requests with the same title one succeeds, and the others are server errors."""
    body = {"archive": web.archive("titles")["api_url"], "title": str(uuid.uuid4())}
    web.sandbox.requests.clear()
    with ThreadPoolExecutor(4) as pool:
        with web.sandbox._state.store.transaction():  # blocks all other transactions
            replies = [pool.submit(web.api.post, "archives/items/", json=body) for _ in range(4)]
            wait_until(lambda: sum(one.body_size > 0 for one in web.sandbox.requests) == 4)
            web.storage.get(
                web.sandbox.storage_url
            )  # the server has received all four requests before this one
        statuses = sorted(reply.result().status_code for reply in replies)
    assert statuses == [201, 500, 500, 500]
    assert web.api.post("archives/items/", json=body).status_code == 400


def test_upload_in_use(web: Web) -> None:
    """A second request for an upload that is being imported is a server error; later the upload is deleted."""
    from gcapi_sandbox._database.records import Task
    from gcapi_sandbox._object_store import objects as _objects

    path, upload = web.item(), web.upload("scan.mha", image_bytes())
    value = {"interface": "picture", "user_uploads": [upload]}
    with web.sandbox.hold_background():
        assert web.patch(path, value).status_code == 200
        state = web.sandbox._state
        (task,) = state.store.rows(Task)
        _objects.claim(state, [upload.split("/")[-2]], task.pk)  # as the worker does
        assert web.patch(path, value).status_code == 500
        assert web.patch(path, {"interface": "number", "value": 2.5}).status_code == 200
    assert web.values(path).keys() == {"picture", "number"}
    assert web.patch(path, value).json() == {
        "values": [{"user_uploads": ["Invalid hyperlink - Object does not exist."]}]
    }


def test_files_in_forms_are_refused(web: Web) -> None:
    """A file in a multipart form is read, and then refused with an array of one message."""
    form = {"values[0]interface": "report"}
    file = {"values[0]file": ("a.pdf", b"\xff%PDF", "application/pdf")}
    reply = web.api.patch(web.item(), data=form, files=file)
    (message,) = reply.json()
    assert (reply.status_code, message[:19]) == (400, '["Unknown data type')
