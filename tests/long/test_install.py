"""The wheel, tested with the lowest and the newest versions of its dependencies.

The tests of the source distribution run against the installed package; nothing of the checkout is used. Tests of the
generator, the documentation, the browser and `moto` are left out, because the dependencies of their tools would decide
which versions are tested, and so are tests of faults, which do not depend on versions.
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

from tests.support.mixed_installation import PUBLISHED, assert_stops

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
#: The tools that the tests need, pinned in requirements/dev.in.
TOOLS = {
    "hypothesis",
    "nibabel",
    "pytest",
    "pytest-randomly",
    "pytest-timeout",
    "pytest-xdist",
    "trustme",
}
TESTED = (
    "tests/client/unit",
    "tests/client/workflows",
    "tests/sandbox",
    "tests/bulk",
    "tests/cli",
)
LEFT_OUT = ("tests/sandbox/test_pages_in_browser.py", "tests/sandbox/test_s3_conformance.py")
#: The limit for the packages that the core installs, itself included.
MOST_PACKAGES = 12


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a command outside of this environment, which must succeed, and return its output."""
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
    """Return the only file that matches a pattern."""
    (found,) = folder.glob(pattern)
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and the source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder, "sdist", "wheel")
    return folder


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the source distribution."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(only(built, "*.tar.gz")) as archive:
        archive.extractall(folder, filter="data")
    return only(folder, "gcapi-*")


def environment(folder: Path) -> Path:
    """Create a virtual environment and return its interpreter."""
    run(sys.executable, "-m", "venv", folder)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(python: Path, *arguments: str | Path) -> None:
    """Install packages."""
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)


def requirements() -> list[Requirement]:
    """Return the dependencies in pyproject.toml, including all extras."""
    lines = [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)]
    return [Requirement(line) for line in lines]


def lowest(requirement: Requirement) -> str:
    """Return a requirement pinned to its lower bound."""
    (bound,) = (one.version for one in requirement.specifier if one.operator == ">=")
    return f"{requirement.name}=={bound}"


def tools() -> list[str]:
    """Return the pinned requirements of the test tools."""
    lines = (ROOT / "requirements" / "dev.in").read_text(encoding="utf-8").splitlines()
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
    """The source distribution builds the same wheel as the checkout."""
    build(unpacked, tmp_path, "wheel")
    assert contents(only(tmp_path, "*.whl")) == contents(only(built, "*.whl"))


@pytest.mark.parametrize("versions", ["lowest", "newest"])
def test_tests_pass_on_the_installed_wheel(
    built: Path, unpacked: Path, tmp_path: Path, versions: str
) -> None:
    """The tests pass with the lowest and with the newest version of every dependency."""
    python = environment(tmp_path / "venv")
    pins = [lowest(one) for one in requirements()] if versions == "lowest" else []
    install(python, f"{only(built, '*.whl')}[{','.join(EXTRAS)}]", *pins, *tools())
    where = run(python, "-c", "import gcapi; print(gcapi.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(tmp_path)
    ignored = [f"--ignore={path}" for path in LEFT_OUT]
    run(python, "-m", "pytest", "-n", "2", "-q", *ignored, *TESTED, cwd=unpacked)


@pytest.mark.parametrize("is_over", [True, False])
def test_the_published_wheel_and_this_one_in_one_folder(
    built: Path, tmp_path: Path, is_over: bool
) -> None:
    """Unpacked over each other, whichever came last, all that only this client has says what to do."""
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--dest", tmp_path, "gcapi==0.16.1"),
    )
    published, ours = only(tmp_path, "*.whl"), only(built, "*.whl")
    for wheel in (ours, published) if is_over else (published, ours):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(tmp_path / "site")
    modules = {name for name in contents(published) if name.startswith("gcapi/")}
    assert modules == {f"gcapi/{name}.py" for name in PUBLISHED}
    assert_stops(tmp_path / "site" / "gcapi", is_over=is_over)


def test_few_packages_are_resolved(built: Path, tmp_path: Path) -> None:
    """The core installs at most twelve packages, itself included, and accepts the current httpx."""
    python = environment(tmp_path / "venv")
    chosen = resolved(python, only(built, "*.whl"))
    assert "gcapi" in chosen
    assert len(chosen) <= MOST_PACKAGES, chosen
    assert chosen["httpx"] == resolved(python, "httpx")["httpx"]


def resolved(python: Path, what: str | Path) -> dict[str, str]:
    """Return the packages that an installation would install, with their versions."""
    output = run(
        *(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--ignore-installed", "--dry-run", "--report", "-", what),
    )
    report: dict[str, Any] = json.loads(output)
    return {one["metadata"]["name"]: one["metadata"]["version"] for one in report["install"]}
