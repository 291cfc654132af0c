"""The job scripts for Slurm, as a node runs them: with Slurm's variables, and with its folders elsewhere."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from tests.support.documentation.blocks import ROOT
from tests.support.documentation.public_server import PublicServer


def scripts() -> list[str]:
    """Return the scripts of the page, which `sbatch` takes only with the name of an interpreter."""
    page = (ROOT / "docs" / "clusters.md").read_text("utf-8")
    found = re.findall(r"^```text\n(.+?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert all(script.startswith("#!/bin/bash\n#SBATCH ") for script in found)
    return found


def test_tasks_of_a_job_array_share_an_archive(
    public_server: PublicServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each task of the array pulls the cases whose number begins with its own."""
    _, script = scripts()
    public_server.enter(monkeypatch)
    with Client() as client:
        for number in (0, 1, 12):
            client.add_case_to_archive(
                archive_slug="my-archive",
                values=[SocketValueSpec("lung-volume", value=number)],
                title=f"case-{number}",
            )
    activate = tmp_path / "shared" / "environments" / "gcapi" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.touch()
    token_file = Path(public_server.environment["HOME"]) / ".config" / "grand-challenge-token"
    token_file.parent.mkdir(parents=True)
    token_file.touch(0o600)
    token_file.write_text(public_server.sandbox.token)
    monkeypatch.delenv("GRAND_CHALLENGE_AUTHORIZATION")
    for task, cases in (("0", {"case-0"}), ("1", {"case-1", "case-12"})):
        monkeypatch.setenv("SLURM_ARRAY_TASK_ID", task)
        subprocess.run(
            ["bash", "-e", "-c", script.replace("/shared/", f"{tmp_path}/shared/")],
            check=True,
            timeout=60,
        )
        folder = tmp_path / "shared" / f"part-{task}"
        assert {path.name for path in folder.iterdir() if path.is_dir()} == cases


def test_commands_of_job_scripts_have_known_options(
    public_server: PublicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line knows every option of the scripts, in its place."""
    public_server.enter(monkeypatch)
    commands = [
        shlex.split(line)
        for script in scripts()
        for line in script.replace("\\\n", "").splitlines()
        if line.startswith("gcapi ")
    ]
    assert len(commands) == len(scripts()) == 2
    for command in commands:
        subprocess.run([*command, "--help"], check=True, capture_output=True, timeout=60)
