"""Formats of files, recognised by their content rather than by their names."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path, PurePath

from gcapi._transfer.local_files import local_file_error

#: The first bytes of a file, which are enough to recognise its format; ITK looks as far for MetaImage.
HEAD_BYTES = 8192
#: Suffixes of the data of images that need a header.
DATA_SUFFIXES = frozenset({".img", ".img.gz", ".raw", ".raw.gz", ".zraw"})
#: Suffixes of images, apart from DICOM.
IMAGE_SUFFIXES = frozenset(
    (".mha", ".mhd", ".nii", ".nii.gz", ".nrrd", ".nhdr", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
) | {".ome.tif", ".ome.tiff", ".svs", ".ndpi", ".vms", ".scn", ".mrxs", ".bif"}
#: Suffixes of files that are DICOM if no other format is recognised.
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})


class Format(StrEnum):
    """A format of files; the value is its name in messages."""

    ANALYZE = "Analyze"
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
    def suffix(self) -> str:
        """The suffix in lower case, such as ``.nii`` or ``.nii.gz``."""
        name = PurePath(self.path.name.lower())
        return PurePath(name.stem).suffix + ".gz" if name.suffix == ".gz" else name.suffix

    @cached_property
    def format(self) -> Format:
        """The format that the content says."""
        return format_of(self.data)

    @cached_property
    def content(self) -> bytes:
        """The beginning of the content, which is decompressed if the file is compressed with gzip."""
        if self.format != Format.GZIP:
            return self.data
        try:
            return zlib.decompressobj(wbits=31).decompress(self.data, HEAD_BYTES)
        except zlib.error:
            return b""


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
#: The length of the header in its first four bytes, and the mark that NIfTI has, with its offset; both byte orders.
_NIFTI_MARKS = (
    ((b"\x5c\x01\0\0", b"\0\0\x01\x5c"), 344, (b"n+1\0", b"ni1\0")),
    ((b"\x1c\x02\0\0", b"\0\0\x02\x1c"), 4, (b"n+2\0", b"ni2\0")),
)
#: The field without which no reader takes a file as MetaImage, at the beginning of any line.
_METAIMAGE_FIELD = re.compile(rb"^(?:\xef\xbb\xbf)?[ \t]*NDims[ \t]*[=:]", re.MULTILINE)
#: DICOM without its preamble: the first element of the file meta group or of the data set, with a VR or a short length.
_BARE_DICOM = re.compile(
    rb"(?:\x02\0[\0\x01]|\x08\0[\0\x01\x05\x08\x12-\x18])\0(?:[A-Z]{2}|[\x02-\x40]\0\0\0)"
    rb"|\0\x08\0[\0\x01\x05\x08\x12-\x18][A-Z]{2}"
)


def format_of(data: bytes) -> Format:
    """Return the format of a file from its first bytes."""
    if not data:
        return Format.EMPTY
    if data[128:132] == b"DICM" or _BARE_DICOM.match(data):
        return Format.DICOM
    for signature, found in _FORMATS_BY_SIGNATURE:
        if data.startswith(signature):
            return found
    for lengths, offset, marks in _NIFTI_MARKS:
        if data.startswith(lengths):
            return Format.NIFTI if data.startswith(marks, offset) else Format.ANALYZE
    return Format.METAIMAGE if _METAIMAGE_FIELD.search(data) else Format.UNKNOWN
