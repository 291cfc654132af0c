"""kill -9 at any moment."""

from __future__ import annotations

from pathlib import Path
from random import Random

import killing


def test_what_was_answered_survives_kills(tmp_path: Path) -> None:
    """After kills at random moments all that was answered is there, whole, and nothing is left over."""
    rng, ledger = Random(5), killing.Ledger()
    for _ in range(3):
        killing.live(tmp_path, ledger, rng)
    killing.check_in_the_end(tmp_path, ledger)
    assert ledger.answered > 0
