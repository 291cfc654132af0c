"""kill -9 at any moment, over and over."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from tests.support import killing

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.mark.parametrize("seed", range(4))
def test_what_was_answered_survives_many_kills(tmp_path: Path, seed: int) -> None:
    """After twenty kills at random moments all that was answered is there, whole, and nothing is left over."""
    rng, ledger = Random(seed), killing.Ledger()
    for _ in range(20):
        killing.live(tmp_path, ledger, rng)
    killing.check_in_the_end(tmp_path, ledger)
    assert ledger.answered > 100
