"""Sources of uploads, and reading their parts."""

from __future__ import annotations

import hashlib
import io
import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi._transfer import parts as _layout
from gcapi._transfer.parts import Part, split
from gcapi._transfer.upload_sources import (
    READ_SIZE,
    BytesSource,
    FileObjectSource,
    PartBody,
    PathSource,
)
from gcapi.exceptions import SpecFileError, SpecTypeError, TransferError

CONTENT = os.urandom(3 * READ_SIZE + 17)
STREAM_PART_SIZE = 100


def unheard(_: int) -> None:
    """Count nothing."""


def content_file(tmp_path: Path) -> Path:
    """Write a file of a few blocks."""
    path = tmp_path / "a.bin"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("kind", ["path", "bytes"])
@pytest.mark.parametrize("part_length", [1000, READ_SIZE, 2 * READ_SIZE - 1, len(CONTENT)])
def test_parts_are_the_file(kind: str, part_length: int, tmp_path: Path) -> None:
    """The parts of a source add up to its content, in blocks of at most 256 KiB."""
    source = PathSource(content_file(tmp_path)) if kind == "path" else BytesSource(CONTENT, "a.bin")
    blocks = [list(source.read(part)) for part in split(len(CONTENT), part_length)]
    assert b"".join(b"".join(part) for part in blocks) == CONTENT
    assert max(len(block) for part in blocks for block in part) <= READ_SIZE
    assert source.size == len(CONTENT)


def test_body_is_read_from_its_beginning_each_time(tmp_path: Path) -> None:
    """A body can be read again after a part or all of it was read, and takes back the counted bytes."""
    counted: list[int] = []
    source, part = PathSource(content_file(tmp_path)), Part(2, 5, 2 * READ_SIZE)
    body = PartBody(partial(source.read, part), part.length, counted.append)
    half = iter(body)
    next(half)
    assert sum(counted) == READ_SIZE
    assert b"".join(body) == b"".join(body) == CONTENT[5 : 5 + 2 * READ_SIZE]
    assert sum(counted) == body.length == 2 * READ_SIZE
    assert body.md5 == hashlib.md5(CONTENT[5 : 5 + 2 * READ_SIZE]).hexdigest()


def test_body_that_was_read_half_has_no_checksum(tmp_path: Path) -> None:
    """A body whose last reading was incomplete has no checksum."""
    source, part = PathSource(content_file(tmp_path)), Part(1, 0, len(CONTENT))
    body = PartBody(partial(source.read, part), part.length, unheard)
    list(body)
    next(iter(body))
    assert body.md5 == ""


def test_released_body_holds_nothing() -> None:
    """A released body does not hold its bytes."""
    body = PartBody(lambda: iter([CONTENT]), len(CONTENT), unheard)
    assert b"".join(body) == CONTENT
    body.release()
    assert list(body) == []


def test_file_that_became_shorter_is_told(tmp_path: Path) -> None:
    """A file that ends within a part raises an error."""
    path = content_file(tmp_path)
    source = PathSource(path)
    os.truncate(path, READ_SIZE)
    with pytest.raises(TransferError, match="changed while it was uploaded"):
        list(source.read(Part(1, 0, 2 * READ_SIZE)))


@pytest.mark.parametrize("how", ["longer", "touched", "shorter"])
def test_file_that_changed_is_told(how: str, tmp_path: Path) -> None:
    """A file with another length or modification time has changed."""
    path = content_file(tmp_path)
    source = PathSource(path)
    source.check_unchanged()
    if how == "touched":
        os.utime(path, ns=(1, 1))
    else:
        os.truncate(path, len(CONTENT) + (1 if how == "longer" else -1))
    with pytest.raises(TransferError, match="changed while it was uploaded"):
        source.check_unchanged()


def test_what_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    """A missing file or a directory is refused."""
    with pytest.raises(SpecFileError, match="cannot be read"):
        PathSource(tmp_path / "missing")
    with pytest.raises(SpecFileError, match="is a directory"):
        PathSource(tmp_path, "a")


class Trickle:
    """A file object that is not seekable and returns fewer bytes than asked for."""

    def __init__(self, content: bytes, most: int) -> None:
        self._file = io.BytesIO(content)
        self._most = most

    def read(self, size: int) -> bytes:
        return self._file.read(min(size, self._most))


@given(
    st.binary(max_size=5 * STREAM_PART_SIZE), st.integers(1, 2 * STREAM_PART_SIZE), st.booleans()
)
def test_file_objects_become_full_parts(content: bytes, most: int, seekable: bool) -> None:
    """All parts of a file object but the last are full, however few bytes a read returns."""
    file = io.BytesIO(content) if seekable else Trickle(content, most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_layout, "STREAM_PART_SIZE", STREAM_PART_SIZE)
        parts = list(FileObjectSource(file, "a.bin").parts())
    assert b"".join(data for _, data in parts) == content
    assert [piece for piece, _ in parts] == split(len(content), STREAM_PART_SIZE)
    assert [piece.length for piece, _ in parts] == [len(data) for _, data in parts]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_file_objects_may_give_any_bytes(kind: type) -> None:
    """A bytearray or memoryview is copied, because the file object may reuse it."""
    buffer = bytearray(b"abc")

    class Reuses:
        left = 2

        def read(self, _: int) -> bytes:
            self.left -= 1
            return kind(buffer) if self.left >= 0 else b""

    source = FileObjectSource(Reuses(), "a.bin")
    (part,) = source.parts()
    buffer[:] = b"xyz"
    assert bytes(part[1]) == b"abcabc"


def test_text_is_refused() -> None:
    """A file in text mode is refused, at the latest when it is read."""
    with pytest.raises(SpecTypeError, match="binary mode"):
        FileObjectSource(io.StringIO("text"), "a.txt")  # type: ignore[arg-type]

    class Text:
        def read(self, _: int) -> str:
            return "text"

    with pytest.raises(SpecTypeError, match="gives str"):
        FileObjectSource(Text(), "a.txt").next_part(1)  # type: ignore[arg-type]
