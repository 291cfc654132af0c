"""What users install: the wheel as it is published, on the lowest and the newest dependencies.

The tests that run there are those of the source distribution, on the installed package: nothing of the checkout is
used. Left out are those of the generator, the documentation and the browser, whose tools have dependencies of their
own that would decide which versions are tried, and those of faults, whose schedules depend on no version.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
#: What the tests need beside what they test; pinned where all tools are.
TOOLS = {
    "hypothesis",
    "nibabel",
    "pytest",
    "pytest-randomly",
    "pytest-timeout",
    "pytest-xdist",
    "trustme",
}
TESTED = ("tests/unit", "tests/sandbox", "tests/bulk", "tests/cli")
LEFT_OUT = (
    "tests/sandbox/test_pages_in_browser.py",
    "tests/project/test_acceptance.py",
    "tests/generated/test_any_response.py",
    "tests/project/test_generated_build.py",
    "tests/generated/test_generated_client.py",
    "tests/generated/test_generated_package.py",
    "tests/project/test_habits.py",
    "tests/generated/test_schema_changes.py",
    "tests/project/test_schema_script.py",
    "tests/project/test_wheel.py",
)
#: The most packages that the core comes to, itself included.
MOST_PACKAGES = 12


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command that has to succeed, away from this environment, and return what it prints."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{done.stdout[-20_000:]}\n{done.stderr[-5_000:]}"
    return done.stdout


def build(source: Path, target: Path, *kinds: str) -> None:
    """Build distributions of a source tree."""
    chosen = [word for kind in kinds for word in ("-t", kind)]
    run(sys.executable, "-m", "hatchling", "build", *chosen, "-d", target, cwd=source)


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of a pattern."""
    (found,) = folder.glob(pattern)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the wheel and the source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "sdist", "wheel")
    return folder


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source tree of the source distribution."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    return only(folder, "gcapi-*")


def environment(folder: Path) -> Path:
    """Make an empty environment and return its interpreter."""
    run(sys.executable, "-m", "venv", folder)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(python: Path, *arguments: str | Path) -> None:
    """Install what is named."""
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def requirements() -> list[Requirement]:
    """Return what pyproject.toml names, of the core and of all extras."""
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    return [Requirement(line) for line in lines]


def lowest(requirement: Requirement) -> str:
    """Return a requirement's lower bound as a pin."""
    (bound,) = (one.version for one in requirement.specifier if one.operator == ">=")
    return f"{requirement.name}=={bound}"


def tools() -> list[str]:
    """Return the pins of the tools that the tests need."""
    lines = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if re.split(r"[=\[]", line)[0] in TOOLS]
    assert len(pins) == len(TOOLS)
    return pins


def contents(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_source_distribution_builds_the_wheel(
    built: Path, unpacked: Path, tmp_path: Path
) -> None:
    """The wheel that is built from the source distribution has the same bytes as the one of the checkout."""
    build(unpacked, tmp_path, "wheel")
    assert contents(only(tmp_path, "*.whl")) == contents(only(built, "*.whl"))


@pytest.mark.parametrize("versions", ["lowest", "newest"])
def test_tests_pass_on_the_installed_wheel(
    built: Path, unpacked: Path, tmp_path: Path, versions: str
) -> None:
    """With the lowest and with the newest version of every dependency, the tests of the source distribution pass."""
    python = environment(tmp_path / "venv")
    pins = [lowest(one) for one in requirements()] if versions == "lowest" else []
    install(python, f"{only(built, '*.whl')}[{','.join(EXTRAS)}]", *pins, *tools())
    where = run(python, "-c", "import gcapi; print(gcapi.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)
    ignored = [f"--ignore={path}" for path in LEFT_OUT]
    run(python, "-m", "pytest", "-n", "2", "-q", *ignored, *TESTED, cwd=unpacked)


def test_few_packages_are_resolved(built: Path, tmp_path: Path) -> None:
    """The core comes to at most twelve packages, itself included, and takes the current httpx."""
    python = environment(tmp_path / "venv")
    chosen = resolved(python, only(built, "*.whl"))
    assert "gcapi" in chosen
    assert len(chosen) <= MOST_PACKAGES, chosen
    assert chosen["httpx"] == resolved(python, "httpx")["httpx"]


def resolved(python: Path, what: str | Path) -> dict[str, str]:
    """Return the packages and their versions that an installation would bring."""
    told = run(
        *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--ignore-installed", "--dry-run", "--report", "-", what),
    )
    report: dict[str, Any] = json.loads(told)
    return {one["metadata"]["name"]: one["metadata"]["version"] for one in report["install"]}
