"""What becomes of each specification at each kind of socket, before anything is sent.

Longer than 500 lines, since the whole table of sources and kinds is written out.
"""

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcapi._workflows.plans import (
    Content,
    Inline,
    LocalFile,
    Plan,
    RemoteFile,
    Upload,
    check_interface,
    check_no_socket_twice,
    plan_value,
)
from gcapi.exceptions import (
    InterfaceMismatch,
    SpecError,
    SpecFileError,
    SpecFileNotFound,
    SpecTypeError,
)
from gcapi.sockets import SOURCES, SocketValueSpec
from grand_challenge_api.models import (
    Algorithm,
    ComponentInterface,
    HyperlinkedComponentInterfaceValue,
)
from grand_challenge_api.types import UNSET
from tests.support.socket_kinds import (
    BINARY_SUFFIXES,
    DICOM_KIND,
    IMAGE_KINDS,
    INVALID,
    MULTIPLE,
    TEXT_SUFFIXES,
    VALID,
)
from tests.support.specs import ANY_SOCKET, FILE_URL, IMAGE_URL, any_source, make_socket, suffix

#: How each socket stores its values: super kind and kind, with the group that its row of the table is in.
VALUES = [("Value", kind) for kind in VALID]  # the plural annotations are on older sockets only
JSON_FILES = [("File", kind) for kind in VALID]
TEXT_FILES = [("File", kind) for kind in TEXT_SUFFIXES]
BINARY_FILES = [("File", kind) for kind in BINARY_SUFFIXES]
IMAGES = [("Image", kind) for kind in IMAGE_KINDS]
DICOM = [("Image", DICOM_KIND)]


def make_existing(socket: ComponentInterface, **changes: Any) -> HyperlinkedComponentInterfaceValue:
    """Return a value of a socket as it is read from the server."""
    value, file, image = None, None, None
    if socket.super_kind == "Value":
        value = VALID[socket.kind]
    elif socket.super_kind == "File":
        file = f"{FILE_URL}stored{suffix(socket.kind)}"
    else:
        image = IMAGE_URL
    fields = {"interface": socket.to_dict(), "pk": 1, "value": value, "file": file, "image": image}
    return HyperlinkedComponentInterfaceValue.from_dict({**fields, **changes})


def make_spec(
    source: str, socket: ComponentInterface, directory: Path, **more: Any
) -> SocketValueSpec:
    """Return a specification from a source, with what that source would need at this socket."""
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
    """Expect the value in the request."""
    return Inline("a-socket", {"value": VALID[socket.kind]})


def inline_image(_: Path, __: ComponentInterface) -> Plan:
    """Expect the image's URL in the request."""
    return Inline("a-socket", {"image": IMAGE_URL})


def json_content(_: Path, socket: ComponentInterface) -> Plan:
    """Expect the value as an uploaded JSON file."""
    data = json.dumps(VALID[socket.kind]).encode()
    return Upload("a-socket", (Content(data, "made.json"),))


def text_content(_: Path, socket: ComponentInterface) -> Plan:
    """Expect the text as an uploaded file."""
    return Upload("a-socket", (Content(b"some,text", f"made{suffix(socket.kind)}"),))


def given_file(directory: Path, socket: ComponentInterface) -> LocalFile:
    """Return the file that `make_spec` gives."""
    name = f"given{suffix(socket.kind)}"
    return LocalFile(directory / name, name)


def upload(directory: Path, socket: ComponentInterface) -> Plan:
    """Expect the user's file, uploaded as it is."""
    return Upload("a-socket", (given_file(directory, socket),))


def image_upload(directory: Path, socket: ComponentInterface) -> Plan:
    """Expect the user's file, uploaded as an image."""
    return Upload("a-socket", (given_file(directory, socket),), is_image=True)


def dicom_upload(directory: Path, socket: ComponentInterface) -> Plan:
    """Expect the user's file, to be de-identified."""
    return Upload("a-socket", (given_file(directory, socket),), is_image=True, image_name="CT")


def copy(_: Path, socket: ComponentInterface) -> Plan:
    """Expect the existing file, fetched and uploaded again."""
    name = f"stored{suffix(socket.kind)}"
    return Upload("a-socket", (RemoteFile(FILE_URL + name, name),))


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
    """A source that a kind of socket takes becomes the plan of its row."""
    socket = make_socket(super_kind, kind)
    plan = plan_value(make_spec(source, socket, tmp_path), socket)
    assert plan == expected(tmp_path, socket)


