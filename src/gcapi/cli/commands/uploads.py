"""``uploads``: your own uploads that the server keeps, and taking up one that was interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcapi.cli.dates import date_option
from gcapi.cli.listing import Kind, all_of, each_dated, field, limit_option, print_list
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from datetime import datetime

UPLOADS = Kind(
    lambda client: client.uploads,
    (field("pk"), field("created"), field("status"), field("filename")),
    has_slug=False,
)


@click.group()
def uploads() -> None:
    """List or resume uploads that no case has used yet.

    The server keeps them for a day.
    """


@command(uploads, "list")
@date_option("--since", "Begun then or later: '3 hours ago', 'yesterday', 2026-07-01, …")
@date_option("--until", "Begun before then.")
@click.option("--status", help="In this state, such as Initialized or Completed.")
@limit_option
def uploads_list(
    session: Session,
    *,
    since: datetime | None,
    until: datetime | None,
    status: str | None,
    limit: int | None,
) -> None:
    """List your uploads.

    The server has no filters for them: all are read, at most two thousand, and looked through here.
    """
    keep = all_of(
        each_dated("created", since, until),
        (lambda upload: upload["status"].lower() == status.lower()) if status else None,
    )
    print_list(session, UPLOADS, limit=limit, keep=keep)


@command(uploads)
@click.argument("pk")
@click.argument("file", type=click.Path(path_type=Path))
def resume(session: Session, *, pk: str, file: Path) -> None:
    """Send what is missing of an upload that was interrupted, from the same file."""
    with session.client(progress=True) as client:
        upload = client.uploads.resume(pk=pk, file=file).to_dict()
    session.show(upload)
