"""Rows that become jobs, each started once.

A request for a job is noted together with the number of jobs that the algorithm had before it. If the run ends before
the response is noted, the next run looks among the newer jobs for the one with these inputs before it starts any other.
Where that remains undecided, the row is reported and never sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain

import httpx

from gcapi import models
from gcapi._util.disk_space import is_disk_full
from gcapi._util.scheduler import Scheduler
from gcapi._workflows.import_sessions import images_of
from gcapi._workflows.inspection import Inspection
from gcapi._workflows.job_start import JobRecorder, JobStep
from gcapi._workflows.prepare import UploadedFiles
from gcapi._workflows.workflows import Workflows
from gcapi.bulk._common_cause import common_cause
from gcapi.bulk._push.decisions import Decision, WaitResult
from gcapi.bulk._push.row_uploads import RowUploads
from gcapi.bulk._push.rows import ParsedRow, RowPlanner
from gcapi.bulk.journal import JournalError, RowRecord
from gcapi.exceptions import GCAPIError, ObjectNotFound, SpecError
from gcapi.jobs import CANCELLED, SUCCEEDED, failure, watch_jobs
from grand_challenge_api.base import AbsentFieldError

STARTED_AGAIN = (
    "its values or files have changed since job {} was started, so another job is started"
)


class JobExistsError(GCAPIError):
    """Raised when a job with the inputs of a row exists, which the journal does not know; nothing was sent."""


@dataclass(eq=False)
class JobWorker:
    """Start jobs of an algorithm.

    Attributes:
        workflows: The workflows of the client.
        algorithm: The algorithm.
        planner: Plans the values of rows.
        uploads: Uploads the files of rows, and has the journal.
        workers: How many jobs are read at once.
    """

    workflows: Workflows
    algorithm: models.Algorithm
    planner: RowPlanner
    uploads: RowUploads
    workers: int

    def __post_init__(self) -> None:
        self._journal = self.uploads.journal
        #: The rows of which it is unknown whether they have a job.
        self._ambiguous: dict[bytes, Exception] = {}
        #: Why rows are refused whose inputs a job of another journal has.
        self._existing: dict[bytes, str] = {}

    def find_requested(self, rows: Callable[[], Iterable[ParsedRow]]) -> None:
        """Find the jobs of requests whose response an earlier run did not note.

        Args:
            rows: Returns all rows; called only if there is such a request.
        """
        requested = self._journal.rows_in("posting")
        for row in rows() if requested else ():
            record = self._found(row)
            if record is not None and record.state == "posting":
                try:
                    # Nothing is sent for this, so the files need not be inspected.
                    plans = self.workflows.values.plan(row.specs, Inspection("off"))
                    inputs = self.uploads.known(row.fingerprint, plans)
                    self.workflows.jobs.find(
                        self.algorithm, inputs, record.before["jobs"], self._recorder(row)
                    )
                except JournalError:
                    raise
                except (GCAPIError, AbsentFieldError, httpx.HTTPError, OSError) as error:
                    if is_disk_full(error):
                        raise
                    if (reason := common_cause(error)) is not None:
                        raise reason from error
                    self._ambiguous[row.fingerprint] = error

    def find_existing(self, rows: Iterable[ParsedRow]) -> None:
        """Find the recent jobs of other journals that have the inputs of a row; `decide` refuses such rows."""
        unknown = (row for row in rows if self._found(row) is None)
        first = next(unknown, None)
        if first is None:
            return
        starter = self.workflows.jobs
        recent = [
            job
            for job in starter.recent_jobs(self.algorithm)
            if self._journal.owner(job.pk) is None
        ]
        names: dict[str, str] = {}
        for row in chain([first], unknown) if recent else ():
            with suppress(SpecError, ObjectNotFound, OSError):  # the row fails in its turn
                inputs = self.uploads.unsent(
                    self.workflows.values.plan(row.specs, Inspection("off"))
                )
                job = starter.job_with_inputs(self.algorithm, inputs, recent, names)
                if job is not None:
                    self._existing[row.fingerprint] = (
                        f"job {job.pk} of {self.algorithm.slug!r} has the same values and file names, and this journal"
                        " did not start it"
                    )

    def check_existing(self, rows: Iterable[ParsedRow]) -> None:
        """Check that `find_existing` found no job.

        Raises:
            JobExistsError: It found one.
        """
        if not self._existing:
            return
        named = [row.row.name for row in rows if row.fingerprint in self._existing]
        more = f" and {len(named) - 1} more rows" * (len(named) > 1)
        raise JobExistsError(
            f"{named[0]}{more}: {next(iter(self._existing.values()))}. Nothing was sent. To start jobs again, pass"
            " again=True; a dry run lists the rows."
        )

    def _found(self, row: ParsedRow) -> RowRecord | None:
        """Return the record of a row; `None` too if a file cannot be read, so that the row fails in its turn."""
        try:
            return self._journal.find(row.identity)
        except OSError:
            return None

    def decide(self, row: ParsedRow) -> Decision:
        """Return what to do about a row."""
        record = self._journal.find(row.identity)
        if record is not None and record.state in {"started", "ended"}:
            return Decision("nothing", record.pk, note="started by an earlier run")
        if record is not None and record.state == "posting":
            note = "an earlier run ended while it started it"
            return Decision("finish", slugs=row.slugs, note=note)
        if row.fingerprint in self._existing:
            return Decision("refuse", note=self._existing[row.fingerprint])
        replaced = self._journal.replaced(row.identity) if record is None else ""
        note = STARTED_AGAIN.format(replaced) if replaced else ""
        return Decision("make", slugs=row.slugs, note=note)

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
        plans = self.planner.plan(row, row.slugs)
        if self._journal.record(row.fingerprint) is None:
            self._journal.note(row.fingerprint, "uploading")
        inputs = self.uploads.upload(row.identity, plans)
        self._journal.note(row.fingerprint, "uploaded")
        job = self.workflows.jobs.start(self.algorithm, inputs, self._recorder(row))
        return replace(decision, action="make", pk=job.pk)

    def wait(self, rows: Mapping[str, ParsedRow], timeout: float | None) -> WaitResult:
        """Wait for jobs.

        Args:
            rows: The rows, by the pks of their jobs.
            timeout: Seconds; `None` for as long as it takes.
        """
        failed: dict[str, tuple[models.HyperlinkedJob, dict[str, UploadedFiles]]] = {}
        images: dict[str, tuple[str, UploadedFiles]] = {}
        imports = self.workflows.imports
        ended = self._journal.rows_in("ended")
        pks = [pk for pk, row in rows.items() if row.fingerprint not in ended]

        def finished(job: models.HyperlinkedJob) -> None:
            files = self.uploads.noted_files(rows[job.pk])
            if job.status == SUCCEEDED:
                images.update(
                    {url: (job.pk, one) for url, one in images_of(job.inputs, files).items()}
                )
                self._journal.note(rows[job.pk].fingerprint, "ended")
                self._journal.forget_uploads(rows[job.pk].fingerprint)
            else:
                failed[job.pk] = job, files

        def read(pk: str) -> models.HyperlinkedJob:
            return self.workflows.resources.algorithm_jobs.detail(pk=pk)

        with Scheduler(self.workers, "gcapi-push-wait") as scheduler:
            read_all = partial(scheduler.run_all, read)
            late = watch_jobs(pks, read_all, timeout=timeout, on_finish=finished)
        are_cancelled = any(job.status == CANCELLED for job, _ in failed.values())
        sessions = imports.read() if are_cancelled else []
        left_out = imports.left_out({url: files for url, (_, files) in images.items()})
        return WaitResult(
            {
                pk: failure(job, imports.reason(files, sessions) if sessions else "")
                for pk, (job, files) in failed.items()
            },
            {error.pk: error for error in late},
            {
                images[url][0]: f"The server says of an input: {words}"
                for url, words in left_out.items()
            },
        )

    def _recorder(self, row: ParsedRow) -> JobRecorder:
        def record(step: JobStep, *, pk: str = "", jobs_before: int = 0) -> None:
            before = {"jobs": jobs_before} if step == "posting" else None
            self._journal.note(row.fingerprint, step, pk=pk or None, before=before)

        return record