@pytest.mark.parametrize(("super_kind", "kind", "source"), REFUSED)
def test_refused_cell_names_what_works(
    super_kind: str, kind: str, source: str, tmp_path: Path
) -> None:
    """A source that a kind of socket does not take is refused, and each source named instead plans."""
    socket = make_socket(super_kind, kind)
    with pytest.raises(
        SpecError, match=rf"of kind {kind} .*cannot be made from {source}"
    ) as caught:
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
    """Kinds and super kinds are compared without regard to case."""
    socket = make_socket(super_kind, kind)
    spec = make_spec("file", socket, tmp_path)
    changed = make_socket(
        super_kind, kind, fields={"super_kind": change(super_kind), "kind": change(kind)}
    )
    assert plan_value(spec, changed) == plan_value(spec, socket)


def test_kind_newer_than_this_package_is_stored_by_its_path(tmp_path: Path) -> None:
    """A file socket of an unknown kind takes JSON if its path says so, and else files only."""
    path = tmp_path / "a.json"
    path.write_text("[1]")
    value, file = SocketValueSpec("a-socket", value=[1]), SocketValueSpec("a-socket", file=path)
    as_json = make_socket("File", "Sketch", relative_path="sketch.json")
    as_file = make_socket("File", "Sketch", relative_path="sketch.bin")
    assert plan_value(value, as_json) == Upload("a-socket", (Content(b"[1]", "sketch.json"),))
    assert plan_value(file, as_file) == Upload("a-socket", (LocalFile(path, "a.json"),))
    with pytest.raises(SpecError, match="Use file or files or existing_socket_value"):
        plan_value(value, as_file)


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("kind", VALID)
def test_null_is_refused_at_a_value_socket(kind: str) -> None:
    """The API cannot store null, so a value of None says to leave the socket out."""
    with pytest.raises(SpecError, match="null cannot be stored"):
        plan_value(SocketValueSpec("a-socket", value=None), make_socket("Value", kind))


def test_null_is_a_json_file() -> None:
    """A file of kind Anything can hold null."""
    plan = plan_value(SocketValueSpec("a-socket", value=None), make_socket("File", "Anything"))
    assert plan == Upload("a-socket", (Content(b"null", "made.json"),))


def test_null_in_a_file_is_refused_at_a_value_socket(tmp_path: Path) -> None:
    """A JSON file of null has no value that could be stored."""
    path = tmp_path / "a.json"
    path.write_text("null")
    with pytest.raises(SpecError, match="null cannot be stored"):
        plan_value(SocketValueSpec("a-socket", file=path), make_socket("Value", "Anything"))


@pytest.mark.parametrize("value", [None, UNSET])
def test_existing_null_is_refused(value: Any) -> None:
    """An existing value that holds null, or nothing, cannot be used again."""
    socket = make_socket("Value", "Anything")
    existing = make_existing(socket, value=value)
    with pytest.raises(SpecError, match="null cannot be stored"):
        plan_value(SocketValueSpec("a-socket", existing_socket_value=existing), socket)


@pytest.mark.parametrize("kind", TEXT_SUFFIXES)
@pytest.mark.parametrize("value", [1, None, True, ["a", "b"], {"a": 1}, b"a,b"])
def test_text_is_a_str(kind: str, value: Any) -> None:
    """The value of a text socket is the text itself."""
    with pytest.raises(SpecTypeError, match="must be the text itself, a str"):
        plan_value(SocketValueSpec("a-socket", value=value), make_socket("File", kind))


@pytest.mark.parametrize("text", ["", "a,b\r\n1,ü\n", '"quoted"'])
def test_text_is_stored_as_it_is(text: str) -> None:
    """Text is encoded as UTF-8 and nothing else is done to it."""
    plan = plan_value(SocketValueSpec("a-socket", value=text), make_socket("File", "CSV file"))
    assert plan == Upload("a-socket", (Content(text.encode(), "made.csv"),))


def test_text_that_is_no_unicode_is_refused() -> None:
    """Half a surrogate pair cannot be written to a file."""
    with pytest.raises(SpecError, match="cannot be stored as UTF-8"):
        plan_value(SocketValueSpec("a-socket", value="\ud800"), make_socket("File", "CSV file"))


