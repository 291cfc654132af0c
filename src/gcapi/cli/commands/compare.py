"""``verify`` and ``diff``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from gcapi import bulk
from gcapi._util.messages import counted
from gcapi.cli.exit_codes import DONE, PART_FAILED
from gcapi.cli.listing import field
from gcapi.cli.options import FOLDER
from gcapi.cli.session import Session, command

_folder_argument = click.argument("folder", type=FOLDER, metavar="DIR")
_COLUMNS = (field("kind"), field("subject"), field("what"))


@command(server=False, lists=True)
@_folder_argument
def verify(session: Session, *, folder: Path) -> int:
    """Compare a pulled folder with its manifest.

    Reads every file and compares its SHA-256, without a connection. The exit code is 6 if there are differences.
    """
    return _show_differences(session, bulk.verify(folder))


@command(lists=True)
@_folder_argument
def diff(session: Session, *, folder: Path) -> int:
    """Compare a pulled folder's manifest with the server.

    Downloads no files. The exit code is 6 if there are differences.
    """
    with session.client() as client:
        return _show_differences(session, bulk.diff(client, folder))


def _show_differences(session: Session, differences: Sequence[bulk.Difference]) -> int:
    session.show_all(map(asdict, differences), _COLUMNS)
    count = len(differences)
    session.say(f"{counted(count, 'difference')}." if count else "No differences.")
    return PART_FAILED if differences else DONE
