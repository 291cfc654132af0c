"""The processes of the benchmark: the server and the two clients, with their measurements."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pattern
from sizes import (
    CASE_SIZE,
    CASES,
    CONNECTIONS,
    FILE_SIZE,
    FILES,
    INSTANCE_SIZE,
    INSTANCES,
    ITEMS,
    LARGE,
    SLICE_SIDE,
    SLICES,
    upload_name,
)
from slices import write_slices

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
PUBLISHED = "0.16.1"
#: The seconds after which a measurement is stopped.
LIMIT = 180.0
#: The seconds between two looks at the temporary files of a client.
WATCH_INTERVAL = 0.1


@dataclass(frozen=True)
class Mode:
    """A link to measure over.

    Attributes:
        name: The name in the table.
        latency: Seconds per request.
        rate: Bytes per second and connection; 0 for no limit.
    """

    name: str
    latency: float = 0.0
    rate: float = 0.0


LINK, LOOPBACK = Mode("link", 0.030, 25e6), Mode("loopback")
MODES = {mode.name: mode for mode in (LINK, LOOPBACK)}


@dataclass(frozen=True)
class Figures:
    """A measurement of a client: seconds, CPU seconds, bytes of memory, the server's counts, and temporary bytes."""

    seconds: float
    cpu: float
    peak: int
    growth: int
    connections: int
    requests: int
    temporary: int


class BenchmarkError(Exception):
    """Raised when a client gives a wrong result, or a process fails."""


