"""De-identification covers whole files: marks in every place of the originals are not on the server."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import DicomDictionary
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from gcapi import Client, SocketValueSpec
from gcapi._workflows.dicom import check_written
from gcapi.exceptions import DeidentificationError
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, add_collection, written
from tests.support.dicom_files import SIDE, deidentified_files, dicom_dataset, dicom_file

MARK = "VERSCHWIEGEN"
#: The mark of attributes that are UIDs.
MARK_UID = "1.2.4711.4711.4711"
PIXELS = bytes(range(100, 100 + 2 * SIDE * SIDE))
#: Attributes of the file meta group that have to be right for the file to be read.
_NEEDED_META = {0x00020000, 0x00020001, 0x00020002, 0x00020010}
_FILE_META_GROUP = 0x0002


def marks_in(content: bytes) -> list[str]:
    """Return the marks in the bytes of a file."""
    return [mark for mark in (MARK, MARK_UID) if mark.encode() in content]


def marked_dataset(number: int) -> Dataset:
    """Return a slice with marks in all elements that are not needed."""
    dataset = dicom_dataset(
        number,
        PatientName=MARK,
        PatientID=MARK,
        StudyInstanceUID=MARK_UID,
        SeriesInstanceUID=f"{MARK_UID}.1",
        SOPInstanceUID=f"{MARK_UID}.2.{number}",
        StudyID=MARK,
        AccessionNumber=MARK,
        ImageComments=MARK,
        PixelData=PIXELS + (MARK + MARK).encode(),
        DataSetTrailingPadding=MARK.encode() * 2,
    )
    add_marks(dataset)
    inner = Dataset()
    add_marks(inner)
    outer = Dataset()
    add_marks(outer)
    outer.DeidentificationMethodCodeSequence = [inner]
    # Sequences that are kept, replaced and removed.
    dataset.DeidentificationMethodCodeSequence = [outer]
    dataset.ReferencedStudySequence = [outer]
    dataset.SourceImageSequence = [outer]
    dataset.OriginalAttributesSequence = [outer]
    for group in (0x6000, 0x6002, 0x601E):
        dataset.add_new((group, 0x0022), "LO", MARK)
        dataset.add_new((group, 0x3000), "OW", MARK.encode())
    dataset.add_new((0x5000, 0x3000), "OW", MARK.encode())
    return dataset


def add_marks(dataset: Dataset) -> None:
    """Add marks that a data set on each level can have."""
    dataset.PatientName = MARK
    dataset.ReferencedSOPInstanceUID = MARK_UID
    dataset.TextValue = MARK
    for group in (0x0009, 0x7FE1, 0x7FDF):
        block = dataset.private_block(group, MARK, create=True)
        block.add_new(1, "LO", MARK)
        block.add_new(2, "UN", MARK.encode())
        item = Dataset()
        item.PatientName = MARK
        block.add_new(3, "SQ", [item])


def marked_file(path: Path, number: int, syntax: UID) -> Path:
    """Write a slice with marks in the preamble, in file meta, in its elements, and behind them."""
    dataset = marked_dataset(number)
    dataset.preamble = (MARK * 11).encode()[:128]
    for tag, (vr, *_) in DicomDictionary.items():
        if tag >> 16 == _FILE_META_GROUP and tag not in _NEEDED_META and vr not in {"UL", "FD"}:
            value = MARK_UID if vr in {"UI", "UR"} else MARK
            dataset.file_meta.add_new(tag, vr, value.encode() if vr == "OB" else value)
    dataset.file_meta.add_new(0x000200F0, "LO", MARK)
    dicom_file(path, dataset, syntax)
    return written(path, path.read_bytes() + MARK.encode() * 3)


def everything_in(folder: Path) -> Iterator[bytes]:
    """Yield the content of all files below a folder."""
    yield from (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_no_mark_arrives_at_the_server(tmp_path: Path) -> None:
    """Whatever is in preamble, file meta, private or nested elements, overlays and padding is not sent."""
    syntaxes = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
    files = [
        marked_file(tmp_path / f"{number}.dcm", number, syntax)
        for number, syntax in enumerate(syntaxes)
    ]
    assert all(path.read_bytes().count(MARK.encode()) > 40 for path in files)
    kept = tmp_path / "sandbox"
    with Sandbox(data=kept) as sandbox, Client(sandbox.token, sandbox.base_url) as client:
        slug = sandbox.add_socket("dicom", "DICOM Image Set")
        collection = add_collection(sandbox, client, "archive")
        specs = [SocketValueSpec(slug, files=files, image_name="Case 1")]
        with sandbox.hold_background():
            item = collection.add(*specs)
            uploaded = list(everything_in(kept))
        client.wait_for_values(item, values=specs, timeout=DEADLINE)
        sandbox.wait_idle()
        stored = list(everything_in(kept))
    for contents in (uploaded, stored):
        # The search sees the files: their pixels are found.
        assert sum(PIXELS in content for content in contents) >= len(files)
        assert [marks for content in contents if (marks := marks_in(content))] == []


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian],
    ids=lambda syntax: syntax.name,
)
def test_envelope_is_new(tmp_path: Path, syntax: UID) -> None:
    """Preamble and file meta are new; transfer syntax, SOP class and pixels are those of the original."""
    original = marked_file(tmp_path / "a.dcm", 0, syntax)

    (path,) = deidentified_files([original], tmp_path / "out")

    dataset = dcmread(path)
    assert path.read_bytes()[:132] == bytes(128) + b"DICM"
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    assert dataset.file_meta.ImplementationClassUID == PYDICOM_IMPLEMENTATION_UID
    assert [element.tag.element for element in dataset.file_meta] == [0, 1, 2, 3, 16, 18, 19]
    assert dataset.PixelData == PIXELS
    assert list(dataset.keys())[-1] == dataset["PixelData"].tag


def test_deflated_file_has_no_mark(tmp_path: Path) -> None:
    """A deflated data set is de-identified, and has no mark when it is inflated."""
    original = dicom_file(tmp_path / "a.dcm", marked_dataset(0), DeflatedExplicitVRLittleEndian)

    (path,) = deidentified_files([original], tmp_path / "out")

    content = path.read_bytes()
    start = 132 + 12 + int.from_bytes(content[140:144], "little")
    inflated = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    assert PIXELS in inflated
    assert marks_in(content + inflated) == []


def test_file_without_meta_gets_one(tmp_path: Path) -> None:
    """A data set in explicit VR without a file meta group becomes a file with one."""
    dataset = marked_dataset(0)
    del dataset.file_meta
    original = tmp_path / "plain"
    dataset.save_as(original, implicit_vr=False, little_endian=True)

    (path,) = deidentified_files([original], tmp_path / "out")

    assert dcmread(path).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert marks_in(path.read_bytes()) == []


def test_private_transfer_syntax_is_refused(tmp_path: Path) -> None:
    """The transfer syntax, which has to be kept, cannot be a UID of a manufacturer or a hospital."""
    path = dicom_file(tmp_path / "a.dcm", dicom_dataset())
    content = path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.276.0.4711.1.11\0")
    with pytest.raises(DeidentificationError, match="transfer syntax that is not in") as refused:
        deidentified_files([written(path, content)], tmp_path / "out")
    assert "it was not sent" in str(refused.value)


def test_error_does_not_show_values(tmp_path: Path) -> None:
    """If an element cannot be de-identified, the error has the file's name and not the value."""
    path = dicom_file(tmp_path / "a.dcm", dicom_dataset(PatientID=f"{MARK}1"))
    content = path.read_bytes().replace(b"LO\x0e\0" + MARK.encode(), b"QQ\x0e\0" + MARK.encode())
    with pytest.raises(DeidentificationError, match=r"a\.dcm is not a DICOM file") as refused:
        deidentified_files([written(path, content)], tmp_path / "out")
    assert MARK not in str(refused.value)


def test_written_file_is_checked_before_it_is_sent(tmp_path: Path) -> None:
    """A written file with a preamble, an instance UID or an attribute of the original is refused."""
    (good,) = deidentified_files(
        [dicom_file(tmp_path / "a.dcm", dicom_dataset())], tmp_path / "out"
    )
    uid = dcmread(good).SOPInstanceUID
    check_written(good, uid)
    content = good.read_bytes()
    with_title = dcmread(shutil.copy(good, tmp_path / "b.dcm"))
    with_title.file_meta.SourceApplicationEntityTitle = MARK
    with_title.save_as(tmp_path / "b.dcm")
    for bad, new_uid in (
        (written(tmp_path / "c.dcm", MARK.encode() + content[len(MARK) :]), uid),
        (tmp_path / "b.dcm", uid),
        (good, MARK_UID),
    ):
        with pytest.raises(DeidentificationError, match="preamble or file meta is not new"):
            check_written(bad, new_uid)
