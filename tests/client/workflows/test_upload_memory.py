"""The memory of uploads."""

from __future__ import annotations

from pathlib import Path

from gcapi_sandbox import Sandbox
from tests.support.large_upload import MEBI, uploaded


def test_large_file_is_not_held(sandbox: Sandbox, tmp_path: Path) -> None:
    """A file of 256 MiB in ten parts at once takes 256 KiB for each, and what connections and threads cost."""
    run = uploaded(sandbox, tmp_path, 256 * MEBI)
    assert run.status == "Completed"
    assert sum(run.parts) == 256 * MEBI
    assert len(run.parts) == 10
    assert run.growth < 40 * MEBI
