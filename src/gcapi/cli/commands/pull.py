"""``pull``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcapi import bulk
from gcapi._util.messages import counted, size_text
from gcapi.cli.exit_codes import DONE, PART_FAILED
from gcapi.cli.listing import field
from gcapi.cli.options import FOLDER, dask_option, format_option, transfer_arguments, workers_option
from gcapi.cli.session import Session, command
from gcapi.cli.value_completion import complete_target

if TYPE_CHECKING:
    from gcapi.bulk._tables.formats import TableFormat

_PLANNED_CASE_COLUMNS = tuple(map(field, ("what", "values", "title", "folder", "note")))


@command()
@click.argument("source", metavar="SOURCE", shell_complete=complete_target)
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option(
    "--existing",
    type=click.Choice(["resume", "error", "skip", "overwrite", "verify"]),
    default="resume",
    show_default=True,
    help="Policy for a folder that is not empty: resume an earlier pull of the same source, refuse it, keep its files,"
    " download everything again, or download files whose checksum differs.",
)
@click.option("--dry-run", is_flag=True, help="Only show the plan for each case.")
@click.option(
    "--only",
    multiple=True,
    metavar="SOCKET",
    help="Only download values of this socket; can be repeated, and may contain * and ?.",
)
@click.option(
    "--include",
    multiple=True,
    metavar="PATTERN",
    help="Only download cases with a title like this, such as 'case-1*'; can be repeated.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Do not download cases with a title like this or, as socket:PATTERN, values of such sockets; can be repeated.",
)
@click.option(
    "--names",
    type=click.Choice(["title", "pk", "original"]),
    help="Name folders and images after the titles of cases, or after pks; or images and files as they were uploaded."
    " By default folders after titles and images after pks.",
)
@format_option("table_format", "File format of the manifest and of the answers.", "csv")
@workers_option(4)
@dask_option
def pull(
    session: Session,
    *,
    source: str,
    folder: Path,
    dask: str | None,
    dry_run: bool,
    only: tuple[str, ...],
    include: tuple[str, ...],
    table_format: TableFormat,
    workers: int,
    **options: Any,
) -> int:
    """Download an archive, a reader study or an algorithm's jobs.

    SOURCE is archive:SLUG, study:SLUG or algorithm:SLUG. The folder also gets a manifest, which "gcapi push" accepts.
    To resume an interrupted pull, or to fetch what is new, run the same command again.
    """
    options["include"] = [*include, *(f"socket:{slug}" for slug in only)]
    token = session.find_token()
    if dry_run:
        with session.client(token) as client:
            _show_planned_cases(session, bulk.plan_pull(client, source, folder, **options))
        return DONE
    try:
        with session.client(token) as client, transfer_arguments(session, token, dask) as shared:
            report = bulk.pull(
                client,
                source,
                folder,
                table_format=table_format,
                workers=workers,
                **options,
                **shared,
            )
    except KeyboardInterrupt as error:
        error.add_note("To continue, run the command again.")
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
    session.show(
        document,
        table={**document, "bytes": size_text(report.size), "failed": len(report.failed) or None},
    )
    if not (report.cases or report.failed):
        kind = "such " if options["include"] or options["exclude"] else ""
        session.say(f"{report.source} has no {kind}cases; there is nothing to download.")
    for pattern in report.unmatched:
        session.say(f"gcapi: note: {pattern!r} matches nothing.")
    failures = session.failures(report.cases + len(report.failed))
    for failure in report.failed:
        failures.report(failure.error, failure.title or failure.pk)
    is_unwritten = any(remark.kind == "unwritten" for remark in report.remarks)
    return failures.exit_code or (PART_FAILED if is_unwritten else DONE)


def _show_planned_cases(session: Session, plan: list[bulk.PlannedCase]) -> None:
    session.show_all(map(asdict, plan), _PLANNED_CASE_COLUMNS)
    values, here = sum(one.values for one in plan), sum(one.what == "nothing" for one in plan)
    session.say(
        f"{counted(len(plan), 'case')}, {here} of them complete; {counted(values, 'value')} to download. A dry run"
        " changes nothing."
    )
