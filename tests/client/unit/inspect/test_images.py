"""The inspection of images: each small file with the finding that is right."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it
from pydicom import dcmread

from gcapi._inspect.dicom_identity import identifying_elements
from gcapi._inspect.inspector import inspect_files
from gcapi.findings import Finding
from tests.support.data import ct_slice, noise, written
from tests.support.image_files import ImageCase, image_cases, metaimage
from tests.support.specs import make_socket

IMAGE = make_socket("Image", "Image")


def inspect(files: list[Path], *, deep: bool = False) -> list[Finding]:
    """Return the findings about the files of an image."""
    return inspect_files(files, IMAGE, deep=deep)


@pytest.mark.parametrize("case", image_cases(), ids=lambda case: case.name)
def test_each_file_has_the_right_finding(case: ImageCase, tmp_path: Path) -> None:
    """A damaged file has one finding of the right level, which says what is wrong; a whole file has none."""
    findings = inspect(case.write(tmp_path))
    assert [finding.level for finding in findings] == [case.level] * (case.level is not None)
    assert all(case.what in finding.what for finding in findings)
    assert all(str(finding).endswith(f"{finding.fix}.") for finding in findings)


def test_there_are_enough_files() -> None:
    """The table has more than 60 files with different names."""
    assert len({case.name for case in image_cases()}) == len(image_cases()) > 60


def test_a_list_that_is_too_short_is_an_error(tmp_path: Path) -> None:
    """A MetaImage header that lists fewer files than slices is an error; what SimpleITK reads for it varies."""
    header = written(tmp_path / "a.mhd", metaimage(file="LIST\ns0.raw\ns1.raw"))
    (finding,) = inspect([header])
    assert (finding.level, finding.what) == (
        "error",
        "its header names 2 data files for 4 slices",
    )


def test_pages_behind_the_end_are_an_error(tmp_path: Path) -> None:
    """A TIFF file that was cut between its pages is an error, though readers take the pages that are left."""
    path = tmp_path / "a.tif"
    sitk.WriteImage(sitk.Image(16, 16, 8, sitk.sitkUInt16), str(path))
    path.write_bytes(path.read_bytes()[:-1000])
    (finding,) = inspect([path])
    assert (finding.level, "bytes of data" in finding.what) == ("error", True)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
def test_deep_inspection_reads_all_of_compressed_data(tmp_path: Path, suffix: str) -> None:
    """A changed byte in compressed data is found only by the deep inspection, which says what failed."""
    path = noise(tmp_path / f"a{suffix}", 256)
    sitk.WriteImage(sitk.ReadImage(str(path)), str(path), useCompression=True)
    assert inspect([path], deep=True) == []
    content = bytearray(path.read_bytes())
    content[-9 if suffix == ".mha" else -20] ^= 0xFF
    path.write_bytes(content)
    assert inspect([path]) == []
    (finding,) = inspect([path], deep=True)
    assert finding.level == "error"
    assert finding.what.startswith("its compressed data are damaged: ")


def test_deep_inspection_of_a_path_that_is_not_utf_8(tmp_path: Path) -> None:
    """An image in a folder whose name is not UTF-8 is not decoded, which would end the process."""
    folder = tmp_path / "\udcff"
    folder.mkdir()
    assert inspect([noise(tmp_path / "a.mha").rename(folder / "a.mha")], deep=True) == []


def test_deep_inspection_decodes(tmp_path: Path) -> None:
    """A PNG file with changed pixels is found only by the deep inspection, with SimpleITK's reason."""
    path = tmp_path / "a.png"
    sitk.WriteImage(
        sitk.Cast(sitk.ReadImage(str(noise(tmp_path / "a.mha"))), sitk.sitkUInt8), str(path)
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert inspect([path]) == []
    (finding,) = inspect([path], deep=True)
    assert (finding.level, "SimpleITK cannot decode it" in finding.what) == ("error", True)


def test_only_the_beginning_of_an_image_is_read(tmp_path: Path) -> None:
    """Of images of several MiB, a few KiB are read, compressed ones included."""
    for suffix in (".mha", ".nii", ".nii.gz", ".nrrd", ".png", ".tif", ".jpg"):
        path = tmp_path / f"a{suffix}"
        pixel = sitk.sitkUInt8 if suffix == ".jpg" else sitk.sitkUInt16
        image = sitk.Cast(sitk.ReadImage(str(noise(tmp_path / "noise.mha", 1024))), pixel)
        sitk.WriteImage(image, str(path))
        before = read_bytes()
        assert inspect([path]) == []
        assert read_bytes() - before < 64 * 1024, suffix


def read_bytes() -> int:
    """Return how many bytes this process has read from files."""
    fields = Path("/proc/self/io").read_text().split()
    return int(fields[fields.index("rchar:") + 1])


@pytest.mark.parametrize("marked", [True, False], ids=["with its mark", "without its mark"])
def test_identifying_elements_are_counted_and_not_shown(tmp_path: Path, marked: bool) -> None:
    """DICOM files of an image are refused with the number of identifying elements, without their values."""
    dataset = dcmread(ct_slice())
    dataset.PatientName, dataset.PatientComments = "Verschwiegen^Patientin", "GEHEIM"
    dataset.save_as(path := tmp_path / "IM1")
    count = identifying_elements(path)
    if not marked:
        path.write_bytes(path.read_bytes()[132:])
    (finding,) = inspect([path, ct_slice()])
    assert (finding.level, finding.file) == ("error", path)
    assert f"{count + identifying_elements(ct_slice())} identifying elements" in finding.what
    assert "Verschwiegen" not in str(finding)
    assert "GEHEIM" not in str(finding)
    del dataset.PatientComments
    dataset.PatientName = ""
    dataset.save_as(path)
    assert identifying_elements(path) == count - 2


def test_dicom_is_refused_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pydicom, DICOM files of an image are refused as well, and the finding says why there is no number."""
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (finding,) = inspect([ct_slice()])
    assert finding.level == "error"
    assert "cannot be counted without the extra 'dicom'" in finding.what


def test_a_file_called_dcm_is_dicom(tmp_path: Path) -> None:
    """A damaged file with a suffix of DICOM is refused too, because it may have the patient's name."""
    (finding,) = inspect([written(tmp_path / "a.dcm", b"damaged")])
    assert (finding.level, "DICOM" in finding.what) == ("error", True)
