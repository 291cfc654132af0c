"""Messages for errors of a journal."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path

from gcapi._util.disk_space import is_disk_full


def explain_journal_error(path: Path, error: sqlite3.Error | OSError) -> str:
    """Return what failed when a journal was used, why, and what to do."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return (
            f"Another push to this target is running, or is just ending: it has the journal {path} open. Wait until it"
            " has ended, or end it, and run the same command again."
        )
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return describe_damage(path, error)
    if is_disk_full(error) or name.startswith("SQLITE_IOERR"):
        free = ""
        with suppress(OSError):  # of a disk that is no longer there
            free = f"; its disk has {shutil.disk_usage(path.parent).free / 2**20:,.1f} MiB free"
        return (
            f"The journal {path} cannot be written ({error}){free}. Make room, or raise"
            " your quota or file size limit, and run the same command again: it continues, and nothing is lost."
        )
    return (
        f"The journal {path} cannot be used ({error}). Make it a file that you can write, or choose another one with"
        " journal= (on the command line --journal), and run the same command again."
    )


def describe_damage(path: Path, why: object) -> str:
    """Return what to do about a file that is not a journal, or is damaged."""
    return (
        f"{path} is not a journal, or is damaged ({why}). Move it away, and run the same command again. Cases are found"
        " on the server by their titles; jobs have none: only the algorithm's latest jobs are compared with the rows."
    )
