"""Small DICOM files that are made by the tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, generate_uid

from gcapi._workflows.dicom import Deidentifier

_STUDY, _SERIES = generate_uid(), generate_uid()
SIDE = 4


def dicom_dataset(number: int = 0, **attributes: Any) -> Dataset:
    """Return a small slice of a series; `None` as the value of an attribute removes it.

    Args:
        number: Its number in the series, and its position in mm.
        attributes: Values of attributes by keyword.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values: dict[str, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": generate_uid(),
        "StudyDate": "20200102",
        "AccessionNumber": "ACC-4711",
        "Modality": "CT",
        "PatientName": "Secret^Person",
        "PatientID": "ID-4711",
        "StudyInstanceUID": _STUDY,
        "SeriesInstanceUID": _SERIES,
        "StudyID": "STUDY-4711",
        "SeriesNumber": 1,
        "InstanceNumber": number + 1,
        "ImagePositionPatient": [0, 0, number],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": SIDE,
        "Columns": SIDE,
        "PixelSpacing": [1, 1],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "PixelData": bytes(range(2 * SIDE * SIDE)),
        **attributes,
    }
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OW"
    return dataset


def dicom_file(path: Path, dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> Path:
    """Write a data set as it is, and return the path."""
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "")
    dataset.preamble = dataset.get("preamble") or bytes(128)
    dataset.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    return path


def dicom_series(directory: Path, count: int = 3, **attributes: Any) -> list[Path]:
    """Write the slices of a series, and return their paths."""
    return [
        dicom_file(directory / f"slice-{number}.dcm", dicom_dataset(number, **attributes))
        for number in range(count)
    ]


def deidentified_files(files: Sequence[Path], directory: Path) -> list[Path]:
    """De-identify the files of one image set into a new directory, and return the copies."""
    directory.mkdir(exist_ok=True)
    deidentifier = Deidentifier()
    targets = [directory / f"{number}.dcm" for number in range(len(files))]
    for source, target in zip(files, targets, strict=True):
        deidentifier.clean(source, target)
    return targets
