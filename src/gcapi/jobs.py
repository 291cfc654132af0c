"""The statuses of algorithm jobs, and waiting for a job to finish."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from gcapi import models
from gcapi._util.html import ShownAsTable
from gcapi._util.messages import format_duration
from gcapi._util.polling import poll
from gcapi.exceptions import JobFailed, JobTimeout

#: The status of success, and that of inputs that cannot be used.
SUCCEEDED, CANCELLED = "Succeeded", "Cancelled"
#: The statuses that are final.
TERMINAL_STATUSES = frozenset({SUCCEEDED, "Failed", CANCELLED})

_REASONS = {
    CANCELLED: "The server could not use its inputs.",
    "Failed": "The algorithm failed.",
}


@dataclass(frozen=True, repr=False)
class AlgorithmRun(ShownAsTable):
    """A successful job and its downloaded outputs.

    Attributes:
        job: The job as last read, with its inputs and outputs.
        files: The files of each output, by socket slug.
    """

    job: models.HyperlinkedJob
    files: dict[str, list[Path]]


def watch_jobs(
    pks: Iterable[str],
    read: Callable[[Collection[str]], Iterable[models.HyperlinkedJob]],
    *,
    timeout: float | None,
    on_finish: Callable[[models.HyperlinkedJob], object],
) -> list[JobTimeout]:
    """Wait until jobs have finished, and return an error for each that did not finish in time.

    Args:
        pks: The jobs.
        read: Reads some of the jobs from the server.
        timeout: Seconds; `None` for no limit.
        on_finish: Called with each job that has a final status.
    """
    statuses = dict.fromkeys(pks, "")

    def read_unfinished() -> bool | None:
        for job in read(list(statuses)) if statuses else ():
            statuses[job.pk] = job.status
            if job.status in TERMINAL_STATUSES:
                del statuses[job.pk]
                on_finish(job)
        return None if statuses else True

    poll(read_unfinished, timeout=timeout)
    return [
        JobTimeout(
            f"Job {pk} did not finish within {format_duration(timeout or 0)}. Its status is {status!r}, and it keeps"
            f" running. Continue to wait with client.wait_for_job({pk!r}).",
            pk=pk,
            status=status,
        )
        for pk, status in statuses.items()
    ]


def failure(job: models.HyperlinkedJob, reason: str = "") -> JobFailed:
    """Return the error for a job that finished without success.

    Args:
        job: The job.
        reason: The server's words about its inputs; empty if the API gives none.
    """
    told = (
        f"The server says: {reason!r}."
        if reason
        else f"The API gives no reason; the job's page does, for those who may see it: {job.url}"
    )
    return JobFailed(
        f"Job {job.pk} ended as {job.status!r}. {_REASONS.get(job.status, '')} {told}",
        pk=job.pk,
        status=job.status,
    )
