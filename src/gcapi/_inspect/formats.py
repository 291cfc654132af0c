"""Formats of files, recognised by their content rather than by their names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gcapi._transfer.local_files import local_file_error

#: The number of bytes at the beginning of a file that is enough to recognise its format.
HEAD_BYTES = 4096


class Format(StrEnum):
    """A format of files; the value is its name in messages."""

    DICOM = "DICOM"
    EMPTY = "empty"
    GZIP = "gzip"
    JPEG = "JPEG"
    JSON = "JSON"
    METAIMAGE = "MetaImage"
    NIFTI = "NIfTI"
    NRRD = "NRRD"
    PDF = "PDF"
    PNG = "PNG"
    TIFF = "TIFF"
    ZIP = "ZIP"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Head:
    """The beginning of a file.

    Attributes:
        path: The file.
        size: Its length in bytes.
        data: Its first `HEAD_BYTES` bytes, or all of them if it is shorter.
    """

    path: Path
    size: int
    data: bytes

    @property
    def format(self) -> Format:
        """The format that the content says."""
        return format_of(self.data)


def read_head(path: Path) -> Head:
    """Return the beginning of a file.

    Raises:
        SpecFileError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(HEAD_BYTES)
            return Head(path, file.seek(0, 2), data)
    except OSError as error:
        raise local_file_error(path, error) from error


#: Formats by the bytes that they begin with.
_FORMATS_BY_SIGNATURE = (
    (b"\x89PNG\r\n\x1a\n", Format.PNG),
    (b"\xff\xd8\xff", Format.JPEG),
    (b"II*\0", Format.TIFF),
    (b"MM\0*", Format.TIFF),
    (b"II+\0", Format.TIFF),
    (b"MM\0+", Format.TIFF),
    (b"NRRD", Format.NRRD),
    (b"\x1f\x8b", Format.GZIP),
    (b"%PDF-", Format.PDF),
    (b"PK\x03\x04", Format.ZIP),
)


def format_of(data: bytes) -> Format:
    """Return the format of a file from its first bytes."""
    if not data:
        return Format.EMPTY
    if data[128:132] == b"DICM":
        return Format.DICOM
    for signature, found in _FORMATS_BY_SIGNATURE:
        if data.startswith(signature):
            return found
    return Format.UNKNOWN
