"""`sandbox` from the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs.cli_program import DEADLINE, Program, command_line


@pytest.mark.skipif(os.name != "posix", reason="other systems have no signals")
def test_a_sandbox_to_work_with(gcapi: Program, tmp_path: Path) -> None:
    """`sandbox` prints its address and token, serves the other commands, and ends with Ctrl-C."""
    process = subprocess.Popen(
        command_line("sandbox", "--json", "--data", tmp_path / "data"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        told = json.loads(process.stdout.readline())
        where = ("--base-url", told["base_url"], "--token", told["token"])
        assert gcapi("whoami", "--json", *where).json["user"] == "sandbox"
        assert "demo-archive" in gcapi("archives", "list", *where).out
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE) == 0


def test_without_its_extra() -> None:
    """Without its extra, `sandbox` prints one line with the `pip install` to run."""
    code = (
        "import sys, importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'uvicorn' else find(name, *rest)\n"
        "from gcapi.cli import main; sys.exit(main(['sandbox']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "pip install '.[sandbox]'" in run.stderr
    assert len(run.stderr.splitlines()) == 1
