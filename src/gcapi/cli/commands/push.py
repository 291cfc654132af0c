"""``push``: whole manifests to an archive, a reader study or an algorithm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcapi.cli.bulk_progress import counted, dask_executor
from gcapi.cli.listing import field
from gcapi.cli.output import print_json, print_object
from gcapi.cli.session import Session, command, workers_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcapi.bulk.pushing import PlannedRow, PushReport, RowDone, RowFailure

_PLAN = (
    field("line"),
    field("what"),
    field("files"),
    field("bytes"),
    field("title"),
    field("note"),
)


@command()
@click.argument("manifest", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("target")
@click.option("--dry-run", is_flag=True, help="Only tell what would be done with each row.")
@click.option(
    "--existing",
    type=click.Choice(["skip", "update", "error"]),
    default="skip",
    show_default=True,
    help="What to do about a case of a row's title that is there: fill what is missing, change it, or fail the row.",
)
@click.option(
    "--wait",
    is_flag=True,
    help="Wait until the server has imported everything, or all jobs have ended.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait no longer than this after the last row; by default as long as it takes.",
)
@workers_option(8)
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to note what was done; by default a file of its own in your state directory.",
)
@click.option("--dask", metavar="ADDRESS", help="Upload from the workers of a Dask cluster.")
def push(
    session: Session,
    *,
    manifest: Path,
    target: str,
    dry_run: bool,
    existing: Any,
    wait: bool,
    timeout: float | None,
    workers: int,
    journal: Path | None,
    dask: str | None,
) -> int:
    """Push the rows of a manifest, each a case or a job.

    TARGET is archive:SLUG, study:SLUG or algorithm:SLUG. A push that was ended, however that was, goes on when the same
    command is run again: nothing is uploaded twice, and no case is there twice. Rows that fail do not stop the others,
    and come back as a manifest of their own.
    """
    from gcapi.bulk.pushing import plan_push
    from gcapi.bulk.pushing import push as do_push

    token = session.find_token()
    with session.client_with(token) as client:
        if dry_run:
            plan = plan_push(client, manifest, target, journal=journal, existing=existing)
            return _tell_plan(session, plan)
        with (
            dask_executor(dask) as executor,
            counted("rows", quiet=session.quiet) as count,
        ):
            report = do_push(
                client,
                manifest,
                target,
                journal=journal,
                workers=workers,
                executor=executor,
                existing=existing,
                wait=wait,
                timeout=timeout,
                token_file=token.path,
                progress=count,
            )
    return _tell_push(session, report)


def _tell_plan(session: Session, plan: list[PlannedRow]) -> int:
    from gcapi.cli.exit_codes import DONE, INVALID_INPUT

    documents = [
        {
            "line": one.row.line,
            "what": one.what,
            "files": one.files,
            "bytes": one.size,
            "title": one.row.title,
            "note": one.note,
        }
        for one in plan
    ]
    session.show_all(documents, _PLAN)
    files, size = sum(one.files for one in plan), sum(one.size for one in plan)
    session.say(f"{len(plan)} rows, {files} files of {size / 1e6:.1f} MB; nothing was done.")
    return INVALID_INPUT if any(one.what == "fail" for one in plan) else DONE


def _tell_push(session: Session, report: PushReport) -> int:
    failed_manifest = report.failed_manifest()
    facts = {
        "manifest": str(report.manifest.path),
        "journal": str(report.journal),
        "failed_manifest": failed_manifest and str(failed_manifest),
    }
    failures = {"failed": report.failed, "ambiguous": report.ambiguous, "waiting": report.waiting}
    if session.as_json:
        ended = {"done": _rows(report.done), "skipped": _rows(report.skipped)}
        print_json({**facts, **ended, **{how: _failures(rows) for how, rows in failures.items()}})
    else:
        counts = {"done": len(report.done), "skipped": len(report.skipped)}
        print_object(
            {**facts, **counts, **{how: len(rows) or None for how, rows in failures.items()}}
        )
    for row in sorted((*report.done, *report.skipped), key=_line):
        if row.note:
            session.say(f"line {row.row.line} ({row.row.title}): {row.note}")
    return _tell_failures(report)


def _tell_failures(report: PushReport) -> int:
    """Tell why rows failed, and return the exit code: 5 where rows are only late."""
    from gcapi.cli.exit_codes import TEMPORARY, Failures

    rows = sorted((*report.failed, *report.ambiguous, *report.waiting), key=_line)
    failures = Failures(len(rows) + len(report.done) + len(report.skipped))
    for one in rows:
        failures.add(
            one.error, f"line {one.row.line}" + (f" ({one.row.title})" if one.row.title else "")
        )
    is_only_late = report.waiting and not (report.failed or report.ambiguous)
    return TEMPORARY if is_only_late else failures.exit_code


def _rows(rows: Iterable[RowDone]) -> list[dict[str, Any]]:
    return [
        {"line": one.row.line, "title": one.row.title, "pk": one.pk, "note": one.note}
        for one in sorted(rows, key=_line)
    ]


def _failures(rows: Iterable[RowFailure]) -> list[dict[str, Any]]:
    return [
        {"line": one.row.line, "title": one.row.title, "error": str(one.error)}
        for one in sorted(rows, key=_line)
    ]


def _line(ended: RowDone | RowFailure) -> int:
    return ended.row.line
