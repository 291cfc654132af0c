"""Invalid values: a clear error before anything is uploaded or created."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    SpecError,
    SpecFileError,
    SpecFileNotFound,
    SpecTypeError,
)
from gcapi_sandbox import Sandbox
from tests.support.data import (
    FILED_VALUES,
    INLINE_VALUES,
    TEXTS,
    CaseCollection,
    Sockets,
    add_collection,
    ct_slice,
    noise,
    nothing_written,
    series,
    unique,
    volume,
    written,
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
        lambda s, d: SocketValueSpec(s.pdf, file=d), SpecFileError, "is a directory. If its files"
    ),
    "a directory as an image": Bad(
        lambda s, d: SocketValueSpec(s.image, file=d), SpecFileError, r"is a directory.*use files="
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
        "bad.json: it is not valid JSON",
    ),
    "invalid JSON for a file": Bad(
        lambda s, d: SocketValueSpec(s.json, file=written(d / "bad.json", "[1, 2")),
        SpecError,
        "bad.json: it is not valid JSON",
    ),
    "an empty JSON file": Bad(
        lambda s, d: SocketValueSpec(s.json, file=written(d / "bad.json", "")),
        SpecError,
        "bad.json: the file is empty",
    ),
    "JSON that is not text": Bad(
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
        "NaN is not a finite number",
    ),
    "NaN in a file for a file": Bad(
        lambda s, d: SocketValueSpec(s.json, file=written(d / "nan.json", '{"a": NaN}')),
        SpecError,
        "NaN is not a finite number",
    ),
    "an infinity in a file": Bad(
        lambda s, d: SocketValueSpec(s.json, file=written(d / "nan.json", "[-Infinity]")),
        SpecError,
        "-Infinity is not a finite number",
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
    collection: CaseCollection, sandbox: Sandbox, sockets: Sockets, tmp_path: Path, way: str
) -> None:
    """If one of several values is invalid, none is sent, and no case is created or changed."""
    bad = BAD[way]
    good = sandbox.add_socket(unique("good"), "CSV file")
    item = collection.add(title="before")
    specs = [SocketValueSpec(good, value="a;b"), bad.make(sockets, tmp_path)]

    with nothing_written(sandbox):
        for call in (
            collection.add,
            lambda *values, **fields: collection.update(item.pk, *values, **fields),
        ):
            with pytest.raises(bad.error, match=bad.words) as refused:
                call(*specs, title="after")
            assert isinstance(refused.value, ValueError)

    assert [case.title for case in collection.all()] == ["before"]


@pytest.mark.parametrize("kind", sorted({*INLINE_VALUES, *FILED_VALUES} - {"Anything"}))
@pytest.mark.parametrize("source", ["value", "file"])
def test_json_of_another_shape_is_refused(
    sandbox: Sandbox, client: Client, tmp_path: Path, kind: str, source: str
) -> None:
    """JSON of another shape than its kind requires is refused, as a value and as a file."""
    collection = add_collection(sandbox, client, "archive")
    slug = sandbox.add_socket(unique(kind), kind, store_in_database=False)
    wrong = {"type": kind, "unknown": 1} if kind != "Chart" else ["no object"]
    spec = SocketValueSpec(slug, value=wrong)
    if source == "file":
        spec = SocketValueSpec(slug, file=written(tmp_path / "wrong.json", json.dumps(wrong)))

    with nothing_written(sandbox), pytest.raises(SpecError, match=rf"\({kind}\): ") as refused:
        collection.add(spec)

    assert ("wrong.json" in str(refused.value)) == (source == "file")


def test_a_named_pipe_is_refused(
    collection: CaseCollection, sandbox: Sandbox, sockets: Sockets, tmp_path: Path
) -> None:
    """A named pipe is refused as a source."""
    os.mkfifo(tmp_path / "pipe")

    with nothing_written(sandbox), pytest.raises(SpecFileError, match="is not a regular file"):
        collection.add(SocketValueSpec(sockets.pdf, file=tmp_path / "pipe"))


# ---------------------------------------------------------------- the specification itself


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({}, SpecError, "exactly one of .* none is given"),
        ({"value": 1, "file": "a"}, SpecError, "value and file are given"),
        ({"file": "a", "files": ["a"]}, SpecError, "file and files are given"),
        ({"files": 3}, SpecTypeError, "files must be a list of paths or a folder"),
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


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize("kind", TEXTS)
def test_an_unpaired_surrogate_is_refused(
    collection: CaseCollection, sandbox: Sandbox, kind: str
) -> None:
    """Text that cannot be encoded as UTF-8 is refused."""
    slug = sandbox.add_socket(unique(kind), kind)

    with nothing_written(sandbox), pytest.raises(SpecError, match=re.escape(slug)):
        collection.add(SocketValueSpec(slug, value="half \ud800"))
