"""Cases: every source × kind of socket that works, what is uploaded when, and what is left when it fails."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    IncompleteCase,
    StatusError,
    StorageError,
    TitleTaken,
    TransferError,
    UploadLimitReached,
)
from gcapi.progress import ProgressEvent
from gcapi.retries import BaseRetryStrategy
from gcapi_sandbox import Sandbox
from tests.support.data import (
    BINARY_FILES,
    FILED_VALUES,
    INLINE_VALUES,
    TEXTS,
    CaseCollection,
    add_collection,
    ct_slice,
    found,
    noise,
    series,
    unique,
    value_of,
    volume,
    voxels,
    writes,
    written,
)
from tests.support.lost_responses import CHANGE, REFUSED, faulty, in_turn


def stored(collection: CaseCollection, value: Any, directory: Path) -> bytes:
    """Return the bytes of a file value as they come back."""
    (path,) = collection.client.download_socket_value(value, output_directory=directory)
    return path.read_bytes()


# ---------------------------------------------------------------- values


@pytest.mark.parametrize("kind", INLINE_VALUES)
def test_a_value_arrives_from_every_source(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, kind: str
) -> None:
    """A value, a JSON file of it and the same value of another case make the same value at once."""
    slug, expected = sandbox.add_socket(unique(kind), kind), INLINE_VALUES[kind]
    path = written(tmp_path / "value.json", json.dumps(expected))
    sandbox.requests.clear()

    given = collection.cases.detail(pk=collection.add(SocketValueSpec(slug, value=expected)).pk)
    others = [
        SocketValueSpec(slug, file=path),
        SocketValueSpec(slug, files=[str(path)]),
        SocketValueSpec(slug, existing_socket_value=value_of(given, slug)),
    ]
    cases = [given, *(collection.cases.detail(pk=collection.add(spec).pk) for spec in others)]

    assert [value_of(case, slug).value for case in cases] == [expected] * 4
    assert len(collection.all()) == 4
    assert found(sandbox, "POST", "/uploads/$") == []


@pytest.mark.parametrize("kind", ["Anything", "Float", "Polygon", *FILED_VALUES])
def test_json_that_is_stored_as_a_file_arrives_from_every_source(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, kind: str
) -> None:
    """A value becomes a JSON file of the socket's name, and a JSON file is stored byte for byte."""
    slug = sandbox.add_socket(unique(kind), kind, store_in_database=False)
    expected = {**INLINE_VALUES, **FILED_VALUES}[kind]
    path = written(tmp_path / "my own.json", json.dumps(expected, indent=3))

    item = collection.add(SocketValueSpec(slug, value=expected))
    by_value = value_of(collection.filled(item.pk), slug)
    by_file = value_of(collection.filled(collection.add(SocketValueSpec(slug, file=path)).pk), slug)
    again = SocketValueSpec(slug, existing_socket_value=by_file)
    by_copy = value_of(collection.filled(collection.add(again).pk), slug)

    assert by_value.file.endswith(f"/{slug}.json")
    assert json.loads(stored(collection, by_value, tmp_path / "a")) == expected
    assert stored(collection, by_file, tmp_path / "b") == path.read_bytes()
    assert stored(collection, by_copy, tmp_path / "c") == path.read_bytes()
    assert by_copy.pk != by_file.pk


@pytest.mark.parametrize("kind", TEXTS)
def test_text_is_stored_as_it_is(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, kind: str
) -> None:
    """A string for a text kind is the file's content, not JSON, under the base name of the socket's path."""
    name = {"CSV file": "t.csv", "Newick tree-format file": "t.newick", "OBJ file": "t.obj"}[kind]
    folder = unique("folder")
    slug = sandbox.add_socket(unique(kind), kind, relative_path=f"{folder}/{name}")
    path = written(tmp_path / "other.name", TEXTS[kind] * 2)

    by_value = value_of(
        collection.filled(collection.add(SocketValueSpec(slug, value=TEXTS[kind])).pk), slug
    )
    by_file = value_of(collection.filled(collection.add(SocketValueSpec(slug, file=path)).pk), slug)

    assert by_value.file.endswith(f"/{name}")
    assert stored(collection, by_value, tmp_path / "a") == TEXTS[kind].encode()
    assert stored(collection, by_file, tmp_path / "b") == path.read_bytes()


