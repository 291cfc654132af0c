"""Headers of NRRD files, attached (`.nrrd`) and detached (`.nhdr`): ``key: value`` lines up to a blank line."""

from __future__ import annotations

import math
import os
import re

from gcapi._inspect.formats import Head
from gcapi._inspect.image_data import Compression, HeaderError, ImageData, numbered_names

#: Bounds of a header, which a list of data files ends.
_MAX_LINES, _MAX_LINE_BYTES = 10_000, 10_000
#: The length of an element in bytes, by what its type contains; the first that fits decides.
_TYPE_LENGTHS = (
    (8, ("64", "double")),
    (4, ("32", "float")),
    (2, ("16", "short")),
    (1, ("8", "char")),
    (8, ("long",)),
    (4, ("int",)),
)
_GZIP = frozenset({"gz", "gzip"})


def read_nrrd(head: Head) -> list[ImageData]:
    """Return the data that an NRRD header declares.

    Raises:
        HeaderError: A field is missing or cannot be read.
    """
    fields, others, end = _read_fields(head)
    for key in ("type", "dimension", "sizes", "encoding"):
        if key not in fields:
            raise HeaderError(f"its header has no {key!r}")
    try:
        sizes = [int(word) for word in fields["sizes"].split()]
        skip = int(fields.get("byteskip", 0))
    except ValueError:
        raise HeaderError("its header has a number that is not a whole one") from None
    encoding = fields["encoding"].lower()
    kind = fields["type"].lower()
    element = next(
        (size for size, words in _TYPE_LENGTHS if any(word in kind for word in words)), None
    )
    is_gzip = encoding in _GZIP
    is_plain = encoding == "raw" and "lineskip" not in fields
    length = math.prod(sizes) * element if element and (is_plain or is_gzip) else None
    compression: Compression | None = "gzip" if is_gzip else None
    start = end if "datafile" not in fields else 0
    if is_gzip and length is not None:
        length += max(0, skip)
    else:
        start += max(0, skip)  # -1: the data are at the end
    if "datafile" not in fields:
        return [ImageData(None, start, length, compression)]
    names = _names(fields["datafile"], others)
    parts = length // len(names) if names and length is not None else None
    return [ImageData(name, start, parts, compression, is_plain and not skip) for name in names]


def _names(field: str, others: list[str]) -> list[str]:
    field = field.removeprefix("./")
    if field.split()[:1] == ["LIST"]:
        return others
    return numbered_names(field) if "%" in field else [field]


def _read_fields(head: Head) -> tuple[dict[str, str], list[str], int]:
    """Return the fields of a header, the lines after it if they are a list, and where it ends."""
    fields: dict[str, str] = {}
    others: list[str] = []
    with head.path.open("rb") as file:
        file.readline(_MAX_LINE_BYTES)
        for _ in range(_MAX_LINES):
            line = os.fsdecode(file.readline(_MAX_LINE_BYTES)).strip()
            if not line:
                break
            key, separator, value = line.partition(":")
            if fields.get("datafile", "").startswith("LIST"):
                others.append(line)
            elif separator and not line.startswith("#") and not value.startswith("="):
                fields[re.sub(r"[ _]", "", key.lower())] = value.strip()
        return fields, others, file.tell()
