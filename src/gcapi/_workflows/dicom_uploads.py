"""Sources of uploads that are de-identified right before they are sent, in other processes where that pays.

De-identifying a slice takes about as long as the requests of its upload. So the first files of an image set are
uploaded while the others are de-identified, and each temporary copy is deleted when it is uploaded.

The processes run this module as a program rather than `multiprocessing`, which would run the user's script again if
it does not guard its main part. They end with their standard input, so also when this process is killed.

Disk: the copies of as many files as a scheduler of uploads has threads, 3 × `max_concurrent_uploads`.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, Self

from gcapi._transfer.local_files import check_local_file
from gcapi._transfer.parts import Part
from gcapi._transfer.upload_sources import PathSource, Source
from gcapi._util.scheduler import current_token
from gcapi._workflows.dicom import Deidentifier, file_name
from gcapi.exceptions import DeidentificationError
from gcapi.progress import Listener, Progress, given_up_on_error

#: The number of files for which a process is worth starting, which takes about as long as de-identifying them.
FILES_PER_PROCESS = 50
#: Seconds that a process has to end after its last file.
_END_SECONDS = 1.0
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from gcapi._workflows.dicom_uploads import serve
serve()
"""


class FileCleaner(Protocol):
    """Something that de-identifies one file at a time."""

    def clean(self, source: Path, target: Path) -> tuple[str, ...]:
        """Write a de-identified file, and return its UIDs of study and series."""
        ...


class DeidentifiedSource(Source):
    """A DICOM file that is de-identified when its upload begins; the original is never read for an upload.

    Args:
        image_set: De-identifies it.
        number: Its number in the image set.
    """

    is_made_anew = True

    def __init__(self, image_set: _Deidentification, number: int) -> None:
        super().__init__(file_name(number))
        self._image_set = image_set
        self._number = number
        #: That of the original, about that of the copy, until that is made.
        self.size = check_local_file(image_set.files[number]).st_size
        self._copy: PathSource | None = None

    @property
    def _made(self) -> PathSource:
        if self._copy is None:
            raise RuntimeError(f"{self.name} is not de-identified yet.")
        return self._copy

    def prepare(self) -> None:
        """De-identify the file."""
        self._copy = PathSource(self._image_set.clean(self._number), self.name, stays=False)
        self.size = self._copy.size

    def read(self, part: Part) -> Iterator[bytes]:
        """Yield the bytes of a part of the copy, `READ_SIZE` at a time."""
        return self._made.read(part)

    def check_unchanged(self) -> None:
        """Raise `TransferError` if the copy was changed."""
        self._made.check_unchanged()

    def release(self) -> None:
        """Delete the copy."""
        self._made.path.unlink()


class _Deidentification:
    """The files of one image set, and what de-identifies them."""

    def __init__(
        self,
        files: Sequence[Path],
        directory: Path,
        cleaners: Sequence[FileCleaner],
        fallback: FileCleaner,
        progress: Sequence[Progress],
    ) -> None:
        self.files = files
        self._directory = directory
        self._idle: queue.SimpleQueue[FileCleaner] = queue.SimpleQueue()
        for cleaner in cleaners:
            self._idle.put(cleaner)
        self._fallback = fallback
        self._progress = progress
        self._uids: set[tuple[str, ...]] = set()

    def clean(self, number: int) -> Path:
        """De-identify a file, and return the copy."""
        source, target = self.files[number], self._directory / file_name(number)
        cleaner = self._idle.get()
        try:
            current_token().raise_if_cancelled()
            try:
                uids = cleaner.clean(source, target)
            except EOFError:  # the process was killed
                cleaner = self._fallback
                uids = cleaner.clean(source, target)
        finally:
            self._idle.put(cleaner)
        self._uids.add(uids)
        if len(self._uids) > 1:
            target.unlink()
            raise DeidentificationError(
                f"{source} was given other UIDs than the files before it, and was not sent. Another version of the"
                " package that de-identifies is needed."
            )
        self._progress[number].add(1)
        return target


@contextmanager
def deidentified(
    files: Sequence[Path], directory: Path, listener: Listener
) -> Generator[list[DeidentifiedSource]]:
    """Yield sources for the files of one image set, which are de-identified as their uploads begin.

    Args:
        files: DICOM files of one series, in the order of the uploads.
        directory: A private directory for the copies.
        listener: Called for each file.
    """
    progress = [Progress(listener, "de-identify", file.name, 1) for file in files]
    with given_up_on_error(progress), ExitStack() as stack:
        secret = secrets.token_hex(32)
        workers: list[FileCleaner] = []
        for _ in range(count_processes(len(files))):
            with suppress(OSError):  # too many processes, or no memory
                workers.append(stack.enter_context(_Worker(secret, files[0])))
        fallback = Deidentifier(secret, files[0]) if workers else Deidentifier()
        image_set = _Deidentification(files, directory, workers or [fallback], fallback, progress)
        yield [DeidentifiedSource(image_set, number) for number in range(len(files))]


def count_processes(files: int) -> int:
    """Return the number of processes that are worth starting: none where this one is a worker itself."""
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity else os.cpu_count() or 1
    # This process needs one CPU for the uploads.
    wanted = min(cpus - 1, files // FILES_PER_PROCESS)
    is_interpreter = Path(sys.executable or "").stem.lower().startswith(("python", "pypy"))
    if getattr(sys, "frozen", False) or not is_interpreter or _is_in_worker():
        return 0
    return max(0, wanted)


def _is_in_worker() -> bool:
    """Return whether this is a daemonic process of `multiprocessing`, or a task of Dask."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.current_process().daemon:
        return True
    distributed: Any = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- the processes


class _Worker:
    """A process that de-identifies files of one image set.

    Args:
        secret: See `Deidentifier`.
        reference: See `Deidentifier`.
    """

    def __init__(self, secret: str, reference: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter
            [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # pydicom's warnings show values
        )
        # Not an argument, which other users of this machine can see.
        self._send([secret, str(reference)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def clean(self, source: Path, target: Path) -> tuple[str, ...]:
        """Write a de-identified file, and return its UIDs of study and series.

        Raises:
            DeidentificationError: The file is refused.
            OSError: It cannot be read, or the disk is full.
            EOFError: The process has ended.
        """
        self._send([str(source), str(target)])
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise EOFError
        answer = json.loads(line)
        if "errno" in answer:
            raise OSError(answer["errno"], answer["error"])
        if "error" in answer:
            raise DeidentificationError(answer["error"])
        return tuple(answer["uids"])

    def _send(self, content: list[str]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # reading finds that it has ended
            self._process.stdin.write(json.dumps(content).encode() + b"\n")
            self._process.stdin.flush()


def serve() -> None:
    """De-identify the files that standard input names, until it ends."""
    # Ctrl-C is for the process that uploads, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines = map(json.loads, sys.stdin.buffer)
    secret, reference = next(lines)
    deidentifier = Deidentifier(secret, Path(reference))
    for source, target in lines:
        answer: dict[str, Any]
        try:
            answer = {"uids": deidentifier.clean(Path(source), Path(target))}
        except DeidentificationError as error:
            answer = {"error": str(error)}
        except OSError as error:
            answer = {"error": error.strerror, "errno": error.errno}
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
