"""The pytest plugin: its fixtures, and its cost for those who do not use it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution, entry_points
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
BARE = {"extra": ""}
MODULE = "gcapi_sandbox.pytest_plugin"
#: Loads the installed plugin in a run without other plugins.
PLUGIN = ("-p", "gcapi_sandbox")

SHARED = """
def test_first(gcapi_sandbox, gcapi_client):
    assert list(gcapi_client.archives.page()) == []
    gcapi_sandbox.add_archive("Mine")
    assert [one.title for one in gcapi_client.archives.page()] == ["Mine"]

def test_second(gcapi_client):
    assert [one.title for one in gcapi_client.archives.page()] == {}
"""
IDLE = """
import sys

HEAVY = {"gcapi", "gcapi_sandbox.sandbox", "httpx", "starlette", "uvicorn", "SimpleITK", "jinja2"}

def test_nothing_is_loaded():
    assert "gcapi_sandbox.pytest_plugin" in sys.modules
    assert HEAVY & sys.modules.keys() == set()
"""


def run(
    folder: Path,
    content: str = "",
    *options: str,
    python: tuple[str, ...] = (sys.executable,),
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run pytest on a test file in a folder, without other plugins and with warnings as errors."""
    if content:
        (folder / "test_it.py").write_text(content)
    return subprocess.run(
        [*python, "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", "-rs", *options],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_pytest_finds_the_plugin(tmp_path: Path) -> None:
    """The installed package registers the plugin, and `-p no:gcapi_sandbox` disables it."""
    (found,) = entry_points(group="pytest11", name="gcapi_sandbox")
    assert found.value == MODULE
    on = run(tmp_path, IDLE, *PLUGIN, "--fixtures")
    every_other = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": ""}
    off = run(tmp_path, IDLE, "--fixtures", "-p", "no:gcapi_sandbox", **every_other)
    assert (on.returncode, off.returncode) == (0, 0), on.stdout + off.stdout
    is_listed = [name in on.stdout for name in ("gcapi_sandbox [session scope]", "gcapi_client --")]
    assert (is_listed, "gcapi_sandbox [" in off.stdout) == ([True, True], False)


@pytest.mark.parametrize(("scope", "left"), [("", ["Mine"]), ("function", [])])
def test_scope_of_the_sandbox(tmp_path: Path, scope: str, left: list[str]) -> None:
    """All tests of a session share one sandbox, unless the settings choose another scope."""
    if scope:
        (tmp_path / "pytest.ini").write_text(f"[pytest]\ngcapi_sandbox_scope = {scope}\n")
    done = run(tmp_path, SHARED.replace("{}", repr(left)), *PLUGIN)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_nothing_is_imported_until_it_is_used(tmp_path: Path) -> None:
    """A run that uses no fixture imports neither the client nor the sandbox nor their dependencies."""
    done = run(tmp_path, IDLE, *PLUGIN)
    assert done.returncode == 0, done.stdout


def dependencies_of(*names: str) -> set[str]:
    """Return distributions and their dependencies without extras."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop().lower()
        if name not in found:
            found.add(name)
            wanted = [Requirement(one) for one in distribution(name).requires or ()]
            waiting += [it.name for it in wanted if not it.marker or it.marker.evaluate(BARE)]
    return found


def test_without_the_extra_tests_are_skipped(tmp_path: Path) -> None:
    """Without the extra, tests are skipped with a reason that says what to install."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for name in dependencies_of("gcapi", "pytest") - {"gcapi"}:
        installed = distribution(name)
        for top in {file.parts[0] for file in installed.files or ()} - {".."}:
            target = packages / top
            if not target.exists():
                target.symlink_to(Path(str(installed.locate_file(top))))
    path = os.pathsep.join(map(str, (packages, ROOT / "src", ROOT / "generated")))
    alone = (sys.executable, "-S", "-B")  # no site packages
    content = "def test_it(gcapi_client):\n    pass\n"
    done = run(tmp_path, content, "-p", MODULE, "test_it.py", python=alone, PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 skipped" in done.stdout
    assert "pip install '.[sandbox]'" in done.stdout.replace("\n", " ")


def test_documented_test(tmp_path: Path) -> None:
    """The test in the documentation passes unchanged."""
    document = (ROOT / "docs" / "sandbox.md").read_text()
    (block,) = re.findall(r"```python\n((?:(?!```).)*def test_.*?)```", document, re.DOTALL)
    done = run(tmp_path, block, *PLUGIN)
    assert done.returncode == 0, done.stdout


def test_example_project(tmp_path: Path) -> None:
    """The tests of the example project pass unchanged."""
    project = tmp_path / "own_pipeline"
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    shutil.copytree(ROOT / "examples" / "own_pipeline", project, ignore=ignored)
    done = run(project, "", *PLUGIN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