class Server:
    """The running server.

    Args:
        requests: Its standard input.
        answers: Its standard output.
    """

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests = requests
        self._answers = answers
        self.ready = self._read()

    def take(self) -> dict[str, Any]:
        """Return the server's counts since the last call, and forget the uploads and cases."""
        return self._ask("take")

    def count(self) -> dict[str, Any]:
        """Return the server's counts since the last call, and keep the cases."""
        return self._ask("count")

    def _ask(self, command: str) -> dict[str, Any]:
        self._requests.write(f"{command}\n")
        self._requests.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._answers.readline()
        if not line:
            raise BenchmarkError("The benchmark's server has ended.")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def running_server(mode: Mode) -> Iterator[Server]:
    """Run a server in a mode."""
    options = ("--latency-ms", str(mode.latency * 1000), "--rate-mb", str(mode.rate / 1e6))
    command = [sys.executable, str(HERE / "server.py"), *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            yield Server(process.stdin, process.stdout)
        finally:
            process.kill()


def python_with(what: str, directory: Path, name: str, *, replace: bool) -> Path:
    """Return the interpreter of an environment with a client and nothing else.

    Args:
        what: The requirement to install.
        directory: The folder of environments.
        name: The name of this environment.
        replace: Whether an existing environment is replaced.
    """
    environment = directory / name
    python = environment / "bin" / "python"
    done = environment / ".installed"
    if not done.exists() or replace:
        directory.mkdir(exist_ok=True)
        (directory / ".gitignore").write_text("*\n")
        print(f"Installing {what} into an environment of its own …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(environment)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, what], check=True)
        done.touch()
    return python


def published_python(directory: Path) -> Path:
    """Return the interpreter with the published client, which the first call installs."""
    return python_with(f"gcapi=={PUBLISHED}", directory, f"published-{PUBLISHED}", replace=False)


def checkout_python(directory: Path) -> Path:
    """Return the interpreter with this checkout, which every call installs as users do.

    The development environment differs, because httpx imports further packages if they are installed.
    """
    return python_with(f"{HERE.parent}[dicom]", directory, "this", replace=True)


class Files:
    """The files that the workloads send, and their output folders.

    Args:
        directory: An empty folder.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.large = directory / upload_name(0, "sqreg")
        self.small = directory / "small"
        self.small.mkdir()
        pattern.write(self.large, 0, LARGE)
        for offset in range(0, FILES * FILE_SIZE, FILE_SIZE):
            # A slide is an image of many files, whose content this client does not inspect.
            suffix = "dat" if offset else "mrxs"
            pattern.write(self.small / upload_name(offset, suffix), offset, FILE_SIZE)
        self.cases = directory / "cases"
        self.cases.mkdir()
        for offset in range(0, CASES * CASE_SIZE, CASE_SIZE):
            pattern.write(self.cases / upload_name(offset, "sqreg"), offset, CASE_SIZE)
        self.slices = directory / "slices"
        write_slices(self.slices)

    def bundle(self, authority: str) -> Path:
        """Return a CA bundle with the server's authority only."""
        path = self.directory / "bundle.pem"
        path.write_text(authority)
        return path


class Bench:
    """Measures clients against one running server.

    Args:
        server: The server.
        files: The files that the workloads send.
    """

    def __init__(self, server: Server, files: Files) -> None:
        self._server = server
        self._files = files
        self._bundle = files.bundle(server.ready["authority"])
        self.versions: dict[str, dict[str, str]] = {}

    def measure(self, python: Path, workload: str) -> Figures:
        """Run a workload of a client in a new process, and check its result.

        Args:
            python: The interpreter with the client.
            workload: The name of a workload in `workloads.py`.

        Raises:
            BenchmarkError: It failed, or its result is wrong.
        """
        with (
            tempfile.TemporaryDirectory(dir=self._files.directory) as output,
            tempfile.TemporaryDirectory(dir=self._files.directory) as temporary,
            _largest_size(Path(temporary)) as largest,
        ):
            place = {
                "base_url": self._server.ready["base_url"],
                "verify": str(self._bundle),
                "large": str(self._files.large),
                "small": str(self._files.small),
                "cases": str(self._files.cases),
                "slices": str(self._files.slices),
                "output": output,
                "objects": self._server.ready["objects"],
            }
            cost = run_json(
                [str(python), str(HERE / "workloads.py"), workload],
                place,
                # The published client downloads DICOM instances with the defaults of httpx.
                SSL_CERT_FILE=str(self._bundle),
                TMPDIR=temporary,
            )
            seen = self._server.take()
            problem = _problem(workload, cost["result"], seen, Path(output))
        if problem:
            raise BenchmarkError(f"{workload}: {problem}")
        self.versions[str(python)] = cost["versions"]
        return Figures(
            seconds=cost["seconds"],
            cpu=cost["cpu"],
            peak=cost["peak"],
            growth=cost["growth"],
            connections=seen["api"]["connections"] + seen["store"]["connections"],
            requests=seen["api"]["requests"] + seen["store"]["requests"],
            temporary=max(largest),
        )

    def ceiling(self, work: str) -> float:
        """Return the seconds that bare sockets need to ``upload`` or ``download`` the large file."""
        ready = self._server.ready
        place = {"url": ready["store_url"], "authority": ready["authority"]}
        seconds: float = run_json([sys.executable, str(HERE / "ceiling.py"), work], place)[
            "seconds"
        ]
        self._server.take()
        return seconds


@contextmanager
def _largest_size(folder: Path) -> Iterator[list[int]]:
    """Yield a list of the sizes of a folder in bytes, to which a thread adds in intervals until the block ends."""
    sizes = [0]
    end = threading.Event()

    def watch() -> None:
        while not end.wait(WATCH_INTERVAL):
            size = 0
            for path in folder.rglob("*"):
                with suppress(OSError):  # deleted by now
                    size += path.stat().st_size
            sizes.append(size)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield sizes
    finally:
        end.set()
        thread.join()


def run_json(
    command: list[str], given: object, *, limit: float = LIMIT, **variables: str
) -> dict[str, Any]:
    """Run a program with JSON as input and output.

    Args:
        command: The program.
        given: Its standard input.
        limit: The seconds after which it is stopped.
        variables: Additional environment variables.

    Raises:
        BenchmarkError: It failed or took too long; the message has the end of its output.
    """
    try:
        done = subprocess.run(
            command,
            input=json.dumps(given),
            capture_output=True,
            text=True,
            timeout=limit,
            env={**_environment(), **variables},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"{Path(command[1]).name} took longer than {limit:.0f} s.") from error
    if done.returncode:
        raise BenchmarkError(f"{' '.join(command[2:])} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _environment() -> dict[str, str]:
    """Return an environment without variables that change the behaviour of a client."""
    drop = {"PYTHONPATH", "PYTHONHOME", "SSL_CERT_FILE", "SSL_CERT_DIR"}
    return {
        key: value
        for key, value in os.environ.items()
        if key not in drop
        and not key.lower().endswith("_proxy")
        and not key.startswith(("GRAND_CHALLENGE_", "GCAPI_"))
    }


def _problem(workload: str, result: int, seen: dict[str, Any], output: Path) -> str:
    """Return what is wrong with a client's result, or an empty string."""
    refused = seen["api"]["problems"] + seen["store"]["problems"]
    if refused:
        return f"the server refused {refused[:3]}"
    if workload in {"cases", "loop"} and seen["filled"] != CASES:
        return f"{seen['filled']} cases were filled, of {CASES}"
    if workload == "dicom-upload" or workload in EXPECTED_UPLOADS:
        return _upload_problem(workload, seen["uploads"])
    if workload in {"download", "dicom"}:
        return _download_problem(workload, output)
    if workload == "iterate" and result != ITEMS:
        return f"{result} different items came, of {ITEMS}"
    return ""


#: The sizes of the uploads of each workload.
EXPECTED_UPLOADS = {
    "upload": [LARGE],
    "files": [FILE_SIZE] * FILES,
    "cases": [CASE_SIZE] * CASES,
    "loop": [CASE_SIZE] * CASES,
    "object": [LARGE],
}


def _upload_problem(workload: str, uploads: list[dict[str, Any]]) -> str:
    if workload == "dicom-upload":
        # Of a de-identified file, only the length of its pixels is known.
        sizes = [each["bytes"] for each in uploads if each["status"] == "Completed"]
        is_whole = len(sizes) == SLICES and min(sizes) > 2 * SLICE_SIDE**2
        return "" if is_whole else f"{len(sizes)} slices came, of {SLICES}, or some are too short"
    expected = EXPECTED_UPLOADS[workload]
    whole = [
        upload["bytes"]
        for upload in uploads
        if upload["intact"] and upload["status"] == "Completed"
    ]
    return "" if whole == expected else f"{len(whole)} whole uploads came, of {len(expected)}"


def _download_problem(workload: str, output: Path) -> str:
    large = [(0, LARGE)]
    instances = [(number * INSTANCE_SIZE, INSTANCE_SIZE) for number in range(INSTANCES)]
    parts = large if workload == "download" else instances
    expected = Counter(pattern.md5(offset, size) for offset, size in parts)
    found = Counter(pattern.file_md5(path) for path in output.rglob("*") if path.is_file())
    return "" if found == expected else f"{found.total()} files came, and not all are right"


def md5_seconds(size: int) -> float:
    """Return the CPU seconds that the MD5 of this many bytes takes on this machine."""
    block = bytes(pattern.MIB)
    digest = hashlib.md5(usedforsecurity=False)
    started = time.process_time()
    for _ in range(size // len(block)):
        digest.update(block)
    return time.process_time() - started


def limit_seconds(mode: Mode, size: int, transfers: int) -> float | None:
    """Return the seconds that the link needs if every connection is always busy.

    Args:
        mode: The link.
        size: Bytes.
        transfers: The smallest number of requests that can move them.
    """
    if not mode.rate:
        return None
    rounds = -(-transfers // CONNECTIONS)
    return size / (CONNECTIONS * mode.rate) + rounds * mode.latency
