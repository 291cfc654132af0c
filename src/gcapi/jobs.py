"""The statuses of algorithm jobs, and waiting for a job to finish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gcapi._util.messages import format_duration
from gcapi._util.polling import poll
from gcapi.exceptions import JobFailed, JobTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcapi import models

SUCCEEDED = "Succeeded"
#: The statuses that are final.
TERMINAL_STATUSES = frozenset({SUCCEEDED, "Failed", "Cancelled"})

_REASONS = {
    "Cancelled": "The server could not use its inputs.",
    "Failed": "The algorithm failed.",
}


@dataclass(frozen=True)
class AlgorithmRun:
    """A successful job and its downloaded outputs.

    Attributes:
        job: The job as last read, with its inputs and outputs.
        files: The files of each output, by socket slug.
    """

    job: models.HyperlinkedJob
    files: dict[str, list[Path]]


def wait_for_job(
    pk: str, read: Callable[[], models.HyperlinkedJob], *, timeout: float | None
) -> models.HyperlinkedJob:
    """Wait until a job has succeeded, and return it.

    Args:
        pk: The job.
        read: Reads the job from the server.
        timeout: Seconds; `None` for no limit.

    Raises:
        JobFailed: The job failed or was cancelled.
        JobTimeout: The job did not finish in time.
    """
    status = ""

    def read_if_final() -> models.HyperlinkedJob | None:
        nonlocal status
        job = read()
        status = job.status
        return job if status in TERMINAL_STATUSES else None

    job = poll(read_if_final, timeout=timeout)
    if job is None:
        raise JobTimeout(
            f"Job {pk} did not finish within {format_duration(timeout or 0)}. Its status is {status!r}, and it keeps"
            f" running. Continue to wait with client.wait_for_job({pk!r}).",
            pk=pk,
            status=status,
        )
    if job.status != SUCCEEDED:
        raise failure(job)
    return job


def failure(job: models.HyperlinkedJob) -> JobFailed:
    """Return the error for a job that finished without success."""
    return JobFailed(
        f"Job {job.pk} ended as {job.status!r}. {_REASONS.get(job.status, '')} The API gives no reason; the job's page"
        f" does, for those who may see it: {job.url}",
        pk=job.pk,
        status=job.status,
    )
