"""Files become images: read by SimpleITK, written as one compressed `.mha` each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COLOURS = {1: "GRAY", 3: "RGB", 4: "RGBA"}
_WITHOUT_SPACING = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_LARGEST_LABEL = 255
_VOLUME = 3
_DICOM_MARK = slice(128, 132)


@dataclass
class Imported:
    """An image that was read: where its `.mha` is, and what the API tells of it."""

    name: str
    path: Path
    color_space: str
    shape: list[int]
    spacing: list[float]
    segments: list[int] | None
    tags: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass
class Import:
    """The outcome for one folder: its images, and the names of files that were not used."""

    images: list[Imported]
    failed: list[str]


def import_folder(folder: Path, target: Path) -> Import:
    """Read all images of a folder; a header with its data or a DICOM series is one image."""
    unused = {path.name for path in folder.iterdir()}
    images: list[Imported] = []
    for files in _groups(folder):
        try:
            imported = _import(files, target / f"{len(images)}.mha")
        except RuntimeError:  # what SimpleITK raises for everything that it cannot read
            continue
        images.append(imported)
        unused -= {path.name for path in files} | _data_files(files[0])
    return Import(images, sorted(unused))


def is_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM, by its mark."""
    with path.open("rb") as file:
        return file.read(_DICOM_MARK.stop)[_DICOM_MARK] == b"DICM"


def _groups(folder: Path) -> Iterator[list[Path]]:
    """Yield the files that make up one image each."""
    files = sorted(folder.iterdir())
    dicom = {path for path in files if is_dicom(path)}
    yield from ([path] for path in files if path not in dicom and not _is_data(path))
    if dicom:
        yield from _series(folder)


def _is_data(path: Path) -> bool:
    return path.suffix.lower() in (".raw", ".zraw")


def _data_files(header: Path) -> set[str]:
    """Return the names of the data files that a MetaImage header refers to."""
    if header.suffix.lower() != ".mhd":
        return set()
    lines = (line.partition("=") for line in header.read_text("latin-1").splitlines())
    return {value.strip() for key, _, value in lines if key.strip() == "ElementDataFile"}


def _series(folder: Path) -> Iterator[list[Path]]:
    from pathlib import Path

    sitk = load_sitk()
    for series in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)):
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), series)
        yield [Path(name) for name in names]


def load_sitk() -> Any:
    """Import SimpleITK, which takes a moment, and keep it from writing to stderr."""
    sitk: Any = importlib.import_module("SimpleITK")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk


def _import(files: list[Path], target: Path) -> Imported:
    sitk = load_sitk()
    names = [str(path) for path in files]
    image = sitk.ReadImage(names if len(names) > 1 else names[0])
    if image.GetDimension() == _VOLUME and image.GetDepth() == 1 and is_dicom(files[0]):
        image = image[:, :, 0]
    sitk.WriteImage(image, str(target), useCompression=True)
    without_spacing = files[0].suffix.lower() in _WITHOUT_SPACING
    return Imported(
        name=files[0].name,
        path=target,
        color_space=_COLOURS.get(image.GetNumberOfComponentsPerPixel(), ""),
        shape=list(reversed(image.GetSize())),
        spacing=[] if without_spacing else list(image.GetSpacing()),
        segments=_segments(sitk, image),
        tags=_tags(sitk, files[0]),
    )


def _segments(sitk: Any, image: Any) -> list[int] | None:
    """Return the labels of an image that may be a segmentation."""
    whole = (
        image.GetNumberOfComponentsPerPixel() == 1 and "float" not in image.GetPixelIDTypeAsString()
    )
    if not whole or image.GetDimension() > _VOLUME:
        return None
    extremes = sitk.MinimumMaximumImageFilter()
    extremes.Execute(image)
    if extremes.GetMinimum() < 0 or extremes.GetMaximum() > _LARGEST_LABEL:
        return None
    labels = sitk.LabelShapeStatisticsImageFilter()
    labels.SetBackgroundValue(_LARGEST_LABEL + 1.0)
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
    """Return what a DICOM file tells of patient, study, series and window."""
    if not is_dicom(path):
        return {}
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    known = {key: reader.GetMetaData(key).strip(" \0") for key in reader.GetMetaDataKeys()}
    return {
        **{name: known[key] for name, key in _TEXT_TAGS.items() if known.get(key)},
        **{name: _day(known[key]) for name, key in _DATE_TAGS.items() if known.get(key)},
        **{
            name: float(known[key].split("\\")[0])
            for name, key in _NUMBER_TAGS.items()
            if known.get(key)
        },
    }


def _day(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}"
