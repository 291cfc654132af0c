"""Import of images: files are read by SimpleITK and written as compressed `.mha` files."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._imaging.simpleitk import load_sitk

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLOR_SPACES = {1: "GRAY", 3: "RGB", 4: "RGBA"}
_SUFFIXES_WITHOUT_SPACING = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_MAX_LABEL = 255
_DATA_SUFFIXES = (".raw", ".zraw", ".raw.gz", ".img", ".img.gz")
#: The names of data files in the headers of MetaImage and NRRD.
_DATA_FILE = re.compile(r"^(?:ElementDataFile|data ?file)\s*[=:]\s*(?:\./)?(.+?)\s*$", re.MULTILINE)
_PAIRED_SUFFIXES = (".hdr", ".hdr.gz")
_NIFTI_SUFFIXES = (".nii", ".nii.gz", *_PAIRED_SUFFIXES)
_JPEG_SUFFIXES, _JPEG_END = (".jpg", ".jpeg"), b"\xff\xd9"
_GZIP = b"\x1f\x8b"
_VOLUME = 3
_DICOM_PREFIX = slice(128, 132)


@dataclass
class ImportedImage:
    """An imported image: the path of its `.mha`, and its properties in the API."""

    name: str
    path: Path
    color_space: str
    shape: list[int]
    spacing: list[float]
    segments: list[int] | None
    tags: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class ImportResult:
    """The images of a folder, and the names of the files that could not be imported."""

    images: list[ImportedImage]
    failed: list[str]


def import_images(folder: Path, target: Path) -> ImportResult:
    """Import all images of a folder; a header with its data, or a DICOM series, is one image."""
    unused = {path.name for path in folder.iterdir()}
    images: list[ImportedImage] = []
    for files in _groups(folder):
        try:
            imported = _import(files, target / f"{len(images)}.mha")
        except RuntimeError:  # SimpleITK's error for every file that it cannot read
            continue
        images.append(imported)
        unused -= {path.name for path in files} | _data_files(files[0])
    return ImportResult(images, sorted(unused))


def is_dicom(path: Path) -> bool:
    """Return whether a file has the signature of a DICOM file."""
    with path.open("rb") as file:
        return file.read(_DICOM_PREFIX.stop)[_DICOM_PREFIX] == b"DICM"


def _groups(folder: Path) -> Iterator[list[Path]]:
    """Yield the files of each image."""
    files = sorted(folder.iterdir())
    dicom = {path for path in files if is_dicom(path)}
    yield from (
        [path]
        for path in files
        if path not in dicom and not path.name.lower().endswith(_DATA_SUFFIXES)
    )
    if dicom:
        yield from _series(folder)


def _data_files(header: Path) -> set[str]:
    """Return the names of the files that have the data of a header."""
    name = header.name.lower()
    if name.endswith(_PAIRED_SUFFIXES):
        stem = header.name[: name.rindex(".hdr")]
        return {f"{stem}.img", f"{stem}.img.gz"}
    if name.endswith((".mhd", ".nhdr")):
        return set(_DATA_FILE.findall(header.read_text("latin-1")))
    return set()


def _series(folder: Path) -> Iterator[list[Path]]:
    sitk = load_sitk()
    for series in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)):
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series)
        yield [Path(name) for name in names]


def _import(files: list[Path], target: Path) -> ImportedImage:
    sitk = load_sitk()
    names = [str(path) for path in files]
    image = sitk.ReadImage(names if len(names) > 1 else names[0])
    _check_length(files[0], image)
    if image.GetDimension() == _VOLUME and image.GetDepth() == 1 and is_dicom(files[0]):
        image = image[:, :, 0]
    sitk.WriteImage(image, str(target), useCompression=True)
    without_spacing = files[0].suffix.lower() in _SUFFIXES_WITHOUT_SPACING
    return ImportedImage(
        name=files[0].name,
        path=target,
        color_space=_COLOR_SPACES.get(image.GetNumberOfComponentsPerPixel(), ""),
        shape=list(reversed(image.GetSize())),
        spacing=[] if without_spacing else list(image.GetSpacing()),
        segments=_segments(sitk, image),
        tags=_tags(sitk, files[0]),
    )


def _check_length(path: Path, image: Any) -> None:
    """Raise RuntimeError for an image that ends early, which SimpleITK completes with zeros."""
    if path.suffix.lower() in _JPEG_SUFFIXES and _JPEG_END not in path.read_bytes():
        raise RuntimeError("no end of image")
    # An image of another format that was made from NIfTI has its metadata too.
    if path.name.lower().endswith(_NIFTI_SUFFIXES) and image.HasMetaDataKey("nifti_type"):
        sizes = [max(1, int(image.GetMetaData(f"dim[{axis}]"))) for axis in range(1, 8)]
        bits = math.prod(sizes) * int(image.GetMetaData("bitpix"))
        length = float(image.GetMetaData("vox_offset")) + bits / 8
        others = [path.with_name(name) for name in _data_files(path)]
        data = next((other for other in others if other.exists()), path)
        if len(_content(data)) < length:
            raise RuntimeError("pixels are missing")


def _content(path: Path) -> bytes:
    """Return the content of a file, decompressed as far as possible if it is compressed with gzip."""
    data, content = path.read_bytes(), b""
    if not data.startswith(_GZIP):
        return data
    while data.startswith(_GZIP):
        decompressor = zlib.decompressobj(wbits=31)
        try:
            content += decompressor.decompress(data)
        except zlib.error as error:
            raise RuntimeError("damaged") from error
        data = decompressor.unused_data
    return content


def _segments(sitk: Any, image: Any) -> list[int] | None:
    """Return the labels of an image if it can be a segmentation."""
    is_integer = (
        image.GetNumberOfComponentsPerPixel() == 1 and "float" not in image.GetPixelIDTypeAsString()
    )
    if not is_integer or image.GetDimension() > _VOLUME:
        return None
    extremes = sitk.MinimumMaximumImageFilter()
    extremes.Execute(image)
    if extremes.GetMinimum() < 0 or extremes.GetMaximum() > _MAX_LABEL:
        return None
    labels = sitk.LabelShapeStatisticsImageFilter()
    labels.SetBackgroundValue(_MAX_LABEL + 1.0)
    labels.ComputePerimeterOff()
    labels.Execute(sitk.Cast(image, sitk.sitkUInt16))
    return [int(label) for label in labels.GetLabels()]


_TEXT_TAGS = {
    "patient_id": "0010|0020",
    "patient_name": "0010|0010",
    "patient_age": "0010|1010",
    "patient_sex": "0010|0040",
    "study_instance_uid": "0020|000d",
    "series_instance_uid": "0020|000e",
    "study_description": "0008|1030",
    "series_description": "0008|103e",
}
_DATE_TAGS = {"patient_birth_date": "0010|0030", "study_date": "0008|0020"}
_NUMBER_TAGS = {"window_center": "0028|1050", "window_width": "0028|1051"}


def _tags(sitk: Any, path: Path) -> dict[str, Any]:
    """Return the tags of a DICOM file that the API shows."""
    if not is_dicom(path):
        return {}
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    known = {key: reader.GetMetaData(key).strip(" \0") for key in reader.GetMetaDataKeys()}
    return {
        **{name: known[key] for name, key in _TEXT_TAGS.items() if known.get(key)},
        **{name: _iso_date(known[key]) for name, key in _DATE_TAGS.items() if known.get(key)},
        **{
            name: float(known[key].split("\\")[0])
            for name, key in _NUMBER_TAGS.items()
            if known.get(key)
        },
    }


def _iso_date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
