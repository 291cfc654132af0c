"""Inspection of DICOM image sets: each finding, and that the server agrees."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    VLWholeSlideMicroscopyImageStorage,
)

from gcapi._inspect.dicom import inspect_image_set
from gcapi.exceptions import DeidentificationError, MissingExtra, SpecFileError
from gcapi.findings import Finding
from gcapi_sandbox._imaging.dicom import DicomError, read_image_set
from tests.support.data import ct_slice, mr_slice, written
from tests.support.dicom_files import (
    SIDE,
    deidentified_files,
    dicom_dataset,
    dicom_file,
    dicom_series,
)
from tests.support.specs import make_socket

SOCKET = make_socket("Image", "DICOM Image Set")
#: The bytes of one frame of the small files.
FRAME = 2 * SIDE * SIDE

#: Parts of the values of attributes in the small files that can identify a person or a study.
SECRETS = ("Secret", "4711", "20200102", "20010101", "1.2.3")

Make = Callable[[Path], list[Path]]


@dataclass(frozen=True)
class Case:
    """Files, and what is right to say about them.

    Attributes:
        name: What is special about them.
        make: Makes them in a directory.
        findings: The level and a part of the text of each finding.
        is_unnoticed: Whether the server imports them despite an error, and what is lost shows nowhere.
    """

    name: str
    make: Make
    findings: tuple[tuple[str, str], ...] = ()
    is_unnoticed: bool = False


def one(**attributes: Any) -> Make:
    """Return a maker of one file."""
    return lambda directory: dicom_series(directory, 1, **attributes)


def raw(change: Callable[[bytes], bytes]) -> Make:
    """Return a maker of one file whose bytes are changed."""

    def make(directory: Path) -> list[Path]:
        (path,) = dicom_series(directory, 1)
        return [written(path, change(path.read_bytes()))]

    return make


def several(*attributes: dict[str, Any]) -> Make:
    """Return a maker of slices with these attributes."""
    return lambda directory: [
        dicom_file(directory / f"{number}.dcm", dicom_dataset(number, **changes))
        for number, changes in enumerate(attributes)
    ]


def encoded(syntax: Any, **attributes: Any) -> Make:
    """Return a maker of one file of a transfer syntax."""
    return lambda directory: [dicom_file(directory / "a.dcm", dicom_dataset(**attributes), syntax)]


def compressed(frames: int = 1, declared: int = 1, cut: int = 0) -> Make:
    """Return a maker of a slide with compressed frames, without the last bytes."""

    def make(directory: Path) -> list[Path]:
        dataset = slide(NumberOfFrames=declared, BitsAllocated=8, BitsStored=8, HighBit=7)
        dataset.compress(RLELossless)
        frame = next(generate_frames(dataset.PixelData, number_of_frames=declared))
        dataset.PixelData = encapsulate([frame] * frames)
        path = dicom_file(directory / "slide.dcm", dataset, RLELossless)
        content = path.read_bytes()
        return [written(path, content[: len(content) - cut])]

    return make


def slide(**attributes: Any) -> Dataset:
    """Return a small whole-slide image."""
    frames, bits = attributes.get("NumberOfFrames", 1), attributes.get("BitsAllocated", 16)
    return dicom_dataset(
        **{
            "SOPClassUID": VLWholeSlideMicroscopyImageStorage,
            "ImageType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"],
            "ImagePositionPatient": None,
            "ImageOrientationPatient": None,
            "PixelSpacing": None,
            "PixelData": bytes(SIDE * SIDE * frames * bits // 8),
            **attributes,
        }
    )


def directory_file(directory: Path) -> list[Path]:
    """Make a DICOMDIR beside a slice."""
    dataset = dicom_dataset(SOPClassUID=None, PixelData=None, Rows=None, Columns=None)
    path = dicom_file(directory / "DICOMDIR", dataset)
    changed = dcmread(path)
    changed.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    changed.save_as(path)
    return [path, *dicom_series(directory, 1)]


def without_meta(directory: Path) -> list[Path]:
    """Make a data set without preamble and file meta group, in implicit VR."""
    dataset = dicom_dataset()
    del dataset.file_meta
    path = directory / "plain"
    dataset.save_as(path, implicit_vr=True, little_endian=True)
    return [path]


def broken_frame(directory: Path) -> list[Path]:
    """Make a slide whose compressed frame is damaged."""
    dataset = slide(BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset.PixelData = encapsulate([b"\x01\x00\x00\x00" + b"\xff" * 60])
    return [dicom_file(directory / "slide.dcm", dataset, RLELossless)]


_TILTED = [1, 0, 0, 0, 0.9, 0.43589]
CASES = [
    # ------------------------------------------------ files that are right
    Case("series", dicom_series),
    Case("real CT slice", lambda _: [ct_slice()]),
    Case("real MR slice", lambda _: [mr_slice()]),
    Case("implicit VR", encoded(ImplicitVRLittleEndian)),
    Case("big endian", encoded(ExplicitVRBigEndian)),
    Case("deflated", encoded(DeflatedExplicitVRLittleEndian)),
    Case("real RLE", lambda _: [Path(str(get_testdata_file("MR_small_RLE.dcm")))]),
    Case("without preamble and meta", without_meta),
    Case("bytes after the data set", raw(lambda content: content + b"MARKMARK" * 3)),
    Case("surplus pixel data", one(PixelData=bytes(FRAME + 100))),
    Case("MR", one(SOPClassUID=MRImageStorage, Modality="MR")),
    Case("series number in another notation", several({}, {"SeriesNumber": "01"})),
    Case("no SamplesPerPixel", one(SamplesPerPixel=None)),
    Case(
        "slide of two frames",
        lambda directory: [dicom_file(directory / "a", slide(NumberOfFrames=2))],
    ),
    Case("compressed slide", compressed(2, 2)),
    Case("two slices at one position", several({}, {}, {"ImagePositionPatient": [0, 0, 1]})),
    Case(
        "subsampled colours",
        one(
            SamplesPerPixel=3,
            PhotometricInterpretation="YBR_FULL_422",
            PlanarConfiguration=0,
            BitsAllocated=8,
            BitsStored=8,
            HighBit=7,
            PixelData=bytes(FRAME),
        ),
    ),
    # ------------------------------------------------ files that are no images
    Case("empty", raw(lambda _: b""), (("error", "the file is empty"),)),
    Case("text", raw(lambda _: b"Patient: Secret"), (("error", "not a DICOM file"),)),
    Case("zeros", raw(lambda _: bytes(1000)), (("error", "not a DICOM file"),)),
    Case("PNG", raw(lambda _: b"\x89PNG\r\n\x1a\n" + bytes(99)), (("error", "file but PNG"),)),
    Case("mark only", raw(lambda _: bytes(128) + b"DICM"), (("error", "no SOP class"),)),
    Case("DICOMDIR", directory_file, (("error", "it is a DICOMDIR"),)),
    Case("no SOP class", one(SOPClassUID=None), (("error", "no SOP class"),)),
    Case(
        "secondary capture",
        one(SOPClassUID=SecondaryCaptureImageStorage),
        (("error", "not taken: Secondary Capture Image Storage"),),
    ),
    Case(
        "private SOP class",
        one(SOPClassUID="1.2.276.0.4711"),
        (("error", "not taken: a class that is not in the standard"),),
    ),
    Case("no instance UID", one(SOPInstanceUID=None), (("error", "no SOPInstanceUID"),)),
    Case(
        "private transfer syntax",
        raw(lambda content: content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.276.0.4711.1.11\0")),
        (("error", "transfer syntax is not in the standard"),),
    ),
    # ------------------------------------------------ pixel data
    Case("no pixel data", one(PixelData=None), (("error", "no pixel data"),)),
    Case("header cut", raw(lambda content: content[:-150]), (("error", "no pixel data"),)),
    Case(
        "pixel data of length 0",
        one(PixelData=b""),
        (("error", f"cut: 0 of {FRAME} bytes"),),
    ),
    Case(
        "file cut",
        raw(lambda content: content[:-20]),
        (("error", f"cut: {FRAME - 20} of {FRAME} bytes"),),
        is_unnoticed=True,
    ),
    Case(
        "element too short",
        one(PixelData=bytes(FRAME - 2)),
        (("error", f"cut: {FRAME - 2} of {FRAME} bytes"),),
        is_unnoticed=True,
    ),
    Case(
        "deflated and too short",
        encoded(DeflatedExplicitVRLittleEndian, PixelData=bytes(8)),
        (("error", f"cut: 8 of {FRAME} bytes"),),
        is_unnoticed=True,
    ),
    Case(
        "big endian and too short",
        encoded(ExplicitVRBigEndian, PixelData=bytes(8)),
        (("error", f"cut: 8 of {FRAME} bytes"),),
        is_unnoticed=True,
    ),
    Case(
        "frame missing",
        lambda directory: [
            dicom_file(directory / "a", slide(NumberOfFrames=2, PixelData=bytes(FRAME)))
        ],
        (("error", f"cut: {FRAME} of {2 * FRAME} bytes"),),
        is_unnoticed=True,
    ),
    Case(
        "compressed frame missing",
        compressed(1, 2),
        (("error", "1 of 2 frames"),),
        is_unnoticed=True,
    ),
    Case(
        "compressed and cut in a frame",
        compressed(cut=20),
        (("error", "ends inside its compressed"),),
    ),
    Case(
        "compressed without the end",
        compressed(cut=8),
        (("error", "ends inside its compressed"),),
    ),
    Case(
        "compressed by name only",
        raw(lambda content: content.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")),
        (("error", "do not match its transfer syntax"),),
    ),
    Case(
        "frames of a CT",
        one(NumberOfFrames=2, PixelData=bytes(2 * FRAME)),
        (("error", "2 frames, and CT Image Storage has one"),),
        is_unnoticed=True,
    ),
    Case("no rows", one(Rows=None), (("error", "no Rows"),)),
    Case("no columns", one(Columns=None), (("error", "no Columns"),)),
    Case("no rows, no columns", one(Rows=0, Columns=0), (("error", "no Rows and no Columns"),)),
    Case("no bits", one(BitsAllocated=None), (("error", "no BitsAllocated"),)),
    # ------------------------------------------------ sets
    Case(
        "an instance twice",
        several({"SOPInstanceUID": "1.2.3.4"}, {"SOPInstanceUID": "1.2.3.4"}),
        (("error", "the same SOPInstanceUID as"),),
    ),
    Case(
        "two series",
        several({}, {"SeriesInstanceUID": "1.2.3"}, {"SeriesInstanceUID": "1.2.3"}),
        (("error", "the files are of 2 series (SeriesInstanceUID)"),),
    ),
    Case(
        "two series of other spacing",
        several({}, {"SeriesInstanceUID": "1.2.3", "PixelSpacing": [2, 2]}),
        (("error", "the files are of 2 series (SeriesInstanceUID)"),),
    ),
    Case(
        "two patients",
        several({}, {"PatientID": "B"}),
        (("error", "the files are of 2 patients (PatientID)"),),
    ),
    Case(
        "three studies and series",
        several(*({"StudyInstanceUID": f"1.{n}", "SeriesInstanceUID": f"2.{n}"} for n in "123")),
        (("error", "3 series (SeriesInstanceUID) and 3 studies (StudyInstanceUID)"),),
    ),
    Case(
        "other dates",
        several({}, {"StudyDate": "20010101", "StudyID": "2"}),
        (("error", "the files differ in StudyID and StudyDate"),),
    ),
    Case(
        "no series UID",
        one(SeriesInstanceUID=None),
        (("warning", "no SeriesInstanceUID"),),
    ),
    Case(
        "slice missing",
        several(*({"ImagePositionPatient": [0, 0, z]} for z in (0, 1, 2, 4))),
        (("warning", "distances between slices are from 1 to 2 mm"),),
    ),
    Case(
        "another orientation",
        several({}, {}, {"ImageOrientationPatient": _TILTED}),
        (("warning", "1 of 3 files differ from the first in ImageOrientationPatient"),),
    ),
    Case(
        "another spacing",
        several({}, {"PixelSpacing": [2, 2]}),
        (("warning", "1 of 2 files differ from the first in PixelSpacing"),),
    ),
    Case(
        "another size",
        several({}, {"Rows": 2, "PixelData": bytes(FRAME // 2)}),
        (("warning", "1 of 2 files differ from the first in Rows"),),
    ),
    # ------------------------------------------------ names in pixels
    Case(
        "burned-in text",
        one(BurnedInAnnotation="YES"),
        (("warning", "BurnedInAnnotation is YES"),),
    ),
    Case(
        "screen save",
        one(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]),
        (("warning", "it is a screen save"),),
    ),
    Case(
        "label of a slide",
        lambda directory: [
            dicom_file(directory / "a", slide(ImageType=["ORIGINAL", "PRIMARY", "LABEL", "NONE"]))
        ],
        (("warning", "the label of the slide"),),
    ),
]


def inspect(files: list[Path], *, deep: bool = False) -> list[Finding]:
    """Return the findings about files of an image set."""
    return inspect_image_set(files, SOCKET, deep)


def is_imported(files: list[Path], directory: Path) -> bool:
    """Return whether files can be de-identified and imported by the sandbox."""
    try:
        read_image_set(deidentified_files(files, directory))
    except (DeidentificationError, DicomError):
        return False
    return True


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_findings(case: Case, tmp_path: Path) -> None:
    """Findings are right, show no value of a person or study, and agree with the import about errors."""
    files = case.make(tmp_path)

    findings = inspect(files)

    assert [finding.level for finding in findings] == [level for level, _ in case.findings]
    for finding, (_, text) in zip(findings, case.findings, strict=True):
        assert text in str(finding)
        shown = f"{finding.what} {finding.fix}"
        assert not shown.endswith(".")
        assert [secret for secret in SECRETS if secret in shown] == []
    has_errors = any(finding.level == "error" for finding in findings)
    assert is_imported(files, tmp_path / "out") == (not has_errors or case.is_unnoticed)


def test_order_of_the_files_does_not_matter(tmp_path: Path) -> None:
    """Slices in any order, whatever their names are, have no findings."""
    files = dicom_series(tmp_path, 12)
    random.Random(4711).shuffle(files)
    assert inspect(files) == []


def test_many_equal_findings_are_counted(tmp_path: Path) -> None:
    """Of 15 empty files, 10 are named and the others are counted."""
    findings = inspect([written(tmp_path / f"{number}.dcm", b"") for number in range(15)])
    assert len(findings) == 11
    assert str(findings[-1]) == "the file is empty (and 5 more files). Copy or export it again."


def test_damaged_frame_is_found_by_a_deep_inspection(tmp_path: Path) -> None:
    """A compressed frame that cannot be decoded is found if all content is read."""
    files = broken_frame(tmp_path)
    assert inspect(files) == []
    (finding,) = inspect(files, deep=True)
    assert finding.level == "error"
    assert "cannot be decoded" in finding.what


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.findings], ids=lambda c: c.name
)
def test_deep_inspection_accepts_what_is_right(case: Case, tmp_path: Path) -> None:
    """Files that are right have no findings if all content is read."""
    assert inspect(case.make(tmp_path), deep=True) == []


def test_format_without_a_decoder_is_not_decoded(tmp_path: Path) -> None:
    """Compressed frames that nothing installed can decode are accepted by a deep inspection."""
    dataset = slide(BitsAllocated=8, BitsStored=8, HighBit=7)
    dataset.PixelData = encapsulate([b"no JPEG"])
    path = dicom_file(tmp_path / "a.dcm", dataset, JPEGLSLossless)
    assert inspect([path], deep=True) == []


def test_pixel_data_are_not_read(tmp_path: Path) -> None:
    """A slice of 2 GiB is inspected without reading its pixel data."""
    side = 32768
    dataset = dicom_dataset(Rows=side, Columns=side)
    path = dicom_file(tmp_path / "large.dcm", dataset)
    content = path.read_bytes()
    header = content[: -FRAME - 4] + (2 * side * side).to_bytes(4, "little")
    written(path, header)
    os.truncate(path, len(header) + 2 * side * side)
    assert inspect([path]) == []
    os.truncate(path, len(header) + side)
    (finding,) = inspect([path])
    assert finding.what == "its pixel data are cut: 32,768 of 2,147,483,648 bytes that it declares"


@pytest.mark.skipif(os.name != "posix", reason="pipes have names on POSIX only")
def test_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    """A named pipe and a directory among the files are refused instead of read."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(SpecFileError, match=r"not a regular file|is a directory"):
            inspect([*dicom_series(tmp_path, 1), path])


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra, the error has the command that installs it."""
    for name in list(sys.modules):
        if name.partition(".")[0] == "grand_challenge_dicom_de_identifier":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "grand_challenge_dicom_de_identifier", None)
    with pytest.raises(MissingExtra, match="pip install"):
        inspect(dicom_series(tmp_path, 1))
