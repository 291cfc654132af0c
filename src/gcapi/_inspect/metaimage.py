"""Headers of MetaImage files (`.mha` and `.mhd`): lines of a key, ``=`` or ``:``, and a value, in any order."""

from __future__ import annotations

import math
import os
import re

from gcapi._inspect.formats import Head
from gcapi._inspect.image_data import Compression, HeaderError, ImageData, numbered_names

#: Bounds of a header, which ends with ElementDataFile; a list of data files may follow.
_MAX_LINES, _MAX_LINE_BYTES = 10_000, 10_000
_HEADER_LINE = re.compile(rb"\s*([^=:]*?)\s*[=:]\s*(.*?)\s*$", re.DOTALL)
#: The length of an element in bytes by the last word of its type, for instance of MET_UCHAR.
_ELEMENT_BYTES = {
    **dict.fromkeys(("CHAR", "UCHAR"), 1),
    **dict.fromkeys(("SHORT", "USHORT"), 2),
    **dict.fromkeys(("INT", "UINT", "LONG", "ULONG", "FLOAT"), 4),
    **dict.fromkeys(("LONG_LONG", "ULONG_LONG", "DOUBLE"), 8),
}


def read_metaimage(head: Head) -> list[ImageData]:
    """Return the data that a MetaImage header declares.

    Raises:
        HeaderError: A field is missing or cannot be read.
    """
    fields, others, end = _read_lines(head)
    name = os.fsdecode(_field(fields, "ElementDataFile")).removeprefix("./")
    length = _length(fields)
    compression: Compression | None = "zlib" if _is_true(fields, "CompressedData") else None
    if name in {"LOCAL", "Local", "local"}:
        return [ImageData(start=end, length=length, compression=compression)]
    start = max(0, _number(fields, "HeaderSize", 0))  # -1: the data are at the end
    is_raw = "HeaderSize" not in fields and compression is None and _is_binary(fields)
    if not (name.startswith("LIST") or "%" in name):
        return [ImageData(name, start, length, compression, is_raw)]
    words = name.split()
    if words[0] == "LIST":
        return _slices(fields, words[1:], [os.fsdecode(line) for line in others], start, length)
    return _slices(fields, [], numbered_names(name, default_step="1"), start, length)


def _slices(
    fields: dict[str, bytes], words: list[str], names: list[str], start: int, length: int | None
) -> list[ImageData]:
    """Return the data in several files; the first word says how many dimensions each of them has."""
    sizes = _sizes(fields)
    dimensions = int(words[0]) if words and words[0].isdecimal() else len(sizes) - 1
    count = math.prod(sizes[dimensions:])
    if len(names) < count:
        raise HeaderError(f"its header names {len(names)} data files for {count} slices")
    part = None if length is None or _is_true(fields, "CompressedData") else length // count
    return [ImageData(name, start, part) for name in names[:count]]


def _read_lines(head: Head) -> tuple[dict[str, bytes], list[bytes], int]:
    """Return the fields of a header, the lines after it if they are a list, and where it ends."""
    fields: dict[str, bytes] = {}
    with head.path.open("rb") as file:
        for _ in range(_MAX_LINES):
            line = file.readline(_MAX_LINE_BYTES)
            if (field := _HEADER_LINE.match(line)) is not None:
                fields[field[1].decode("latin-1")] = field[2]
            if not line or "ElementDataFile" in fields:
                break
        end = file.tell()
        others: list[bytes] = []
        if fields.get("ElementDataFile", b"").startswith(b"LIST"):
            lines = (file.readline(_MAX_LINE_BYTES).strip() for _ in range(_MAX_LINES))
            others = [line for line in lines if line]
    return fields, others, end


def _field(fields: dict[str, bytes], key: str) -> bytes:
    if not fields.get(key):
        raise HeaderError(f"its header has no {key}")
    return fields[key]


def _number(fields: dict[str, bytes], key: str, default: int) -> int:
    try:
        return int(fields.get(key, default))
    except ValueError:
        raise HeaderError(f"{key} in its header is not a whole number") from None


def _is_true(fields: dict[str, bytes], key: str) -> bool:
    return fields.get(key, b"")[:1] in {b"T", b"t", b"1"}


def _is_binary(fields: dict[str, bytes]) -> bool:
    return "BinaryData" not in fields or _is_true(fields, "BinaryData")


def _sizes(fields: dict[str, bytes]) -> list[int]:
    words = _field(fields, "DimSize").split()
    try:
        sizes = [int(float(word)) for word in words[: _number(fields, "NDims", 0)]]
    except ValueError:
        raise HeaderError("DimSize in its header is not a list of whole numbers") from None
    if len(sizes) < _number(fields, "NDims", 0) or min(sizes, default=0) < 1:
        raise HeaderError(
            "DimSize in its header does not have one positive number for each of NDims"
        )
    return sizes


def _length(fields: dict[str, bytes]) -> int | None:
    """Return the declared length of the data as they are stored; `None` if there is none."""
    element = _field(fields, "ElementType").decode("latin-1").removeprefix("MET_")
    size = _ELEMENT_BYTES.get(element.removesuffix("_ARRAY"))
    if size is None:
        raise HeaderError(
            f"ElementType in its header is {element!r}, which is not a type of numbers"
        )
    count = math.prod(_sizes(fields)) * _number(fields, "ElementNumberOfChannels", 1)
    if _is_true(fields, "CompressedData"):
        return _number(fields, "CompressedDataSize", 0) or None
    return count * size if _is_binary(fields) else None
