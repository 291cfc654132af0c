"""``push``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import gcapi
from gcapi import bulk
from gcapi._util.messages import counted, size_text
from gcapi.cli.exit_codes import DONE, INVALID_INPUT, TEMPORARY
from gcapi.cli.listing import field
from gcapi.cli.options import (
    FILE,
    dask_option,
    inspect_options,
    timeout_option,
    transfer_arguments,
    workers_option,
)
from gcapi.cli.session import Session, command
from gcapi.cli.value_completion import complete_target

_PLAN_COLUMNS = tuple(map(field, ("line", "what", "files", "bytes", "title", "note")))


@command()
@click.argument("manifest", type=FILE)
@click.argument("target", shell_complete=complete_target)
@click.option("--dry-run", is_flag=True, help="Only show the plan for each row.")
@click.option(
    "--existing",
    type=click.Choice(["skip", "update", "error"]),
    default="skip",
    show_default=True,
    help="Policy for a row whose title an existing case has: add missing values, update the case, or fail the row.",
)
@inspect_options
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until the server has imported all images, or until all jobs have finished.",
)
@timeout_option("Wait at most this long after the last row; by default without a limit.")
@click.option(
    "--again",
    is_flag=True,
    help="Start jobs although the algorithm's latest jobs include one with the same inputs.",
)
@workers_option(10)
@click.option(
    "--journal",
    type=FILE,
    metavar="FILE",
    help="The file that records what was done; by default that of the target in your state directory.",
)
@dask_option
def push(
    session: Session,
    *,
    manifest: Path,
    target: str,
    dry_run: bool,
    dask: str | None,
    **options: Any,
) -> int:
    """Upload the cases or start the jobs of a manifest.

    TARGET is archive:SLUG, study:SLUG or algorithm:SLUG. To resume an interrupted push, run the same command again: no
    file is uploaded twice and no case is created twice. Rows that fail do not stop the others; they are written to a
    manifest of their own.
    """
    token = session.find_token()
    with session.client(token) as client:
        if dry_run:
            planning = {name: options[name] for name in ("journal", "existing", "inspect", "again")}
            return _show_plan(session, bulk.plan_push(client, manifest, target, **planning))
        with transfer_arguments(session, token, dask) as shared:
            report = bulk.push(client, manifest, target, **options, **shared)
    return _show_push_report(session, report)


def _show_plan(session: Session, plan: list[bulk.PlannedRow]) -> int:
    documents = (
        {
            "line": planned.row.line,
            "what": planned.what,
            "files": planned.files,
            "bytes": planned.size,
            "title": planned.row.title,
            "note": planned.note,
        }
        for planned in plan
    )
    session.show_all(documents, _PLAN_COLUMNS)
    files, size = sum(one.files for one in plan), sum(one.size for one in plan)
    counts = f"{counted(len(plan), 'row')}, {counted(files, 'file')}, {size_text(size)}"
    session.say(f"{counts}; a dry run changes nothing.")
    return INVALID_INPUT if any(one.what == "fail" for one in plan) else DONE


def _show_push_report(session: Session, report: bulk.PushReport) -> int:
    failed_manifest, lost = None, None
    try:
        failed_manifest = report.failed_manifest()
    except (gcapi.exceptions.GCAPIError, OSError) as error:  # what was done is told all the same
        lost = error
    facts = {
        "manifest": str(report.manifest.path),
        "journal": str(report.journal),
        "failed_manifest": failed_manifest and str(failed_manifest),
        "pending": report.pending,
    }
    groups: dict[str, Sequence[bulk.RowDone | bulk.RowFailure]] = {
        how: getattr(report, how) for how in ("done", "skipped", "failed", "ambiguous", "waiting")
    }
    shown = {how: rows for how, rows in groups.items() if rows or how in {"done", "skipped"}}
    session.show(
        {
            **facts,
            **{how: [*map(_document, sorted(rows, key=_line_of))] for how, rows in groups.items()},
        },
        table={**facts, **{how: len(rows) for how, rows in shown.items()}},
    )
    if not report.manifest.rows:
        session.say(f"{report.manifest.path} has no rows; there is nothing to push.")
    for row in sorted((*report.done, *report.skipped), key=_line_of):
        if row.note:
            session.say(f"{row.row.name}: {row.note}")
    if failed_manifest is not None and failed_manifest.parent != report.manifest.folder:
        session.say(
            f"{report.manifest.folder} cannot be written, so the rows that failed are in {failed_manifest}. Its paths"
            " start from the manifest's folder: copy it there to push it."
        )
    if lost is not None:
        session.say(f"The rows that failed could not be written to a manifest of their own: {lost}")
    if report.pending:
        session.say(
            f"The server may still import files of {counted(report.pending, 'row')}, or run the jobs. To see what"
            " became of them, add --wait to the same command: it sends nothing again."
        )
    failures = session.failures(sum(map(len, groups.values())))
    for failed in sorted((*report.failed, *report.ambiguous, *report.waiting), key=_line_of):
        failures.report(failed.error, failed.row.name)
    is_only_late = report.waiting and not (report.failed or report.ambiguous)
    return TEMPORARY if is_only_late else failures.exit_code


def _document(ended: bulk.RowDone | bulk.RowFailure) -> dict[str, Any]:
    row = {"line": ended.row.line, "title": ended.row.title}
    if isinstance(ended, bulk.RowFailure):
        return {**row, "error": str(ended.error)}
    return {**row, "pk": ended.pk, "note": ended.note}


def _line_of(ended: bulk.RowDone | bulk.RowFailure) -> int:
    return ended.row.line
