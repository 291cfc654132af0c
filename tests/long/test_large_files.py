"""Files of gigabytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi_sandbox import Sandbox
from tests.support.programs.large_upload import GIBI, MEBI, uploaded

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def test_two_gibibytes_cost_no_memory(sandbox: Sandbox, tmp_path: Path) -> None:
    """Uploading a file of 2 GiB needs as little memory as a small one."""
    run = uploaded(sandbox, tmp_path, 2 * GIBI)
    assert run.status == "Completed"
    assert sum(run.parts) == 2 * GIBI
    assert len(run.parts) == 40
    assert run.growth < 60 * MEBI
