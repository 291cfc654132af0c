"""DICOM image sets: what is sent, what is left on this machine, and what is downloaded."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import VLWholeSlideMicroscopyImageStorage

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    DeidentificationError,
    FileInspectionError,
    MissingExtra,
    UploadLimitReached,
)
from gcapi.progress import ProgressEvent
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    add_collection,
    ct_slice,
    found,
    mr_slice,
    nothing_written,
    series,
    unique,
    value_of,
    written,
)
from tests.support.servers.relay import relay

#: Values that must not leave this machine, each in its own attribute.
SECRETS = {
    "PatientName": "Verschwiegen^Patientin",
    "PatientID": "GEHEIM-4711-ID",
    "PatientBirthDate": "19370911",
    "InstitutionName": "Klinik am geheimen See",
    "ReferringPhysicianName": "Diskret^Doktor",
    "AccessionNumber": "AKTE-0815-X",
}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put temporary files into the test's own directory."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.fixture
def collection(sandbox: Sandbox, client: Client) -> CaseCollection:
    """Return an archive."""
    return add_collection(sandbox, client, "archive")


@pytest.fixture
def slug(sandbox: Sandbox) -> str:
    """Return a socket for DICOM image sets."""
    return sandbox.add_socket(unique("dicom"), "DICOM Image Set")


# ---------------------------------------------------------------- what leaves the machine


def _secrets_in(content: bytes) -> list[str]:
    words = {*SECRETS.values(), "Verschwiegen", "Patientin", "Doktor"}
    return [word for word in words if word.encode() in content]


def _everything_in(folder: Path) -> Iterator[tuple[str, bytes]]:
    yield from ((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())


def test_no_byte_that_the_server_gets_names_the_patient(tmp_path: Path) -> None:
    """Names, numbers and dates of a patient are in no request, no file name and no stored file."""
    source = tmp_path / "Verschwiegen^Patientin"
    source.mkdir()
    files = [
        path.rename(source / f"GEHEIM-4711-ID {path.name}") for path in series(source, 3, **SECRETS)
    ]
    assert all(_secrets_in(path.read_bytes()) for path in files)
    kept = tmp_path / "sandbox"
    with (
        Sandbox(data=kept) as sandbox,
        relay(sandbox) as wire,
        Client(sandbox.token, wire.base_url) as client,
    ):
        slug = sandbox.add_socket("dicom", "DICOM Image Set")
        collection = add_collection(sandbox, client, "archive")
        specs = [SocketValueSpec(slug, files=files, image_name="Case 1")]
        with sandbox.hold_background():
            item = collection.add(*specs)
            names = sorted(upload.filename for upload in client.uploads.iterate_all())
            parts = dict(_everything_in(kept))
        client.wait_for_values(item, values=specs, timeout=DEADLINE)
        sandbox.wait_idle()
        after = dict(_everything_in(kept))

        assert names == [f"dicom_image_{number}.dcm" for number in range(3)]
        # The search sees what was uploaded: something that is not secret is found.
        assert any(b"CT_SMALL" in content or b"DICM" in content for content in parts.values())
        for place, content in [*parts.items(), *after.items()]:
            assert _secrets_in(place.removeprefix(str(kept)).encode() + content) == []
        for seen in wire.seen:
            assert _secrets_in(f"{seen.path} {seen.headers}".encode() + seen.body) == []


def test_the_users_files_are_left_as_they_are(
    collection: CaseCollection, slug: str, tmp_path: Path
) -> None:
    """De-identification does not change the original files."""
    files = series(tmp_path, 2, **SECRETS)
    before = [path.read_bytes() for path in files]

    collection.add(SocketValueSpec(slug, files=files, image_name="CT"))

    assert [path.read_bytes() for path in files] == before


def test_any_file_name_will_do(collection: CaseCollection, slug: str, tmp_path: Path) -> None:
    """Original file names may be longer than the server accepts, or equal, because they are not sent."""
    (first, second), far = series(tmp_path, 2), tmp_path / "far"
    far.mkdir()
    name = "ü" * 120 + ".dcm"
    files = [first.rename(tmp_path / name), second.rename(far / name)]

    case = collection.filled(collection.add(SocketValueSpec(slug, files=files, image_name="CT")).pk)

    assert value_of(case, slug).image


# ---------------------------------------------------------------- what is left on the machine


def _private(directory: Path) -> list[tuple[int, int]]:
    """Return the mode and the number of files of each temporary directory."""
    return [
        (stat.S_IMODE(path.stat().st_mode), len([*path.glob("[!.]*")]))
        for path in directory.iterdir()
        if path.is_dir()
    ]


def looking(directory: Path, found: list[tuple[int, int]]) -> Callable[[ProgressEvent], None]:
    """Return a listener that adds what is in the temporary directories during uploads."""

    def look(event: ProgressEvent) -> None:
        if event.phase == "upload":
            found.extend(_private(directory))

    return look


def test_temporary_files_are_private_and_gone_afterwards(
    sandbox: Sandbox, slug: str, temporary: Path, tmp_path: Path
) -> None:
    """De-identified files are in a directory of mode 0700 during the upload, and removed afterwards."""
    during: list[tuple[int, int]] = []
    with Client(sandbox.token, sandbox.base_url, progress=looking(temporary, during)) as client:
        collection = add_collection(sandbox, client, "archive")
        collection.add(SocketValueSpec(slug, files=series(tmp_path), image_name="CT"))

    assert {mode for mode, _ in during} == {0o700}
    assert max(count for _, count in during) in {1, 2, 3}
    assert list(temporary.iterdir()) == []


def test_temporary_files_are_gone_after_a_refused_file(
    collection: CaseCollection, sandbox: Sandbox, slug: str, temporary: Path, tmp_path: Path
) -> None:
    """If a file cannot be de-identified, those before it are removed, and none is sent."""
    bad = written(tmp_path / "bad.dcm", "no DICOM")
    spec = SocketValueSpec(slug, files=[*series(tmp_path), bad], image_name="CT")

    with nothing_written(sandbox), pytest.raises(DeidentificationError):
        collection.add(spec, inspect="off")

    assert list(temporary.iterdir()) == []


def test_a_slice_that_is_cut_is_not_sent(
    collection: CaseCollection, sandbox: Sandbox, slug: str, tmp_path: Path
) -> None:
    """A slice that lacks half of its pixels is refused, because nobody could see the loss on the server."""
    files = series(tmp_path)
    written(files[1], files[1].read_bytes()[:20_000])

    with nothing_written(sandbox), pytest.raises(FileInspectionError, match=r"slice-1.*are cut"):
        collection.add(SocketValueSpec(slug, files=files, image_name="CT"))


def test_temporary_files_are_gone_after_a_failed_upload(
    collection: CaseCollection, sandbox: Sandbox, slug: str, temporary: Path, tmp_path: Path
) -> None:
    """If the upload fails, the temporary files are removed."""
    limit, sandbox.limits.upload_bytes = sandbox.limits.upload_bytes, 0
    try:
        with pytest.raises(UploadLimitReached):
            collection.add(SocketValueSpec(slug, files=series(tmp_path), image_name="CT"))
    finally:
        sandbox.limits.upload_bytes = limit

    assert list(temporary.iterdir()) == []


def test_a_copied_file_is_private_and_gone_afterwards(sandbox: Sandbox, temporary: Path) -> None:
    """The copy of a file on the server is in a private directory, too, and removed afterwards."""
    table = sandbox.add_socket(unique("table"), "CSV file")
    during: list[tuple[int, int]] = []
    with Client(sandbox.token, sandbox.base_url, progress=looking(temporary, during)) as client:
        collection = add_collection(sandbox, client, "archive")
        first = collection.filled(collection.add(SocketValueSpec(table, value="a;b")).pk)
        assert during == []
        collection.add(SocketValueSpec(table, existing_socket_value=value_of(first, table)))

    assert set(during) == {(0o700, 1)}
    assert list(temporary.iterdir()) == []


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
    sandbox: Sandbox, client: Client, slug: str, tmp_path: Path
) -> None:
    """If the disk is full during de-identification, the error says so, and no file is left or sent."""
    collection = add_collection(sandbox, client, "archive")
    (tmp_path / "temporary").mkdir()
    files = [str(path) for path in series(tmp_path, 2)]
    arguments = [sandbox.base_url, sandbox.token, collection.slug, slug]

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

    reported = json.loads(done.stdout)
    assert os.strerror(reported["errno"]) == "File too large"
    assert (
        "was not sent: File too large. Temporary files are written to the directory in TMPDIR"
        in reported["words"]
    )
    assert list((tmp_path / "temporary").iterdir()) == []
    assert collection.all() == []


# ---------------------------------------------------------------- files that are refused


def test_a_file_that_is_not_dicom_is_not_sent(
    collection: CaseCollection, sandbox: Sandbox, slug: str, tmp_path: Path
) -> None:
    """A text file, an empty file and a truncated file are refused by name and not sent."""
    files = [
        written(tmp_path / "text.dcm", "Patient: Verschwiegen"),
        written(tmp_path / "empty.dcm", ""),
        written(tmp_path / "half.dcm", ct_slice().read_bytes()[:200]),
    ]
    for path in files:
        spec = SocketValueSpec(slug, files=[path], image_name="CT")
        with nothing_written(sandbox):
            with pytest.raises(FileInspectionError, match=re.escape(str(path))):
                collection.add(spec)
            with pytest.raises(DeidentificationError, match=re.escape(str(path))) as refused:
                collection.add(spec, inspect="off")
        assert "not sent" in str(refused.value) or "nothing was sent" in str(refused.value)
    assert collection.all() == []


def test_a_file_of_another_series_is_not_sent(
    collection: CaseCollection, sandbox: Sandbox, slug: str
) -> None:
    """Files of two series are refused, because the server would refuse them silently."""
    spec = SocketValueSpec(slug, files=[ct_slice(), mr_slice()], image_name="Mixed")

    with nothing_written(sandbox):
        with pytest.raises(FileInspectionError, match="the files are of 2 series"):
            collection.add(spec)
        with pytest.raises(DeidentificationError, match=r"MR_small\.dcm cannot be de-identified"):
            collection.add(spec, inspect="off")


def test_a_file_of_another_patient_is_not_sent(
    collection: CaseCollection, sandbox: Sandbox, slug: str, tmp_path: Path
) -> None:
    """Files of different patients are refused, and the error names the attribute."""
    (tmp_path / "other").mkdir()
    files = [*series(tmp_path, 1), *series(tmp_path / "other", 1, PatientID="SOMEONE-ELSE")]

    spec = SocketValueSpec(slug, files=files, image_name="Mixed")

    with nothing_written(sandbox):
        with pytest.raises(FileInspectionError, match="PatientID"):
            collection.add(spec)
        with pytest.raises(DeidentificationError, match="PatientID"):
            collection.add(spec, inspect="off")


def test_the_missing_extra_is_named_before_anything_is_sent(
    collection: CaseCollection, sandbox: Sandbox, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the extra, the error has the command that installs it, and other sockets work."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "grand_challenge_dicom_de_identifier":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grand_challenge_dicom_de_identifier", None)
    table = sandbox.add_socket(unique("table"), "CSV file")

    with nothing_written(sandbox), pytest.raises(MissingExtra, match="pip install") as missing:
        collection.add(
            SocketValueSpec(table, value="a;b"),
            SocketValueSpec(slug, files=[ct_slice()], image_name="CT"),
        )

    assert "[dicom]" in str(missing.value)
    assert isinstance(missing.value, ImportError)
    assert collection.add(SocketValueSpec(table, value="a;b")).pk


# ---------------------------------------------------------------- what comes back


def test_instances_come_back_by_their_recipes(
    collection: CaseCollection, sandbox: Sandbox, slug: str, tmp_path: Path
) -> None:
    """Each instance is downloaded once, named after its UID, with its original pixels, and without the token."""
    files = series(tmp_path, 3)
    case = collection.filled(collection.add(SocketValueSpec(slug, files=files, image_name="CT")).pk)
    sandbox.requests.clear()

    paths = collection.client.download_socket_value(
        value_of(case, slug), output_directory=tmp_path / "out"
    )

    assert {path.parent for path in paths} == {tmp_path / "out" / "images" / slug}
    datasets = sorted(map(dcmread, paths), key=lambda one: float(one.ImagePositionPatient[2]))
    assert {path.stem for path in paths} == {str(one.SOPInstanceUID) for one in datasets}
    assert len(paths) == 3
    for dataset, source in zip(datasets, files, strict=True):
        np.testing.assert_array_equal(dataset.pixel_array, dcmread(source).pixel_array)
    fetched = [one for one in sandbox.requests if one.origin == "storage"]
    assert [one.method for one in fetched] == ["GET"] * 3
    assert {one.authorization for one in fetched} == {"AWS4-HMAC-SHA256"}
    assert len(found(sandbox, "GET", "/dicom/instances/$")) == 1


def test_an_instance_of_several_frames_comes_back_once(
    collection: CaseCollection, sandbox: Sandbox, slug: str, tmp_path: Path
) -> None:
    """A multi-frame instance, which the server lists once per frame, is downloaded once."""
    dataset = dcmread(ct_slice())
    dataset.SOPClassUID = VLWholeSlideMicroscopyImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.NumberOfFrames = 2
    dataset.PixelData *= 2
    source = tmp_path / "frames.dcm"
    dataset.save_as(source)
    spec = SocketValueSpec(slug, file=source, image_name="Two frames")
    case = collection.filled(collection.add(spec).pk)
    image = collection.client.images.detail(api_url=value_of(case, slug).image)
    listed = collection.client(path=f"cases/images/{image.pk}/dicom/instances/")["instances"]
    sandbox.requests.clear()

    (path,) = collection.client.images.download(pk=image.pk, output_directory=tmp_path / "out")

    assert len(listed) == 2
    assert len({one["sop_instance_uid"] for one in listed}) == 1
    assert dcmread(path).NumberOfFrames == 2
    assert len([one for one in sandbox.requests if one.origin == "storage"]) == 1


def test_instances_keep_their_names(collection: CaseCollection, slug: str, tmp_path: Path) -> None:
    """A file name for a set of several files is refused."""
    case = collection.filled(
        collection.add(SocketValueSpec(slug, file=ct_slice(), image_name="CT")).pk
    )

    with pytest.raises(ValueError, match="leave filename out"):
        collection.client.images.download(
            url=value_of(case, slug).image, output_directory=tmp_path, filename="mine"
        )


def test_instances_that_are_there_already_are_not_fetched(
    collection: CaseCollection, sandbox: Sandbox, slug: str, tmp_path: Path
) -> None:
    """A second download to the same place fails before any transfer."""
    case = collection.filled(
        collection.add(SocketValueSpec(slug, file=ct_slice(), image_name="CT")).pk
    )
    value = value_of(case, slug)
    collection.client.download_socket_value(value, output_directory=tmp_path)
    sandbox.requests.clear()

    with pytest.raises(FileExistsError):
        collection.client.download_socket_value(value, output_directory=tmp_path)

    assert [one for one in sandbox.requests if one.origin == "storage"] == []
