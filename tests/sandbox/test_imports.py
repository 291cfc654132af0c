"""Import of uploads in the background: images, files and DICOM image sets."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.servers.raw_http import dicom_bytes, image_bytes

if TYPE_CHECKING:
    from gcapi_sandbox import Sandbox
    from tests.support.servers.raw_http import Web


@pytest.fixture(scope="module", autouse=True)
def _sockets(sandbox: Sandbox) -> None:
    """Add the sockets of this module."""
    sandbox.add_socket("Picture")
    segments = [{"name": "one", "visible": True, "voxel_value": 1}]
    sandbox.add_socket("Mask", "Segmentation", overlay_segments=segments)
    sandbox.add_socket("Generic Medical Image")
    sandbox.add_socket("Series", "DICOM Image Set")
    sandbox.add_socket("Report", "PDF file")
    sandbox.add_socket("Findings", "Integer", store_in_database=False)
    sandbox.add_socket("Number", "Float")


def session_of(web: Web, upload: str) -> dict[str, Any]:
    """Return the upload session of a failed import."""
    pk = upload.rstrip("/").rpartition("/")[2]
    sessions = web.get("cases/upload-sessions/", limit=1000)["results"]
    (found,) = (one for one in sessions if pk in one["user_uploads"])
    return found


def test_values_appear_after_the_import(web: Web, scan: bytes) -> None:
    """The reply and the next GET show the state before the import; later the value appears."""
    path, upload = web.item(), web.upload("scan.mha", scan)
    with web.sandbox.hold_background():
        reply = web.patch(
            path,
            {"interface": "picture", "user_uploads": [upload]},
            {"interface": "number", "value": 1},
        )
        assert [value["interface"] for value in reply.json()["values"]] == ["number"]
        assert len(web.get(path)["values"]) == 1
        assert session_of(web, upload)["status"] == "Re-Queued"
        assert web.get(upload)["status"] == "Completed"
        with pytest.raises(TimeoutError):
            web.sandbox.wait_idle(0.01)
    assert web.values(path).keys() == {"number", "picture"}
    assert web.api.get(upload).status_code == 404


def test_image_is_stored_as_one_file(web: Web, scan: bytes) -> None:
    """An image keeps its name and is stored as one compressed file named after its pk."""
    path = web.item()
    web.patch(path, {"interface": "picture", "user_uploads": [web.upload("my scan.mha", scan)]})
    url = web.values(path)["picture"]["image"]
    image = web.get(url)
    (file,) = image["files"]
    assert (image["name"], image["api_url"]) == ("my scan.mha", url)
    assert (image["shape"], image["width"], image["height"], image["depth"]) == ([2, 3, 4], 4, 3, 2)
    assert (image["color_space"], image["dicom_image_set"]) == ("GRAY", None)
    assert (file["image"], file["image_type"]) == (image["pk"], "MHD")
    pk = image["pk"]
    site = web.sandbox.base_url.removesuffix("api/v1/")
    assert file["file"] == f"{site}media/images/{pk[:2]}/{pk[2:4]}/{pk}/{file['pk']}/{pk}.mha"


@pytest.mark.parametrize("suffix", [".mha", ".nii", ".nii.gz", ".nrrd"])
def test_volume_formats(web: Web, suffix: str) -> None:
    """Volumes are imported from every supported format."""
    path = web.item()
    upload = web.upload(f"scan{suffix}", image_bytes(suffix=suffix))
    web.patch(path, {"interface": "picture", "user_uploads": [upload]})
    assert web.get(web.values(path)["picture"]["image"])["shape"] == [2, 3, 4]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff"])
def test_picture_formats_have_no_spacing(web: Web, suffix: str) -> None:
    """Pictures are imported without voxel sizes."""
    path = web.item()
    upload = web.upload(f"photo{suffix}", image_bytes((4, 3), suffix=suffix))
    web.patch(path, {"interface": "picture", "user_uploads": [upload]})
    image = web.get(web.values(path)["picture"]["image"])
    assert (image["shape"], image["voxel_width_mm"]) == ([3, 4], None)


def test_header_and_data_file_are_one_image(web: Web) -> None:
    """A header and its data file are one image, named after the header."""
    header = (
        b"ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\n"
        b"ElementDataFile = scan.raw\n"
    )
    path = web.item()
    uploads = [web.upload("scan.raw", b"\1\2\3\4"), web.upload("scan.mhd", header)]
    web.patch(path, {"interface": "picture", "user_uploads": uploads})
    image = web.get(web.values(path)["picture"]["image"])
    assert (image["name"], image["shape"]) == ("scan.mhd", [2, 2])


def test_dicom_series_is_one_image(web: Web) -> None:
    """The files of a DICOM series become one image for an ordinary image socket."""
    path = web.item()
    uploads = [web.upload(f"{number}.dcm", dicom_bytes(number)) for number in (1, 2, 3)]
    web.patch(path, {"interface": "picture", "user_uploads": uploads})
    image = web.get(web.values(path)["picture"]["image"])
    assert (image["shape"], image["dicom_image_set"]) == ([3, 4, 4], None)


@pytest.mark.parametrize(
    ("files", "reason", "kept"),
    [
        ({"a.mha": b"junk"}, "1 file could not be imported", True),
        ({"a.mha": b"junk", "b.txt": b"junk"}, "2 files could not be imported", True),
    ],
)
def test_failed_import_keeps_session_and_uploads(
    web: Web, files: dict[str, bytes], reason: str, kept: bool
) -> None:
    """A failed import leaves an upload session with the reason, and its uploads."""
    path = web.item()
    uploads = [web.upload(name, data) for name, data in files.items()]
    web.patch(path, {"interface": "picture", "user_uploads": uploads})
    assert web.values(path) == {}
    session = session_of(web, uploads[0])
    assert session["status"] == "Failed"
    assert (
        session["error_message"]
        == f"Image validation for socket Picture failed with error: {reason}."
    )
    assert all((web.api.get(url).status_code == 200) is kept for url in uploads)


@pytest.mark.parametrize(
    ("socket", "names", "status", "reason"),
    [
        ("picture", ["a.mha", "b.mha"], "Failed", "Image imports should result in a single image"),
        ("mask", ["m.mha"], "Failed", "The valid voxel values for this segmentation are: {0, 1}"),
        ("picture", ["a.mha", "readme.txt"], "Succeeded", "1 file could not be imported"),
    ],
)
def test_session_of_built_images_names_no_uploads(
    web: Web, scan: bytes, socket: str, names: list[str], status: str, reason: str
) -> None:
    """Once an image was built, the session names the images, which are readable, and the uploads are gone."""
    before = {one["pk"] for one in web.get("cases/upload-sessions/", limit=1000)["results"]}
    path = web.item()
    data = {"readme.txt": b"text", "m.mha": image_bytes(value=7)}
    uploads = [web.upload(name, data.get(name, scan)) for name in names]
    web.patch(path, {"interface": socket, "user_uploads": uploads})
    values = web.values(path)
    (session,) = (
        one
        for one in web.get("cases/upload-sessions/", limit=1000)["results"]
        if one["pk"] not in before
    )
    failed = status == "Failed"
    title = socket.title()
    words = f"Image validation for socket {title} failed with error: {reason}." * failed or reason
    assert (session["status"], session["error_message"]) == (status, words)
    assert (session["user_uploads"], session["uploads"]) == ([], [])
    images = [name for name in names if name.endswith(".mha")]
    assert sorted(web.get(url)["name"] for url in session["image_set"]) == images
    assert values.keys() == (set() if failed else {socket})
    assert {web.api.get(url).status_code for url in uploads} == {404}


def test_duplicate_file_names(web: Web, scan: bytes) -> None:
    """An import of two files with the same name fails."""
    uploads = [web.upload("a.mha", scan) for _ in range(2)]
    web.patch(web.item(), {"interface": "picture", "user_uploads": uploads})
    web.sandbox.wait_idle()
    assert "Duplicate files uploaded" in session_of(web, uploads[0])["error_message"]


def test_incomplete_upload_fails_later(web: Web) -> None:
    """An upload that was not completed is accepted, and its import fails."""
    upload, _ = web.create_upload("a.mha")
    path = web.item()
    reply = web.patch(path, {"interface": "picture", "user_uploads": [upload["api_url"]]})
    assert reply.status_code == 200
    assert web.values(path) == {}
    assert "An unexpected error occurred" in session_of(web, upload["api_url"])["error_message"]


def test_upload_is_used_once(web: Web) -> None:
    """If two sockets name the same upload, only the first gets it."""
    web.sandbox.add_socket("Second Report", "PDF file")
    path, upload = web.item(), web.upload("a.pdf")
    values = [{"interface": name, "user_upload": upload} for name in ("report", "second-report")]
    assert web.patch(path, *values).status_code == 200
    assert web.values(path).keys() == {"report"}
    reply = web.patch(path, values[1])
    assert reply.json() == {
        "values": [{"user_upload": ["Invalid hyperlink - Object does not exist."]}]
    }


def test_file_content_is_not_checked(web: Web) -> None:
    """A file socket accepts any content under any name, and every file is a new value."""
    path = web.item()
    pks = []
    for name in ("virus of doom.exe", "empty.pdf"):
        web.patch(path, {"interface": "report", "user_upload": web.upload(name, b"")})
        value = web.values(path)["report"]
        pks.append(value["pk"])
        assert value["file"].endswith(f"/{value['pk']}/{name.replace(' ', '_')}")
    assert len(set(pks)) == 2


@pytest.mark.parametrize("content", [b"{broken", b'"text"'])
def test_invalid_json_file(web: Web, content: bytes) -> None:
    """An invalid JSON file leaves a notification without text, and the upload."""
    path, upload = web.item(), web.upload("findings.json", content)
    before = web.get("notifications/")["count"]
    web.patch(path, {"interface": "findings", "user_upload": upload})
    assert web.values(path) == {}
    assert web.api.get(upload).status_code == 200
    page = web.get("notifications/", limit=1000)
    assert page["count"] == before + 1
    assert {"read": False} in page["results"]


def test_valid_json_file(web: Web) -> None:
    """A valid JSON file becomes a value, and the upload is deleted."""
    path, upload = web.item(), web.upload("findings.json", b"7")
    web.patch(path, {"interface": "findings", "user_upload": upload})
    value = web.values(path)["findings"]
    assert (value["value"], value["interface"]["super_kind"]) == (None, "File")
    assert web.api.get(upload).status_code == 404


def test_put_keeps_pending_values(web: Web) -> None:
    """PUT keeps the old value of a socket until the new one is imported."""
    path = web.item()
    web.patch(path, {"interface": "report", "user_upload": web.upload("old.pdf")})
    old = web.values(path)["report"]
    with web.sandbox.hold_background():
        new = {"interface": "report", "user_upload": web.upload("new.pdf")}
        (value,) = web.api.put(path, json={"values": [new]}).json()["values"]
        assert value["pk"] == old["pk"]
    assert web.values(path)["report"]["file"].endswith("new.pdf")


def test_dicom_image_set(web: Web) -> None:
    """A DICOM image set has no files and no shape, but recipes for its instances."""
    path = web.item()
    contents = [dicom_bytes(number) for number in (1, 2)]
    uploads = [web.upload(f"{n}.dcm", data) for n, data in enumerate(contents)]
    web.patch(path, {"interface": "series", "user_uploads": uploads, "image_name": "CT"})
    image = web.get(web.values(path)["series"]["image"])
    assert "shape" not in image
    assert (image["name"], image["files"], image["width"]) == ("CT", [], None)
    assert (image["color_space"], image["shape_without_color"]) == ("", [None, None])
    listing = web.get(f"cases/images/{image['pk']}/dicom/instances/")
    assert listing["image_set_id"] == image["dicom_image_set"]["image_set_id"]
    fetched = []
    for entry in listing["instances"]:
        recipe = entry["get_instance"]
        assert recipe["url"].startswith(web.sandbox.storage_url)
        assert recipe.keys() == {"url", "method", "data", "headers"}
        reply = web.storage.request(**recipe)
        assert reply.headers["Content-Type"] == "application/dicom"
        fetched.append(reply.content)
    assert sorted(fetched) == sorted(contents)


@pytest.fixture
def recipe(web: Web) -> dict[str, Any]:
    """Return the recipe of an instance."""
    path, upload = web.item(), web.upload("a.dcm", dicom_bytes())
    web.patch(path, {"interface": "series", "user_uploads": [upload], "image_name": "CT"})
    url = web.values(path)["series"]["image"]
    return web.get(f"{url}dicom/instances/")["instances"][0]["get_instance"]


def test_recipes_are_signed(web: Web, recipe: dict[str, Any]) -> None:
    """A recipe without its headers, with changed headers, or with a token is refused."""
    assert web.storage.get(recipe["url"]).status_code == 403
    changed = {**recipe["headers"], "Accept": "text/plain"}
    assert web.storage.get(recipe["url"], headers=changed).status_code == 403
    token = {**recipe["headers"], "Authorization": f"Bearer {web.sandbox.token}"}
    assert web.storage.get(recipe["url"], headers=token).status_code == 400


def send_recipe(web: Web, recipe: dict[str, Any]) -> httpx.Response:
    """Send the request of a recipe."""
    return web.storage.request(
        recipe["method"], recipe["url"], headers=recipe["headers"], json=recipe["data"]
    )


def test_frames_have_recipes(web: Web) -> None:
    """Instances are listed once for each frame, and each frame has its own recipe."""
    path = web.item()
    pixels = bytes(range(64))
    upload = web.upload("a.dcm", dicom_bytes(NumberOfFrames=2, PixelData=pixels))
    web.patch(path, {"interface": "series", "user_uploads": [upload], "image_name": "two"})
    url = web.values(path)["series"]["image"]
    instances = web.get(f"{url}dicom/instances/")["instances"]
    assert len(instances) == 2
    assert len({one["sop_instance_uid"] for one in instances}) == 1
    frames = web.get(f"{url}dicom/frames/")
    assert len({one["image_frame_id"] for one in frames["image_frames"]}) == 2
    recipes = [one["get_image_frame"] for one in frames["image_frames"]]
    assert {one["method"] for one in recipes} == {"POST"}
    assert b"".join(send_recipe(web, one).content for one in recipes) == pixels
    unknown = {**recipes[0], "data": {"imageFrameId": "none"}}
    assert [send_recipe(web, one).status_code for one in (unknown, {**recipes[0], "data": {}})] == [
        404,
        400,
    ]
    recipe = frames["get_image_set_metadata"]
    with httpx.stream(recipe["method"], recipe["url"], headers=recipe["headers"]) as reply:
        raw = b"".join(reply.iter_raw())
    assert json.loads(gzip.decompress(raw))["ImageSetID"] == frames["image_set_id"]


@pytest.mark.parametrize(
    "change", [{"PatientID": "other"}, {"StudyDate": "20010101"}, {"SOPInstanceUID": "1.2.3"}]
)
def test_dicom_files_must_agree(web: Web, change: dict[str, str]) -> None:
    """Files of two studies are not an image set, and all uploads are deleted nevertheless."""
    path = web.item()
    first = {"SOPInstanceUID": "1.2.3"} if "SOPInstanceUID" in change else {}
    uploads = [
        web.upload("a.dcm", dicom_bytes(1, **first)),
        web.upload("b.dcm", dicom_bytes(2, **change)),
    ]
    before = web.get("notifications/")["count"]
    web.patch(path, {"interface": "series", "user_uploads": uploads, "image_name": "x"})
    assert web.values(path) == {}
    assert web.get("notifications/")["count"] == before + 1
    assert {web.api.get(url).status_code for url in uploads} == {404}


@pytest.mark.parametrize(("socket", "name"), [("picture", "x"), ("series", "x" * 256)])
def test_invalid_image_names_fail_silently(web: Web, socket: str, name: str) -> None:
    """An image name for an ordinary image socket, or one that is too long, is accepted without an effect."""
    path, upload = web.item(), web.upload("a.dcm", dicom_bytes())
    value = {"interface": socket, "user_uploads": [upload], "image_name": name}
    assert web.patch(path, value).status_code == 200
    assert web.values(path) == {}


def test_ordinary_images_have_no_recipes(web: Web) -> None:
    """A request for the instances of an ordinary image is a 404 with a specific message."""
    reply = web.api.get(f"{web.image()['api_url']}dicom/instances/")
    assert (reply.status_code, reply.json()) == (
        404,
        {"detail": "This image does not have a DICOM Image Set."},
    )


def test_session_for_an_archive(web: Web, scan: bytes) -> None:
    """An upload session for an archive creates an item for each image."""
    archive = web.archive("imports")
    uploads = [web.upload(name, scan) for name in ("a.mha", "b.mha")]
    session = web.post("cases/upload-sessions/", {"uploads": uploads, "archive": "imports"})
    assert (session["status"], session["uploads"]) == ("Queued", uploads)
    web.sandbox.wait_idle()
    done = web.get(session["api_url"])
    assert (done["status"], len(done["image_set"])) == ("Succeeded", 2)
    items = web.get("archives/items/", archive=archive["pk"])["results"]
    assert {one["values"][0]["interface"]["slug"] for one in items} == {"generic-medical-image"}


def test_session_without_target_waits(web: Web, scan: bytes) -> None:
    """An upload session without a target stays queued until a socket value uses it, once."""
    session = web.post("cases/upload-sessions/", {"uploads": [web.upload("s.mha", scan)]})
    web.sandbox.wait_idle()
    assert web.get(session["api_url"])["status"] == "Queued"
    path = web.item()
    value = {"interface": "picture", "upload_session": session["api_url"]}
    web.patch(path, value)
    assert web.get(web.values(path)["picture"]["image"])["name"] == "s.mha"
    assert web.patch(path, value).status_code == 400


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, {"uploads": ["This field is required."]}),
        (
            {"archive": "sessions", "archive_item": "{item}", "interface": "picture"},
            {
                "non_field_errors": [
                    "Only one of archive, archive item, answer or reader study can be set"
                ]
            },
        ),
        (
            {"archive_item": "{item}"},
            {
                "non_field_errors": [
                    "An interface needs to be defined to upload to an archive item."
                ]
            },
        ),
    ],
)
def test_invalid_session_targets(web: Web, body: dict[str, Any], error: object) -> None:
    """An upload session is refused unless it has one complete target."""
    item = web.item("sessions").split("/")[2]
    filled = {key: item if value == "{item}" else value for key, value in body.items()}
    uploads = {} if "uploads" in error else {"uploads": []}
    reply = web.api.post("cases/upload-sessions/", json={**filled, **uploads})
    assert (reply.status_code, reply.json()) == (400, error)


def test_sessions_need_completed_uploads(web: Web) -> None:
    """Only upload sessions require completed uploads."""
    upload, _ = web.create_upload()
    reply = web.api.post("cases/upload-sessions/", json={"uploads": [upload["api_url"]]})
    assert reply.json() == {"uploads": ["Invalid hyperlink - Object does not exist."]}


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("Newick tree-format file", b"(A:0.1,(B,C));", b"(A,B"),
        ("BIOM format", b"\x89HDF\r\n\x1a\nrest", b"text"),
    ],
)
def test_newick_and_biom_are_checked(web: Web, kind: str, good: bytes, bad: bytes) -> None:
    """Newick and BIOM files are validated; other files are not."""
    slug, path = web.sandbox.add_socket(kind, kind), web.item()
    upload = web.upload("a", bad)
    assert web.patch(path, {"interface": slug, "user_upload": upload}).is_success
    assert web.values(path) == {}
    assert web.api.get(upload).status_code == 200
    assert web.patch(path, {"interface": slug, "user_upload": web.upload("b", good)}).is_success
    assert web.values(path).keys() == {slug}
