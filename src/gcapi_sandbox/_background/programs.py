"""The programs of algorithms, which run in their own processes.

- `module:function` is imported in the process, and still works after a restart of the sandbox.
- A command is a list of strings, in which `{input}` and `{output}` are replaced by the folders of the job. They are
  also in the environment as `SANDBOX_INPUT` and `SANDBOX_OUTPUT`, since an unprivileged process cannot create `/input`.
- Any other callable is pickled by cloudpickle, with its module by value, so that closures and functions of test files
  work. Forking instead would copy locks that other threads of the sandbox hold. The objects that it refers to must be
  picklable, and its changes to them stay in its own process.

The process leads a process group, which is killed at the time limit, when the sandbox stops, and when the process ends,
so that no child process is left. The token in the environment is not passed on.
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
_SECRET_VARIABLES = ("GRAND_CHALLENGE_AUTHORIZATION",)
_CHECK_SECONDS = 60
_MIN_POLL_SECONDS, _MAX_POLL_SECONDS = 0.002, 0.05
_LOGGED_BYTES = 4096
_pickling = threading.Lock()
_log = logging.getLogger("gcapi_sandbox")


class ProgramError(Exception):
    """Raised when the process fails; the message has its exit code and its last line of output."""


class ProgramInterruptedError(Exception):
    """Raised when the sandbox stops; the next sandbox with the same folder runs the task again."""


@dataclass(frozen=True)
class Program:
    """A function name, a command or a pickled function; `folder` is its working directory."""

    folder: str
    name: str = ""
    command: tuple[str, ...] = ()
    pickled: bytes = b""

    def write(self, folder: Path) -> None:
        """Write the files that the process reads to the folder of a job."""
        places = {"{input}": str(folder / "input"), "{output}": str(folder / "output")}
        program = {
            "name": self.name,
            "command": [_fill_in(word, places) for word in self.command],
            "path": [self.folder, *(entry or str(Path.cwd()) for entry in sys.path)],
        }
        (folder / "program.json").write_text(json.dumps(program))
        if self.pickled:
            (folder / "program.pickle").write_bytes(self.pickled)


def _fill_in(word: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        word = word.replace(name, place)
    return word


def create_program(run: Run, folder: Path) -> Program:
    """Return the program for `run`; raise ValueError if it cannot run."""
    if isinstance(run, str):
        return _checked_function(Program(str(folder), name=run))
    if callable(run):
        return Program(str(folder), pickled=_pickle_callable(run))
    return _checked_command(Program(str(folder), command=tuple(run)))


def _checked_function(program: Program) -> Program:
    """Import the function once in another process, since its module may be large or crash."""
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
        raise ValueError("A command must be a list of strings that begins with a program")
    first = program.command[0]
    if not shutil.which(str(Path(program.folder) / first) if os.sep in first else first):
        raise ValueError(f"The program {first!r} does not exist")
    return program


def _cloudpickle() -> Any:
    """Return cloudpickle, which has no type annotations."""
    return import_module("cloudpickle")


def _pickle_callable(run: Callable[[Path, Path], None]) -> bytes:
    cloudpickle = _cloudpickle()
    with _pickled_by_value(sys.modules.get(getattr(getattr(run, "func", run), "__module__", ""))):
        try:
            pickled: bytes = cloudpickle.dumps(run)
        except (pickle.PicklingError, TypeError) as error:
            raise ValueError(
                f"{run!r} cannot be pickled ({error}). "
                "Use only picklable values in it, or pass its name as module:function."
            ) from error
    return pickled


@contextmanager
def _pickled_by_value(module: ModuleType | None) -> Generator[None]:
    """Let cloudpickle pickle the definitions of a module by value inside the block."""
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
    """Run a program on the folders `input` and `output` of a job's folder.

    Raises:
        ProgramError: It failed, or was killed after `seconds`.
        ProgramInterruptedError: It was killed because `stopping` was set.
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
        lines = _last_lines(log)
        _log.info("Output of the process with %s:\n%s", ending, "\n".join(lines))
        raise ProgramError(": ".join([ending, *lines[-1:]]))


def _start(program: Program, folder: Path, out: Any, task: str) -> subprocess.Popen[bytes]:
    environment = {
        name: value for name, value in os.environ.items() if name not in _SECRET_VARIABLES
    }
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
    except OSError as error:  # the folder is gone, or there are too many processes
        raise ProgramError(str(error)) from error


def _wait(process: subprocess.Popen[bytes], seconds: float, stopping: threading.Event) -> int:
    deadline = time.monotonic() + seconds
    pause = _MIN_POLL_SECONDS
    while (code := process.poll()) is None:
        if time.monotonic() >= deadline:
            raise ProgramError(f"time limit of {seconds:g} s exceeded")
        if stopping.wait(pause):
            raise ProgramInterruptedError
        pause = min(2 * pause, _MAX_POLL_SECONDS)
    return code


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its children."""
    with suppress(ProcessLookupError, PermissionError):  # the group has ended or is ending
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    if process.stdin:
        process.stdin.close()


def _last_lines(log: Path) -> list[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _LOGGED_BYTES))
        return file.read().decode(errors="replace").strip().splitlines()
