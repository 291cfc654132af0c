"""Files of JSON objects, one per line: the index and the answers of a pulled folder, and temporary lists."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gcapi._util.disk_space import is_disk_full
from gcapi._util.json_types import is_object
from gcapi._util.owner_locks import lock, unlock
from gcapi.exceptions import GCAPIError


class PulledFolderError(GCAPIError, OSError):
    """Raised when a file that gcapi keeps in a pulled folder cannot be read or written."""


class JsonLinesFile:
    """A file of JSON objects that are appended at its end and read by their offsets.

    An incomplete last line, which an interrupted write leaves, is removed when the file is read.

    Memory: a line.

    Args:
        path: The file, created if missing, with its folder; `None` for a temporary file.

    Raises:
        PulledFolderError: It cannot be opened.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or Path(tempfile.gettempdir(), "(temporary file)")
        with self._explained_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile() if path is None else path.open("a+b")  # noqa: SIM115

    def lock(self) -> None:
        """Lock the file until it is closed; on Windows, and on file systems without locks, do nothing.

        Raises:
            PulledFolderError: It is locked already.
        """
        if lock(self._file.fileno()) is False:
            raise PulledFolderError(
                f"Another pull into {self._path.parent} is running. Wait for its end or stop it, then pull again."
            )

    def close(self) -> None:
        """Close the file; a temporary file is deleted."""
        unlock(self._file.fileno())
        with suppress(OSError):  # `append` has raised it for the same bytes
            self._file.close()

    def append(self, entry: Mapping[str, Any]) -> int:
        """Write an object at the end, and return its offset."""
        with self._explained_errors():
            offset = self._file.seek(0, 2)
            self._file.write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
            self._file.flush()
        return offset

    def read_at(self, offset: int) -> dict[str, Any]:
        """Return the object at an offset."""
        with self._explained_errors():
            self._file.seek(offset)
            return _parse_line(self._path, self._file.readline())

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield every object after its offset."""
        with self._explained_errors():
            self._file.seek(0)
            offset = 0
            for line in self._file:
                if not line.endswith(b"\n"):
                    self._file.truncate(offset)
                    return
                yield offset, _parse_line(self._path, line)
                offset += len(line)

    @contextmanager
    def _explained_errors(self) -> Generator[None]:
        try:
            yield
        except PulledFolderError:
            raise
        except OSError as error:
            advice = "Move it away" if self._path.is_dir() else "Make it readable and writable"
            if is_disk_full(error):
                advice = "Free some space"
            raise PulledFolderError(
                f"{self._path} cannot be used: {error.strerror or error}. {advice} and pull again with existing='skip';"
                " complete files are kept."
            ) from error


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file.

    Raises:
        FileNotFoundError: The file does not exist.
        PulledFolderError: A line is not a JSON object.
    """
    with path.open("rb") as lines:
        for line in lines:
            yield _parse_line(path, line)


def invalid_file(path: Path) -> PulledFolderError:
    """Return the error for a file with content that gcapi did not write."""
    return PulledFolderError(
        f"{path} is damaged or was edited. Move it away and pull again with existing='verify', which restores it"
        " without downloading complete files."
    )


def _parse_line(path: Path, line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise invalid_file(path) from error
    if not is_object(entry):
        raise invalid_file(path)
    return entry
