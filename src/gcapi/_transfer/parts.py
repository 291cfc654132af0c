"""Splitting files into the parts of uploads and the ranges of downloads: arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass

MEBI = 1024 * 1024
#: The store's rules: at most this many parts, each but the last of at least this many bytes.
MAX_PARTS, MIN_PART_SIZE = 10_000, 5 * MEBI
#: The size that a part does not exceed where the store's rules leave the choice: a failed part is sent again whole.
PREFERRED_PART_SIZE = 64 * MEBI
#: The smallest range that is worth a request of its own, in bytes.
MIN_RANGE_SIZE = 4 * MEBI
#: The largest range of the last round of a download, in bytes.
LAST_RANGE_SIZE = 12 * MEBI
#: The part size of a file object of unknown length, in bytes, doubled after every `STREAM_STEP` parts: 10,000 parts
#: hold more than the store's largest object.
STREAM_PART_SIZE, STREAM_STEP = 8 * MEBI, 1_000


@dataclass(frozen=True)
class Part:
    """A part of an upload, or a range of a download.

    Attributes:
        number: The number, from 1.
        offset: The offset in the file, in bytes.
        length: The length in bytes.
    """

    number: int
    offset: int
    length: int


def part_size(size: int, connections: int) -> int:
    """Return the part size in bytes with which the parts of a file fill whole rounds of the connections.

    Args:
        size: The file's length in bytes.
        connections: The number of parts that are sent at once.
    """
    most_rounds = max(1, MAX_PARTS // connections)
    return max(_even(size, connections, most_rounds), MIN_PART_SIZE, -(-size // MAX_PARTS))


def stream_part_size(number: int) -> int:
    """Return the size in bytes of a part, by its number, of a file of unknown length."""
    return STREAM_PART_SIZE << (number - 1) // STREAM_STEP


def split(size: int, part_length: int, *, start: int = 0) -> list[Part]:
    """Split a file into parts of one length, the last one shorter; an empty file has one empty part.

    Args:
        size: The file's length in bytes.
        part_length: The length of a part in bytes.
        start: The offset of the first part.
    """
    offsets = range(start, size, part_length) or (start,)
    return [
        Part(number, offset, min(part_length, size - offset))
        for number, offset in enumerate(offsets, start=1)
    ]


def split_for_reading(size: int, start: int, connections: int) -> list[Part]:
    """Split the rest of a file into rounds of one range for each connection.

    A round is three quarters of what is left, and the last one what is left then, so that there are few requests, all
    connections end together, and little is left to be hashed after the last byte.

    Args:
        size: The file's length in bytes.
        start: The offset of the first range.
        connections: The number of ranges that are read at once.
    """
    ranges: list[Part] = []
    while start < size:
        share = -(-(size - start) // connections)
        if share > LAST_RANGE_SIZE:
            share = -(-3 * share // 4)
        length = min(max(share, MIN_RANGE_SIZE), PREFERRED_PART_SIZE)
        end = min(size, start + connections * length)
        for offset in range(start, end, length):
            ranges.append(Part(len(ranges) + 1, offset, min(length, end - offset)))
        start = end
    return ranges


def connections_for(size: int, total: int, connections: int) -> int:
    """Return a file's share of the connections, by its share of all bytes of the call; at least 1."""
    return max(1, round(connections * size / total)) if total else 1


def _even(size: int, connections: int, most_rounds: int) -> int:
    rounds = max(1, min(most_rounds, -(-size // (connections * PREFERRED_PART_SIZE))))
    return -(-size // (rounds * connections))
