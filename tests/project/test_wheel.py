"""The contents of the wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("src/gcapi", "src/gcapi_sandbox", "generated/grand_challenge_api")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.Path:
    """Build the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return zipfile.Path(path)


def sources() -> set[str]:
    """Return the files of the three packages, with their names in a wheel."""
    return {
        path.relative_to((ROOT / package).parent).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_has_the_three_packages_and_nothing_else(wheel: zipfile.Path) -> None:
    """The wheel has all files of the packages, including data and `py.typed`, and nothing else."""
    names = {
        name for name in wheel.root.namelist() if not (".dist-info/" in name or name.endswith("/"))
    }
    assert names == sources()
    assert {f"{Path(package).name}/py.typed" for package in PACKAGES} <= names
    assert len({name for name in names if not name.endswith((".py", "py.typed"))}) > 10


def test_the_wheel_registers_its_commands(wheel: zipfile.Path) -> None:
    """The command and the pytest plugin are entry points."""
    (metadata,) = (one for one in wheel.iterdir() if one.name.endswith(".dist-info"))
    registered = (metadata / "entry_points.txt").read_text(encoding="utf-8")
    assert "gcapi = gcapi.cli:main" in registered
    assert "gcapi_sandbox = gcapi_sandbox.pytest_plugin" in registered
