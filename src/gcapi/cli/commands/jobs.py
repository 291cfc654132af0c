"""``jobs``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from gcapi._transfer.atomic_file import ExistingFile
from gcapi.cli.commands.objects import ALGORITHMS
from gcapi.cli.exit_codes import Failures
from gcapi.cli.listing import (
    ObjectKind,
    add_show,
    field,
    find_object,
    last_segment_of,
    limit_option,
    print_list,
)
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from gcapi.client import Client
    from gcapi.models import HyperlinkedJob

JOBS = ObjectKind(
    lambda client: client.algorithm_jobs,
    (field("pk"), field("status"), last_segment_of("algorithm", "algorithm")),
    has_slug=False,
)
#: Seconds to wait for a job without --timeout.
DEFAULT_TIMEOUT = 86_400.0

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=DEFAULT_TIMEOUT,
    help="Wait at most this long; by default a day.",
)
existing_option = click.option(
    "--existing",
    type=click.Choice(get_args(ExistingFile)),
    default="error",
    show_default=True,
    help="Policy for output files that already exist.",
)


@click.group()
def jobs() -> None:
    """List, show, wait for and download algorithm jobs."""


add_show(jobs, JOBS, "Show a job, its inputs and its outputs.")


@command(jobs, "list")
@click.option("--algorithm", metavar="SLUG", help="Only jobs of this algorithm.")
@click.option("--input-image", metavar="PK", help="Only jobs with this image as an input.")
@click.option("--output-image", metavar="PK", help="Only the job that created this image.")
@click.option("--status", help="Only jobs with this status, such as Succeeded.")
@limit_option
def jobs_list(
    session: Session,
    *,
    algorithm: str | None,
    status: str | None,
    limit: int | None,
    **filters: str | None,
) -> None:
    """List the jobs that you can access, in the order of their start.

    The server does not filter by status: with --status, the command reads all jobs and filters.
    """

    def params(client: Client) -> dict[str, Any]:
        pk = algorithm and find_object(client, ALGORITHMS, algorithm).pk
        return {"algorithm_image__algorithm": pk, **filters}

    def has_status(job: dict[str, Any]) -> bool:
        return status is None or job["status"].lower() == status.lower()

    print_list(session, JOBS, params, limit=limit, keep=has_status if status else None)


@command(jobs)
@click.argument("pks", nargs=-1, required=True, metavar="PK...")
@timeout_option
def wait(session: Session, *, pks: tuple[str, ...], timeout: float) -> int:
    """Wait until jobs have finished."""

    def show(client: Client, job: HyperlinkedJob) -> dict[str, Any]:
        del client
        session.say(f"Job {job.pk} succeeded.")
        return job.to_dict()

    return _for_each_job(
        session, pks, timeout, show, lambda documents: session.show_all(documents, JOBS.columns)
    )


@command(jobs, "pull")
@click.argument("pks", nargs=-1, required=True, metavar="PK...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Download to DIR/PK for each job; by default DIR is the current directory.",
)
@existing_option
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait this long for the jobs to finish; by default not at all.",
)
def jobs_pull(
    session: Session, *, pks: tuple[str, ...], output: Path, existing: ExistingFile, timeout: float
) -> int:
    """Download all outputs of jobs that succeeded."""

    def download(client: Client, job: HyperlinkedJob) -> dict[str, Any]:
        return download_outputs(client, job, output / job.pk, existing)

    return _for_each_job(
        session, pks, timeout, download, lambda documents: show_files(session, documents)
    )


def _for_each_job(
    session: Session,
    pks: tuple[str, ...],
    timeout: float,
    act: Callable[[Client, HyperlinkedJob], dict[str, Any]],
    show: Callable[[Iterable[dict[str, Any]]], None],
) -> int:
    """Wait for each job, act on it and show the result; a job that fails does not stop the others.

    Returns:
        The exit code.
    """
    end = time.monotonic() + timeout
    failures = Failures(len(pks))

    def documents(client: Client) -> Iterator[dict[str, Any]]:
        for pk in pks:
            with failures.reporting():
                job = client.wait_for_job(pk, timeout=max(0.0, end - time.monotonic()))
                yield act(client, job)

    with session.client(progress=True) as client:
        show(documents(client))
    return failures.exit_code


def download_outputs(
    client: Client, job: HyperlinkedJob, directory: Path, existing: ExistingFile
) -> dict[str, Any]:
    """Download the outputs of a job, and return their paths by socket."""
    outputs = client.workflows.outputs
    files = outputs.download_values(job.outputs, directory, existing=existing)
    return {
        "pk": job.pk,
        "status": job.status,
        "files": {slug: [str(path) for path in paths] for slug, paths in files.items()},
    }


def show_files(session: Session, documents: Iterable[dict[str, Any]]) -> None:
    """Print the paths of outputs: in JSON one job per line, in a table one file per line."""
    rows = (
        {"socket": slug, "file": path}
        for document in documents
        for slug, paths in document["files"].items()
        for path in paths
    )
    session.show_all(documents if session.as_json else rows, (field("socket"), field("file")))
