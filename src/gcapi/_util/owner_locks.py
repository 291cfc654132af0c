"""Temporary files and directories that are locked by their owner, so that another process can remove abandoned ones.

A process that is killed removes nothing. The system releases its locks, though, which shows that nobody owns what it
left. Where there are no locks, on Windows and on some network shares, nothing is taken for abandoned.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

#: The beginning of the names of private directories.
PRIVATE_PREFIX = "gcapi-private-"
LOCK_NAME = ".lock"
#: Seconds after which a file that nobody has locked is abandoned; a new one is locked just after it was created.
ABANDONED_SECONDS = 60.0


def lock(descriptor: int) -> bool | None:
    """Lock an open file until it is closed, without waiting.

    Returns:
        True if it is locked now; false if another process has locked it; `None` where there are no locks.
    """
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def unlock(descriptor: int) -> None:
    """Unlock an open file, whose lock processes that were forked meanwhile would keep."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def remove_if_abandoned(path: Path) -> None:
    """Remove a temporary file if it is some time old, and not locked."""
    with suppress(OSError), _abandoned(path) as is_abandoned:
        if is_abandoned:
            path.unlink()


@contextmanager
def private_directory() -> Generator[Path]:
    """Create a temporary directory that only this user can read, and remove it at the end.

    Directories that killed processes of this user left behind are removed first.
    """
    for old in Path(tempfile.gettempdir()).glob(f"{PRIVATE_PREFIX}*"):
        with suppress(OSError), _abandoned(old / LOCK_NAME) as is_abandoned:
            if is_abandoned:
                shutil.rmtree(old)
    # Readable for this user only, even where the temporary directory is shared.
    with (
        tempfile.TemporaryDirectory(prefix=PRIVATE_PREFIX) as name,
        (Path(name) / LOCK_NAME).open("xb") as file,
    ):
        lock(file.fileno())
        yield Path(name)


@contextmanager
def _abandoned(path: Path) -> Generator[bool]:
    """Lock a file, if that is possible, and yield whether it is abandoned.

    Raises:
        OSError: It does not exist, or is another user's.
    """
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
    try:
        age = time.time() - os.fstat(descriptor).st_mtime
        yield age > ABANDONED_SECONDS and lock(descriptor) is True
    finally:
        os.close(descriptor)
