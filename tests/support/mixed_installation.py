"""Installations of this client and the published one over each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

#: The modules of the published wheel of 0.16.1.
PUBLISHED = (
    *("__init__", "apibase", "check_version", "client", "create_strategies", "exceptions"),
    *("models", "retries", "transports", "typing"),
)
#: What only this client has, and what both have.
_OURS = (
    "from gcapi.bulk import push",
    "from gcapi import findings, jobs, progress, resources, sockets",
    "from gcapi.sockets import SocketValueSpec",
)
_BOTH = ("from gcapi import Client", "from gcapi import SocketValueSpec")


def _outcomes(folder: Path, statements: tuple[str, ...]) -> list[str]:
    """Return the last line that each statement, and at last the command line, writes to standard error."""
    command = "import sys; from gcapi.cli import main; sys.exit(main(['--help']))"
    done = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
        )
        for code in (*statements, command)
    ]
    assert done[-1].returncode == 2
    return [one.stderr.strip().rpartition("\n")[2] for one in done]


def assert_stops(folder: Path, *, is_over: bool) -> None:
    """Check that all that only this client has names the folder to delete.

    Args:
        folder: The package, with files of both.
        is_over: Whether the published client was put over this one, so that what both have is its own.
    """
    words = f"{folder} has files of two releases of gcapi, which are installed over each other."
    *imports, command = _outcomes(folder.parent, _OURS if is_over else _OURS + _BOTH)
    assert [line.startswith(f"ImportError: {words}") for line in imports] == [True] * len(imports)
    assert command.startswith(f"gcapi: {words} Run `pip uninstall gcapi`")
