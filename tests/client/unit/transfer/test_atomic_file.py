"""Files that appear under their final name complete, or not at all."""

from __future__ import annotations

import errno
import multiprocessing
import os
import random
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gcapi._transfer.atomic_file import (
    AtomicFile,
    check_existing_file,
    check_targets,
    write_atomically,
)
from tests.support.data import everything_below

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Barrier

DATA = random.Random(5).randbytes(1_000_000)
#: How often writers race for one name, and how many they are.
RACES, RACERS = 200, 4


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return a path in a directory that does not exist yet."""
    return tmp_path / "a" / "b" / "x.mha"


def run_threads(count: int, work: Callable[[int], None]) -> None:
    """Run a function in several threads, with their numbers, and wait for all of them."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---------------------------------------------------------------- written block by block


def test_blocks_of_several_threads_land_at_their_offsets(target: Path) -> None:
    """Threads that write at the same time, each at its own offsets, produce one file."""
    file = AtomicFile(target)
    together = threading.Barrier(8)

    def write(number: int) -> None:
        together.wait(20)
        for at in range(number * 1_000, len(DATA), 8_000):
            file.write(at, memoryview(DATA)[at : at + 1_000])

    run_threads(8, write)
    assert file.publish() == target
    assert target.read_bytes() == DATA


def test_temporary_names_are_hidden_and_unique(target: Path) -> None:
    """Until it is published, a file is hidden beside its target, under a name that no other call uses."""
    files = [AtomicFile(target) for _ in range(2)]
    assert not target.parent.exists()
    for file in files:
        file.write(0, memoryview(b"a"))
    names = {path.name for path in target.parent.iterdir()}
    assert len(names) == 2
    assert all(name.startswith(".x.mha.") and name.endswith(".part") for name in names)
    for file in files:
        file.discard()
    assert everything_below(target.parent) == set()


@pytest.mark.parametrize("name", ["x" * 200, "ü" * 120, "🩻" * 60])
def test_temporary_name_of_a_long_name_fits(tmp_path: Path, name: str) -> None:
    """The temporary name of a long name does not exceed the system's limit."""
    file = AtomicFile(tmp_path / name)
    file.write(0, memoryview(b"a"))
    assert file.publish().name == name


def test_discarded_file_is_removed(target: Path) -> None:
    """A discarded file is removed, may be discarded again, and cannot be written or published."""
    file = AtomicFile(target)
    file.write(0, memoryview(DATA))
    file.discard()
    file.discard()
    for late in (lambda: file.write(0, memoryview(DATA)), file.publish, file.clear):
        with pytest.raises(ValueError, match="no longer open for writing"):
            late()
    assert everything_below(target.parent) == set()


def test_published_file_stays(target: Path) -> None:
    """A published file can be neither discarded nor written."""
    file = AtomicFile(target)
    file.publish()
    file.discard()
    with pytest.raises(ValueError, match="no longer open for writing"):
        file.write(0, memoryview(b"a"))
    assert everything_below(target.parent) == {"x.mha"}
    assert target.read_bytes() == b""


def test_clearing_removes_what_was_written(target: Path) -> None:
    """Nothing that was written before clearing a file is left in it."""
    file = AtomicFile(target)
    file.write(0, memoryview(DATA))
    file.clear()
    file.write(2, memoryview(b"c"))
    file.publish()
    assert target.read_bytes() == b"\0\0c"


def test_discarding_while_threads_write(target: Path) -> None:
    """Threads that still write when a file is discarded write to no other file, and leave none."""
    for _ in range(20):
        file = AtomicFile(target)
        started = threading.Barrier(4)
        problems: list[ValueError] = []

        def write(
            _: int, file: AtomicFile = file, started: Any = started, problems: Any = problems
        ) -> None:
            started.wait(20)
            try:
                for at in range(0, len(DATA), 10_000):
                    file.write(at, memoryview(DATA)[:10_000])
            except ValueError as error:
                problems.append(error)

        def discard(file: AtomicFile = file, started: Any = started) -> None:
            started.wait(20)
            file.discard()
            target.with_name("other").write_bytes(b"precious")

        discarding = threading.Thread(target=discard)
        discarding.start()
        run_threads(3, write)
        discarding.join()
        assert target.with_name("other").read_bytes() == b"precious"
        assert everything_below(target.parent) == {"other"}
        assert {str(one) for one in problems} <= {f"{target} is no longer open for writing."}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_error_of_a_full_disk_names_the_file(target: Path) -> None:
    """The system's error for a full disk has a note with the file that was not written."""
    file = AtomicFile(target)
    file.clear()
    assert file._file is not None
    number = os.open("/dev/full", os.O_WRONLY)
    try:
        os.dup2(number, file._file.fileno())
    finally:
        os.close(number)
    with pytest.raises(OSError, match="No space left") as caught:
        file.write(0, memoryview(b"a"))
    assert caught.value.__notes__ == [f"{target} was not written; no partial file is left."]
    file.discard()
    assert everything_below(target.parent) == set()


# ---------------------------------------------------------------- races for one name


def without_hard_links(*_: Any, **__: Any) -> None:
    """Fail as `os.link` does on a file system without hard links."""
    raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.fixture(params=["hard links", "no hard links"])
