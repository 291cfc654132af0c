"""Invalid input: a clear error before anything is uploaded or created."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    AuthenticationError,
    ObjectNotFound,
    SocketNotFound,
    SpecError,
    SpecFileError,
    SpecFileNotFound,
    SpecTypeError,
)
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    FILED_VALUES,
    INLINE_VALUES,
    TEXTS,
    Home,
    ct_slice,
    make_home,
    noise,
    nothing_written,
    series,
    unique,
    value_of,
    volume,
    written,
)


@pytest.fixture(params=["archive", "reader study"])
def home(request: pytest.FixtureRequest, sandbox: Sandbox, client: Client) -> Home:
    """Return an archive, and then a reader study."""
    return make_home(sandbox, client, request.param)


@dataclass(frozen=True)
class Sockets:
    """One socket of each storage kind."""

    number: str
    json: str
    text: str
    pdf: str
    image: str
    dicom: str


@pytest.fixture
def sockets(sandbox: Sandbox) -> Sockets:
    """Make a socket of each storage kind."""
    return Sockets(
        number=sandbox.add_socket(unique("number"), "Float"),
        json=sandbox.add_socket(unique("json"), "Anything", store_in_database=False),
        text=sandbox.add_socket(unique("text"), "CSV file"),
        pdf=sandbox.add_socket(unique("pdf"), "PDF file"),
        image=sandbox.add_socket(unique("image")),
        dicom=sandbox.add_socket(unique("dicom"), "DICOM Image Set"),
    )


@dataclass(frozen=True)
class Bad:
    """An invalid specification, and its error."""

    make: Callable[[Sockets, Path], SocketValueSpec]
    error: type[Exception]
    words: str


def _loop() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


BAD: dict[str, Bad] = {
    "a missing file": Bad(
        lambda s, d: SocketValueSpec(s.pdf, file=d / "no.pdf"),
        SpecFileNotFound,
        "cannot be read: No such file",
    ),
    "a missing file of several": Bad(
        lambda s, d: SocketValueSpec(s.image, files=[volume(), d / "no.nii"]),
        SpecFileNotFound,
        "no.nii cannot be read: No such file",
    ),
    "a missing DICOM file": Bad(
        lambda s, d: SocketValueSpec(s.dicom, files=[d / "no.dcm"], image_name="CT"),
        SpecFileNotFound,
        "cannot be read: No such file",
    ),
    "a directory as a file": Bad(
        lambda s, d: SocketValueSpec(s.pdf, file=d), SpecFileError, "is a directory. Name its files"
    ),
    "a directory as an image": Bad(
        lambda s, d: SocketValueSpec(s.image, files=[d]), SpecFileError, r"is a directory.*iterdir"
    ),
    "a directory as a DICOM image set": Bad(
        lambda s, d: SocketValueSpec(s.dicom, file=d, image_name="CT"),
        SpecFileError,
        "is a directory",
    ),
    "a directory as JSON": Bad(
        lambda s, d: SocketValueSpec(s.number, file=d), SpecFileError, "is a directory"
    ),
    "no files": Bad(lambda s, _: SocketValueSpec(s.image, files=[]), SpecError, "files is empty"),
    "no files for a file": Bad(
        lambda s, _: SocketValueSpec(s.pdf, files=()), SpecError, "files is empty"
    ),
    "no DICOM files": Bad(
        lambda s, _: SocketValueSpec(s.dicom, files=[], image_name="CT"),
        SpecError,
        "files is empty",
    ),
    "several files for one": Bad(
        lambda s, _: SocketValueSpec(s.pdf, files=[volume(), ct_slice()]),
        SpecError,
        "takes one file, and 2 are given",
    ),
    "two files of one name": Bad(
        lambda s, d: SocketValueSpec(
            s.image, files=[noise(d / "a.mha"), noise(_folder(d) / "a.mha")]
        ),
        SpecError,
        "need different names, and 2 are called 'a.mha'",
    ),
    "invalid JSON for a value": Bad(
        lambda s, d: SocketValueSpec(s.number, file=written(d / "bad.json", "{'a': 1}")),
        SpecError,
        "bad.json is not valid JSON",
    ),
    "invalid JSON for a file": Bad(
        lambda s, d: SocketValueSpec(s.json, file=written(d / "bad.json", "[1, 2")),
        SpecError,
        "bad.json is not valid JSON",
    ),
    "an empty JSON file": Bad(
        lambda s, d: SocketValueSpec(s.json, file=written(d / "bad.json", "")),
        SpecError,
        "is not valid JSON",
    ),
    "JSON that is no text": Bad(
        lambda s, d: SocketValueSpec(s.json, file=written(d / "bad.json", b"\xff\xfe\x00")),
        SpecError,
        "is not UTF-8 text",
    ),
    "NaN": Bad(lambda s, _: SocketValueSpec(s.number, value=math.nan), SpecError, "no NaN"),
    "an infinity": Bad(
        lambda s, _: SocketValueSpec(s.number, value=-math.inf), SpecError, "no infinity"
    ),
    "NaN within": Bad(
        lambda s, _: SocketValueSpec(s.json, value={"a": [1, math.nan]}), SpecError, "no NaN"
    ),
    "NaN in a file for a value": Bad(
        lambda s, d: SocketValueSpec(s.number, file=written(d / "nan.json", "NaN")),
        SpecError,
        "JSON has no NaN",
    ),
    "NaN in a file for a file": Bad(
        lambda s, d: SocketValueSpec(s.json, file=written(d / "nan.json", '{"a": NaN}')),
        SpecError,
        "JSON has no NaN",
    ),
    "an infinity in a file": Bad(
        lambda s, d: SocketValueSpec(s.json, file=written(d / "nan.json", "[-Infinity]")),
        SpecError,
        "JSON has no -Infinity",
    ),
    "null": Bad(
        lambda s, _: SocketValueSpec(s.number, value=None), SpecError, "null cannot be stored"
    ),
    "null in a file": Bad(
        lambda s, d: SocketValueSpec(s.number, file=written(d / "null.json", "null")),
        SpecError,
        "null cannot be stored",
    ),
    "a NUL character": Bad(
        lambda s, _: SocketValueSpec(s.json, value={"a\x00": 1}), SpecError, "NUL character"
    ),
    "no JSON value": Bad(
        lambda s, _: SocketValueSpec(s.json, value={1, 2}), SpecError, "it is not a JSON value"
    ),
    "a value that holds itself": Bad(
        lambda s, _: SocketValueSpec(s.json, value=_loop()), SpecError, "the value cannot be sent"
    ),
    "a value of another kind": Bad(
        lambda s, _: SocketValueSpec(s.number, value=True),
        SpecError,
        r"\(Float\): the value must be a number, not true",
    ),
    "a text that is none": Bad(
        lambda s, _: SocketValueSpec(s.text, value=["a", "b"]),
        SpecTypeError,
        "its value must be the text itself, a str, not list",
    ),
    "a value for a file": Bad(
        lambda s, _: SocketValueSpec(s.pdf, value="text"),
        SpecError,
        "cannot be made from value. Use file or files or existing_socket_value",
    ),
    "a value for an image": Bad(
        lambda s, _: SocketValueSpec(s.image, value=[[1]]),
        SpecError,
        "takes an image, which cannot be made from value. Use file or files or .*existing_image_api_url",
    ),
    "a value for a DICOM image set": Bad(
        lambda s, _: SocketValueSpec(s.dicom, value=1), SpecError, "cannot be made from value"
    ),
    "an image for a value": Bad(
        lambda s, _: SocketValueSpec(s.number, existing_image_api_url="/api/v1/cases/images/x/"),
        SpecError,
        "cannot be made from existing_image_api_url. Use value or file",
    ),
    "no image's address": Bad(
        lambda s, _: SocketValueSpec(s.image, existing_image_api_url="1234-5678"),
        SpecTypeError,
        "must be the api_url of an image, not '1234-5678'",
    ),
    "no value that was read": Bad(
        lambda s, _: SocketValueSpec(s.number, existing_socket_value={"value": 1}),  # type: ignore[arg-type]
        SpecTypeError,
        "must be a value as read from the server",
    ),
    "a DICOM image set without a name": Bad(
        lambda s, d: SocketValueSpec(s.dicom, files=series(d, 2)),
        SpecError,
        "needs an image_name",
    ),
    "an image name for an image": Bad(
        lambda s, _: SocketValueSpec(s.image, file=ct_slice(), image_name="CT"),
        SpecError,
        "image_name is for DICOM image sets only",
    ),
    "an image name for a file": Bad(
        lambda s, _: SocketValueSpec(s.pdf, file=ct_slice(), image_name="CT"),
        SpecError,
        "image_name is for DICOM image sets only",
    ),
    "a long file name": Bad(
        lambda s, d: SocketValueSpec(s.pdf, file=written(d / f"{'n' * 125}.pdf", "x")),
        SpecError,
        "has 129 characters, and 128 is the limit",
    ),
    "a long name of an image file": Bad(
        lambda s, d: SocketValueSpec(s.image, files=[noise(d / f"{'n' * 125}.mha")]),
        SpecError,
        "has 129 characters, and 128 is the limit",
    ),
}


def _folder(directory: Path) -> Path:
    made = directory / "folder"
    made.mkdir()
    return made


@pytest.mark.parametrize("way", BAD)
def test_a_bad_value_is_refused_before_a_good_one_is_sent(
    home: Home, sandbox: Sandbox, sockets: Sockets, tmp_path: Path, way: str
) -> None:
    """If one of several values is invalid, none is sent, and no case is created or changed."""
    bad = BAD[way]
    good = sandbox.add_socket(unique("good"), "CSV file")
    item = home.add(title="before")
    specs = [SocketValueSpec(good, value="a;b"), bad.make(sockets, tmp_path)]

    with nothing_written(sandbox):
        for call in (home.add, lambda *values, **fields: home.update(item.pk, *values, **fields)):
            with pytest.raises(bad.error, match=bad.words) as refused:
                call(*specs, title="after")
            assert isinstance(refused.value, ValueError)

    assert [case.title for case in home.all()] == ["before"]


@pytest.mark.parametrize("kind", sorted({*INLINE_VALUES, *FILED_VALUES} - {"Anything"}))
@pytest.mark.parametrize("source", ["value", "file"])
def test_json_of_another_shape_is_refused(
    sandbox: Sandbox, client: Client, tmp_path: Path, kind: str, source: str
) -> None:
    """JSON of another shape than its kind requires is refused, as a value and as a file."""
    home = make_home(sandbox, client, "archive")
    slug = sandbox.add_socket(unique(kind), kind, store_in_database=False)
    wrong = {"type": kind, "unknown": 1} if kind != "Chart" else ["no object"]
    spec = SocketValueSpec(slug, value=wrong)
    if source == "file":
        spec = SocketValueSpec(slug, file=written(tmp_path / "wrong.json", json.dumps(wrong)))

    with nothing_written(sandbox), pytest.raises(SpecError, match=rf"\({kind}\): ") as refused:
        home.add(spec)

    assert ("wrong.json" in str(refused.value)) == (source == "file")


def test_a_named_pipe_is_refused(
    home: Home, sandbox: Sandbox, sockets: Sockets, tmp_path: Path
) -> None:
    """A named pipe is refused as a source."""
    os.mkfifo(tmp_path / "pipe")

    with nothing_written(sandbox), pytest.raises(SpecFileError, match="is not a regular file"):
        home.add(SocketValueSpec(sockets.pdf, file=tmp_path / "pipe"))


# ---------------------------------------------------------------- the specification itself


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({}, SpecError, "exactly one of .* none is given"),
        ({"value": 1, "file": "a"}, SpecError, "value and file are given"),
        ({"file": "a", "files": ["a"]}, SpecError, "file and files are given"),
        ({"files": "a.dcm"}, SpecTypeError, "files must be a list of paths"),
        ({"files": [1]}, SpecTypeError, "has 1, which is not a path"),
        ({"file": ["a"]}, SpecTypeError, "file must be a path"),
        ({"files": ["a"], "image_name": ""}, SpecError, "1 to 255 characters"),
        ({"files": ["a"], "image_name": "n" * 256}, SpecError, "this one has 256"),
        ({"value": 1, "image_name": "CT"}, SpecError, "cannot go with value"),
    ],
)
def test_a_specification_needs_one_source(
    fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    """The constructor refuses what can be checked without the server and the disk."""
    with pytest.raises(error, match=words):
        SocketValueSpec("any-socket", **fields)


# ---------------------------------------------------------------- the call


def test_an_unknown_socket_lists_near_names(home: Home, sandbox: Sandbox, sockets: Sockets) -> None:
    """A misspelt slug is reported with similar slugs, and nothing is written."""
    mistyped = sockets.image.replace("image", "imgae")

    with nothing_written(sandbox), pytest.raises(SocketNotFound, match="Did you mean") as missing:
        home.add(
            SocketValueSpec(sockets.text, value="a;b"), SocketValueSpec(mistyped, file=volume())
        )

    assert repr(sockets.image) in str(missing.value)
    assert missing.value.slug == mistyped
    assert isinstance(missing.value, ValueError)


def test_a_socket_twice_is_refused(home: Home, sandbox: Sandbox, sockets: Sockets) -> None:
    """Two values for one socket are refused, and the error names it."""
    with nothing_written(sandbox), pytest.raises(SpecError, match="is given twice") as refused:
        home.add(
            SocketValueSpec(sockets.number, value=1),
            SocketValueSpec(sockets.text, value="a"),
            SocketValueSpec(sockets.number, value=2),
        )

    assert sockets.number in str(refused.value)


def test_values_must_be_specifications(sandbox: Sandbox, client: Client) -> None:
    """Values that are not a list of specifications are refused."""
    slug = sandbox.add_archive(unique("archive"))
    wrong: list[Any] = [SocketValueSpec("a", value=1), [{"interface": "a", "value": 1}], None]
    with nothing_written(sandbox):
        for values in wrong:
            with pytest.raises(SpecTypeError, match="SocketValueSpec objects"):
                client.add_case_to_archive(archive_slug=slug, values=values)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"title": "t" * 256}, SpecError, "has 256 characters, and 255 is the limit"),
        ({"title": 3}, SpecTypeError, "title must be a string, not 3"),
    ],
)
def test_a_title_that_the_server_refuses_is_refused(
    home: Home,
    sandbox: Sandbox,
    sockets: Sockets,
    fields: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    """An invalid title is refused before files are uploaded."""
    item = home.add()
    spec = SocketValueSpec(sockets.text, value="a;b")
    with nothing_written(sandbox):
        with pytest.raises(error, match=words):
            home.add(spec, **fields)
        with pytest.raises(error, match=words):
            home.update(item.pk, spec, **fields)


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        (-1, SpecError, "must be from 0 to 2147483647"),
        (2**31, SpecError, "must be from 0 to 2147483647"),
        (1.5, SpecTypeError, "must be a whole number"),
        ("1", SpecTypeError, "must be a whole number"),
    ],
)
def test_an_order_that_the_server_refuses_is_refused(
    sandbox: Sandbox,
    client: Client,
    sockets: Sockets,
    order: Any,
    error: type[Exception],
    words: str,
) -> None:
    """An invalid order is refused before files are uploaded."""
    home = make_home(sandbox, client, "reader study")
    item = home.add()
    spec = SocketValueSpec(sockets.text, value="a;b")
    with nothing_written(sandbox):
        with pytest.raises(error, match=words):
            home.add(spec, order=order)
        with pytest.raises(error, match=words):
            home.update(item.pk, spec, order=order)


def test_an_existing_value_of_another_socket_is_refused(
    home: Home, sandbox: Sandbox, sockets: Sockets
) -> None:
    """An existing value can only be reused for its own socket; the error names both."""
    other = sandbox.add_socket(unique("other"), "Float")
    case = home.cases.detail(pk=home.add(SocketValueSpec(sockets.number, value=1)).pk)
    spec = SocketValueSpec(other, existing_socket_value=value_of(case, sockets.number))

    with nothing_written(sandbox), pytest.raises(SpecError, match="only be used for") as refused:
        home.add(spec)

    assert sockets.number in str(refused.value)
    assert other in str(refused.value)


# ---------------------------------------------------------------- file names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n" * 129, "has 129 characters, and 128 is the limit"),
        ("a/b.txt", "is not a plain name without directories"),
        ("a/", "is not a plain name without directories"),
        (".", "is not a plain name without directories"),
        ("", "is blank"),
        (" \t", "is blank"),
        ("a\x00b", "characters that are not Unicode text"),
    ],
)
def test_a_name_that_the_server_refuses_is_refused(
    sandbox: Sandbox, client: Client, name: str, words: str
) -> None:
    """A file name that the server refuses is reported before an upload is created."""
    with nothing_written(sandbox):
        with pytest.raises(SpecError, match=words) as refused:
            client.uploads.upload_fileobj(fileobj=BytesIO(b"x"), filename=name)
        with pytest.raises(SpecError, match=words):
            client.uploads.upload_multiple_fileobj(
                file_objects=[BytesIO(b"x"), BytesIO(b"y")], filenames=["good.txt", name]
            )

    assert "Rename the file" in str(refused.value)


def test_a_name_of_128_characters_is_taken(client: Client) -> None:
    """The longest file name that the server accepts is sent as it is."""
    name = "ü" * 124 + ".pdf"

    assert client.uploads.upload_fileobj(fileobj=BytesIO(b"x"), filename=name).filename == name


def test_a_file_in_text_mode_is_refused(sandbox: Sandbox, client: Client) -> None:
    """A file object in text mode is refused before an upload is created."""
    with (
        nothing_written(sandbox),
        pytest.raises(SpecTypeError, match="open the file in binary mode"),
    ):
        client.uploads.upload_fileobj(fileobj=StringIO("x"), filename="text.txt")  # type: ignore[arg-type]


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("kind", ["archive", "reader study", "job"])
def test_a_wrong_token_says_what_to_do(sandbox: Sandbox, kind: str) -> None:
    """An invalid token is reported by the first request, with how to make a new one."""
    slug = sandbox.add_socket(unique("table"), "CSV file")
    specs = [SocketValueSpec(slug, value="a;b")]
    with Client("0" * 64, sandbox.base_url) as stranger, nothing_written(sandbox):
        calls: dict[str, Callable[[], Any]] = {
            "archive": lambda: stranger.add_case_to_archive(archive_slug="a", values=specs),
            "reader study": lambda: stranger.add_case_to_reader_study(
                reader_study_slug="r", values=specs
            ),
            "job": lambda: stranger.start_algorithm_job(algorithm_slug="a", inputs=specs),
        }
        with pytest.raises(AuthenticationError, match="Create a new one") as refused:
            calls[kind]()

    assert refused.value.status_code == 401
    assert "Invalid token." in str(refused.value)
    assert "0" * 64 not in str(refused.value)


@pytest.mark.parametrize("scheme", ["Bearer", "TOKEN", "bearer", "anything"])
def test_a_wrong_scheme_does_not_make_anybody_anonymous(sandbox: Sandbox, scheme: str) -> None:
    """A scheme in front of the token is removed, because the server would treat an unknown one as anonymous."""
    archive = sandbox.add_archive(unique("archive"))

    with Client(f"  {scheme} {sandbox.token} \n", sandbox.base_url) as client:
        assert client.add_case_to_archive(archive_slug=archive, values=[]).pk


@pytest.mark.parametrize("kind", ["archive", "reader study", "algorithm"])
@pytest.mark.parametrize("there", [True, False], ids=["no access", "not there"])
def test_what_may_not_be_seen_is_not_found(
    sandbox: Sandbox, client: Client, kind: str, there: bool
) -> None:
    """A missing object and one without access are reported alike, and nothing is uploaded."""
    slug, table = unique("foreign"), sandbox.add_socket(unique("table"), "CSV file")
    if there:
        if kind == "algorithm":
            sandbox.add_algorithm(
                slug, interfaces=[([table], [table])], run=lambda _, __: None, editors=["someone"]
            )
        else:
            add = sandbox.add_archive if kind == "archive" else sandbox.add_reader_study
            add(slug, editors=["someone"])
    specs = [SocketValueSpec(table, value="a;b")]
    calls: dict[str, Callable[[], Any]] = {
        "archive": lambda: client.add_case_to_archive(archive_slug=slug, values=specs),
        "reader study": lambda: client.add_case_to_reader_study(
            reader_study_slug=slug, values=specs
        ),
        "algorithm": lambda: client.start_algorithm_job(algorithm_slug=slug, inputs=specs),
    }

    with nothing_written(sandbox), pytest.raises(ObjectNotFound) as missing:
        calls[kind]()

    assert f"There is no {kind} {slug!r}, or no access to it." in str(missing.value)


@pytest.mark.parametrize("there", [True, False], ids=["no access", "not there"])
def test_an_image_that_may_not_be_seen_is_not_found(
    home: Home, sandbox: Sandbox, sockets: Sockets, there: bool
) -> None:
    """An image without access is reported before a case is created."""
    url = f"{sandbox.base_url}cases/images/00000000-0000-4000-8000-000000000000/"
    if there:
        archive = sandbox.add_archive(unique("foreign"), editors=["someone"])
        with Client(sandbox.add_user("someone"), sandbox.base_url) as someone:
            item = someone.add_case_to_archive(
                archive_slug=archive, values=[SocketValueSpec(sockets.image, file=ct_slice())]
            )
            sandbox.wait_idle(DEADLINE)
            case = someone.archive_items.detail(pk=item.pk)
            url = str(value_of(case, sockets.image).image)

    with nothing_written(sandbox), pytest.raises(ObjectNotFound, match="or no access"):
        home.add(
            SocketValueSpec(sockets.text, value="a;b"),
            SocketValueSpec(sockets.image, existing_image_api_url=url),
        )

    assert home.all() == []


def test_an_image_of_the_other_sort_is_refused(
    home: Home, sandbox: Sandbox, sockets: Sockets
) -> None:
    """A plain image for a DICOM socket, or the reverse, is refused before a case is created."""
    case = home.filled(
        home.add(
            SocketValueSpec(sockets.image, file=ct_slice()),
            SocketValueSpec(sockets.dicom, file=ct_slice(), image_name="CT"),
        ).pk
    )
    plain, dicom = (str(value_of(case, slug).image) for slug in (sockets.image, sockets.dicom))
    with nothing_written(sandbox):
        with pytest.raises(SpecError, match=r"takes an image, and image .* is a DICOM image set"):
            home.add(SocketValueSpec(sockets.image, existing_image_api_url=dicom))
        with pytest.raises(SpecError, match=r"takes a DICOM image set, and image .* is an image"):
            home.add(SocketValueSpec(sockets.dicom, existing_image_api_url=plain))


# ---------------------------------------------------------------- a full disk

#: Runs in a process that can write no file of more than 4 KiB, which is what a full disk looks like.
_ON_A_FULL_DISK = """
import json, resource, sys, tempfile
from gcapi import Client, SocketValueSpec
base_url, token, archive, socket, tempfile.tempdir, *files = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
with Client(token=token, base_url=base_url) as client:
    try:
        spec = SocketValueSpec(socket, files=files, image_name="CT")
        client.add_case_to_archive(archive_slug=archive, values=[spec])
    except OSError as error:
        print(json.dumps({"errno": error.errno, "words": str(error)}))
