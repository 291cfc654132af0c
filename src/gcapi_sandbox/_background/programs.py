"""What an algorithm runs, each time in a process of its own.

- `module:function` is imported in that process, and found again after a restart.
- A command is a list of words; `{input}` and `{output}` in them are the folders of the job, which it also finds in the
  environment as `SANDBOX_INPUT` and `SANDBOX_OUTPUT` (a process without privileges has no `/input` of its own).
- Any other callable is sent there by cloudpickle, with its module by value, so that closures and functions of test
  files work. Forking instead would copy locks that other threads of the sandbox hold. What it refers to must be
  picklable, and what it changes is changed in its own process only.

The process leads a group, which is killed when the time is over, when the sandbox stops, and after the end, so that
nothing that an algorithm starts is left. The token of the environment is not handed on.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from types import ModuleType

    Run = Callable[[Path, Path], None] | str | Sequence[str]

TIME_LIMIT = 3600.0
_CHILD = Path(__file__).with_name("job_process.py")
_SECRETS = ("GRAND_CHALLENGE_AUTHORIZATION",)
_CHECK_SECONDS = 60
_SHORTEST_WAIT, _LONGEST_WAIT = 0.002, 0.05
_SHOWN = 4096
_pickling = threading.Lock()
_log = logging.getLogger("gcapi_sandbox")


class ProgramError(Exception):
    """The process did not end well; the message says how, and its last words."""


class Interrupted(Exception):  # an outcome, not a fault
    """The sandbox stops; the work is taken up again by the next one."""


@dataclass(frozen=True)
class Program:
    """What to run: a name, a command or a pickle; `folder` is where it works and looks for modules."""

    folder: str
    name: str = ""
    command: tuple[str, ...] = ()
    pickled: bytes = b""

    def write(self, folder: Path) -> None:
        """Leave everything in a job's folder for the process."""
        places = {"{input}": str(folder / "input"), "{output}": str(folder / "output")}
        program = {
            "name": self.name,
            "command": [_filled(word, places) for word in self.command],
            "path": [self.folder, *(entry or str(Path.cwd()) for entry in sys.path)],
        }
        (folder / "program.json").write_text(json.dumps(program))
        if self.pickled:
            (folder / "program.pickle").write_bytes(self.pickled)


def _filled(word: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        word = word.replace(name, place)
    return word


def program_of(run: Run, folder: Path) -> Program:
    """Look at what an algorithm is to run; raise ValueError if it cannot."""
    if isinstance(run, str):
        return _named(Program(str(folder), name=run))
    if callable(run):
        return Program(str(folder), pickled=_pickled(run))
    return _checked_command(Program(str(folder), command=tuple(run)))


def _named(program: Program) -> Program:
    """Import the function once, in a process: its module may be large, and may crash."""
    if not all(program.name.partition(":")):
        raise ValueError(f"{program.name!r} is not of the form module:function")
    with tempfile.TemporaryDirectory() as folder:
        try:
            execute(program, Path(folder), _CHECK_SECONDS, task="check")
        except ProgramError as error:
            raise ValueError(f"{program.name!r} cannot be run: {error}") from None
    return program


def _checked_command(program: Program) -> Program:
    if not program.command or not all(isinstance(word, str) for word in program.command):
        raise ValueError("A command is a list of words, of which the first is a program")
    first = program.command[0]
    if not shutil.which(str(Path(program.folder) / first) if os.sep in first else first):
        raise ValueError(f"There is no program {first!r}")
    return program


def _cloudpickle() -> Any:
    """Return the library, which has no types."""
    return import_module("cloudpickle")


def _pickled(run: Callable[[Path, Path], None]) -> bytes:
    cloudpickle = _cloudpickle()
    with _by_value(sys.modules.get(getattr(getattr(run, "func", run), "__module__", ""))):
        try:
            pickled: bytes = cloudpickle.dumps(run)
        except (pickle.PicklingError, TypeError) as error:
            raise ValueError(
                f"{run!r} cannot be sent to a process of its own ({error}); "
                "let it refer to nothing but plain values, or name it as module:function"
            ) from error
    return pickled


@contextmanager
def _by_value(module: ModuleType | None) -> Generator[None]:
    """Have cloudpickle take what a module defines along, unless somebody did so already."""
    with _pickling, ExitStack() as undo:
        cloudpickle = _cloudpickle()
        known = ("builtins", "__main__", *cloudpickle.list_registry_pickle_by_value())
        if module is not None and module.__name__ not in known:
            cloudpickle.register_pickle_by_value(module)
            undo.callback(cloudpickle.unregister_pickle_by_value, module)
        yield


def execute(
    program: Program,
    folder: Path,
    seconds: float,
    stopping: threading.Event | None = None,
    task: str = "run",
) -> None:
    """Run a program on `input` and `output` of a folder.

    Raises:
        ProgramError: It ended badly, or was killed after `seconds`.
        Interrupted: It was killed since `stopping` was set.
    """
    program.write(folder)
    log = folder / "log"
    with log.open("wb") as out:
        process = _start(program, folder, out, task)
    try:
        code = _wait(process, seconds, stopping or threading.Event())
    finally:
        _kill(process)
    if code:
        ending = f"signal {-code}" if code < 0 else f"exit code {code}"
        words = _last_lines(log)
        _log.info("What the process with %s wrote:\n%s", ending, "\n".join(words))
        raise ProgramError(": ".join([ending, *words[-1:]]))


def _start(program: Program, folder: Path, out: Any, task: str) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    environment["SANDBOX_INPUT"] = str(folder / "input")
    environment["SANDBOX_OUTPUT"] = str(folder / "output")
    try:
        return subprocess.Popen(  # noqa: S603  # the program is the user's own
            [sys.executable, "-P", str(_CHILD), str(folder), task],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=program.folder,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:  # its folder is gone, or there are too many processes
        raise ProgramError(str(error)) from error


def _wait(process: subprocess.Popen[bytes], seconds: float, stopping: threading.Event) -> int:
    deadline = time.monotonic() + seconds
    pause = _SHORTEST_WAIT
    while (code := process.poll()) is None:
        if time.monotonic() >= deadline:
            raise ProgramError(f"time limit of {seconds:g} s exceeded")
        if stopping.wait(pause):
            raise Interrupted
        pause = min(2 * pause, _LONGEST_WAIT)
    return code


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it left behind."""
    with suppress(
        ProcessLookupError, PermissionError
    ):  # nothing is left, or only what ends already
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    if process.stdin:
        process.stdin.close()


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _SHOWN))
        return file.read().decode(errors="replace").strip().splitlines()
