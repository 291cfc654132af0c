"""Job status, waiting for the end, fetching outputs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gcapi._util.polling import poll
from gcapi.exceptions import JobFailed, JobTimeout

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcapi import models
    from gcapi._transfer.atomic_file import ExistingFile
    from gcapi._transfer.outputs import Outputs
    from gcapi.resources import AlgorithmJobs

SUCCEEDED = "Succeeded"
#: The states that a job never leaves.
TERMINAL_STATUSES = frozenset({SUCCEEDED, "Failed", "Cancelled"})

_WHY = {
    "Cancelled": "The server could not use its inputs.",
    "Failed": "The algorithm failed on it.",
}


@dataclass(frozen=True)
class AlgorithmRun:
    """A job that succeeded, and where its outputs lie.

    Attributes:
        job: The job as last read, with its inputs and outputs.
        files: The files of each output, by socket slug.
    """

    job: models.HyperlinkedJob
    files: dict[str, list[Path]]


def wait_for_job(
    jobs: AlgorithmJobs,
    pk: str,
    *,
    timeout: float | None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> models.HyperlinkedJob:
    """Return a job once it has succeeded.

    Args:
        jobs: Where jobs are read.
        pk: The job.
        timeout: Seconds; `None` to wait for as long as it takes.
        clock: Tells the time in seconds.
        sleep: Waits for a number of seconds.

    Raises:
        JobFailed: It ended in another state.
        JobTimeout: It had not ended in time.
    """
    last = ""

    def look() -> models.HyperlinkedJob | None:
        nonlocal last
        job = jobs.detail(pk=pk)
        last = job.status
        return job if last in TERMINAL_STATUSES else None

    job = poll(look, timeout=timeout, clock=clock, sleep=sleep)
    if job is None:
        raise JobTimeout(
            f"Job {pk} had not ended after {timeout:g} s; it is {last!r}, and goes on. Wait on with"
            f" client.wait_for_job({pk!r}).",
            pk=pk,
            status=last,
        )
    if job.status != SUCCEEDED:
        raise failure(job)
    return job


def failure(job: models.HyperlinkedJob) -> JobFailed:
    """Return the error for a job that ended in any state but success."""
    return JobFailed(
        f"Job {job.pk} ended as {job.status!r}. {_WHY.get(job.status, '')} The API gives no reason; the job's page"
        f" does, for those who may see it: {job.url}",
        pk=job.pk,
        status=job.status,
    )


def download_outputs(
    outputs: Outputs, job: models.HyperlinkedJob, directory: Path, *, existing: ExistingFile
) -> AlgorithmRun:
    """Write all outputs of a job below a directory, each where its socket's relative path says.

    Args:
        outputs: Downloads them.
        job: A job that succeeded.
        directory: Made if missing.
        existing: What to do about a file that is there: ``"error"``, ``"skip"`` or ``"overwrite"``.
    """
    return AlgorithmRun(job, outputs.socket_values(job.outputs, directory, existing=existing))
