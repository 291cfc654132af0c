"""A few of the random runs of `tests/support/chaos.py`, always the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.chaos import World, new_world, run_once


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Start what all runs share."""
    with new_world() as running:
        yield running


@pytest.mark.parametrize("seed", range(10))
def test_random_faults_lose_nothing_and_do_nothing_twice(world: World, seed: int) -> None:
    """Whatever faults strike a workflow, there is what was asked for, once, or an error that names what there is."""
    assert run_once(world, seed) == ""
