"""``verify`` and ``diff``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcapi.bulk import compare
from gcapi.cli.exit_codes import DONE, PART_FAILED
from gcapi.cli.listing import field
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcapi.bulk.differences import Difference

_folder_argument = click.argument(
    "folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR"
)
_COLUMNS = (field("kind"), field("subject"), field("what"))


@command(server=False)
@_folder_argument
def verify(session: Session, *, folder: Path) -> int:
    """Compare a pulled folder with its manifest.

    Reads every file and compares its SHA-256, without a connection. The exit code is 6 if there are differences.
    """
    return _show_differences(session, compare.verify(folder))


@command()
@_folder_argument
def diff(session: Session, *, folder: Path) -> int:
    """Compare a pulled folder's manifest with the server.

    Downloads no files. The exit code is 6 if there are differences.
    """
    with session.client() as client:
        return _show_differences(session, compare.diff(client, folder))


def _show_differences(session: Session, differences: Sequence[Difference]) -> int:
    session.show_all(map(asdict, differences), _COLUMNS)
    count = len(differences)
    session.say("1 difference." if count == 1 else f"{count or 'No'} differences.")
    return PART_FAILED if differences else DONE
