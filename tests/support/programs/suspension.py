"""Processes that are suspended, as when a laptop is closed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def suspended(pid: int) -> Iterator[None]:
    """Suspend a child process inside the block (POSIX only)."""
    os.kill(pid, signal.SIGSTOP)
    _, status = os.waitpid(pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), f"the process ended with status {status}"
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
