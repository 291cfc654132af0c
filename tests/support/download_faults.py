"""Helpers of the tests of downloads from a store that fails."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gcapi._transfer.parts import MEBI, MIN_RANGE_SIZE
from gcapi._transfer.range_reader import FIRST_RANGE
from tests.support.data import everything_below
from tests.support.servers.api_and_store import TAG, asked, served, store_answer
from tests.support.servers.loopback import Script, Seen

BYTES = random.Random(3).randbytes(16 * MEBI)
SMALL = BYTES[:300_000]
LARGE = BYTES[: FIRST_RANGE + MIN_RANGE_SIZE + 1_000_000]


def store_of(content: bytes, tag: str = TAG, **headers: str) -> Script:
    """Return the script of a correct store."""
    return lambda seen: store_answer(seen, content, tag, **headers)


def start_of(seen: Seen) -> int:
    """Return the first byte of the requested range."""
    return (asked(seen) or (0, None))[0]


def assert_fails(script: Script, directory: Path, error: type[Exception], match: str = "") -> int:
    """Check that a download fails and leaves nothing, and return the number of requests to the store."""
    with served(script) as pair:
        with pytest.raises(error, match=match):
            pair.download(directory)
        assert everything_below(directory) == set()
        return len(pair.store.seen)
