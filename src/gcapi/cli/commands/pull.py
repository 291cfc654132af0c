"""``pull``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcapi.bulk import pulling
from gcapi.cli.bulk_options import case_counter, dask_executor, dask_option, workers_option
from gcapi.cli.exit_codes import Failures
from gcapi.cli.output import print_json, print_object
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from gcapi.bulk.pulling import PullReport


@command()
@click.argument("source", metavar="SOURCE")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
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
    with (
        session.client(token) as client,
        dask_executor(dask) as executor,
        case_counter("cases", quiet=session.quiet) as progress,
    ):
        report = pulling.pull(
            client,
            source,
            folder,
            executor=executor,
            token_file=token.path,
            progress=progress,
            **options,
        )
    return _show_pull_report(session, report)


def _show_pull_report(session: Session, report: PullReport) -> int:
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
    if session.as_json:
        print_json(document)
    else:
        print_object({**document, "failed": len(report.failed) or None})
    failures = Failures(report.cases + len(report.failed))
    for failure in report.failed:
        failures.report(failure.error, failure.title or failure.pk)
    return failures.exit_code
