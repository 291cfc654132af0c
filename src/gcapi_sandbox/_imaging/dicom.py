"""DICOM image sets, whose files are kept unchanged."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gcapi_sandbox._imaging.image_import import is_dicom
from gcapi_sandbox._imaging.simpleitk import load_sitk

if TYPE_CHECKING:
    from gcapi_sandbox._database.records import Instance

# Tags that must be equal in all files of an image set.
_SHARED_TAGS = {
    "StudyInstanceUID": "0020|000d",
    "SeriesInstanceUID": "0020|000e",
    "PatientID": "0010|0020",
    "StudyID": "0020|0010",
    "StudyDate": "0008|0020",
    "AccessionNumber": "0008|0050",
    "SeriesNumber": "0020|0011",
}
_SOP_INSTANCE_UID = "0008|0018"
_NUMBER_OF_FRAMES = "0028|0008"
_PLANE = 2


class DicomError(Exception):
    """Raised when files are not one image set; the message says why."""


@dataclass(frozen=True)
class DicomFile:
    """A file of an image set, and its tags that are needed later."""

    path: Path
    sop_instance_uid: str
    frames: int
    shared: dict[str, str]


def read_image_set(paths: list[Path]) -> list[DicomFile]:
    """Read the files of an image set; raise DicomError if they do not belong together."""
    files = [_read(path) for path in paths]
    if not files:
        raise DicomError("No DICOM files")
    for name in _SHARED_TAGS:
        if len({file.shared[name] for file in files}) > 1:
            raise DicomError(f"The files do not agree on {name}")
    if len({file.sop_instance_uid for file in files}) < len(files):
        raise DicomError("Several files have the same SOPInstanceUID")
    return files


def _read(path: Path) -> DicomFile:
    if not is_dicom(path):
        raise DicomError(f"{path.name} is not a DICOM file")
    reader = load_sitk().ImageFileReader()
    reader.SetFileName(str(path))
    reader.LoadPrivateTagsOff()
    try:
        reader.ReadImageInformation()
    except RuntimeError:  # SimpleITK's error for every file that it cannot read
        raise DicomError(f"{path.name} could not be read") from None
    known = reader.GetMetaDataKeys()

    def tag(key: str) -> str:
        return str(reader.GetMetaData(key)).strip(" \0") if key in known else ""

    return DicomFile(
        path=path,
        sop_instance_uid=tag(_SOP_INSTANCE_UID),
        frames=int(tag(_NUMBER_OF_FRAMES) or 1),
        shared={name: tag(key) for name, key in _SHARED_TAGS.items()},
    )


def frame_ids(instance: Instance) -> list[str]:
    """Return the ids of the frames of an instance in order."""
    names = (f"{instance.sop_instance_uid}.{number}" for number in range(instance.frames))
    return [uuid.uuid5(uuid.NAMESPACE_OID, name).hex for name in names]


def read_frame(path: Path, number: int) -> bytes:
    """Return the pixels of a frame (counted from 0), little-endian and uncompressed."""
    sitk = load_sitk()
    image = sitk.ReadImage(str(path))
    frame = image[:, :, number] if image.GetDimension() > _PLANE else image
    with tempfile.TemporaryDirectory(prefix="gcapi-sandbox-") as folder:
        header = Path(folder) / "frame.mhd"  # with its pixels in a separate .raw file
        sitk.WriteImage(frame, str(header), useCompression=False)
        return header.with_suffix(".raw").read_bytes()
