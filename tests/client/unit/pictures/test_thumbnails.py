"""Thumbnails of files of each format: the middle slice, and nothing that can identify a person."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it
from pydicom import dcmread

from gcapi._pictures import dicom_series
from gcapi._pictures.thumbnails import Thumbnail, draw_thumbnail
from gcapi.exceptions import MissingExtra
from tests.support.data import ct_slice, series, written

SHAPE, SPACING = (40, 30, 9), (1.0, 2.0, 3.0)


def pixels(thumbnail: Thumbnail, folder: Path) -> Any:
    """Return the pixels of a picture, which must be a PNG."""
    assert thumbnail.png.startswith(b"\x89PNG\r\n\x1a\n"), thumbnail.reason
    path = written(folder / "shown.png", thumbnail.png)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def marked_volume(marked: int = 4) -> Any:
    """Return a volume in which one slice has a bright square in the left half."""
    voxels = np.zeros(SHAPE[::-1], np.int16)
    voxels[marked, 10:20, 5:15] = 1000
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(SPACING)
    return image


@pytest.mark.parametrize(
    ("name", "is_compressed", "spacing"),
    [
        ("a.mha", False, SPACING),
        ("a.mha", True, SPACING),
        ("a.mhd", False, SPACING),
        ("a.nii", False, SPACING),
        ("a.nii.gz", True, SPACING),
        ("a.nrrd", True, SPACING),
        ("a.nhdr", False, SPACING),
        ("a.hdr", False, SPACING),
        ("a.tif", False, ()),
    ],
)
def test_middle_slice(
    tmp_path: Path, name: str, is_compressed: bool, spacing: tuple[float, ...]
) -> None:
    """The picture is the middle slice with square pixels, beside shape and spacing as in the header."""
    folder = tmp_path / "files"
    folder.mkdir()
    sitk.WriteImage(marked_volume(), str(folder / name), useCompression=is_compressed)

    thumbnail = draw_thumbnail(sorted(folder.iterdir(), reverse=True))

    shown = pixels(thumbnail, tmp_path)
    assert thumbnail.shape == SHAPE
    assert thumbnail.spacing == pytest.approx(spacing)
    assert shown.shape == (256, 171)
    assert (shown.min(), shown.max()) == (0, 255)


def test_each_slice_is_in_its_place(tmp_path: Path) -> None:
    """Only a mark in the middle slice is shown, and of a time series that of the first volume."""
    path = tmp_path / "a.nii.gz"
    sitk.WriteImage(marked_volume(marked=3), str(path))
    assert pixels(draw_thumbnail([path]), tmp_path).max() == 0
    sitk.WriteImage(sitk.JoinSeries([marked_volume(), marked_volume(1)]), str(path))
    thumbnail = draw_thumbnail([path])
    assert pixels(thumbnail, tmp_path).max() == 255
    assert (thumbnail.shape, thumbnail.spacing) == ((*SHAPE, 2), SPACING)


@pytest.mark.parametrize("scale", [1, 20])
def test_size_is_bounded(tmp_path: Path, scale: int) -> None:
    """Small and large images get pictures of the size that was asked for."""
    path = tmp_path / "a.png"
    sitk.WriteImage(sitk.Image([40 * scale, 20 * scale], sitk.sitkUInt8), str(path))
    assert pixels(draw_thumbnail([path], 64), tmp_path).shape == (32, 64)


def test_colors_are_kept_without_transparency(tmp_path: Path) -> None:
    """The colors of transparent pixels are shown."""
    path = tmp_path / "a.png"
    channels = [sitk.Image([20, 20], sitk.sitkUInt8) + value for value in (200, 30, 60, 0)]
    sitk.WriteImage(sitk.Compose(channels), str(path))
    thumbnail = draw_thumbnail([path])
    assert pixels(thumbnail, tmp_path)[128, 128].tolist() == [200, 30, 60]
    assert thumbnail.components == 4


def test_only_the_slice_is_read(tmp_path: Path) -> None:
    """The picture of an uncompressed file of 4 GiB takes less than 100 MiB of memory."""
    shape = (512, 512, 8192)
    header = (
        f"ObjectType = Image\nNDims = 3\nDimSize = {' '.join(map(str, shape))}\nModality = MET_MOD_MR\n"
        "ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    ).encode()
    path = tmp_path / "large.mha"
    with path.open("wb") as file:
        file.write(header)
        file.seek(len(header) + 512 * 512 * 2 * (8192 // 2))
        file.write(b"\x10\x10" * 512 * 100)
        file.truncate(len(header) + 512 * 512 * 2 * 8192)  # sparse
    draw_thumbnail([ct_slice()])  # loads the library
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    thumbnail = draw_thumbnail([path])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024
    assert (thumbnail.shape, thumbnail.modality) == (shape, "MR")
    assert np.ptp(pixels(thumbnail, tmp_path)) == 255


@pytest.mark.parametrize(
    "text",
    [
        "NRRD0004\ntype: short\ndimension: 3\nsizes: 2000 2000 300\nencoding: gzip\nendian: little\n\n",
        "NRRD0004\ntype: short\ndimension: 2\nsizes: 20000 20000\nencoding: raw\nendian: little\n\n",
    ],
)
def test_large_images_are_not_read(tmp_path: Path, text: str) -> None:
    """An image that would take too long or too much memory gets no picture, but its shape."""
    thumbnail = draw_thumbnail([written(tmp_path / "a.nrrd", text)])
    assert thumbnail.reason == "it is too large"
    assert thumbnail.shape[:2] in {(2000, 2000), (20000, 20000)}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.mha", b""),
        ("a.png", b"\x89PNG\r\n\x1a\nno picture"),
        ("a.dcm", ct_slice().read_bytes()[:200]),
        ("a.xyz", b"text"),
        ("\udcff.mha", b""),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: bytes) -> None:
    """A file that is not an image gets no picture."""
    path = written(tmp_path / name, content)
    assert draw_thumbnail([path]) == Thumbnail(reason="SimpleITK cannot read it")
    assert draw_thumbnail([tmp_path / "missing.mha"]).reason == "SimpleITK cannot read it"


def test_series_is_ordered_by_position(tmp_path: Path) -> None:
    """The middle slice of a DICOM series is that in space, whatever the files are called."""
    for number, path in enumerate(series(tmp_path, 5)):
        dataset = dcmread(path)
        if number == 2:
            dataset.PixelData = bytes(len(dataset.PixelData) // 2) + b"\x10\x03" * (128 * 64)
        dataset.ImagePositionPatient[2] = 2.5 * number
        dataset.save_as(tmp_path / f"{'ebdca'[number]}.IMA")
        path.unlink()

    thumbnail = draw_thumbnail(list(tmp_path.iterdir()))

    shown = pixels(thumbnail, tmp_path)
    assert set(np.unique(shown[:120])) | set(np.unique(shown[136:])) == {0, 255}
    assert thumbnail.shape == (128, 128, 5)
    assert thumbnail.spacing == pytest.approx((0.661468, 0.661468, 2.5))
    assert thumbnail.modality == "CT"


def test_long_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long DICOM series, a part of the headers is read, and the middle and the distance are right."""
    monkeypatch.setattr(dicom_series, "MAX_HEADERS", 4)
    files = series(tmp_path, 10)
    found = dicom_series.find_middle(sitk, files[::-1])
    assert (found.middle.name, found.count, found.distance) == ("slice-6.dcm", 10, 1.0)
    # Names that are not in the order of slices say nothing about the distance.
    files[0].rename(tmp_path / "slice-5b.dcm")
    found = dicom_series.find_middle(sitk, list(tmp_path.iterdir()))
    assert (found.count, found.distance) == (10, 0.0)