@pytest.mark.parametrize("kind", BINARY_FILES)
def test_a_file_is_stored_byte_for_byte(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, kind: str
) -> None:
    """A file, a list of one file and the same file of another case arrive as they were."""
    slug = sandbox.add_socket(unique(kind), kind)
    content = BINARY_FILES[kind]
    if kind != "ZIP file":
        content += bytes(range(256)) * 5
    path = written(tmp_path / "ein Name (1).bin", content)

    first = value_of(
        collection.filled(collection.add(SocketValueSpec(slug, file=str(path))).pk), slug
    )
    specs = [
        SocketValueSpec(slug, files=(path,)),
        SocketValueSpec(slug, existing_socket_value=first),
    ]
    others = [value_of(collection.filled(collection.add(spec).pk), slug) for spec in specs]

    for number, value in enumerate([first, *others]):
        assert stored(collection, value, tmp_path / str(number)) == path.read_bytes()
    assert len({value.pk for value in (first, *others)}) == 3


def test_an_empty_file_is_a_file_too(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A file without bytes is uploaded as one empty part."""
    slug = sandbox.add_socket(unique("empty"), "CSV file")

    case = collection.filled(collection.add(SocketValueSpec(slug, value="")).pk)

    assert stored(collection, value_of(case, slug), tmp_path / "out") == b""


# ---------------------------------------------------------------- images


def _nifti(_: Path) -> list[Path]:
    return [volume()]


def _dicom(_: Path) -> list[Path]:
    return [ct_slice()]


def _meta_image(directory: Path) -> list[Path]:
    return [noise(directory / "noise.mha")]


def _zipped_nifti(directory: Path) -> list[Path]:
    sitk.WriteImage(sitk.ReadImage(str(volume())), str(directory / "volume.nii.gz"))
    return [directory / "volume.nii.gz"]


def _header_and_data(directory: Path) -> list[Path]:
    noise(directory / "noise.mhd")
    return sorted(directory.glob("noise.*"))


SAMPLES = {
    "nii": _nifti,
    "nii.gz": _zipped_nifti,
    "dcm": _dicom,
    "mha": _meta_image,
    "mhd and raw": _header_and_data,
    "dcm series": series,
}


@pytest.mark.parametrize("sample", SAMPLES)
def test_an_image_arrives_voxel_for_voxel(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, sample: str
) -> None:
    """Files of every image format become one image with the voxels that they had."""
    slug = sandbox.add_socket(unique("image"))
    source = tmp_path / "source"
    source.mkdir()
    files = SAMPLES[sample](source)
    spec = SocketValueSpec(slug, files=files) if files[1:] else SocketValueSpec(slug, file=files[0])

    # DICOM files are sent as they are only if they are not inspected.
    case = collection.filled(collection.add(spec, inspect="off").pk)

    (path,) = collection.client.download_socket_value(
        value_of(case, slug), output_directory=tmp_path / "out"
    )
    expected = (
        np.stack([voxels(file) for file in files]) if sample == "dcm series" else voxels(files[0])
    )
    np.testing.assert_array_equal(voxels(path), expected)
    assert [one.pk for one in collection.all()] == [case.pk]


@pytest.mark.parametrize("kind", ["Image", "Segmentation", "Heat Map"])
def test_an_image_on_the_server_is_used_again(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, kind: str
) -> None:
    """An image's address and a value of another case give the same image, with no upload."""
    slug = sandbox.add_socket(unique(kind), kind)
    mask = sitk.GetImageFromArray(np.eye(8, dtype=np.uint8))
    sitk.WriteImage(mask, str(tmp_path / "mask.mha"))
    first = value_of(
        collection.filled(collection.add(SocketValueSpec(slug, file=tmp_path / "mask.mha")).pk),
        slug,
    )
    sandbox.requests.clear()

    specs = [
        SocketValueSpec(slug, existing_image_api_url=first.image),
        SocketValueSpec(slug, existing_socket_value=first),
    ]
    again = [value_of(collection.cases.detail(pk=collection.add(spec).pk), slug) for spec in specs]

    assert [value.image for value in again] == [first.image] * 2
    assert found(sandbox, "POST", "/uploads/$") == []


def test_a_dicom_image_set_arrives_and_is_used_again(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The files of a series become one DICOM image set of the given name, which other cases can have too."""
    slug = sandbox.add_socket(unique("dicom"), "DICOM Image Set")
    spec = SocketValueSpec(slug, files=series(tmp_path), image_name="CT of the day")

    first = value_of(collection.filled(collection.add(spec).pk), slug)
    specs = [
        SocketValueSpec(slug, existing_image_api_url=first.image),
        SocketValueSpec(slug, existing_socket_value=first),
    ]
    again = [value_of(collection.cases.detail(pk=collection.add(spec).pk), slug) for spec in specs]

    image = collection.client.images.detail(api_url=first.image)
    assert image.name == "CT of the day"
    assert image.dicom_image_set
    assert [value.image for value in again] == [first.image] * 2


# ---------------------------------------------------------------- the case itself


def test_a_case_has_all_its_values(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Values of all sorts go into one case by one call, and nothing else is created."""
    image, number, table = (
        sandbox.add_socket(unique("image")),
        sandbox.add_socket(unique("number"), "Integer"),
        sandbox.add_socket(unique("table"), "CSV file"),
    )
    item = collection.add(
        SocketValueSpec(image, file=noise(tmp_path / "noise.mha")),
        SocketValueSpec(number, value=3),
        SocketValueSpec(table, value="a;b"),
        title="All of it",
    )

    (case,) = collection.all() if collection.filled(item.pk) else []
    assert case.pk == item.pk
    assert case.title == "All of it"
    assert {value.interface.slug for value in case.values} == {image, number, table}


def test_a_case_may_be_empty(collection: CaseCollection, sandbox: Sandbox) -> None:
    """Without values a case is created by one request and stays as it is."""
    sandbox.requests.clear()

    item = collection.add(title="Nothing yet")

    assert len(writes(sandbox)) == 1
    case = collection.cases.detail(pk=item.pk)
    assert (case.title, case.values) == ("Nothing yet", [])


def test_a_case_without_a_title_has_none(collection: CaseCollection) -> None:
    """Neither no title nor an empty one makes a title, and both can be there many times."""
    items = [collection.add(), collection.add(title=""), collection.add(title=None)]

    assert [collection.cases.detail(pk=item.pk).title for item in items] == ["", "", ""]


def test_the_server_numbers_display_sets(sandbox: Sandbox, client: Client) -> None:
    """An order that is not given, `None` and 0 put a display set last, and a number puts it there."""
    collection = add_collection(sandbox, client, "reader study")

    orders = [{}, {"order": None}, {"order": 0}, {"order": 5}, {}]
    items = [collection.add(**order) for order in orders]

    assert [item.order for item in items] == [10, 20, 30, 5, 40]
    assert [case.order for case in collection.all()] == [5, 10, 20, 30, 40]


# ---------------------------------------------------------------- the order of things


def test_everything_is_uploaded_before_anything_is_created(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """The last upload is complete before the case is created, and the case is then filled by one request."""
    image, table = sandbox.add_socket(unique("image")), sandbox.add_socket(unique("t"), "CSV file")
    specs = [
        SocketValueSpec(image, files=_header_and_data(tmp_path)),
        SocketValueSpec(table, value="a;b"),
    ]
    sandbox.requests.clear()

    item = collection.add(*specs)

    made = writes(sandbox)
    assert [line.partition("/api/v1")[2].count(item.pk) for line in made[-2:]] == [0, 1]
    assert made[-2].startswith("POST ")
    assert made[-1].startswith("PATCH ")
    assert all("/uploads/" in line for line in made[:-2])
    assert len(found(sandbox, "PATCH", "complete-multipart-upload/$")) == 3


# ---------------------------------------------------------------- when the server fails


def _printed_call(error: BaseException) -> str:
    lines = [*str(error).splitlines(), *"\n".join(getattr(error, "__notes__", ())).splitlines()]
    (call,) = [line for line in lines if line.startswith("    ")]
    return call.strip()


@pytest.mark.parametrize("kind", ["archive", "reader study"])
def test_the_printed_call_completes_a_case(sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    """A case that was created and could not be filled is named by its pk, and the printed call fills it."""
    table, number = (
        sandbox.add_socket(unique("table"), "CSV file"),
        sandbox.add_socket(unique("number"), "Anything"),
    )
    image = sandbox.add_socket(unique("image"))
    specs = [
        SocketValueSpec(table, file=written(tmp_path / 'it\'s a "table".csv', "a;b")),
        SocketValueSpec(number, value={"a": [1.5, None, "ü\n"]}),
        SocketValueSpec(image, files=[noise(tmp_path / "noise.mha")]),
    ]
    with faulty(sandbox, *in_turn("PATCH", CHANGE, REFUSED)) as client:
        collection = add_collection(sandbox, client, kind)
        with pytest.raises(IncompleteCase, match="was created and could not be filled") as made:
            collection.add(*specs, title="Half")

        assert isinstance(made.value.__cause__, StatusError)
        assert "No." in str(made.value)
        (before,) = collection.all()
        assert (before.pk, before.title, before.values) == (made.value.pk, "Half", [])

        exec(_printed_call(made.value), {"client": client, "SocketValueSpec": SocketValueSpec})

        after = collection.filled(before.pk)
        assert len(collection.all()) == 1
        assert after.title == "Half"
        assert {value.interface.slug for value in after.values} == {table, number, image}
        assert value_of(after, number).value == {"a": [1.5, None, "ü\n"]}
        assert stored(collection, value_of(after, table), tmp_path / "out") == b"a;b"


@pytest.mark.parametrize("source", ["an existing value", "a long list"])
def test_the_printed_call_refers_to_values_that_cannot_be_written_out(
    sandbox: Sandbox, client: Client, source: str
) -> None:
    """Values that are too long to print, or that were read from the server, are called `values`."""
    slug = sandbox.add_socket(unique("number"), "Anything")
    content = list(range(5 if source == "an existing value" else 5000))
    values = [SocketValueSpec(slug, value=content)]
    first = add_collection(sandbox, client, "archive").add(*values)
    if source == "an existing value":
        value = value_of(client.archive_items.detail(pk=first.pk), slug)
        values = [SocketValueSpec(slug, existing_socket_value=value)]
    with faulty(sandbox, *in_turn("PATCH", CHANGE, REFUSED)) as hindered:
        collection = add_collection(sandbox, hindered, "archive")
        with pytest.raises(IncompleteCase) as made:
            collection.add(*values, inspect="off")

        call = _printed_call(made.value)
        exec(call, {"client": client, "values": values})

        assert call.endswith("values=values, title='', inspect='off')")
        assert value_of(collection.cases.detail(pk=made.value.pk), slug).value == content


def test_an_interruption_names_the_case_that_it_left(sandbox: Sandbox) -> None:
    """Ctrl-C while a case is being filled stays a KeyboardInterrupt and carries the call that completes the case."""
    slug = sandbox.add_socket(unique("number"), "Integer")

    class Interrupted(BaseRetryStrategy):
        """Press Ctrl-C when the answer to a PATCH of a case arrives."""

        def get_delay(self, latest_response: httpx.Response) -> None:
            assert "/archives/items/" in latest_response.url.path
            raise KeyboardInterrupt

    with (
        faulty(sandbox, *in_turn("PATCH", CHANGE, REFUSED), retry_strategy=Interrupted) as hasty,
        Client(sandbox.token, sandbox.base_url) as client,
    ):
        collection = add_collection(sandbox, hasty, "archive")
        with pytest.raises(KeyboardInterrupt) as interrupted:
            collection.add(SocketValueSpec(slug, value=3))

        assert "could not be filled: KeyboardInterrupt\n" in interrupted.value.__notes__[0]
        exec(
            _printed_call(interrupted.value),
            {"client": client, "SocketValueSpec": SocketValueSpec},
        )

        (case,) = collection.all()
        assert value_of(case, slug).value == 3


def test_a_refused_case_says_why_and_leaves_none(
    collection: CaseCollection, sandbox: Sandbox
) -> None:
    """A title that another case has is refused in the server's words, and no second case exists."""
    slug = sandbox.add_socket(unique("number"), "Integer")
    collection.add(title="The one")

    with pytest.raises(TitleTaken, match="must make a unique set") as refused:
        collection.add(SocketValueSpec(slug, value=1), title=" The one ")

    assert "has the title 'The one'; nothing was created" in str(refused.value)
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, StatusError)
    (case,) = collection.all()
    assert case.values == []


# ---------------------------------------------------------------- when an upload fails


def _statuses(client: Client, name: str) -> list[str]:
    return [upload.status for upload in client.uploads.iterate_all() if upload.filename == name]


def test_an_upload_over_the_limit_is_aborted(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """If the server refuses more uploads, its message is raised, the upload is aborted and no case exists."""
    slug = sandbox.add_socket(unique("pdf"), "PDF file")
    path = written(tmp_path / f"{unique('big')}.pdf", b"%PDF-")
    limit, sandbox.limits.upload_bytes = sandbox.limits.upload_bytes, 0
    try:
        with pytest.raises(UploadLimitReached, match="Upload limit reached"):
            collection.add(SocketValueSpec(slug, file=path))
    finally:
        sandbox.limits.upload_bytes = limit

    assert _statuses(collection.client, path.name) == ["Aborted"]
    assert collection.all() == []


def test_an_upload_that_the_store_refuses_is_aborted(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """If the object store refuses a part, its message is raised without the signature, and no case exists."""
    slug = sandbox.add_socket(unique("pdf"), "PDF file")
    path = written(tmp_path / f"{unique('late')}.pdf", b"%PDF-")
    seconds, sandbox.limits.presigned_url_seconds = sandbox.limits.presigned_url_seconds, -10
    try:
        with pytest.raises(StorageError, match="403") as refused:
            collection.add(SocketValueSpec(slug, file=path))
    finally:
        sandbox.limits.presigned_url_seconds = seconds

    assert "X-Amz-Signature" not in str(refused.value)
    assert _statuses(collection.client, path.name) == ["Aborted"]
    assert collection.all() == []


def test_a_file_that_shrinks_while_it_is_sent_is_aborted(sandbox: Sandbox, tmp_path: Path) -> None:
    """A file that changes between two of its parts becomes neither an upload nor a case."""
    slug = sandbox.add_socket(unique("pdf"), "PDF file")
    path = tmp_path / f"{unique('shrinking')}.pdf"
    with path.open("wb") as file:
        file.write(b"%PDF-")
        file.truncate(40 * 1024**2)

    def shrink(event: ProgressEvent) -> None:
        if event.phase == "upload" and event.done:
            with path.open("r+b") as file:
                file.truncate(33 * 1024**2)

    with Client(sandbox.token, sandbox.base_url, progress=shrink) as client:
        collection = add_collection(sandbox, client, "archive")
        with pytest.raises(TransferError, match="changed while it was uploaded"):
            collection.add(SocketValueSpec(slug, file=path))

        assert _statuses(client, path.name) == ["Aborted"]
        assert collection.all() == []


def test_one_failed_upload_of_several_leaves_no_case(sandbox: Sandbox, tmp_path: Path) -> None:
    """When one file of a case cannot be uploaded, the others are of no use and nothing is created."""
    slugs = [sandbox.add_socket(unique("pdf"), "PDF file") for _ in range(4)]
    paths = [written(tmp_path / f"{unique('many')}.pdf", b"%PDF-") for _ in slugs]

    def vanish(event: ProgressEvent) -> None:
        if event.phase == "upload" and event.name == paths[0].name:
            paths[2].unlink(missing_ok=True)

    with Client(
        sandbox.token, sandbox.base_url, max_concurrent_uploads=1, progress=vanish
    ) as client:
        collection = add_collection(sandbox, client, "archive")
        with pytest.raises(FileNotFoundError, match=paths[2].name):
            collection.add(
                *(SocketValueSpec(slug, file=path) for slug, path in zip(slugs, paths, strict=True))
            )

        # Uploads are begun a little ahead, and those that are not complete by then are aborted.
        assert _statuses(client, paths[2].name) == ["Aborted"]
        for path in paths:
            assert _statuses(client, path.name) in ([], ["Completed"], ["Aborted"])
        assert collection.all() == []


def test_what_is_uploaded_is_what_was_there(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """A file of two parts arrives as one, and the user's file is left alone."""
    collection = add_collection(sandbox, client, "archive")
    slug = sandbox.add_socket(unique("large"), "SQREG file")
    path = tmp_path / "large.sqreg"
    with path.open("wb") as file:
        file.truncate(33 * 1024**2)
        file.seek(32 * 1024**2 - 3)
        file.write(b"across the border")
    copy = Path(shutil.copy(path, tmp_path / "copy"))

    case = collection.filled(collection.add(SocketValueSpec(slug, file=path)).pk)

    assert stored(collection, value_of(case, slug), tmp_path / "out") == copy.read_bytes()
    assert path.read_bytes() == copy.read_bytes()
