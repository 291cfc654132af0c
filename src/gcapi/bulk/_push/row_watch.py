"""Waiting for the imports and jobs of rows, and noting their ends in the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gcapi._util.scheduler import Scheduler
from gcapi._workflows.cases import PendingValue
from gcapi._workflows.import_watch import MAX_SINGLE_READS, ImportWatch
from gcapi._workflows.prepare import UploadedFiles
from gcapi.jobs import SUCCEEDED, failure, watch_jobs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from gcapi import models
    from gcapi._workflows.case_kinds import CaseParent
    from gcapi.bulk._push.rows import ParsedRow
    from gcapi.bulk.journal import Journal
    from gcapi.client import Client
    from gcapi.exceptions import ImportFailed

Errors = dict[str, Exception]


def wait_for_imports(
    client: Client,
    journal: Journal,
    rows: Mapping[str, ParsedRow],
    parent: CaseParent[Any],
    timeout: float | None,
) -> tuple[Errors, Errors]:
    """Wait for the values of cases; return the errors of those that failed, and of those that took too long.

    Args:
        client: The client.
        journal: Has the uploads; records which cases are complete.
        rows: The rows, by the pks of their cases.
        parent: The archive or reader study of the cases.
        timeout: Seconds; `None` for as long as it takes.
    """

    def read(pks: Sequence[str]) -> Iterable[Any]:
        if len(pks) > MAX_SINGLE_READS:
            return parent.cases()
        return (parent.kind.namespace.detail(pk=pk) for pk in pks)

    def complete(case: Any) -> None:
        journal.note(rows[case.pk].fingerprint, "imported")
        journal.forget_uploads(rows[case.pk].fingerprint)

    def failed(pk: str, error: ImportFailed) -> None:
        # A re-run uploads the files again, and fills the case again.
        journal.forget_uploads(rows[pk].fingerprint)
        journal.note(rows[pk].fingerprint, "created", pk=pk)
        journal.note_error(rows[pk].fingerprint, str(error))

    pending: dict[str, dict[str, PendingValue]] = {}
    for pk, row in rows.items():
        record = journal.record(row.fingerprint)
        if record is not None and record.state == "filled":
            pending[pk] = _pending(journal, row, record.before.get("values", {}))
            if not pending[pk]:
                del pending[pk]
                journal.note(row.fingerprint, "imported")
    watch = ImportWatch(
        pending,
        read,
        client.workflows.resources,
        client.workflows.settings.timeout,
        on_complete=complete,
        on_failure=failed,
    )
    failures, late = watch.wait(timeout)
    return {**failures}, {**late}


def _pending(
    journal: Journal, row: ParsedRow, before: Mapping[str, int]
) -> dict[str, PendingValue]:
    names = {spec.socket_slug: tuple(path.name for path in spec.paths) for spec in row.specs}
    return {
        slug: PendingValue(
            before.get(slug),
            UploadedFiles(
                tuple(upload.pk for upload in group.values()),
                names.get(slug, ()),
                is_plain_image=True,
            ),
        )
        for slug, group in journal.uploads(row.fingerprint).items()
    }


def wait_for_jobs(
    client: Client,
    journal: Journal,
    rows: Mapping[str, ParsedRow],
    workers: int,
    timeout: float | None,
) -> tuple[Errors, Errors]:
    """Wait for jobs; return the errors of those that failed, and of those that took too long.

    Args:
        client: The client.
        journal: Records which jobs have succeeded.
        rows: The rows, by the pks of their jobs.
        workers: How many jobs are read at once.
        timeout: Seconds; `None` for as long as it takes.
    """
    failures: Errors = {}

    def finished(job: models.HyperlinkedJob) -> None:
        fingerprint = rows[job.pk].fingerprint
        if job.status == SUCCEEDED:
            journal.note(fingerprint, "ended")
            journal.forget_uploads(fingerprint)
        else:
            failures[job.pk] = failure(job)
            journal.note_error(fingerprint, str(failures[job.pk]))

    def is_open(row: ParsedRow) -> bool:
        record = journal.record(row.fingerprint)
        return record is not None and record.state != "ended"

    with Scheduler(workers, "gcapi-push-wait") as scheduler:

        def read(pks: Collection[str]) -> Iterable[models.HyperlinkedJob]:
            return scheduler.run_all(lambda pk: client.algorithm_jobs.detail(pk=pk), pks)

        pks = [pk for pk, row in rows.items() if is_open(row)]
        late = watch_jobs(pks, read, timeout=timeout, on_finish=finished)
    return failures, {error.pk: error for error in late}
