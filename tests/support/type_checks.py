"""The cache of mypy, for tests that run it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copy_mypy_cache(target: Path) -> None:
    """Copy what mypy knows from `make check`, if it ran here: without a cache, it reads other packages for 15 s."""
    kept = ROOT / ".mypy_cache"
    for source in kept.rglob("*.db"):
        copied = target / source.relative_to(kept)
        copied.parent.mkdir(parents=True, exist_ok=True)
        # Another process may write to it meanwhile.
        with (
            closing(sqlite3.connect(source)) as reading,
            closing(sqlite3.connect(copied)) as writing,
        ):
            reading.backup(writing)
