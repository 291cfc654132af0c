"""The plan of each source at each kind of socket."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcapi._workflows.plans import (
    Content,
    FileCopy,
    Inline,
    Plan,
    Upload,
    plan_value,
)
from gcapi.exceptions import (
    SpecError,
    SpecTypeError,
)
from gcapi.sockets import SOURCES, SocketValueSpec
from grand_challenge_api.models import (
    ComponentInterface,
)
from grand_challenge_api.types import UNSET
from tests.support.socket_kinds import (
    BINARY_SUFFIXES,
    DICOM_KIND,
    IMAGE_KINDS,
    MULTIPLE,
    TEXT_SUFFIXES,
    VALID,
)
from tests.support.specs import (
    ANY_SOCKET,
    FILE_URL,
    IMAGE_URL,
    any_source,
    make_existing,
    make_socket,
    suffix,
)

#: The super kind and kind of each socket, grouped by the rows of the table.
VALUES = [("Value", kind) for kind in VALID]  # the plural annotations are on older sockets only
JSON_FILES = [("File", kind) for kind in VALID]
TEXT_FILES = [("File", kind) for kind in TEXT_SUFFIXES]
BINARY_FILES = [("File", kind) for kind in BINARY_SUFFIXES]
IMAGES = [("Image", kind) for kind in IMAGE_KINDS]
DICOM = [("Image", DICOM_KIND)]


def make_spec(
    source: str, socket: ComponentInterface, directory: Path, **more: Any
) -> SocketValueSpec:
    """Return a specification from a source, with valid content for the socket."""
    path = directory / f"given{suffix(socket.kind)}"
    path.write_text(json.dumps(VALID.get(socket.kind, "any content")), "utf-8")
    given = {
        "value": VALID.get(socket.kind, "some,text"),
        "file": path,
        "files": [path],
        "existing_socket_value": make_existing(socket),
        "existing_image_api_url": IMAGE_URL,
    }
    if socket.kind == DICOM_KIND and source in {"file", "files"}:
        more = {"image_name": "CT", **more}
    return SocketValueSpec("a-socket", **{source: given[source], **more})


# ---------------------------------------------------------------- the table

Expected = Callable[[Path, ComponentInterface], Plan]


def inline_value(_: Path, socket: ComponentInterface) -> Plan:
    """Return the plan of a value that is sent in the request."""
    return Inline("a-socket", {"value": VALID[socket.kind]})


def inline_image(_: Path, __: ComponentInterface) -> Plan:
    """Return the plan of an image URL that is sent in the request."""
    return Inline("a-socket", {"image": IMAGE_URL})


def json_content(_: Path, socket: ComponentInterface) -> Plan:
    """Return the plan of a value that is uploaded as a JSON file."""
    data = json.dumps(VALID[socket.kind]).encode()
    return Upload("a-socket", (Content(data, "made.json"),))


def text_content(_: Path, socket: ComponentInterface) -> Plan:
    """Return the plan of text that is uploaded as a file."""
    return Upload("a-socket", (Content(b"some,text", f"made{suffix(socket.kind)}"),))


def given_file(directory: Path, socket: ComponentInterface) -> Path:
    """Return the file that `make_spec` makes."""
    return directory / f"given{suffix(socket.kind)}"


def upload(directory: Path, socket: ComponentInterface) -> Plan:
    """Return the plan of a file that is uploaded as it is."""
    return Upload("a-socket", (given_file(directory, socket),))


def image_upload(directory: Path, socket: ComponentInterface) -> Plan:
    """Return the plan of a file that is uploaded as an image."""
    return Upload("a-socket", (given_file(directory, socket),), is_image=True)


def dicom_upload(directory: Path, socket: ComponentInterface) -> Plan:
    """Return the plan of a file that is de-identified and uploaded."""
    return Upload("a-socket", (given_file(directory, socket),), is_image=True, image_name="CT")


def copy(_: Path, socket: ComponentInterface) -> Plan:
    """Return the plan of an existing file that is downloaded and uploaded again."""
    name = f"stored{suffix(socket.kind)}"
    return Upload("a-socket", (FileCopy(FILE_URL + name, name),))


#: For each group of sockets, what each source becomes; `None` where it is refused.
TABLE: list[tuple[list[tuple[str, str]], dict[str, Expected | None]]] = [
    (
        VALUES,
        {
            "value": inline_value,
            "file": inline_value,
            "files": inline_value,
            "existing_socket_value": inline_value,
            "existing_image_api_url": None,
        },
    ),
    (
        JSON_FILES,
        {
            "value": json_content,
            "file": upload,
            "files": upload,
            "existing_socket_value": copy,
            "existing_image_api_url": None,
        },
    ),
    (
        TEXT_FILES,
        {
            "value": text_content,
            "file": upload,
            "files": upload,
            "existing_socket_value": copy,
            "existing_image_api_url": None,
        },
    ),
    (
        BINARY_FILES,
        {
            "value": None,
            "file": upload,
            "files": upload,
            "existing_socket_value": copy,
            "existing_image_api_url": None,
        },
    ),
    (
        IMAGES,
        {
            "value": None,
            "file": image_upload,
            "files": image_upload,
            "existing_socket_value": inline_image,
            "existing_image_api_url": inline_image,
        },
    ),
    (
        DICOM,
        {
            "value": None,
            "file": dicom_upload,
            "files": dicom_upload,
            "existing_socket_value": inline_image,
            "existing_image_api_url": inline_image,
        },
    ),
]
CELLS = [
    (super_kind, kind, source, row[source])
    for sockets, row in TABLE
    for super_kind, kind in sockets
    for source in SOURCES
]
WORKING = [cell for cell in CELLS if cell[3] is not None]
REFUSED = [cell[:3] for cell in CELLS if cell[3] is None]


@pytest.mark.parametrize(("super_kind", "kind", "source", "expected"), WORKING)
def test_working_cell_is_planned(
    super_kind: str, kind: str, source: str, expected: Expected, tmp_path: Path
) -> None:
    """Each source that a kind of socket takes has the plan in the table."""
    socket = make_socket(super_kind, kind)
    plan = plan_value(make_spec(source, socket, tmp_path), socket)
    assert plan == expected(tmp_path, socket)


@pytest.mark.parametrize(("super_kind", "kind", "source"), REFUSED)
def test_refused_cell_names_what_works(
    super_kind: str, kind: str, source: str, tmp_path: Path
) -> None:
    """Each source that a kind of socket does not take is refused with all sources that work."""
    socket = make_socket(super_kind, kind)
    with pytest.raises(SpecError, match=rf"\({kind}\): .*cannot be made from {source}") as caught:
        plan_value(make_spec(source, socket, tmp_path), socket)
    named = re.findall(r"\w+", str(caught.value).partition(" Use ")[2].replace(" or ", " "))
    working = [cell[2] for cell in WORKING if cell[:2] == (super_kind, kind)]
    assert named == working
    for name in named:
        plan_value(make_spec(name, socket, tmp_path), socket)


@pytest.mark.parametrize("change", [str.upper, str.lower])
@pytest.mark.parametrize(("super_kind", "kind"), [sockets[0] for sockets, _ in TABLE])
def test_case_of_kinds_does_not_matter(
    super_kind: str, kind: str, change: Callable[[str], str], tmp_path: Path
) -> None:
    """Kinds and super kinds are compared case-insensitively."""
    socket = make_socket(super_kind, kind)
    spec = make_spec("file", socket, tmp_path)
    changed = make_socket(
        super_kind, kind, fields={"super_kind": change(super_kind), "kind": change(kind)}
    )
    assert plan_value(spec, changed) == plan_value(spec, socket)


def test_kind_newer_than_this_package_is_stored_by_its_path(tmp_path: Path) -> None:
    """A file socket of an unknown kind takes JSON if its path ends in .json, and otherwise files."""
    path = tmp_path / "a.json"
    path.write_text("[1]")
    value, file = SocketValueSpec("a-socket", value=[1]), SocketValueSpec("a-socket", file=path)
    as_json = make_socket("File", "Sketch", relative_path="sketch.json")
    as_file = make_socket("File", "Sketch", relative_path="sketch.bin")
    assert plan_value(value, as_json) == Upload("a-socket", (Content(b"[1]", "sketch.json"),))
    assert plan_value(file, as_file) == Upload("a-socket", (path,))
    with pytest.raises(SpecError, match="Use file or files or existing_socket_value"):
        plan_value(value, as_file)


# ---------------------------------------------------------------- images


@pytest.mark.parametrize(
    ("super_kind", "kind"), [*VALUES[:1], *JSON_FILES[:1], *TEXT_FILES, *BINARY_FILES, *IMAGES]
)
def test_image_name_is_for_dicom_alone(super_kind: str, kind: str, tmp_path: Path) -> None:
    """An image_name for another kind is refused, because the server would never make an image of it."""
    socket = make_socket(super_kind, kind)
    with pytest.raises(SpecError, match="image_name is for DICOM image sets only"):
        plan_value(make_spec("files", socket, tmp_path, image_name="CT"), socket)


@pytest.mark.parametrize("source", ["file", "files"])
def test_dicom_needs_an_image_name(source: str, tmp_path: Path) -> None:
    """A DICOM image set without an image_name is refused."""
    socket = make_socket(*DICOM[0])
    spec = make_spec(source, socket, tmp_path, image_name=UNSET)
    with pytest.raises(SpecError, match="needs an image_name"):
        plan_value(spec, socket)


@pytest.mark.parametrize(
    "url", ["", "0a1b", None, 7, "https://gc.example/api/v1/archives/1/", "cases/images"]
)
def test_image_is_named_by_its_api_url(url: Any) -> None:
    """Only the api_url of an image is accepted as an existing image."""
    spec = SocketValueSpec("a-socket", existing_image_api_url=url)
    with pytest.raises(SpecTypeError, match="must be the api_url of an image"):
        plan_value(spec, make_socket("Image", "Image"))


# ---------------------------------------------------------------- existing values

EVERY = [sockets[0] for sockets, _ in TABLE]


@pytest.mark.parametrize(("super_kind", "kind"), EVERY)
def test_existing_value_is_of_the_same_socket(super_kind: str, kind: str) -> None:
    """A value of another socket is refused, and the error names that socket."""
    socket = make_socket(super_kind, kind)
    other = make_socket(super_kind, kind, pk=8, slug="another-socket")
    spec = SocketValueSpec("a-socket", existing_socket_value=make_existing(other))
    with pytest.raises(SpecError, match="is of socket 'another-socket'"):
        plan_value(spec, socket)


@pytest.mark.parametrize(("super_kind", "kind"), EVERY)
@pytest.mark.parametrize("interface", ["a-socket", None, 7])
def test_value_from_a_write_response_is_refused(super_kind: str, kind: str, interface: Any) -> None:
    """A value from the response to a write, which lacks its socket, is refused."""
    socket = make_socket(super_kind, kind)
    existing = make_existing(socket, interface=interface)
    with pytest.raises(SpecTypeError, match=r"as read from the server, an item of \.values"):
        plan_value(SocketValueSpec("a-socket", existing_socket_value=existing), socket)


@pytest.mark.parametrize("existing", [None, 7, "a-socket", {"interface": "a-socket"}, object()])
def test_existing_value_is_a_model(existing: Any) -> None:
    """An existing value that is not a model is refused."""
    with pytest.raises(SpecTypeError, match="as read from the server"):
        plan_value(
            SocketValueSpec("a-socket", existing_socket_value=existing),
            make_socket("Value", "Float"),
        )


@pytest.mark.parametrize(
    ("super_kind", "kind", "field"),
    [("File", "PDF file", "file"), ("File", "Float", "file"), ("Image", "Image", "image")],
)
@pytest.mark.parametrize("nothing", [None, UNSET])
def test_existing_value_without_content_is_refused(
    super_kind: str, kind: str, field: str, nothing: Any
) -> None:
    """An existing value without its file or image is refused."""
    socket = make_socket(super_kind, kind)
    existing = make_existing(socket, **{field: nothing})
    with pytest.raises(SpecError, match=f"the existing value has no {field}"):
        plan_value(SocketValueSpec("a-socket", existing_socket_value=existing), socket)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"{FILE_URL}report%20(1).pdf", "report (1).pdf"),
        (f"{FILE_URL}report.pdf?key=1", "report.pdf"),
        (f"{FILE_URL}", "made.pdf"),
        (f"{FILE_URL}con.pdf", "made.pdf"),
        (f"{FILE_URL}{'x' * 129}", "made.pdf"),
        ("", "made.pdf"),
    ],
)
def test_copy_has_a_name_that_the_server_takes(url: str, name: str) -> None:
    """A copy keeps its file name, or gets the socket's if the server would refuse it."""
    socket = make_socket("File", "PDF file")
    existing = make_existing(socket, file=url)
    plan = plan_value(SocketValueSpec("a-socket", existing_socket_value=existing), socket)
    assert plan == Upload("a-socket", (FileCopy(url, name),))


# ---------------------------------------------------------------- anything at all


@pytest.fixture(scope="module")
def some_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a few files."""
    directory = tmp_path_factory.mktemp("some files")
    contents = {"good.json": "1", "null.json": "null", "nan.json": "NaN", "text.csv": "a,b"}
    for name, content in {**contents, "x" * 129: "1"}.items():
        (directory / name).write_text(content)
    return directory


@settings(max_examples=400)
@given(socket=ANY_SOCKET, data=st.data())
def test_anything_is_planned_or_refused(
    socket: ComponentInterface, data: st.DataObject, some_files: Path
) -> None:
    """Any specification for any socket gives a plan or a SpecError."""
    said = data.draw(any_source(some_files))
    try:
        plan = plan_value(SocketValueSpec("a-socket", **said), socket)
    except SpecError:
        return
    assert plan.slug == "a-socket"
    assert isinstance(plan, Inline) or plan.files


def test_plural_annotations_are_files_or_older_values() -> None:
    """The table covers plural annotations as files and as values of older sockets."""
    assert {("Value", kind) for kind in MULTIPLE} <= set(VALUES)
    assert {("File", kind) for kind in MULTIPLE} <= set(JSON_FILES)