@pytest.mark.parametrize(
    "tags",
    [
        {"BurnedInAnnotation": "YES"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"ImageType": ["ORIGINAL", "PRIMARY", "LABEL", "NONE"]},
        {"SpecimenLabelInImage": "YES"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
        {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1"},
    ],
)
def test_burned_in_text_is_not_shown(tmp_path: Path, tags: dict[str, Any]) -> None:
    """Pixels that may show a name are not drawn, and modality codes that are something else are left out."""
    (path,) = series(tmp_path, 1, Modality="DOE JOHN", **tags)
    thumbnail = draw_thumbnail([path])
    assert (thumbnail.png, thumbnail.modality) == (b"", "")
    assert thumbnail.reason == "its pixels may include text, such as a name"
    assert thumbnail.shape == (128, 128)


def test_inverted_dicom(tmp_path: Path) -> None:
    """MONOCHROME1 is shown with its low values bright, as by every viewer."""
    (plain,) = series(tmp_path, 1)
    expected = pixels(draw_thumbnail([plain]), tmp_path)
    (inverted,) = series(tmp_path, 1, PhotometricInterpretation="MONOCHROME1")
    shown = pixels(draw_thumbnail([inverted]), tmp_path)
    np.testing.assert_allclose(shown, 255.0 - expected, atol=3)


def test_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SimpleITK, the error says what to install."""
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[images\]'"):
        draw_thumbnail([ct_slice()])
