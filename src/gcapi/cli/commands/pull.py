"""``pull``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gcapi import bulk
from gcapi.cli.options import FOLDER, dask_option, transfer_arguments, workers_option
from gcapi.cli.session import Session, command


@command()
@click.argument("source", metavar="SOURCE")
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option(
    "--existing",
    type=click.Choice(["error", "skip", "overwrite", "verify"]),
    default="error",
    show_default=True,
    help="Policy for a folder that is not empty: refuse it, keep its files, download everything again, or download"
    " files whose checksum differs.",
)
@workers_option(4)
@dask_option
def pull(session: Session, *, source: str, folder: Path, dask: str | None, **options: Any) -> int:
    """Download an archive, a reader study or an algorithm's jobs.

    SOURCE is archive:SLUG, study:SLUG or algorithm:SLUG. The folder also gets a manifest, which "gcapi push" accepts.
    To resume an interrupted pull, use --existing skip or verify.
    """
    token = session.find_token()
    try:
        with (
            session.client(token) as client,
            transfer_arguments(session, token, "cases", dask) as shared,
        ):
            report = bulk.pull(client, source, folder, **options, **shared)
    except KeyboardInterrupt as error:
        error.add_note("To continue, run the command again with --existing skip or verify.")
        raise
    document = {
        "source": report.source,
        "folder": str(report.folder),
        "manifest": str(report.manifest),
        "cases": report.cases,
        "fetched": report.fetched,
        "files": report.files,
        "bytes": report.size,
        "answers": report.answers,
        "remarks": [str(remark) for remark in report.remarks],
        "failed": [
            {"pk": failure.pk, "title": failure.title, "error": str(failure.error)}
            for failure in report.failed
        ],
    }
    session.show(document, table={**document, "failed": len(report.failed) or None})
    if not (report.cases or report.failed):
        session.say(f"{report.source} has no cases; there is nothing to download.")
    failures = session.failures(report.cases + len(report.failed))
    for failure in report.failed:
        failures.report(failure.error, failure.title or failure.pk)
    return failures.exit_code
