"""The script of a job's process: calls one function or one command.

It imports nothing of the package, so that a job starts quickly. Its standard input is a pipe from the sandbox; when the
sandbox is killed the pipe closes, and this process kills its group.
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
    """Run the program described by `program.json` in the folder; for the task `check` only import it."""
    _exit_with_sandbox()
    program = json.loads((folder / "program.json").read_text())
    if program["command"]:
        return _run_command(program["command"])
    sys.path[:] = program["path"]
    function = _load_function(program["name"], folder)
    if task == "run":
        function(folder / "input", folder / "output")
    return 0


def _exit_with_sandbox() -> None:
    lifeline = os.dup(0)  # not inherited by child processes
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()


def _wait_for_end(lifeline: int) -> None:
    os.read(lifeline, 1)
    if hasattr(os, "killpg"):
        os.killpg(os.getpgid(0), signal.SIGKILL)
    os._exit(1)


def _run_command(command: list[str]) -> int:
    code = subprocess.call(command)  # noqa: S603  # the command is the user's own
    if code < 0:
        sys.stderr.write(f"{command[0]} ended with signal {-code}\n")
        return 1
    return code


def _load_function(name: str, folder: Path) -> Run:
    if not name:
        loaded: Run = pickle.loads((folder / "program.pickle").read_bytes())  # noqa: S301  # made by the sandbox
        return loaded
    module, _, function = name.partition(":")
    found: Run = getattr(import_module(module), function)
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
