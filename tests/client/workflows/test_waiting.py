"""Waiting for values: until they are there, until the server says why not, or until the time is over."""

from __future__ import annotations

import pickle
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi._workflows.prepare import UploadedFiles
from gcapi.exceptions import ImportFailed, ImportTimeout, PartialImportWarning
from gcapi.progress import ProgressEvent
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    add_collection,
    ct_slice,
    found,
    noise,
    series,
    unique,
    value_of,
    volume,
    written,
)

#: Seconds of waiting for what is known not to come.
IN_VAIN = 0.4


# ---------------------------------------------------------------- values that come


def test_the_case_is_returned_with_all_its_values(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """An image, a file and a DICOM image set, all still to be taken up, are there when waiting ends."""
    image, table, dicom, number = (
        sandbox.add_socket(unique("image")),
        sandbox.add_socket(unique("table"), "CSV file"),
        sandbox.add_socket(unique("dicom"), "DICOM Image Set"),
        sandbox.add_socket(unique("number"), "Integer"),
    )
    specs = [
        SocketValueSpec(image, file=volume()),
        SocketValueSpec(table, value="a;b"),
        SocketValueSpec(dicom, files=series(tmp_path), image_name="CT"),
        SocketValueSpec(number, value=4),
    ]
    with sandbox.hold_background():
        item = collection.add(*specs, title="Waited for")
        assert [value.interface.slug for value in collection.cases.detail(pk=item.pk).values] == [
            number
        ]
    case = collection.client.wait_for_values(item, values=specs, timeout=DEADLINE)

    assert {value.interface.slug for value in case.values} == {image, table, dicom, number}
    assert (case.pk, case.title) == (item.pk, "Waited for")
    assert value_of(case, image).image
    assert value_of(case, table).file


@pytest.mark.parametrize("source", ["value", "existing image", "no values"])
def test_what_travels_in_the_request_is_there_at_once(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, source: str
) -> None:
    """Values that need no import are found by the first look, whatever else the server is busy with."""
    number, image = sandbox.add_socket(unique("number"), "Float"), sandbox.add_socket(unique("img"))
    first = collection.filled(
        collection.add(SocketValueSpec(image, file=noise(tmp_path / "a.mha"))).pk
    )
    specs = {
        "value": [SocketValueSpec(number, value=1)],
        "existing image": [
            SocketValueSpec(image, existing_image_api_url=value_of(first, image).image)
        ],
        "no values": [],
    }[source]

    with sandbox.hold_background():
        item = collection.add(*specs)
        sandbox.requests.clear()
        case = collection.client.wait_for_values(item, values=specs, timeout=IN_VAIN)

    assert len(case.values) == len(specs)
    assert len(sandbox.requests) == 1


def test_a_case_as_read_can_be_waited_for_too(collection: CaseCollection, sandbox: Sandbox) -> None:
    """A case can be waited for by its pk, without the response that filled it."""
    slug = sandbox.add_socket(unique("table"), "CSV file")
    specs = [SocketValueSpec(slug, value="a;b")]
    item = collection.cases.detail(pk=collection.add(*specs).pk)

    case = collection.client.wait_for_values(item, values=specs, timeout=DEADLINE)

    assert value_of(case, slug).file


def test_replacing_waits_for_the_new_value(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A socket that has an image already is waited for until it has the new one."""
    image, table = sandbox.add_socket(unique("image")), sandbox.add_socket(unique("t"), "CSV file")
    old, new = (
        [
            SocketValueSpec(image, file=noise(tmp_path / f"{size}.mha", size)),
            SocketValueSpec(table, value=f"{size};"),
        ]
        for size in (8, 16)
    )
    first = collection.filled(collection.add(*old).pk)

    with sandbox.hold_background():
        item = collection.update(first.pk, *new)
        with pytest.raises(ImportTimeout) as late:
            collection.client.wait_for_values(item, values=new, timeout=IN_VAIN)
    case = collection.client.wait_for_values(item, values=new, timeout=DEADLINE)

    assert set(late.value.slugs) == {image, table}
    for slug in (image, table):
        assert value_of(case, slug).pk != value_of(first, slug).pk


def test_each_value_that_comes_is_told(sandbox: Sandbox) -> None:
    """The listener hears of each import's begin and end, by the socket's name."""
    slug = sandbox.add_socket(unique("table"), "CSV file")
    events: list[ProgressEvent] = []
    with Client(sandbox.token, sandbox.base_url, progress=events.append) as client:
        collection = add_collection(sandbox, client, "archive")
        specs = [SocketValueSpec(slug, value="a;b")]

        client.wait_for_values(collection.add(*specs), values=specs, timeout=DEADLINE)

    told = [(event.name, event.done, event.total) for event in events if event.phase == "import"]
    assert told == [(slug, 0, 1), (slug, 1, 1)]


# ---------------------------------------------------------------- images that fail


def test_an_image_that_is_none_fails_with_the_servers_words(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A file that is no image ends the waiting with the server's reason, the case and the socket."""
    slug, other = sandbox.add_socket(unique("image")), sandbox.add_socket(unique("n"), "Integer")
    specs = [
        SocketValueSpec(other, value=1),
        SocketValueSpec(slug, file=written(tmp_path / "no.nii", "no image")),
    ]
    item = collection.add(*specs, inspect="off")

    with pytest.raises(ImportFailed, match="1 file could not be imported") as failed:
        collection.client.wait_for_values(item, values=specs, timeout=DEADLINE)

    assert (failed.value.pk, failed.value.slug) == (item.pk, slug)
    assert slug in failed.value.reason
    again = pickle.loads(pickle.dumps(failed.value))
    assert (str(again), again.reason) == (str(failed.value), failed.value.reason)


def test_the_failed_image_among_several_is_named(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Of several images, the error names the one that failed, and the others are in the case."""
    good, bad = sandbox.add_socket(unique("good")), sandbox.add_socket(unique("bad"))
    specs = [
        SocketValueSpec(good, file=volume()),
        SocketValueSpec(bad, file=written(tmp_path / "no.nii", "no image")),
    ]
    item = collection.add(*specs, inspect="off")
    collection.filled(item.pk)

    with pytest.raises(ImportFailed) as failed:
        collection.client.wait_for_values(item, values=specs, timeout=DEADLINE)

    assert failed.value.slug == bad
    assert [value.interface.slug for value in collection.cases.detail(pk=item.pk).values] == [good]


def _refused(sandbox: Sandbox, folder: Path, why: str) -> tuple[SocketValueSpec, str]:
    """Return a value that the server builds images of and refuses, and its words."""
    if why == "segments":
        segments = [{"name": "one", "visible": True, "voxel_value": 1}]
        slug = sandbox.add_socket(unique("mask"), "Segmentation", overlay_segments=segments)
        return SocketValueSpec(slug, file=noise(folder / "mask.mha")), "could not be determined"
    files = [noise(folder / f"{size}.mha", size) for size in (8, 16)]
    slug = sandbox.add_socket(unique("image"))
    return SocketValueSpec(slug, files=files), "should result in a single image"


@pytest.mark.parametrize("why", ["segments", "several images"])
@pytest.mark.parametrize("first_look", ["before", "after"])
def test_an_image_that_was_built_and_refused_fails_with_the_servers_words(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, why: str, first_look: str
) -> None:
    """The reason is found although the session no longer names the uploads, and not in sessions of earlier imports."""
    spec, words = _refused(sandbox, tmp_path, why)
    item = collection.add(spec, inspect="off")
    failures: list[ImportFailed] = []

    def wait() -> None:
        try:
            collection.client.wait_for_values(item, values=[spec], timeout=DEADLINE)
        except ImportFailed as error:
            failures.append(error)

    if first_look == "after":
        collection.filled(item.pk)
        wait()
    else:
        with sandbox.hold_background():
            sandbox.requests.clear()
            thread = threading.Thread(target=wait)
            thread.start()
            watched = threading.Event()
            while not found(sandbox, "GET", "/upload-sessions/.+/$") and thread.is_alive():
                watched.wait(0.01)
        thread.join(DEADLINE)

    (failed,) = failures
    assert words in failed.reason
    assert (failed.pk, failed.slug) == (item.pk, spec.socket_slug)


def test_a_refusal_of_an_earlier_import_of_the_same_files_does_not_count(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    """An older session with images of the same names, for the same socket, does not explain a new import."""
    collection = add_collection(sandbox, client, "archive")
    spec, _ = _refused(sandbox, tmp_path, "several images")
    first = UploadedFiles(("gone",), ("8.mha", "16.mha"), True, datetime.now(UTC))
    collection.filled(collection.add(spec, inspect="off").pk)
    imports = client.workflows.imports
    sessions = imports.read()

    later = replace(first, created=datetime.now(UTC) + timedelta(seconds=2))
    explained = [
        set(imports.refused(sessions, {n: (spec.socket_slug, one) for n, one in enumerate(group)}))
        for group in ([first], [later], [first, first], [replace(first, names=("8.mha",))])
    ]

    assert explained == [{0}, set(), set(), set()]


def test_files_that_the_server_leaves_out_are_warned_of(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """An image that was imported without some of its files is a warning with the server's words and the files."""
    files = [noise(tmp_path / "x.mha"), written(tmp_path / "readme.txt", "text")]
    specs = [SocketValueSpec(sandbox.add_socket(unique("image")), files=files)]
    item = collection.add(*specs, inspect="off")

    with pytest.warns(PartialImportWarning, match="1 file could not be imported") as warned:
        collection.client.wait_for_values(item, values=specs, timeout=DEADLINE)

    assert "(x.mha, readme.txt)" in str(warned[0].message)
    assert warned[0].filename == __file__


def test_a_failed_import_leaves_the_former_value(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """When a new image cannot be imported, the waiting fails and the case keeps its old one."""
    slug = sandbox.add_socket(unique("image"))
    first = collection.filled(collection.add(SocketValueSpec(slug, file=volume())).pk)
    specs = [SocketValueSpec(slug, file=written(tmp_path / "no.mha", "no image"))]

    item = collection.update(first.pk, *specs, inspect="off")
    with pytest.raises(ImportFailed):
        collection.client.wait_for_values(item, values=specs, timeout=DEADLINE)

    assert value_of(collection.cases.detail(pk=first.pk), slug).pk == value_of(first, slug).pk


def test_an_earlier_failure_does_not_count(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """After a failed import the same socket can be filled by a good one, which is what is waited for then."""
    slug = sandbox.add_socket(unique("image"))
    bad = SocketValueSpec(slug, file=written(tmp_path / "no.mha", "no image"))
    item = collection.add(bad, inspect="off")
    collection.filled(item.pk)
    specs = [SocketValueSpec(slug, file=volume())]

    case = collection.client.wait_for_values(
        collection.update(item.pk, *specs), values=specs, timeout=DEADLINE
    )

    assert value_of(case, slug).image


# ---------------------------------------------------------------- what the API does not tell


def test_an_import_that_takes_long_says_so(collection: CaseCollection, sandbox: Sandbox) -> None:
    """When the time is over before the server began, the error says that each upload is still there."""
    image, table, dicom = (
        sandbox.add_socket(unique("image")),
        sandbox.add_socket(unique("table"), "CSV file"),
        sandbox.add_socket(unique("dicom"), "DICOM Image Set"),
    )
    specs = [
        SocketValueSpec(image, file=volume()),
        SocketValueSpec(table, value="a;b"),
        SocketValueSpec(dicom, files=[ct_slice()], image_name="CT"),
    ]
    with sandbox.hold_background():
        item = collection.add(*specs)
        with pytest.raises(ImportTimeout) as late:
            collection.client.wait_for_values(item, values=specs, timeout=IN_VAIN)

    assert isinstance(late.value, TimeoutError)
    assert (late.value.pk, late.value.slugs) == (item.pk, (image, table, dicom))
    lines = [line for line in str(late.value).splitlines() if "is still there" in line]
    assert [line.split(":")[0].strip() for line in lines] == [image, table, dicom]
    again = pickle.loads(pickle.dumps(late.value))
    assert (str(again), again.slugs) == (str(late.value), late.value.slugs)


def test_a_file_that_the_server_refused_is_still_there(
    collection: CaseCollection, sandbox: Sandbox
) -> None:
    """Of a JSON file that the server's own schema refuses, all that is seen is an upload that was not used."""
    slug = sandbox.add_socket(
        unique("small"), "Integer", store_in_database=False, schema={"maximum": 10}
    )
    specs = [SocketValueSpec(slug, value=11)]
    item = collection.add(*specs)
    collection.filled(item.pk)

    with pytest.raises(ImportTimeout, match="could not use the file") as late:
        collection.client.wait_for_values(item, values=specs, timeout=IN_VAIN)

    assert "your notifications on the site" in str(late.value)
    assert collection.cases.detail(pk=item.pk).values == []


def test_a_dicom_image_set_that_failed_is_gone(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """Of a DICOM import that failed, all that is seen is that its uploads are gone and no value came."""
    slug = sandbox.add_socket(unique("dicom"), "DICOM Image Set")
    twice = [written(tmp_path / name, ct_slice().read_bytes()) for name in ("a.dcm", "b.dcm")]
    specs = [SocketValueSpec(slug, files=twice, image_name="The same instance twice")]
    item = collection.add(*specs, inspect="off")
    collection.filled(item.pk)

    with pytest.raises(ImportTimeout, match="the upload is gone") as late:
        collection.client.wait_for_values(item, values=specs, timeout=IN_VAIN)

    assert late.value.slugs == (slug,)


def test_another_client_sees_whether_there_is_a_value(
    collection: CaseCollection, sandbox: Sandbox
) -> None:
    """A client that did not fill the case waits for any value, and says that it knows no more."""
    there, missing = (
        sandbox.add_socket(unique("there"), "CSV file"),
        sandbox.add_socket(unique("missing"), "CSV file"),
    )
    specs = [SocketValueSpec(there, value="a;b")]
    item = collection.add(*specs)

    with Client(sandbox.token, sandbox.base_url) as other:
        case = other.wait_for_values(item, values=specs, timeout=DEADLINE)
        with pytest.raises(ImportTimeout, match="not uploaded by this client"):
            other.wait_for_values(
                item, values=[SocketValueSpec(missing, value="a;b")], timeout=IN_VAIN
            )

    assert value_of(case, there).file


def test_the_uploads_of_the_latest_cases_are_remembered(
    collection: CaseCollection, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client remembers the uploads of a bounded number of cases: those that it used last."""
    monkeypatch.setattr("gcapi._workflows.case_calls.REMEMBERED_CASES", 2)
    specs = [SocketValueSpec(sandbox.add_socket(unique("table"), "CSV file"), value="a;b")]
    with (
        Client(sandbox.token, sandbox.base_url) as client,
        sandbox.hold_background(),
    ):
        own = CaseCollection(client, sandbox, collection.slug, collection.is_archive)
        items = [own.add(*specs) for _ in range(3)]
        known = ["is still there", "is still there", "not uploaded by this client"]
        for item, words in zip(reversed(items), known, strict=True):
            with pytest.raises(ImportTimeout, match=words):
                client.wait_for_values(item, values=specs, timeout=0)


def test_a_value_whose_uploads_are_gone_is_given_up(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the uploads of a value are used and it does not appear for a while, its import has failed."""
    monkeypatch.setattr("gcapi._workflows.import_watch.APPEARANCE_SECONDS", 0.1)
    slug = sandbox.add_socket(unique("dicom"), "DICOM Image Set")
    twice = [written(tmp_path / name, ct_slice().read_bytes()) for name in ("a.dcm", "b.dcm")]
    specs = [SocketValueSpec(slug, files=twice, image_name="The same instance twice")]
    with Client(sandbox.token, sandbox.base_url, timeout=1.0) as client:
        own = CaseCollection(client, sandbox, collection.slug, collection.is_archive)
        item = own.add(*specs, inspect="off")
        own.filled(item.pk)

        with pytest.raises(ImportFailed, match="its uploads are gone and no value appeared"):
            client.wait_for_values(item, values=specs, timeout=DEADLINE)


def test_only_cases_can_be_waited_for(client: Client, sandbox: Sandbox) -> None:
    """Objects other than archive items and display sets are refused."""
    archive = client.archives.detail(slug=sandbox.add_archive(unique("archive")))

    with pytest.raises(TypeError, match="neither an archive item nor a display set"):
        client.wait_for_values(archive, values=[], timeout=IN_VAIN)
