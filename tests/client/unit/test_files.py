"""Files that are whole under their final name, or not there."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from gcapi._transfer.atomic_file import (
    Partial,
    check_existing,
    is_there,
    refuse_existing,
    write_whole,
)
from tests.support.data import everything_below

DATA = random.Random(5).randbytes(1_000_000)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Give a place for a file, in a directory that is not there yet."""
    return tmp_path / "a" / "b" / "x.mha"


# ---------------------------------------------------------------- what is written bit by bit


def test_blocks_of_several_threads_land_where_they_belong(target: Path) -> None:
    """Threads that write at once, each to its own place, make one file."""
    partial = Partial(target)
    together = threading.Barrier(8)

    def write(number: int) -> None:
        together.wait(20)
        for at in range(number * 1_000, len(DATA), 8_000):
            partial.write(at, memoryview(DATA)[at : at + 1_000])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert partial.publish() == target
    assert target.read_bytes() == DATA


def test_name_until_it_is_whole(target: Path) -> None:
    """Until then it is hidden beside its target, under a name that no other call uses."""
    partials = [Partial(target) for _ in range(2)]
    names = {path.name for path in target.parent.iterdir()}
    assert len(names) == 2
    assert all(name.startswith(".x.mha.") and name.endswith(".part") for name in names)
    for partial in partials:
        partial.discard()
    assert everything_below(target.parent) == set()


@pytest.mark.parametrize("name", ["x" * 200, "ü" * 120, "🩻" * 60])
def test_long_names_have_temporary_ones_too(tmp_path: Path, name: str) -> None:
    """The temporary name of a long one is not too long for the system."""
    partial = Partial(tmp_path / name)
    partial.write(0, memoryview(b"a"))
    assert partial.publish().name == name


def test_discarded_file_is_gone(target: Path) -> None:
    """What is discarded leaves nothing, however often, and takes no more."""
    partial = Partial(target)
    partial.write(0, memoryview(DATA))
    partial.discard()
    partial.discard()
    for late in (lambda: partial.write(0, memoryview(DATA)), partial.publish, partial.empty):
        with pytest.raises(ValueError, match="no longer written to"):
            late()
    assert everything_below(target.parent) == set()


def test_published_file_stays(target: Path) -> None:
    """Discarding after publishing does nothing, and what is whole is not written to."""
    partial = Partial(target)
    partial.publish()
    partial.discard()
    with pytest.raises(ValueError, match="no longer written to"):
        partial.write(0, memoryview(b"a"))
    assert everything_below(target.parent) == {"x.mha"}
    assert target.read_bytes() == b""


def test_beginning_again(target: Path) -> None:
    """Of what was written before beginning again, nothing is left."""
    partial = Partial(target)
    partial.write(0, memoryview(DATA))
    partial.empty()
    partial.write(2, memoryview(b"c"))
    partial.publish()
    assert target.read_bytes() == b"\0\0c"


def test_discarding_while_others_write(target: Path) -> None:
    """Threads that write while it is discarded write to no other file, and leave none."""
    for _ in range(20):
        partial = Partial(target)
        begun, problems = threading.Barrier(4), []

        def write(partial: Partial, begun: threading.Barrier, problems: list[Exception]) -> None:
            begun.wait(20)
            try:
                for at in range(0, len(DATA), 10_000):
                    partial.write(at, memoryview(DATA)[:10_000])
            except ValueError as error:
                problems.append(error)

        threads = [
            threading.Thread(target=write, args=(partial, begun, problems)) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        begun.wait(20)
        partial.discard()
        other = target.with_name("other")
        other.write_bytes(b"precious")
        for thread in threads:
            thread.join()
        assert other.read_bytes() == b"precious"
        assert everything_below(target.parent) == {"other"}
        assert {str(problem) for problem in problems} <= {f"{target} is no longer written to."}


def test_target_that_appears_meanwhile(target: Path) -> None:
    """A file that someone else made is not replaced, unless that was asked for."""
    partial = Partial(target)
    target.write_text("precious")
    with pytest.raises(FileExistsError) as caught:
        partial.publish()
    assert "nothing half-written was left" in caught.value.__notes__[0]
    partial.discard()
    assert target.read_text() == "precious"
    again = Partial(target, overwrite=True)
    again.write(0, memoryview(b"new"))
    again.publish()
    assert target.read_text() == "new"
    assert everything_below(target.parent) == {"x.mha"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_full_disk_says_of_what_file(target: Path) -> None:
    """The system's error says which file was not written."""
    partial = Partial(target)
    number = os.open("/dev/full", os.O_WRONLY)
    try:
        os.dup2(number, partial._file.fileno())
    finally:
        os.close(number)
    with pytest.raises(OSError, match="No space left") as caught:
        partial.write(0, memoryview(b"a"))
    assert caught.value.__notes__ == [
        f"{target} was not written, and nothing half-written was left."
    ]
    partial.discard()
    assert everything_below(target.parent) == set()


# ---------------------------------------------------------------- what is written at once


@pytest.mark.parametrize(
    ("existing", "content"), [("skip", b"old"), ("overwrite", b"new"), ("error", b"old")]
)
def test_bytes_at_once(target: Path, existing: Any, content: bytes) -> None:
    """A file that is there is left, replaced, or an error."""
    assert write_whole(target, b"old", existing=existing) == target
    if existing == "error":
        with pytest.raises(FileExistsError):
            write_whole(target, b"new", existing=existing)
    else:
        assert write_whole(target, b"new", existing=existing) == target
    assert target.read_bytes() == content
    assert everything_below(target.parent) == {"x.mha"}


def test_directory_in_the_place_of_a_file(target: Path) -> None:
    """A directory is not overwritten by a file, and nothing is left beside it."""
    target.mkdir(parents=True)
    with pytest.raises(OSError, match=r"x\.mha"):
        write_whole(target, b"new", existing="overwrite")
    assert [path.name for path in target.parent.iterdir()] == ["x.mha"]


@pytest.mark.parametrize("word", ["", "Error", "replace", None, True, 1, ["skip"]])
def test_words_that_are_no_policy(word: Any) -> None:
    """Another word than the three is a ValueError that names them."""
    with pytest.raises(ValueError, match="must be 'error', 'skip' or 'overwrite'"):
        check_existing(word)


@pytest.mark.parametrize("word", ["error", "skip", "overwrite"])
def test_policies(word: Any) -> None:
    """The three words are policies."""
    assert check_existing(word) == word


def test_link_to_nowhere_is_there(tmp_path: Path) -> None:
    """A name is taken by a file, a directory, and a link, wherever it leads."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    names = ["link", "file", "folder", "nothing"]
    assert [is_there(tmp_path / name) for name in names] == [True, True, True, False]
    refuse_existing([tmp_path / "nothing"])
    with pytest.raises(FileExistsError, match="say existing='skip'"):
        refuse_existing([tmp_path / "nothing", tmp_path / "link"])
