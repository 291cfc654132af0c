"""The first seeds of the random faults of `tests/support/chaos`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.chaos.runs import run_once
from tests.support.chaos.workflows import World, new_world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Run the sandbox that all runs share."""
    with new_world() as running:
        yield running


@pytest.mark.parametrize("seed", range(10))
def test_random_faults_lose_nothing_and_do_nothing_twice(world: World, seed: int) -> None:
    """After any faults a workflow has done what was asked, once, or raised an error that names what exists."""
    assert run_once(world, seed) == ""
