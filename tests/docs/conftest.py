"""Fixtures of the documentation's tests: a sandbox under the public server's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.documentation.public_server import PublicServer, fill, run_public_server


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a filled sandbox's folder, to be copied for each test."""
    folder = tmp_path_factory.mktemp("filled-sandbox") / "data"
    fill(folder)
    return folder


@pytest.fixture
def public_server(filled_folder: Path, tmp_path: Path) -> Iterator[PublicServer]:
    """Run a sandbox as the public server, beside a folder with sample files."""
    with run_public_server(filled_folder, tmp_path) as running:
        yield running
