"""Fixtures for uploads of several parts, and for downloads that are resumed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.api_and_store import own_threads
from tests.support.upload_faults import CONTENT, make_parts_small


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let parts be small."""
    make_parts_small(monkeypatch)


@pytest.fixture
def no_thread_is_left() -> Iterator[None]:
    """Check after the test that uploads have ended their threads."""
    yield
    assert own_threads() == []


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Write a file of five parts."""
    file = tmp_path / "a.bin"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def no_resume_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resume broken downloads at once."""
    monkeypatch.setattr("gcapi._transfer.range_reader.RESUME_DELAY", 0.0)
