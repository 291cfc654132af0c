"""`make demo`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def test_the_demo_does_the_main_job(tmp_path: Path) -> None:
    """The demo uploads two images, runs a job on each, and prints the paths of the outputs."""
    run = subprocess.run(
        [sys.executable, "-W", "error", str(DEMO), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert [path.suffix for path in files] == [".mha", ".json", ".mha", ".json"]
    assert [path.name for path in files if path.name not in run.stdout] == []
