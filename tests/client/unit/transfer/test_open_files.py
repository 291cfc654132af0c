"""Open files as sources of uploads."""

from __future__ import annotations

import gzip
import io
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcapi._transfer import open_files
from gcapi._transfer.open_files import OpenFileSource, file_object_source
from gcapi._transfer.parts import split
from gcapi._transfer.upload_sources import READ_SIZE, FileObjectSource
from gcapi.exceptions import TransferError

CONTENT = bytes(range(256)) * 3000


class Reversing(io.BufferedReader):
    """Reads something else than the file has."""


def temporary(_: Path) -> Any:
    """Return a temporary file with unwritten bytes, at its beginning."""
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - the test closes it
    file.write(CONTENT)
    file.seek(0)
    return file


OPENED: dict[str, Callable[[Path], Any]] = {
    "buffered": lambda path: path.open("rb"),
    "for reading and writing": lambda path: path.open("r+b"),
    "not buffered": lambda path: path.open("rb", buffering=0),
    "temporary": temporary,
}
OTHERS: dict[str, Callable[[Path], Any]] = {
    "in memory": lambda _: io.BytesIO(CONTENT),
    "decompressing": gzip.GzipFile,
    "buffered and decompressing": lambda path: io.BufferedReader(gzip.GzipFile(path)),  # type: ignore[type-var]
    "of a subclass": lambda path: Reversing(path.open("rb", buffering=0)),
    "pipe or device": lambda _: io.FileIO("/dev/zero"),
}


@pytest.fixture(params=[True, False], ids=["pread", "reopened"])
def can_read_at(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as on POSIX, and as on Windows."""
    monkeypatch.setattr(open_files, "_CAN_READ_AT", request.param)


@pytest.mark.usefixtures("can_read_at")
@pytest.mark.parametrize("kind", OPENED)
@pytest.mark.parametrize("start", [0, 1000, len(CONTENT)])
def test_regular_files_are_read_from_their_position(tmp_path: Path, kind: str, start: int) -> None:
    """Regular files are read in any order from the position, which is at the end afterwards."""
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    with OPENED[kind](path) as file:
        file.seek(start)
        source = file_object_source(file, "a.bin")
        assert isinstance(source, OpenFileSource)
        assert source.size == len(CONTENT) - start
        parts = split(source.size, 300_000)
        blocks = {part.number: list(source.read(part)) for part in reversed(parts)}
        assert b"".join(b"".join(blocks[part.number]) for part in parts) == CONTENT[start:]
        assert all(len(block) <= READ_SIZE for group in blocks.values() for block in group)
        assert file.tell() == start
        source.check_unchanged()
        source.release()
        assert file.read() == b""


@pytest.mark.parametrize("kind", OTHERS)
def test_other_objects_are_read_once(tmp_path: Path, kind: str) -> None:
    """Whatever may read other bytes than the file of its descriptor has is read by its own method."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(CONTENT))
    with OTHERS[kind](path) as file:
        assert isinstance(file_object_source(file, "a.bin"), FileObjectSource)


def test_changes_are_found(tmp_path: Path) -> None:
    """A file that is changed during its upload is not taken for complete."""
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        source = file_object_source(file, "a.bin")
        path.write_bytes(CONTENT[:10])
        with pytest.raises(TransferError, match="was changed"):
            source.check_unchanged()
        with pytest.raises(TransferError, match="was changed"):
            list(source.read(split(len(CONTENT), len(CONTENT))[0]))
