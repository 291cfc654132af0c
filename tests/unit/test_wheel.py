"""What users are given when they install."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_what_the_pages_need(tmp_path: Path) -> None:
    """Templates, styles and scripts of the pages are installed, and the pytest plugin is registered."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(path) as wheel:
        names = set(wheel.namelist())
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "gcapi_sandbox = gcapi_sandbox.pytest_plugin" in wheel.read(entry_points).decode()
    source = ROOT / "src" / "gcapi_sandbox"
    wanted = [*source.glob("templates/*"), *source.glob("static/*")]
    assert len(wanted) > 10
    assert {path.relative_to(ROOT / "src").as_posix() for path in wanted} <= names