@pytest.mark.parametrize(
    ("relative_path", "name"),
    [("a.json", "a.json"), ("deep/in/there.json", "there.json"), ("", "a-socket")],
)
def test_upload_is_named_after_the_socket(relative_path: str, name: str) -> None:
    """A value becomes a file with the base name of the socket's path, or its slug if there is none."""
    socket = make_socket("File", "Integer", relative_path=relative_path)
    plan = plan_value(SocketValueSpec("a-socket", value=1), socket)
    assert plan == Upload("a-socket", (Content(b"1", name),))


@pytest.mark.parametrize("super_kind", ["Value", "File"])
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "a\x00b", "\ud800", {1, 2}, b"bytes", object()]
)
def test_value_that_cannot_be_sent_is_refused(super_kind: str, value: Any) -> None:
    """NaN, NUL and what is no JSON are refused before anything is sent."""
    with pytest.raises(SpecError, match="'a-socket': the value cannot be sent"):
        plan_value(SocketValueSpec("a-socket", value=value), make_socket(super_kind, "Anything"))


ONE_WRONG_EACH = list(
    {kind: (kind, value) for kind, value in INVALID if value is not None}.values()
)


@pytest.mark.parametrize("super_kind", ["Value", "File"])
@pytest.mark.parametrize(("kind", "value"), ONE_WRONG_EACH)
def test_value_is_held_against_its_kind(super_kind: str, kind: str, value: Any) -> None:
    """A value of another shape than its kind's is refused, with what is wrong."""
    with pytest.raises(SpecError, match=f"is of kind {kind}: the value"):
        plan_value(SocketValueSpec("a-socket", value=value), make_socket(super_kind, kind))


@pytest.mark.parametrize("super_kind", ["Value", "File"])
@pytest.mark.parametrize(("kind", "value"), ONE_WRONG_EACH)
def test_json_file_is_held_against_its_kind(
    super_kind: str, kind: str, value: Any, tmp_path: Path
) -> None:
    """What is in a JSON file is checked as a value is, since the server tells nobody of a wrong file."""
    path = tmp_path / "given.json"
    path.write_text(json.dumps(value))
    with pytest.raises(SpecError, match=f"is of kind {kind}: .*the value"):
        plan_value(SocketValueSpec("a-socket", file=path), make_socket(super_kind, kind))


def test_message_says_where_and_how_much(tmp_path: Path) -> None:
    """The first problem is told with its place and its file, and how many more there are."""
    path = tmp_path / "given.json"
    path.write_text("[1, 2, 3]")
    with pytest.raises(SpecError) as caught:
        plan_value(SocketValueSpec("a-socket", file=path), make_socket("File", "Multiple choice"))
    assert str(caught.value) == (
        f"Socket 'a-socket' is of kind Multiple choice: {path}: the value[0] must be a string, and is 1"
        " (and 2 more)."
    )


# ---------------------------------------------------------------- files

READ = [("Value", "Float"), ("File", "Float")]
ALL_FILES = [*READ, ("File", "CSV file"), ("File", "PDF file"), ("Image", "Image"), *DICOM]


def file_spec(super_kind: str, kind: str, *paths: Path | str) -> SocketValueSpec:
    """Return a specification of files, named if a DICOM image set needs it."""
    name: dict[str, Any] = {"image_name": "CT"} if (super_kind, kind) in DICOM else {}
    return SocketValueSpec("a-socket", files=list(paths), **name)


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
@pytest.mark.parametrize(
    "name", ["missing.json", "missing/in/there.json", "file/under.json", "\x00"]
)
def test_missing_file_is_found(super_kind: str, kind: str, name: str, tmp_path: Path) -> None:
    """A file that does not exist is named, as a FileNotFoundError."""
    (tmp_path / "file").touch()
    with pytest.raises(SpecFileNotFound, match="'a-socket': there is no file") as caught:
        plan_value(file_spec(super_kind, kind, tmp_path / name), make_socket(super_kind, kind))
    assert isinstance(caught.value, FileNotFoundError)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
