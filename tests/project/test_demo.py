"""`make demo`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import SimpleITK

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"


def test_the_demo_does_the_main_job(tmp_path: Path) -> None:
    """The demo uploads two images, runs a job on each, and ends with a table of 80 columns, a picture and what next."""
    output = tmp_path / "output"
    run = subprocess.run(
        [sys.executable, "-W", "error", str(DEMO), str(output)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")
    files = sorted(path for path in output.rglob("*") if path.is_file())
    assert [path.suffix for path in files] == [".mha", ".json", ".mha", ".json", ".png"]
    assert [path.name for path in files if path.name not in run.stdout] == []
    table = run.stdout[run.stdout.index("\ncase ") :].splitlines()
    assert [line for line in table[:6] if len(line) > 80] == []
    assert run.stdout.splitlines()[-3].endswith("What next:")
    sheet = SimpleITK.ReadImage(str(output / "contact-sheet.png"))
    assert sheet.GetSize() == (512, 512)
