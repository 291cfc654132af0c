"""Temporary files of processes that were killed: removed by the next one, and never while their owner lives."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcapi._transfer.atomic_file import AtomicFile, remove_abandoned_files
from gcapi._util.owner_locks import (
    ABANDONED_SECONDS,
    LOCK_NAME,
    PRIVATE_PREFIX,
    private_directory,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")

#: Creates a private directory with a file, or a partial file, and waits to be killed.
OWNER = """
import sys
from pathlib import Path
from gcapi._transfer.atomic_file import AtomicFile
from gcapi._util.owner_locks import private_directory

if sys.argv[1] == "directory":
    with private_directory() as directory:
        (directory / "slice.dcm").write_bytes(b"patient")
        print(directory, flush=True)
        sys.stdin.read()
else:
    file = AtomicFile(Path(sys.argv[1]) / "scan.mha")
    file.write(0, memoryview(b"half"))
    print(file._temporary, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this process, and those that it starts, a temporary directory of their own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def owner(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Give a process that owns something, and its path, which looks old."""
    kind = "directory" if request.param == "directory" else str(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    path = Path(process.stdout.readline().strip())
    make_old(path / LOCK_NAME if path.is_dir() else path)
    yield process, path
    process.kill()
    process.communicate()


def make_old(path: Path) -> None:
    """Let a file look older than those that are never abandoned."""
    before = time.time() - ABANDONED_SECONDS - 1
    os.utime(path, (before, before))


def clean(tmp_path: Path) -> None:
    """Remove what is abandoned, as the next call in another process does."""
    remove_abandoned_files.cache_clear()
    remove_abandoned_files(tmp_path)
    with private_directory():
        pass


@pytest.mark.parametrize("owner", ["directory", "file"], indirect=True)
def test_what_a_killed_process_left_is_removed(
    owner: tuple[subprocess.Popen[str], Path], tmp_path: Path
) -> None:
    """Temporary files stay while their process lives, and the next one after its kill removes them."""
    process, path = owner
    clean(tmp_path)
    assert path.exists()
    process.kill()
    process.wait()
    clean(tmp_path)
    assert not path.exists()
    assert list(tmp_path.iterdir()) == []


def test_new_files_are_not_abandoned(tmp_path: Path) -> None:
    """A file that was just created may not be locked yet, and stays."""
    new = tmp_path / f"{PRIVATE_PREFIX}x"
    new.mkdir()
    (new / LOCK_NAME).touch()
    clean(tmp_path)
    assert new.exists()


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A planted link among the temporary files is neither followed nor removed through."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / LOCK_NAME).touch()
    make_old(precious / LOCK_NAME)
    (tmp_path / f"{PRIVATE_PREFIX}x").symlink_to(precious)
    part = tmp_path / f".scan.mha.{'0' * 32}.part"
    part.symlink_to(precious / LOCK_NAME)
    clean(tmp_path)
    assert (precious / LOCK_NAME).exists()


def test_private_directories_are_private(tmp_path: Path) -> None:
    """Only this user can read a private directory, and it is removed at the end."""
    with private_directory() as directory:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert directory.parent == tmp_path
    assert not directory.exists()


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_published_file_is_complete(tmp_path: Path, overwrite: bool) -> None:
    """A file that is locked while it is written is published as before."""
    file = AtomicFile(tmp_path / "scan.mha", overwrite=overwrite)
    file.write(0, memoryview(b"whole"))
    assert file.publish().read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["scan.mha"]