"""


@pytest.mark.skipif(os.name != "posix", reason="a file size limit is set by resource.setrlimit")
def test_a_full_disk_stops_the_de_identification(
    sandbox: Sandbox, client: Client, sockets: Sockets, tmp_path: Path
) -> None:
    """If the disk is full during de-identification, the error says so, and no file is left or sent."""
    home = make_home(sandbox, client, "archive")
    (tmp_path / "temporary").mkdir()
    files = [str(path) for path in series(tmp_path, 2)]
    arguments = [sandbox.base_url, sandbox.token, home.slug, sockets.dicom]

    with nothing_written(sandbox):
        done = subprocess.run(
            [
                *(sys.executable, "-W", "error", "-c", _ON_A_FULL_DISK),
                *arguments,
                *(str(tmp_path / "temporary"), *files),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )

    told = json.loads(done.stdout)
    assert os.strerror(told["errno"]) == "File too large"
    assert (
        "nothing was sent: File too large. Temporary files are written to the directory in TMPDIR"
        in told["words"]
    )
    assert list((tmp_path / "temporary").iterdir()) == []
    assert home.all() == []


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize("kind", TEXTS)
def test_an_unpaired_surrogate_is_refused(home: Home, sandbox: Sandbox, kind: str) -> None:
    """Text that cannot be encoded as UTF-8 is refused."""
    slug = sandbox.add_socket(unique(kind), kind)

    with nothing_written(sandbox), pytest.raises(SpecError, match=re.escape(slug)):
        home.add(SocketValueSpec(slug, value="half \ud800"))
