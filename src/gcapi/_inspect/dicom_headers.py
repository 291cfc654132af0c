"""Headers of DICOM files, and the length of their pixel data, which is not read.

Values are kept as they are in the file and converted here, because pydicom's warnings about invalid values show them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

from gcapi._transfer.local_files import local_file_error

#: The attributes that the server requires to be the same in all files of an image set.
SAME_IN_ALL_FILES = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "StudyID",
    "StudyDate",
    "AccessionNumber",
    "SeriesNumber",
)
_OTHER_ATTRIBUTES = (
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BurnedInAnnotation",
    "SpecimenLabelInImage",
)
_DEFLATED = "1.2.840.10008.1.2.1.99"
_UNCOMPRESSED = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", _DEFLATED}
)
#: The beginning of the UIDs of all transfer syntaxes in the standard.
STANDARD_SYNTAXES = "1.2.840.10008.1.2"
#: The fraction of the samples that is stored, by photometric interpretation.
_SUBSAMPLING = {"YBR_FULL_422": (2, 3), "YBR_PARTIAL_422": (2, 3), "YBR_PARTIAL_420": (1, 2)}
#: No attribute above is longer than this in a valid file, in bytes.
_MAX_VALUE_BYTES = 4096
_UNDEFINED_LENGTH = 0xFFFFFFFF
#: The tag of the attribute PixelData.
PIXEL_DATA_TAG = 0x7FE00010
#: The lowest tag of pixel data of any kind.
_FIRST_PIXEL_TAG = 0x7FE00008
#: The tag of pixel data, in both byte orders.
_PIXEL_DATA_TAGS: dict[bytes, Literal["little", "big"]] = {
    b"\xe0\x7f\x10\x00": "little",
    b"\x7f\xe0\x00\x10": "big",
}
_LONG_VRS = (b"OB", b"OW", b"UN")


@dataclass(frozen=True)
class PixelData:
    """The pixel data of a file.

    Attributes:
        length: Their length in the file, in bytes; of compressed pixel data `None`.
        fragments: The number of fragments of compressed pixel data without the offset table; otherwise `None`.
        is_cut: Whether the file ends inside compressed pixel data.
    """

    length: int | None = None
    fragments: int | None = None
    is_cut: bool = False


@dataclass(frozen=True)
class DicomHeader:
    """The header of a DICOM file.

    Attributes:
        media_class: The SOP class in the file meta group.
        transfer_syntax: The UID of the transfer syntax; empty if the file has none.
        values: The raw values of attributes, by keyword.
        byte_order: The byte order of numbers.
        pixels: The pixel data; `None` if there are none.
    """

    media_class: str
    transfer_syntax: str
    values: Mapping[str, bytes]
    byte_order: Literal["little", "big"]
    pixels: PixelData | None

    def text(self, keyword: str) -> str:
        """Return the value of an attribute as text; empty if it has none."""
        return self.values.get(keyword, b"").decode("latin-1").strip(" \0")

    def shared(self, keyword: str) -> str:
        """Return the value of an attribute that is the same in all files of an image set, in one notation."""
        text = self.text(keyword)
        return text.lstrip("+0") if keyword == "SeriesNumber" else text

    def integer(self, keyword: str) -> int:
        """Return the value of a binary attribute of 16 bits; 0 if it has none."""
        return int.from_bytes(self.values.get(keyword, b"")[:2], self.byte_order)

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """Return the values of an attribute of numbers as text; empty if it has none or they are invalid."""
        try:
            numbers = tuple(float(part) for part in self.text(keyword).split("\\"))
        except ValueError:
            return ()
        return numbers if all(map(math.isfinite, numbers)) else ()

    @property
    def frames(self) -> int:
        """The number of frames."""
        return max(1, int(next(iter(self.numbers("NumberOfFrames")), 1)))

    @property
    def is_compressed(self) -> bool:
        """Return whether the transfer syntax compresses pixel data."""
        return bool(self.transfer_syntax) and self.transfer_syntax not in _UNCOMPRESSED

    @property
    def declared_bytes(self) -> int:
        """The length that uncompressed pixel data should have, without padding."""
        samples = (
            self.integer("Rows")
            * self.integer("Columns")
            * (self.integer("SamplesPerPixel") or 1)
            * self.frames
        )
        stored, of = _SUBSAMPLING.get(self.text("PhotometricInterpretation"), (1, 1))
        return math.ceil(samples * stored // of * self.integer("BitsAllocated") / 8)


def read_dicom_header(path: Path) -> DicomHeader:
    """Return the header of a DICOM file, with or without the DICM mark.

    Reads once through the headers of its elements and of its compressed frames. The content of pixel data is not
    read, unless the data set is deflated.

    Raises:
        SpecFileError: It cannot be read.
        ValueError: It is not DICOM, or damaged; the message does not show its content.
    """
    try:
        with path.open("rb") as file:
            return _parsed(file, path.stat().st_size)
    except OSError as error:
        raise local_file_error(path, error) from error
    except Exception as error:
        # pydicom raises various errors for files that are not DICOM.
        raise ValueError(type(error).__name__) from error


@cache
def _keywords() -> dict[int, str]:
    """Return the keywords of the attributes that are read, by tag."""
    from pydicom.datadict import keyword_dict

    return {keyword_dict[keyword]: keyword for keyword in (*SAME_IN_ALL_FILES, *_OTHER_ATTRIBUTES)}


def _parsed(file: BinaryIO, size: int) -> DicomHeader:
    from pydicom.filereader import read_partial

    keywords = _keywords()
    dataset = read_partial(
        file,
        # Comparing the tags of pydicom takes a tenth of the time.
        lambda tag, _vr, _length: int(tag) >= _FIRST_PIXEL_TAG,
        defer_size=_MAX_VALUE_BYTES,
        force=True,
        specific_tags=list(keywords),
    )
    # Converted elements, which have no byte order, are sequences, which none of these attributes is in a valid file.
    elements: dict[str, Any] = {
        keywords[element.tag]: element
        for element in dataset.elements()
        if element.tag in keywords and hasattr(element, "is_little_endian")
    }
    is_little_endian = all(element.is_little_endian for element in elements.values())
    transfer_syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    return DicomHeader(
        str(dataset.file_meta.get("MediaStorageSOPClassUID", "")),
        transfer_syntax,
        {keyword: element.value or b"" for keyword, element in elements.items()},
        "little" if is_little_endian else "big",
        _deflated_pixels(file) if transfer_syntax == _DEFLATED else _pixels(file, size),
    )


def _deflated_pixels(file: BinaryIO) -> PixelData | None:
    from pydicom.filereader import read_partial
    from pydicom.tag import BaseTag

    file.seek(0)
    dataset = read_partial(file, force=True, specific_tags=[BaseTag(PIXEL_DATA_TAG)])
    found = "PixelData" in dataset
    return PixelData(len(dataset.get_item("PixelData").value or b"")) if found else None


def _pixels(file: BinaryIO, size: int) -> PixelData | None:
    """Return the pixel data of a file that is positioned at their element."""
    start = file.read(8)
    order = _PIXEL_DATA_TAGS.get(start[:4])
    if order is None:
        return None
    length = int.from_bytes(file.read(4) if start[4:6] in _LONG_VRS else start[4:], order)
    if length == _UNDEFINED_LENGTH:
        return _compressed_pixels(file, size)
    return PixelData(max(0, min(length, size - file.tell())))


def _compressed_pixels(file: BinaryIO, size: int) -> PixelData:
    items = 0
    while (header := file.read(8))[:4] == b"\xfe\xff\x00\xe0" and file.tell() <= size:
        file.seek(int.from_bytes(header[4:], "little"), 1)
        items += 1
    is_cut = header[:4] != b"\xfe\xff\xdd\xe0"
    return PixelData(fragments=max(0, items - 1), is_cut=is_cut)
