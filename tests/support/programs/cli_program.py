"""Runs of the command line, in this process or in one of its own."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gcapi.cli import main

#: The seconds after which a test gives up waiting.
DEADLINE = 60.0
VARIABLE = "GRAND_CHALLENGE_AUTHORIZATION"


@dataclass(frozen=True)
class Result:
    """The result of a run.

    Attributes:
        code: The exit code.
        out: Standard output.
        err: Standard error.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON Lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


class Program:
    """The command `gcapi`, with captured output."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str | Path, stdin: str = "") -> Result:
        """Run a command line in this process."""
        self._capsys.readouterr()
        before, sys.stdin = sys.stdin, io.StringIO(stdin)
        try:
            code = main([str(argument) for argument in arguments])
        finally:
            sys.stdin = before
        out, err = self._capsys.readouterr()
        return Result(code, out, err)

    def apart(self, *arguments: str | Path, stdin: str = "", **variables: str) -> Result:
        """Run a command line in a process of its own."""
        run = subprocess.run(
            command_line(*arguments),
            input=stdin,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )
        return Result(run.returncode, run.stdout, run.stderr)


def command_line(*arguments: str | Path) -> list[str]:
    """Return a command line that runs `gcapi` in another process."""
    return [sys.executable, "-m", "gcapi", *map(str, arguments)]
