"""Continuous integration: the same targets as on a developer's machine, with minimal permissions."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
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


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_jobs_that_run_code_of_packages_cannot_write(workflow: Path) -> None:
    """A job with write permission checks out the tree and reads results, and runs nothing but git, gh and the shell."""
    content = read(workflow)
    for job in content["jobs"].values():
        if "write" not in job.get("permissions", content["permissions"]).values():
            continue
        actions = {step["uses"].partition("@")[0] for step in job["steps"] if "uses" in step}
        assert actions <= {"actions/checkout", "actions/download-artifact"}
        commands = "\n".join(step["run"] for step in job["steps"] if "run" in step)
        assert not re.search(r"(?m)^\s*(make|python\d?|pip|uv|npm|\.venv)\b|\./", commands)


# ---------------------------------------------------------------- the weekly workflow, on this machine


@dataclass(frozen=True)
class Runner:
    """A machine that runs the workflow `schema.yml`, with `make` and `gh` replaced by scripts.

    Attributes:
        folder: The folder of the checkout, the remote repository and the scripts.
    """

    folder: Path

    def run(self, job: str) -> None:
        """Run the commands of a job, each step as GitHub does."""
        content = read(ROOT / ".github" / "workflows" / "schema.yml")["jobs"][job]
        for step in content["steps"]:
            added = {**content.get("env", {}), **step.get("env", {})}
            env = {
                name: text.replace("${{ runner.temp }}", str(self.folder))
                for name, text in added.items()
            }
            if "run" in step:
                command = ["bash", "-e", "-c", step["run"]]
                env = {**os.environ, **self.environment(), **env}
                subprocess.run(
                    command, cwd=self.folder / "checkout", env=env, check=True, timeout=60
                )

    def environment(self) -> dict[str, str]:
        """Return the variables of the machine; git reads no settings of the user."""
        return {
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.folder),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }

    def script(self, name: str, text: str) -> None:
        """Replace a command by a shell script."""
        (self.folder / name).write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
        (self.folder / name).chmod(0o755)

    def git(self, *arguments: str, folder: str = "checkout") -> str:
        """Run git, and return its output."""
        return subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", *arguments],
            cwd=self.folder / folder,
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def calls_of_gh(self) -> list[str]:
        """Return the calls of `gh` that change something, each with its body."""
        log = self.folder / "calls"
        return log.read_text("utf-8").split("\0")[1:] if log.exists() else []


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Return a machine with a checkout of two files, where no issue and no pull request is open."""
    if sys.platform == "win32":
        pytest.skip("the workflow runs on Linux")
    runner = Runner(tmp_path)
    for name in ("openapi", "generated"):
        (tmp_path / "checkout" / name).mkdir(parents=True)
        (tmp_path / "checkout" / name / "old.txt").write_text("old\n", encoding="utf-8")
    (tmp_path / "origin").mkdir()
    runner.git("init", "--quiet", "--bare", folder="origin")
    runner.git("init", "--quiet", "--initial-branch=main")
    runner.git("remote", "add", "origin", "../origin")
    runner.git("add", ".")
    runner.git("commit", "--quiet", "--message=Start")
    answer_of_gh(runner, issue="", pull_requests=0)
    return runner


def answer_of_gh(runner: Runner, *, issue: str, pull_requests: int) -> None:
    """Let `gh` list an issue and a number of pull requests, and write its other calls to a file."""
    runner.script(
        "gh",
        f"""case "$1 $2" in
        "issue list") echo '{issue}' ;;
        "pr list") echo {pull_requests} ;;
        *) {{ printf '\\0%s\\n' "$*"; for last; do [ ! -f "$last" ] || cat "$last"; done; }} >> {runner.folder}/calls ;;
        esac
        """,
    )


STALE = "An action of the overlay matches nothing.\n  target: $.x\n  reason: ```The reason.\n"


def test_one_issue_names_what_stopped_the_weekly_schema(runner: Runner) -> None:
    """If `make schema` stops, one issue lists the reasons, which cannot leave their code block; nothing is pushed."""
    runner.script(
        "make", f"[ $1 = install ] || {{ printf '{STALE}'; echo x > openapi/old.txt; exit 2; }}"
    )
    runner.run("generate")
    runner.run("propose")
    [call] = runner.calls_of_gh()
    assert call.startswith(
        "issue create --title The schema of the public server needs changes here"
    )
    assert "\n\n" + "".join(f"    {line}\n" for line in STALE.splitlines()) in call
    assert runner.git("branch", folder="origin") == ""
    answer_of_gh(runner, issue="17", pull_requests=0)
    runner.run("propose")
    assert runner.calls_of_gh()[1].startswith("issue edit 17 --body-file")


def test_long_reasons_fit_into_an_issue(runner: Runner) -> None:
    """The text of an issue is cut at the length that GitHub accepts."""
    runner.script(
        "make", "[ $1 = install ] || { yes 'src/gcapi/x.py: error: gone' | head -n 9999; exit 2; }"
    )
    runner.run("generate")
    runner.run("propose")
    assert 50_000 < len(runner.calls_of_gh()[0]) < 65_536


def test_one_pull_request_has_the_changes_of_the_weekly_schema(runner: Runner) -> None:
    """Changed, new and deleted files are proposed in one pull request, those outside of the two folders are not."""
    runner.script(
        "make",
        "[ $1 = install ] || { echo '+ model Colour'; cd generated; mkdir new; mv old.txt new; echo x > ../x; }",
    )
    runner.run("generate")
    with (runner.folder / "result" / "schema.patch").open("a", encoding="utf-8") as patch:
        patch.write(
            "diff --git a/x b/x\nnew file mode 100644\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+x\n"
        )
    runner.git("reset", "--quiet", "--hard")
    runner.git("clean", "--quiet", "--force", "-d")
    runner.run("propose")
    branch = "schema-of-the-public-server"
    files = runner.git("ls-tree", "-r", "--name-only", branch, folder="origin").splitlines()
    assert files == ["generated/new/old.txt", "openapi/old.txt"]
    [call] = runner.calls_of_gh()
    assert call.startswith("pr create --title Update the schema from the public server")
    assert "\n\n    + model Colour\n" in call
    answer_of_gh(runner, issue="", pull_requests=1)
    runner.git("switch", "--quiet", "main")
    runner.git("branch", "--quiet", "-D", branch)
    runner.run("propose")
    assert runner.calls_of_gh()[1].startswith(f"pr edit {branch} --body-file")


def test_unchanged_schema_proposes_nothing(runner: Runner) -> None:
    """Without changes, there is neither an issue nor a pull request."""
    runner.script("make", "true")
    runner.run("generate")
    runner.run("propose")
    assert runner.calls_of_gh() == []


def test_failed_installation_is_not_reported_as_a_change(runner: Runner) -> None:
    """If the installation fails, the job fails."""
    runner.script("make", "exit 2")
    with pytest.raises(subprocess.CalledProcessError):
        runner.run("generate")


def test_pre_commit_runs_what_make_check_runs() -> None:
    """The pre-commit hook runs `make check`."""
    hooks = [
        hook for repo in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]
    ]
    assert [hook["entry"] for hook in hooks] == ["make check"]
