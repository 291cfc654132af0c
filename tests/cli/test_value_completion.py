"""Completion of slugs and targets in the shell."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from gcapi_sandbox import Sandbox
from tests.support.data import unique
from tests.support.programs.cli_program import Program, command_line


def _completions(ready: Program, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    monkeypatch.setenv("_GCAPI_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(("gcapi", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    run = ready()
    assert run.err == ""
    return [line.partition(",")[2] for line in run.out.split()]


def test_slugs_and_targets_are_completed(
    ready: Program, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Targets and slugs are those of the server, which is asked once a minute."""
    archive, study = sandbox.add_archive(unique("tab-a")), sandbox.add_reader_study(unique("tab-s"))
    assert _completions(ready, monkeypatch, "pull", "a") == ["archive:", "algorithm:"]
    for words in (
        ("pull", "archive:tab"),
        ("cases", "list", "archive:tab"),
        ("push", "x.csv", "archive:tab"),
    ):
        assert _completions(ready, monkeypatch, *words) == [f"archive:{archive}"]
    assert _completions(ready, monkeypatch, "answers", "tab") == [study]
    assert _completions(ready, monkeypatch, "archives", "show", "tab") == [archive]
    sandbox.requests.clear()
    assert _completions(ready, monkeypatch, "images", "list", "--study", "tab") == [study]
    assert not sandbox.requests


def test_completion_gives_up_on_a_server_that_does_not_answer(
    ready: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an answer there are no completions, no message, and no long wait."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/api/v1/"
        monkeypatch.setenv("GCAPI_BASE_URL", url)
        begin = time.monotonic()
        assert _completions(ready, monkeypatch, "pull", "archive:x") == []
        assert time.monotonic() - begin < 10


def test_bash_completes_targets(ready: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """In bash, the word before the cursor is the whole target."""
    archive = sandbox.add_archive(unique("bash"))
    script = tmp_path / "completion.sh"
    script.write_text(ready("completion", "bash").out)
    program = tmp_path / "gcapi"
    program.write_text("#!/bin/sh\nexec " + " ".join(command_line()) + ' "$@"\n')
    program.chmod(0o700)
    lines = f"""
source {script}
COMP_WORDS=(gcapi pull archive:bash) COMP_CWORD=2
_gcapi_completion gcapi archive:bash pull
echo "${{COMPREPLY[*]}}" "${{COMP_WORDBREAKS//[^:]}}"
"""
    run = subprocess.run(
        ["bash", "-c", lines],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [f"archive:{archive}"]
