"""``uploads``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

import gcapi
from gcapi.cli.dates import local_date
from gcapi.cli.listing import ObjectKind, limit_option
from gcapi.cli.session import Session, command

#: The status of an upload that was not completed.
UNFINISHED = "Initialized"
UPLOADS: ObjectKind[gcapi.models.UserUpload] = ObjectKind(
    lambda client: client.uploads,
    (
        ("pk", lambda one: one.pk),
        ("created", lambda one: one.created),
        ("status", lambda one: one.status),
        ("filename", lambda one: one.filename),
    ),
    has_slug=False,
)


@click.group()
def uploads() -> None:
    """List, resume and abort unused uploads.

    The server deletes an upload that no case has used after a day.
    """


@command(uploads, "list", lists=True)
@click.option(
    "--since",
    type=local_date,
    metavar="DATE",
    help="Only uploads created at this time or later: '3 hours ago', 'yesterday', 2026-07-01, …",
)
@click.option(
    "--until", type=local_date, metavar="DATE", help="Only uploads created before this time."
)
@click.option("--status", help="Only uploads with this status, such as Initialized or Completed.")
@click.option(
    "--unfinished", "status", flag_value=UNFINISHED, help="Only uploads that were not completed."
)
@limit_option
def uploads_list(
    session: Session,
    *,
    since: datetime | None,
    until: datetime | None,
    status: str | None,
    limit: int | None,
) -> None:
    """List your unused uploads.

    The server does not filter uploads: the command reads all of them (at most 2,000) and filters.
    """

    def is_wanted(upload: gcapi.models.UserUpload) -> bool:
        return (
            (since is None or upload.created >= since)
            and (until is None or upload.created < until)
            and (status is None or upload.status.lower() == status.lower())
        )

    keep = is_wanted if since or until or status else None
    with session.client() as client:
        UPLOADS.print_list(session, client, limit, keep=keep)


@command(uploads)
@click.argument("pk")
@click.argument("file", type=click.Path(path_type=Path))
def resume(session: Session, *, pk: str, file: Path) -> None:
    """Resume an interrupted upload of a file."""
    with session.client(progress=True) as client:
        session.show(client.uploads.resume(pk=pk, file=file).to_dict())


@command(uploads)
@click.argument("pks", metavar="PK...", nargs=-1)
@click.option(
    "--unfinished",
    is_flag=True,
    help="Abort all that were not completed, also those that a running program is sending.",
)
@click.option(
    "--until",
    type=local_date,
    metavar="DATE",
    help="With --unfinished: only uploads created before this time, such as '1 hour ago'.",
)
def abort(
    session: Session, *, pks: tuple[str, ...], unfinished: bool, until: datetime | None
) -> int:
    """Abort uploads that were not completed, which count against your quota for a day.

    A push that was killed leaves such uploads; run again, it resumes or aborts its own.
    """
    if bool(pks) == unfinished or (until and not unfinished):
        raise click.UsageError("Give the PKs of uploads, or --unfinished, which --until limits.")
    with session.client() as client:
        found = (
            [
                upload
                for upload in client.uploads.iterate_all()
                if upload.status == UNFINISHED and (until is None or upload.created < until)
            ]
            if unfinished
            else list(pks)
        )

        def abort_one(given: str | gcapi.models.UserUpload) -> gcapi.models.UserUpload:
            upload = client.uploads.detail(pk=given) if isinstance(given, str) else given
            return client.uploads.abort_multipart_upload(
                pk=upload.pk, s3_upload_id=upload.s3_upload_id
            )

        failures = session.failures(len(found))
        session.show_all(failures.map(abort_one, found), UPLOADS.columns)
    return failures.exit_code