def _file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test with and without hard links."""
    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", without_hard_links)


def race(directory: Path, writer: int, started: threading.Barrier | Barrier) -> list[int]:
    """Publish each of the files that other writers publish at the same time; return the races that were won."""
    won: list[int] = []
    for number in range(RACES):
        file = AtomicFile(directory / str(number))
        file.write(0, memoryview(str(writer).encode()))
        started.wait(60)
        try:
            file.publish()
        except FileExistsError:
            file.discard()
        else:
            won.append(number)
    return won


def race_in_a_process(directory: Path, writer: int, started: Barrier, has_links: bool) -> None:
    """Race, and write down the races that were won."""
    if not has_links:
        os.link = without_hard_links
    (directory / f"won-{writer}").write_text(" ".join(map(str, race(directory, writer, started))))


def assert_one_winner_each(directory: Path, won: dict[int, list[int]]) -> None:
    """Check that each race has one winner, whose content is there, and that no other file is left."""
    assert sorted(number for races in won.values() for number in races) == list(range(RACES))
    for writer, races in won.items():
        assert {(directory / str(number)).read_text() for number in races} <= {str(writer)}
    assert {name for name in everything_below(directory) if name.endswith(".part")} == set()


@pytest.mark.usefixtures("_file_system")
def test_one_of_several_threads_publishes(tmp_path: Path) -> None:
    """Of several threads that publish one name without overwriting, exactly one succeeds."""
    started = threading.Barrier(RACERS)
    won: dict[int, list[int]] = {}

    def work(writer: int) -> None:
        won[writer] = race(tmp_path, writer, started)

    run_threads(RACERS, work)
    assert_one_winner_each(tmp_path, won)


@pytest.mark.parametrize("has_links", [True, False])
def test_one_of_several_processes_publishes(tmp_path: Path, has_links: bool) -> None:
    """Of several processes that publish one name without overwriting, exactly one succeeds."""
    context = multiprocessing.get_context("spawn")
    started = context.Barrier(2)
    processes = [
        context.Process(target=race_in_a_process, args=(tmp_path, writer, started, has_links))
        for writer in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    won = {
        writer: [int(number) for number in (tmp_path / f"won-{writer}").read_text().split()]
        for writer in range(2)
    }
    assert_one_winner_each(tmp_path, won)


@pytest.mark.usefixtures("_file_system")
def test_existing_target_is_not_replaced_by_default(target: Path) -> None:
    """A target that appears while a file is written is replaced only with `overwrite`."""
    file = AtomicFile(target)
    file.write(0, memoryview(b"a"))
    target.write_text("precious")
    with pytest.raises(FileExistsError, match="already exists") as caught:
        file.publish()
    assert "no partial file is left" in caught.value.__notes__[0]
    file.discard()
    assert target.read_text() == "precious"
    again = AtomicFile(target, overwrite=True)
    again.write(0, memoryview(b"new"))
    again.publish()
    assert target.read_text() == "new"
    assert everything_below(target.parent) == {"x.mha"}


@pytest.mark.usefixtures("_file_system")
def test_dangling_link_is_not_replaced_by_default(target: Path) -> None:
    """A symbolic link that leads nowhere counts as a target that exists."""
    file = AtomicFile(target)
    file.write(0, memoryview(b"a"))
    target.symlink_to("nowhere")
    with pytest.raises(FileExistsError, match="already exists"):
        file.publish()
    file.discard()
    assert target.is_symlink()


# ---------------------------------------------------------------- written in one call


@pytest.mark.parametrize(
    ("existing", "content"), [("skip", b"old"), ("overwrite", b"new"), ("error", b"old")]
)
def test_bytes_are_written_as_the_policy_says(target: Path, existing: Any, content: bytes) -> None:
    """An existing file is kept, replaced, or an error."""
    assert write_atomically(target, b"old", existing=existing) == target
    if existing == "error":
        with pytest.raises(FileExistsError):
            write_atomically(target, b"new", existing=existing)
    else:
        assert write_atomically(target, b"new", existing=existing) == target
    assert target.read_bytes() == content
    assert everything_below(target.parent) == {"x.mha"}


def test_directory_is_not_replaced(target: Path) -> None:
    """A directory is not replaced by a file, and no file is left beside it."""
    target.mkdir(parents=True)
    with pytest.raises(OSError, match=r"x\.mha"):
        write_atomically(target, b"new", existing="overwrite")
    assert [path.name for path in target.parent.iterdir()] == ["x.mha"]


@pytest.mark.parametrize("word", ["", "Error", "replace", "update", None, True, 1, ["skip"]])
def test_other_policies_are_refused(word: Any) -> None:
    """Any other word than the three policies is a ValueError that names them."""
    with pytest.raises(ValueError, match="must be 'error', 'skip' or 'overwrite'"):
        check_existing_file(word)


@pytest.mark.parametrize("word", ["error", "skip", "overwrite"])
def test_policies_are_accepted(word: Any) -> None:
    """The three policies pass the check."""
    check_existing_file(word)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_names_that_are_taken(tmp_path: Path) -> None:
    """A name is taken by a file, a directory, and a symbolic link, wherever it leads."""
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    check_targets([tmp_path / "nothing"])
    for name in ("link", "file", "folder"):
        with pytest.raises(FileExistsError, match="pass existing='skip'"):
            check_targets([tmp_path / "nothing", tmp_path / name])
