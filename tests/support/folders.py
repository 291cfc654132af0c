"""Small folders of files of many kinds, and folders that cannot be read."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)

NOBODY = 65534
METAIMAGE = (
    "ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = "
)
NRRD = "NRRD0004\ntype: uchar\ndimension: 2\nsizes: 2 2\nencoding: raw\n"
#: A header of Analyze, without its values.
ANALYZE = b"\x5c\x01\x00\x00" + bytes(344)


def metaimage(data_file: str = "LOCAL") -> str:
    """Return an image of 2 × 2 pixels, or its header alone."""
    return f"{METAIMAGE}{data_file}\n" + ("abcd" if data_file == "LOCAL" else "")


def dicom(series: str = "1.2.3", study: str = "1.2", *, is_directory: bool = False) -> bytes:
    """Return a DICOM file of a series without pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage if is_directory else CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def write_tree(folder: Path, contents: Mapping[str, bytes | str]) -> Path:
    """Write files by their relative paths, and return the folder."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


@contextmanager
def folder_of_ordinary_user() -> Iterator[Path]:
    """Yield a folder, and take from the superuser the right to read everything; for blocks without requests."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        is_superuser = os.geteuid() == 0
        if is_superuser:
            os.chown(folder, NOBODY, -1)
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if is_superuser:
                os.seteuid(0)
