"""A sandbox that is killed many times."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.support import sandbox_kills

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.mark.parametrize("seed", range(4))
def test_what_was_answered_survives_many_kills(tmp_path: Path, seed: int) -> None:
    """A sandbox that is killed twenty times at random keeps every completed request, and leaves nothing else."""
    rng, changes = Random(seed), sandbox_kills.Changes()
    for _ in range(20):
        sandbox_kills.run_and_kill(tmp_path, changes, rng)
    sandbox_kills.check_at_the_end(tmp_path, changes)
    assert changes.answered > 100
