"""The contents of the wheel."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

import gcapi
from tests.support.mixed_installation import PUBLISHED, assert_stops

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


def test_the_metadata_has_commands_addresses_and_absolute_links(wheel: zipfile.Path) -> None:
    """Entry points, author, version and addresses are there, and the links of the README are absolute."""
    (folder,) = (one for one in wheel.iterdir() if one.name.endswith(".dist-info"))
    registered = (folder / "entry_points.txt").read_text(encoding="utf-8")
    assert "gcapi = gcapi.cli:main" in registered
    assert "gcapi_sandbox = gcapi_sandbox.pytest_plugin" in registered
    metadata = message_from_string((folder / "METADATA").read_text(encoding="utf-8"))
    assert (metadata["Version"], metadata["Author"]) == (gcapi.__version__, "The gcapi developers")
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"][
        "Repository"
    ]
    assert f"Repository, {repository}" in metadata.get_all("Project-URL", [])
    assert f"repo_url: {repository}\n" in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    links = re.findall(r"\]\((.+?)\)", metadata.get_payload())
    assert len(links) > 10
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


@pytest.mark.parametrize("is_over", [True, False])
def test_two_releases_over_each_other_say_what_to_do(tmp_path: Path, is_over: bool) -> None:
    """Whichever was put over the other, all that only this client has names the folder to delete."""
    folder = tmp_path / "gcapi"
    shutil.copytree(ROOT / "src" / "gcapi", folder)
    for name in PUBLISHED:
        if is_over or not (folder / f"{name}.py").exists():
            (folder / f"{name}.py").write_text("Client = SocketValueSpec = object\n")
    assert_stops(folder, is_over=is_over)
