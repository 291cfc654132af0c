"""How a file is cut: into the parts of an upload, and into the ranges of a download. Arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass

MEBI = 1024 * 1024
#: The store's rules: at most this many parts, each but the last of at least this many bytes.
MAX_PARTS, MIN_PART_SIZE = 10_000, 5 * MEBI
#: The most that is sent again when a part fails, in bytes, where the rules leave the choice.
PREFERRED_PART_SIZE = 64 * MEBI
#: Below this a range is not worth a request of its own, in bytes.
MIN_RANGE_SIZE = 4 * MEBI
#: The part of a file object of unknown length, in bytes, doubled after every `STREAM_STEP` parts: 10,000 of them
#: hold more than the store's largest object.
STREAM_PART_SIZE, STREAM_STEP = 8 * MEBI, 1_000


@dataclass(frozen=True)
class Part:
    """A part of an upload, or a range of a download.

    Attributes:
        number: Counted from 1.
        offset: Where it begins, in bytes.
        length: How long it is, in bytes.
    """

    number: int
    offset: int
    length: int


def part_size(size: int, connections: int) -> int:
    """Return the size of a file's parts in bytes, such that they fill whole rounds of the connections.

    Args:
        size: The file's length in bytes.
        connections: How many parts travel at once.
    """
    most_rounds = max(1, MAX_PARTS // connections)
    return max(_even(size, connections, most_rounds), MIN_PART_SIZE, -(-size // MAX_PARTS))


def stream_part_size(number: int) -> int:
    """Return the size of a part whose file's length is not known, in bytes, by the part's number from 1."""
    return STREAM_PART_SIZE << (number - 1) // STREAM_STEP


def range_size(size: int, connections: int) -> int:
    """Return the size of the ranges in bytes that fill whole rounds of the connections."""
    return max(_even(size, connections, size), MIN_RANGE_SIZE)


def split(size: int, piece: int, *, start: int = 0) -> list[Part]:
    """Cut a file into pieces of one size, the last one shorter; an empty file is one empty piece.

    Args:
        size: The file's length in bytes.
        piece: The size of a piece in bytes.
        start: The offset to begin at.
    """
    offsets = range(start, size, piece) or (start,)
    return [
        Part(number, offset, min(piece, size - offset))
        for number, offset in enumerate(offsets, start=1)
    ]


def connections_for(size: int, total: int, connections: int) -> int:
    """Return how many of the connections a file gets, by its share of all that is sent in a call; at least 1."""
    return max(1, round(connections * size / total)) if total else 1


def _even(size: int, connections: int, most_rounds: int) -> int:
    rounds = max(1, min(most_rounds, -(-size // (connections * PREFERRED_PART_SIZE))))
    return -(-size // (rounds * connections))
