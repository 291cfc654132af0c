"""Splitting files into upload parts and download ranges."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcapi._transfer.parts import (
    LAST_RANGE_SIZE,
    MAX_PARTS,
    MEBI,
    MIN_PART_SIZE,
    MIN_RANGE_SIZE,
    PREFERRED_PART_SIZE,
    Part,
    connections_for,
    part_size,
    split,
    split_for_reading,
    stream_part_size,
)

TEBI = 1024**4
SIZES = st.one_of(
    st.integers(0, 100),
    st.integers(0, 5 * TEBI),
    st.integers(0, 40).flatmap(
        lambda power: st.sampled_from([2**power - 1, 2**power, 2**power + 1])
    ),
)
CONNECTIONS = st.integers(1, 200)


def count(size: int, piece: int) -> int:
    """Return the number of parts of a file."""
    return max(1, -(-size // piece))


@pytest.mark.parametrize(
    ("size", "connections", "parts", "largest"),
    [
        (0, 10, 1, 0),
        (1, 10, 1, 1),
        (5 * MEBI, 10, 1, 5 * MEBI),
        (5 * MEBI + 1, 10, 2, 5 * MEBI),
        (40 * MEBI, 8, 8, 5 * MEBI),
        (256 * MEBI, 10, 10, -(-256 * MEBI // 10)),
        (640 * MEBI, 10, 10, 64 * MEBI),
        (640 * MEBI + 1, 10, 20, 32 * MEBI + 1),
        (2048 * MEBI, 10, 40, -(-2048 * MEBI // 40)),
        (2048 * MEBI, 1, 32, 64 * MEBI),
        (5 * TEBI, 10, 10_000, -(-5 * TEBI // 10_000)),
        (5 * TEBI, 7, 9_996, -(-5 * TEBI // 9_996)),
    ],
)
def test_parts_of_files(size: int, connections: int, parts: int, largest: int) -> None:
    """Parts are as few and as even as whole rounds of the connections allow."""
    pieces = split(size, part_size(size, connections))
    assert (len(pieces), max(piece.length for piece in pieces)) == (parts, largest)


@given(SIZES, CONNECTIONS)
def test_parts_obey_the_store(size: int, connections: int) -> None:
    """A file of any size has at most 10,000 parts, all but the last of at least 5 MiB."""
    piece = part_size(size, connections)
    assert count(size, piece) <= MAX_PARTS
    assert piece >= MIN_PART_SIZE


@given(SIZES, CONNECTIONS)
def test_parts_fill_whole_rounds(size: int, connections: int) -> None:
    """The parts of a large file fill whole rounds of the connections, and have the same length."""
    piece = part_size(size, connections)
    if piece > MIN_PART_SIZE:
        rounds, rest = divmod(count(size, piece), connections)
        assert rest == 0
        # No more rounds than parts of 64 MiB would take, or than the store has room for.
        wanted = max(1, -(-size // (connections * PREFERRED_PART_SIZE)))
        assert rounds == min(wanted, MAX_PARTS // connections)
    else:
        assert count(size, piece) <= connections


@given(st.integers(0, 100_000), st.integers(1, 10_000), st.integers(0, 100_000))
def test_pieces_cover_the_file_exactly(size: int, piece: int, start: int) -> None:
    """Parts are numbered from 1 and cover the file without gaps."""
    start = min(start, size)
    pieces = split(size, piece, start=start)
    ends = list(accumulate((one.length for one in pieces), initial=start))
    assert [one.number for one in pieces] == list(range(1, len(pieces) + 1))
    assert [one.offset for one in pieces] == ends[:-1]
    assert ends[-1] == size
    assert {one.length for one in pieces[:-1]} <= {piece}
    assert 0 <= pieces[-1].length <= piece


def test_empty_file_is_one_empty_piece() -> None:
    """An empty file has one part, because the store completes no upload without parts."""
    assert split(0, MIN_PART_SIZE) == [Part(1, 0, 0)]


def test_streams_have_room_for_the_largest_object() -> None:
    """10,000 parts of unknown length hold 5 TiB, and none exceeds the store's 5 GiB."""
    sizes = [stream_part_size(number) for number in range(1, MAX_PARTS + 1)]
    assert sum(sizes) >= 5 * TEBI
    assert sizes[:1000] == [8 * MEBI] * 1000
    assert sizes[1000] == 16 * MEBI
    assert sizes == sorted(sizes)
    assert sizes[-1] <= 5 * 1024 * MEBI


@settings(max_examples=30)
@given(st.integers(0, TEBI // 64), st.integers(0, MEBI), CONNECTIONS)
def test_ranges_get_shorter(size: int, start: int, connections: int) -> None:
    """Ranges cover the rest of a file, have 4 to 64 MiB, and the last round has at most 12 MiB for each connection."""
    ranges = split_for_reading(size, min(start, size), connections)
    lengths = [one.length for one in ranges]
    assert [one.offset for one in ranges] == list(accumulate(lengths, initial=min(start, size)))[
        :-1
    ]
    assert sum(lengths) == size - min(start, size)
    assert all(MIN_RANGE_SIZE <= length <= PREFERRED_PART_SIZE for length in lengths[:-1])
    assert lengths == sorted(lengths, reverse=True)
    assert sum(lengths[-connections:]) <= connections * LAST_RANGE_SIZE


def test_ranges_of_the_benchmark() -> None:
    """A file of 256 MiB takes two rounds of ten connections, the second of which is a quarter of it."""
    lengths = [one.length for one in split_for_reading(256 * MEBI, MEBI, 10)]
    assert len(lengths) == 20
    assert sum(lengths[10:]) == pytest.approx(255 * MEBI / 4, abs=20)


@given(st.lists(st.integers(0, TEBI), min_size=1), CONNECTIONS)
def test_shares_are_fair(sizes: list[int], connections: int) -> None:
    """Every file has at least one connection, and a single file has all of them."""
    shares = [connections_for(size, sum(sizes), connections) for size in sizes]
    assert all(1 <= one <= connections for one in shares)
    if sum(sizes) and len(sizes) == 1:
        assert shares == [connections]
