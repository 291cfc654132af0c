"""What the tests of the documentation and the examples share: a furnished sandbox's folder, copied for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.doc_stage import Stage, furnish, stage


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a sandbox's folder that is copied for each test."""
    folder = tmp_path_factory.mktemp("furnished") / "data"
    furnish(folder)
    return folder


@pytest.fixture
def public_server(furnished: Path, tmp_path: Path) -> Iterator[Stage]:
    """Give a public server, and a folder with sample files."""
    with stage(furnished, tmp_path) as running:
        yield running
