"""The slices of a DICOM set that is de-identified and uploaded: one file, whose identifiers and pixels are changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pattern
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from sizes import SLICE_SIDE, SLICES

if TYPE_CHECKING:
    from pathlib import Path

_ATTRIBUTES: dict[str, Any] = {
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "SOPClassUID": CTImageStorage,
    "Modality": "CT",
    **dict.fromkeys(("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"), "20200102"),
    **dict.fromkeys(("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"), "101112"),
    **dict.fromkeys(("AccessionNumber", "StudyID", "SeriesNumber", "AcquisitionNumber"), "1"),
    **dict.fromkeys(("Manufacturer", "InstitutionName", "StationName", "SoftwareVersions"), "M"),
    **dict.fromkeys(("StudyDescription", "SeriesDescription", "ProtocolName"), "Chest"),
    **dict.fromkeys(("PatientName", "ReferringPhysicianName", "OperatorsName"), "Doe^Jane"),
    "PatientID": "P1",
    "PatientBirthDate": "19500101",
    "PatientSex": "F",
    "PatientAge": "070Y",
    "PatientPosition": "HFS",
    **dict.fromkeys(("SliceThickness", "KVP", "DataCollectionDiameter", "Exposure"), "1"),
    **dict.fromkeys(("ReconstructionDiameter", "GantryDetectorTilt", "TableHeight"), "1"),
    **dict.fromkeys(("ExposureTime", "XRayTubeCurrent", "GeneratorPower", "FocalSpots"), "1"),
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
    "PixelSpacing": ["0.7", "0.7"],
    "SamplesPerPixel": 1,
    "PhotometricInterpretation": "MONOCHROME2",
    "Rows": SLICE_SIDE,
    "Columns": SLICE_SIDE,
    "BitsAllocated": 16,
    "BitsStored": 16,
    "HighBit": 15,
    "PixelRepresentation": 0,
    "WindowCenter": "40",
    "WindowWidth": "400",
    "RescaleIntercept": "-1024",
    "RescaleSlope": "1",
}


def write_slices(folder: Path) -> None:
    """Write the files of one series."""
    folder.mkdir()
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in _ATTRIBUTES.items():
        setattr(dataset, keyword, value)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, keyword, generate_uid())
    length = 2 * SLICE_SIDE**2
    for number in range(SLICES):
        dataset.SOPInstanceUID = generate_uid()
        dataset.InstanceNumber = number + 1
        dataset.ImagePositionPatient = [0, 0, number]
        dataset.PixelData = b"".join(pattern.stretch(number * length, length))
        dataset.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)
