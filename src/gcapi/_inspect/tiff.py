"""Directories of TIFF and BigTIFF files, which say where strips and tiles are.

Of each directory, the ends of its tables of offsets and lengths are read, of at most `_MAX_PAGES` directories.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from io import RawIOBase
from typing import Any

from gcapi._inspect.formats import Head
from gcapi._inspect.image_data import HeaderError, ImageData

_MAX_PAGES = 1000
_MAX_FIELDS = 2**16
#: The number of entries that are read from the end of a table; a file is truncated at its end.
_MAX_ENTRIES = 256
#: The tags of the offsets and the lengths of strips, and of tiles.
_OFFSET_TABLES = ((273, 279), (324, 325))
#: Formats of integers, by the type of a field.
_INTEGERS = {3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}


def read_tiff(head: Head) -> list[ImageData]:
    """Return the data of a TIFF file: all up to the end of its last strip, tile, table or directory.

    Raises:
        HeaderError: It has no directory.
    """
    order = "<" if head.data.startswith(b"I") else ">"
    is_big = b"+" in head.data[:4]
    with head.path.open("rb", buffering=0) as file:
        return [ImageData(length=_Reader(file, head.size, order, is_big).end())]


class _Reader:
    """A reader of the directories of a file."""

    def __init__(self, file: RawIOBase, size: int, order: str, is_big: bool) -> None:
        self._file, self._size, self._order = file, size, order
        self._first = 8 if is_big else 4  # where the offset of the first directory is
        self._count, self._word = ("Q", "Q") if is_big else ("H", "I")

    def end(self) -> int:
        """Return the end of the data that the directories declare."""
        entry = f"HH{self._word}{self._length(self._word)}s"
        offset = self._integer(self._word, self._first)
        seen: set[int] = set()
        end = 0
        while offset and offset not in seen and len(seen) < _MAX_PAGES and end <= self._size:
            seen.add(offset)
            start = offset + self._length(self._count)
            if start > self._size:
                return start
            count = self._integer(self._count, offset)
            if count > _MAX_FIELDS:
                raise HeaderError("its image directory is damaged")
            following = start + count * self._length(entry)
            end = max(end, following + self._length(self._word))
            if end > self._size:
                return end
            values = self._read(entry * count, start)
            fields = {values[at]: values[at : at + 4] for at in range(0, len(values), 4)}
            end = max(end, *(self._end_of(fields, *tags) for tags in _OFFSET_TABLES))
            offset = self._integer(self._word, following)
        if not seen:
            raise HeaderError("it has no image directory")
        return end

    def _end_of(self, fields: dict[int, Any], offsets: int, lengths: int) -> int:
        """Return the end of the strips or tiles of a directory; 0 if it has none."""
        if offsets not in fields or lengths not in fields:
            return 0
        tables = [self._table(fields[tag]) for tag in (offsets, lengths)]
        (starts, first_end), (sizes, second_end) = tables
        end = max(first_end, second_end)
        if end > self._size:
            return end
        return max([end, *(map(sum, zip(starts, sizes, strict=False)))])

    def _table(self, field: tuple[int, int, int, bytes]) -> tuple[Sequence[int], int]:
        """Return the last integers of a field, and where they end in the file if they are outside of the directory."""
        _, kind, count, value = field
        integer = _INTEGERS.get(kind)
        if integer is None or not count:
            return [], 0
        size = self._length(integer)
        if size * count <= len(value):
            return struct.unpack_from(f"{self._order}{count}{integer}", value), 0
        (offset,) = struct.unpack(f"{self._order}{self._word}", value)
        end = offset + size * count
        if end > self._size:
            return [], end
        number = min(count, _MAX_ENTRIES)
        return self._read(f"{number}{integer}", end - size * number), end

    def _integer(self, layout: str, offset: int) -> int:
        return int(self._read(layout, offset)[0])

    def _length(self, layout: str) -> int:
        return struct.calcsize(self._order + layout)

    def _read(self, layout: str, offset: int) -> tuple[Any, ...]:
        self._file.seek(offset)
        data = self._file.read(self._length(layout)) or b""
        try:
            return struct.unpack(self._order + layout, data)
        except struct.error:
            raise HeaderError("it ends within its header") from None