def test_directory_is_no_file(super_kind: str, kind: str, tmp_path: Path) -> None:
    """A directory is refused with how to name its files."""
    with pytest.raises(SpecFileError, match=r"is a directory. Name its files: files=sorted"):
        plan_value(file_spec(super_kind, kind, tmp_path), make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
def test_empty_list_of_files_is_refused(super_kind: str, kind: str) -> None:
    """No files make no value."""
    with pytest.raises(SpecError, match="files is empty"):
        plan_value(file_spec(super_kind, kind), make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
def test_unreadable_file_is_refused(super_kind: str, kind: str, tmp_path: Path) -> None:
    """A file that the system does not open, here for its endless name, is an error of the specification."""
    spec = file_spec(super_kind, kind, tmp_path / ("x" * 5000))
    with pytest.raises(SpecFileError, match="cannot be read"):
        plan_value(spec, make_socket(super_kind, kind))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES)
def test_pipe_is_no_file(super_kind: str, kind: str, tmp_path: Path) -> None:
    """What is neither a file nor a directory is refused, rather than waited for."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SpecFileError, match="is not a file that can be read"):
        plan_value(file_spec(super_kind, kind, tmp_path / "pipe"), make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), ALL_FILES[:4])
def test_two_files_for_one_are_refused(super_kind: str, kind: str, tmp_path: Path) -> None:
    """Only images are made of several files."""
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("1")
    spec = file_spec(super_kind, kind, tmp_path / "a.json", tmp_path / "b.json")
    with pytest.raises(SpecError, match="takes one file, and 2 are given"):
        plan_value(spec, make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), READ)
@pytest.mark.parametrize(
    "content", [b"", b"{", b"NaN", b"[Infinity]", b"1e400", b"\xff\xfe", b"1.5,2.5"]
)
def test_broken_json_is_found(super_kind: str, kind: str, content: bytes, tmp_path: Path) -> None:
    """A file that holds no JSON, or NaN, is named with what is wrong."""
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"broken\.json is not valid JSON: "):
        plan_value(SocketValueSpec("a-socket", file=path), make_socket(super_kind, kind))


def test_other_files_are_not_read(tmp_path: Path) -> None:
    """What is in a file of another kind is left to the server."""
    path = tmp_path / "report.pdf"
    path.write_bytes(b"\xff no PDF")
    plan = plan_value(SocketValueSpec("a-socket", file=path), make_socket("File", "PDF file"))
    assert plan == Upload("a-socket", (LocalFile(path, "report.pdf"),))


UPLOADED = [("File", "Float"), ("File", "CSV file"), ("File", "PDF file"), ("Image", "Image")]


@pytest.mark.parametrize(("super_kind", "kind"), UPLOADED)
def test_long_file_name_is_refused(super_kind: str, kind: str, tmp_path: Path) -> None:
    """A file whose name the server does not take is refused before it is uploaded."""
    path = tmp_path / ("x" * 129)
    path.write_text("1")
    with pytest.raises(SpecError, match="has 129 characters, and 128 is the limit"):
        plan_value(file_spec(super_kind, kind, path), make_socket(super_kind, kind))


@pytest.mark.parametrize(("super_kind", "kind"), [("Value", "Float"), *DICOM])
def test_name_that_is_not_sent_may_be_long(super_kind: str, kind: str, tmp_path: Path) -> None:
    """The name of a file that is read here, or renamed when it is de-identified, does not matter."""
    path = tmp_path / ("x" * 129)
    path.write_text("1")
    assert plan_value(file_spec(super_kind, kind, path), make_socket(super_kind, kind))


def test_files_of_an_image_have_different_names(tmp_path: Path) -> None:
    """Two files of one name cannot be told apart at the server."""
    paths = [tmp_path / folder / "slice.dcm" for folder in ("a", "b")]
    for path in paths:
        path.parent.mkdir()
        path.touch()
    with pytest.raises(SpecError, match=r"need different names; 'slice\.dcm' is there more than"):
        plan_value(file_spec("Image", "Image", *paths), make_socket("Image", "Image"))
    assert plan_value(file_spec(*DICOM[0], *paths), make_socket(*DICOM[0])) == Upload(
        "a-socket",
        tuple(LocalFile(path, "slice.dcm") for path in paths),
        is_image=True,
        image_name="CT",
    )


def test_files_of_an_image_keep_their_order(tmp_path: Path) -> None:
    """An image is made of several files in the order in which they are given."""
    paths = [tmp_path / name for name in ("b.mhd", "a.raw")]
    for path in paths:
        path.touch()
    plan = plan_value(file_spec("Image", "Image", *paths), make_socket("Image", "Image"))
    files = (LocalFile(paths[0], "b.mhd"), LocalFile(paths[1], "a.raw"))
    assert plan == Upload("a-socket", files, is_image=True)


# ---------------------------------------------------------------- images


@pytest.mark.parametrize(
    ("super_kind", "kind"), [*VALUES[:1], *JSON_FILES[:1], *TEXT_FILES, *BINARY_FILES, *IMAGES]
)
def test_image_name_is_for_dicom_alone(super_kind: str, kind: str, tmp_path: Path) -> None:
    """An image_name elsewhere is refused: the server would take it, and no image would ever appear."""
    socket = make_socket(super_kind, kind)
    with pytest.raises(SpecError, match="image_name is for DICOM image sets only"):
        plan_value(make_spec("files", socket, tmp_path, image_name="CT"), socket)


@pytest.mark.parametrize("source", ["file", "files"])
def test_dicom_needs_an_image_name(source: str, tmp_path: Path) -> None:
    """A DICOM image set without an image_name says what to add."""
    socket = make_socket(*DICOM[0])
    spec = make_spec(source, socket, tmp_path, image_name=UNSET)
    with pytest.raises(SpecError, match="give it an image_name too"):
        plan_value(spec, socket)


@pytest.mark.parametrize(
    "url", ["", "0a1b", None, 7, "https://gc.example/api/v1/archives/1/", "cases/images"]
)
def test_image_is_named_by_its_api_url(url: Any) -> None:
    """What is not the api_url of an image is refused."""
    spec = SocketValueSpec("a-socket", existing_image_api_url=url)
    with pytest.raises(SpecTypeError, match="must be the api_url of an image"):
        plan_value(spec, make_socket("Image", "Image"))


# ---------------------------------------------------------------- existing values

EVERY = [sockets[0] for sockets, _ in TABLE]


@pytest.mark.parametrize(("super_kind", "kind"), EVERY)
def test_existing_value_is_of_the_same_socket(super_kind: str, kind: str) -> None:
    """A value of another socket is refused, and that socket named."""
    socket = make_socket(super_kind, kind)
    other = make_socket(super_kind, kind, pk=8, slug="another-socket")
    spec = SocketValueSpec("a-socket", existing_socket_value=make_existing(other))
    with pytest.raises(SpecError, match="is of socket 'another-socket'"):
        plan_value(spec, socket)


@pytest.mark.parametrize(("super_kind", "kind"), EVERY)
@pytest.mark.parametrize("interface", ["a-socket", None, 7])
def test_answer_of_a_write_is_no_existing_value(super_kind: str, kind: str, interface: Any) -> None:
    """A value as a write is answered, which has only the socket's slug, is refused with where to get one."""
    socket = make_socket(super_kind, kind)
    existing = make_existing(socket, interface=interface)
    with pytest.raises(SpecTypeError, match=r"as read from the server, an item of \.values"):
        plan_value(SocketValueSpec("a-socket", existing_socket_value=existing), socket)


@pytest.mark.parametrize("existing", [None, 7, "a-socket", {"interface": "a-socket"}, object()])
def test_existing_value_is_a_model(existing: Any) -> None:
    """Whatever else is given as an existing value is refused with where to get one."""
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
def test_existing_value_has_something(super_kind: str, kind: str, field: str, nothing: Any) -> None:
    """An existing value without its file or image cannot be used again."""
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
    """A copy keeps its name, or takes the socket's where its own would be refused."""
    socket = make_socket("File", "PDF file")
    existing = make_existing(socket, file=url)
    plan = plan_value(SocketValueSpec("a-socket", existing_socket_value=existing), socket)
    assert plan == Upload("a-socket", (RemoteFile(url, name),))


# ---------------------------------------------------------------- anything at all


@pytest.fixture(scope="module")
def some_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a few files."""
    directory = tmp_path_factory.mktemp("some files")
    contents = {"good.json": "1", "null.json": "null", "nan.json": "NaN", "text.csv": "a,b"}
    for name, content in {**contents, "x" * 129: "1"}.items():
        (directory / name).write_text(content)
    return directory


@settings(derandomize=True, deadline=None, max_examples=400)
@given(socket=ANY_SOCKET, data=st.data())
def test_anything_is_planned_or_refused(
    socket: ComponentInterface, data: st.DataObject, some_files: Path
) -> None:
    """Whatever meets whatever socket, there is a plan or a SpecError, and nothing else."""
    said = data.draw(any_source(some_files))
    try:
        plan = plan_value(SocketValueSpec("a-socket", **said), socket)
    except SpecError:
        return
    assert plan.slug == "a-socket"
    assert isinstance(plan, Inline) or plan.files


# ---------------------------------------------------------------- several values


def specs(*slugs: str) -> list[SocketValueSpec]:
    """Return a specification for each slug."""
    return [SocketValueSpec(slug, value=1) for slug in slugs]


@pytest.mark.parametrize("slugs", [(), ("a",), ("a", "b", "c")])
def test_different_sockets_go_together(slugs: tuple[str, ...]) -> None:
    """Values of different sockets are no problem."""
    check_no_socket_twice(specs(*slugs))


@pytest.mark.parametrize("slugs", [("a", "a"), ("a", "b", "a")])
def test_socket_given_twice_is_refused(slugs: tuple[str, ...]) -> None:
    """Of two values for a socket the server would keep one and say nothing."""
    with pytest.raises(SpecError, match="Socket 'a' is given twice"):
        check_no_socket_twice(specs(*slugs))


@pytest.mark.parametrize("other", [{"socket_slug": "a", "value": 1}, "a", None, ("a", 1)])
def test_values_are_specifications(other: Any) -> None:
    """Something else among the values is named."""
    with pytest.raises(SpecTypeError, match="must be SocketValueSpec objects"):
        check_no_socket_twice([*specs("a"), other])


def make_algorithm(*interfaces: Sequence[str]) -> Algorithm:
    """Return an algorithm whose interfaces take sockets of these slugs."""
    described = [
        {
            "inputs": [make_socket("Value", "Float", slug=slug).to_dict() for slug in slugs],
            "outputs": [],
        }
        for slugs in interfaces
    ]
    return Algorithm.from_dict(
        {
            "api_url": "https://gc.example/api/v1/algorithms/0a/",
            "average_duration": None,
            "interfaces": described,
            "logo": "",
            "pk": "0a",
            "slug": "lung-finder",
            "title": "Lung finder",
            "url": "",
            "description": "",
        }
    )


@pytest.mark.parametrize("slugs", [("a",), ("a", "b"), ("b", "a"), ("c",)])
def test_exact_inputs_fit(slugs: tuple[str, ...]) -> None:
    """Exactly the sockets of one interface, in any order, can be run."""
    check_interface(make_algorithm(["a"], ["a", "b"], ["c"]), specs(*slugs))


def test_no_inputs_fit_an_interface_of_none() -> None:
    """An interface without inputs takes none."""
    check_interface(make_algorithm([]), [])


@pytest.mark.parametrize(
    ("slugs", "words"),
    [
        (("a",), "The nearest takes a, b: missing: b."),
        (("a", "b", "x"), "The nearest takes a, b: not among them: x."),
        (("a", "x"), "The nearest takes a, b: missing: b; not among them: x."),
        (("c", "d", "e"), "The nearest takes c, d, e, f: missing: f."),
        ((), "The nearest takes a, b: missing: a, b."),
    ],
)
def test_mismatch_shows_the_nearest_interface(slugs: tuple[str, ...], words: str) -> None:
    """Inputs that fit no interface are shown with the nearest one and the difference."""
    algorithm = make_algorithm(["c", "d", "e", "f"], ["a", "b"])
    with pytest.raises(InterfaceMismatch, match="algorithm 'lung-finder'") as caught:
        check_interface(algorithm, specs(*slugs))
    assert str(caught.value).endswith(words)


def test_inputs_for_an_interface_of_none_are_too_many() -> None:
    """The nearest interface may take nothing."""
    with pytest.raises(InterfaceMismatch, match="takes nothing: not among them: a"):
        check_interface(make_algorithm([]), specs("a"))


def test_algorithm_without_interfaces_cannot_be_run() -> None:
    """Without an interface no inputs fit, not even none."""
    with pytest.raises(InterfaceMismatch, match="'lung-finder' has no interface yet"):
        check_interface(make_algorithm(), [])


def test_plural_annotations_are_files_or_older_values() -> None:
    """The table above has both super kinds of the kinds that new sockets store as files."""
    assert {("Value", kind) for kind in MULTIPLE} <= set(VALUES)
    assert {("File", kind) for kind in MULTIPLE} <= set(JSON_FILES)
