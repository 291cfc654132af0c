"""The process of a job: calls one function or one command, and never outlives the sandbox.

A file of its own that imports nothing of the package, so that a job begins quickly. Its standard input is a pipe
whose other end the sandbox holds: when the sandbox is killed the pipe closes, and this process group ends with it.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Path, Path], None]


def main(folder: Path, task: str) -> int:
    """Do what `program.json` in the folder says; `check` only looks whether it could be done."""
    _end_with_the_sandbox()
    program = json.loads((folder / "program.json").read_text())
    if program["command"]:
        return _call(program["command"])
    sys.path[:] = program["path"]
    function = _function(program["name"], folder)
    if task == "run":
        function(folder / "input", folder / "output")
    return 0


def _end_with_the_sandbox() -> None:
    lifeline = os.dup(0)  # not inherited by what the algorithm starts
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()


def _watch(lifeline: int) -> None:
    os.read(lifeline, 1)
    if hasattr(os, "killpg"):
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(1)


def _call(command: list[str]) -> int:
    code = subprocess.call(command)  # noqa: S603  # the command is the user's own
    if code < 0:
        sys.stderr.write(f"{command[0]} ended with signal {-code}\n")
        return 1
    return code


def _function(name: str, folder: Path) -> Run:
    if not name:
        loaded: Run = pickle.loads((folder / "program.pickle").read_bytes())  # noqa: S301  # made by the sandbox
        return loaded
    module, _, function = name.partition(":")
    found: Run = getattr(import_module(module), function)
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
