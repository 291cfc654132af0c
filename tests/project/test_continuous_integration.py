"""Continuous integration: the same targets as on a developer's machine, with minimal permissions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
_CALLED = re.compile(r"^\s*make ((?:[a-z-]+ ?)+)", re.MULTILINE)
#: One of GitHub's own actions, pinned to a commit because tags can be moved.
_PINNED = re.compile(r"actions/[a-z-]+@[0-9a-f]{40}")


def read(path: Path) -> Any:
    """Read a YAML file."""
    return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    """Return all steps of a workflow."""
    return [step for job in read(workflow)["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_trusts_no_one_without_need(workflow: Path) -> None:
    """A workflow has read permission at most, and uses GitHub's own actions pinned to a commit."""
    assert read(workflow)["permissions"] in ({}, {"contents": "read"})
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert [action for action in used if not _PINNED.fullmatch(action)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_calls_targets_that_exist(workflow: Path) -> None:
    """Workflows run `make` targets that exist."""
    commands = "\n".join(step["run"] for step in steps(workflow) if "run" in step)
    called = {target for line in _CALLED.findall(commands) for target in line.split()}
    assert called
    assert called <= TARGETS


def test_tests_run_on_three_systems() -> None:
    """Checks, tests and documentation run on Linux, macOS and Windows."""
    (workflow,) = (path for path in WORKFLOWS if path.name == "ci.yml")
    systems = {
        name.partition("-")[0]
        for name in read(workflow)["jobs"]["test"]["strategy"]["matrix"]["os"]
    }
    assert systems == {"ubuntu", "macos", "windows"}
    assert {step.get("run") for step in steps(workflow)} >= {"make check", "make test", "make docs"}


def test_pre_commit_runs_what_make_check_runs() -> None:
    """The pre-commit hook runs `make check`."""
    hooks = [
        hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]
    ]
    assert [hook["entry"] for hook in hooks] == ["make check"]
