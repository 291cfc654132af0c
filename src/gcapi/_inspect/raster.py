"""Ends of PNG and JPEG files, which are compressed: their marks say where the data end."""

from __future__ import annotations

import struct
from io import RawIOBase

from gcapi._inspect.formats import Head
from gcapi._inspect.image_data import BLOCK_BYTES, HeaderError, ImageData

_PNG_SIGNATURE_BYTES = 8
#: The length, the type and the checksum of a PNG chunk, without its data.
_CHUNK_BYTES = 12
_MARK, _START_OF_SCAN, _END_OF_IMAGE = 0xFF, 0xDA, b"\xff\xd9"
#: JPEG markers without a length.
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})
#: The length of the end of a JPEG file that is searched first, in bytes.
_TAIL_BYTES = 4096


def read_png(head: Head) -> list[ImageData]:
    """Return the data of a PNG file: its chunks up to IEND, of which only the headers are read.

    Raises:
        HeaderError: It does not begin with IHDR.
    """
    if head.data[12:16] != b"IHDR":
        raise HeaderError("it does not begin with a chunk IHDR")
    end, kind = _PNG_SIGNATURE_BYTES, b""
    with head.path.open("rb", buffering=0) as file:
        while kind != b"IEND" and end <= head.size:
            file.seek(end)
            length, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
            end += _CHUNK_BYTES + length
    return [ImageData(length=end)]


def read_jpeg(head: Head) -> list[ImageData]:
    """Return the data of a JPEG file, whose length is not declared.

    The end of the file is searched for the end-of-image marker; only if it is not there, all of the file.

    Raises:
        HeaderError: It has no such marker after the beginning of its pixels.
    """
    with head.path.open("rb", buffering=0) as file:
        scan = _start_of_scan(file)
        if not any(_has_end(file, start) for start in (max(scan, head.size - _TAIL_BYTES), scan)):
            raise HeaderError("it ends before its end-of-image marker, so that pixels are missing")
    return [ImageData()]


def _start_of_scan(file: RawIOBase) -> int:
    """Return where the pixels begin, after the segments of the header."""
    offset = 2
    while True:
        file.seek(offset)
        segment = file.read(4) or b""
        if len(segment) < 4:  # noqa: PLR2004 - as many as are read
            raise HeaderError("it ends within its header")
        mark, kind, length = struct.unpack(">BBH", segment)
        if mark != _MARK or kind == _START_OF_SCAN:  # readers skip bytes between segments
            return offset
        # A marker may be preceded by fill bytes.
        offset += 1 if kind == _MARK else 2 if kind in _BARE_MARKERS else 2 + length


def _has_end(file: RawIOBase, start: int) -> bool:
    file.seek(start)
    last = b""
    while block := file.read(BLOCK_BYTES):
        if _END_OF_IMAGE in last + block:
            return True
        last = block[-1:]
    return False
