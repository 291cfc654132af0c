"""The memory of uploads."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi_sandbox import Sandbox
from tests.support.programs.large_upload import MEBI, uploaded


@pytest.mark.parametrize("by", ["path", "file object"])
def test_large_file_is_not_held(sandbox: Sandbox, tmp_path: Path, by: str) -> None:
    """Uploading 256 MiB takes 256 KiB per connection, and what connections and threads need."""
    run = uploaded(sandbox, tmp_path, 256 * MEBI, by=by)
    assert run.status == "Completed"
    assert sum(run.parts) == 256 * MEBI
    assert len(run.parts) == 10
    assert run.growth < 40 * MEBI
