"""Rows that become jobs, each started once.

A request for a job is noted together with the number of jobs that the algorithm had before it. If the run ends before
the response is noted, the next run looks among the newer jobs for the one with these inputs before it starts any other.
Where that remains undecided, the row is reported and never sent again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi.bulk._push.decisions import Decision
from gcapi.exceptions import GCAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gcapi._workflows.job_start import JobRecorder, JobStep
    from gcapi._workflows.plans import Plan
    from gcapi.bulk._push.row_uploads import RowUploads
    from gcapi.bulk._push.rows import ParsedRow
    from gcapi.bulk.journal import Journal
    from gcapi.bulk.targets import Target
    from gcapi.client import Client


class JobWorker:
    """Start jobs of an algorithm.

    Args:
        client: The client.
        target: The algorithm.
        journal: Records every step.
        uploads: Uploads the files of rows.
    """

    def __init__(
        self, client: Client, target: Target, *, journal: Journal, uploads: RowUploads
    ) -> None:
        self._workflows = client.workflows
        self._journal = journal
        self._uploads = uploads
        self._algorithm = client.workflows.lookup.algorithms.get(target.slug)
        #: The rows of which it is unknown whether they have a job.
        self._ambiguous: dict[bytes, Exception] = {}

    def find_requested(self, rows: Callable[[], Iterable[ParsedRow]]) -> None:
        """Find the jobs of requests whose response an earlier run did not note.

        Args:
            rows: Returns all rows; called only if there is such a request.
        """
        if next(self._journal.records("posting"), None) is None:
            return
        for row in rows():
            record = self._journal.record(row.fingerprint)
            if record is not None and record.state == "posting":
                try:
                    inputs, _ = self._uploads.known(row.fingerprint, self._plan(row))
                    self._workflows.jobs.find(
                        self._algorithm, inputs, record.before["jobs"], self._recorder(row)
                    )
                except GCAPIError as error:
                    self._ambiguous[row.fingerprint] = error

    def decide(self, row: ParsedRow) -> Decision:
        """Return what to do about a row."""
        record = self._journal.record(row.fingerprint)
        if record is not None and record.state in {"started", "ended"}:
            return Decision("nothing", record.pk, note="started by an earlier run")
        if record is not None and record.state == "posting":
            return Decision(
                "finish", slugs=row.slugs, note="an earlier run ended while it started it"
            )
        return Decision("make", slugs=row.slugs)

    def push_row(self, row: ParsedRow) -> Decision:
        """Start the job of a row; return what was done.

        Raises:
            AmbiguousWriteError: It is unknown whether the job was started.
            InterfaceMismatch: The algorithm does not take these inputs.
        """
        if row.fingerprint in self._ambiguous:
            raise self._ambiguous[row.fingerprint]
        decision = self.decide(row)
        if decision.action == "nothing":
            return decision
        plans = self._plan(row)
        if self._journal.record(row.fingerprint) is None:
            self._journal.note(row.fingerprint, "uploading")
        inputs = self._uploads.upload(row.fingerprint, plans)
        self._journal.note(row.fingerprint, "uploaded")
        job = self._workflows.jobs.start(self._algorithm, inputs, self._recorder(row))
        return Decision("make", job.pk)

    def _plan(self, row: ParsedRow) -> list[Plan]:
        return self._workflows.values.plan(row.specs)

    def _recorder(self, row: ParsedRow) -> JobRecorder:
        def record(step: JobStep, *, pk: str = "", jobs_before: int = 0) -> None:
            before = {"jobs": jobs_before} if step == "posting" else None
            self._journal.note(row.fingerprint, step, pk=pk or None, before=before)

        return record
