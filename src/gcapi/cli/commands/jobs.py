"""``jobs``."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import gcapi
from gcapi.cli.commands.objects import ALGORITHMS
from gcapi.cli.listing import ObjectKind, field, last_segment_of, limit_option
from gcapi.cli.options import OptionDecorator, existing_option, output_option, timeout_option
from gcapi.cli.session import Session, command
from gcapi.cli.value_completion import complete_slug

if TYPE_CHECKING:
    from gcapi._transfer.atomic_file import ExistingFile

JOBS: ObjectKind[gcapi.models.HyperlinkedJob] = ObjectKind(
    lambda client: client.algorithm_jobs,
    (
        ("pk", lambda one: one.pk),
        ("status", lambda one: one.status),
        last_segment_of("algorithm", lambda one: one.algorithm),
    ),
    has_slug=False,
)
_FILE_COLUMNS = tuple(map(field, ("socket", "file", "inputs")))


def _with_titles(client: gcapi.Client) -> ObjectKind[gcapi.models.HyperlinkedJob]:
    """Return the kind of jobs, with the titles of algorithms, each of which is requested once."""
    *columns, (header, pk_of_algorithm) = JOBS.columns

    @functools.cache
    def title(url: str) -> str | None:
        try:
            return client.algorithms.detail(api_url=url).title
        except gcapi.exceptions.GCAPIError:
            return None

    def value(job: gcapi.models.HyperlinkedJob) -> str:
        return title(job.algorithm) or pk_of_algorithm(job)

    return replace(JOBS, columns=(*columns, (header, value)))


day_option: OptionDecorator = timeout_option("Wait at most this long; by default a day.", 86_400.0)


@click.group()
def jobs() -> None:
    """List, show, wait for and download algorithm jobs."""


JOBS.add_show(jobs, "Show a job, its inputs and its outputs.")


@command(jobs, "list", lists=True)
@click.option(
    "--algorithm",
    metavar="SLUG",
    shell_complete=complete_slug("algorithm"),
    help="Only jobs of this algorithm.",
)
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

    def has_status(job: gcapi.models.HyperlinkedJob) -> bool:
        return status is None or job.status.lower() == status.lower()

    keep = has_status if status else None
    with session.client() as client:
        pk = algorithm and ALGORITHMS.find(client, algorithm).pk
        params = {"algorithm_image__algorithm": pk, **filters}
        _with_titles(client).print_list(session, client, limit, params, keep)


@command(jobs, lists=True)
@click.argument("pks", nargs=-1, required=True, metavar="PK...")
@day_option
def wait(session: Session, *, pks: tuple[str, ...], timeout: float) -> int:
    """Wait until jobs have finished."""
    end, failures = time.monotonic() + timeout, session.failures(len(pks))
    with session.client(progress=True) as client:

        def wait_for(pk: str) -> gcapi.models.HyperlinkedJob:
            job = client.wait_for_job(pk, timeout=max(0.0, end - time.monotonic()))
            session.say(f"Job {job.pk} succeeded.")
            return job

        session.show_all(failures.map(wait_for, pks), JOBS.columns)
    return failures.exit_code


@command(jobs, "pull")
@click.argument("pks", nargs=-1, required=True, metavar="PK...")
@output_option("Download to DIR/PK for each job; by default DIR is the current directory.", Path())
@existing_option
@timeout_option("Wait this long for the jobs to finish; by default not at all.", 0.0)
def jobs_pull(
    session: Session, *, pks: tuple[str, ...], output: Path, existing: ExistingFile, timeout: float
) -> int:
    """Download all outputs of jobs that succeeded, and show the names of their input files."""
    end, failures = time.monotonic() + timeout, session.failures(len(pks))
    with session.client(progress=True) as client:

        def download(pk: str) -> dict[str, Any]:
            job = client.wait_for_job(pk, timeout=max(0.0, end - time.monotonic()))
            document = download_outputs(client, job, output / job.pk, existing)
            return {**document, "inputs": _inputs_of(client, job)}

        show_files(session, failures.map(download, pks), with_inputs=True)
    return failures.exit_code


def download_outputs(
    client: gcapi.Client, job: gcapi.models.HyperlinkedJob, directory: Path, existing: ExistingFile
) -> dict[str, Any]:
    """Download the outputs of a job, and return their paths by socket."""
    outputs = client.workflows.outputs
    files = outputs.download_values(job.outputs, directory, existing=existing)
    return {
        "pk": job.pk,
        "status": job.status,
        "files": {slug: [str(path) for path in paths] for slug, paths in files.items()},
    }


def _inputs_of(client: gcapi.Client, job: gcapi.models.HyperlinkedJob) -> dict[str, Any]:
    """Return the names of the images and files that a job had as inputs, and its other inputs, by socket."""
    name_of = client.workflows.outputs.name_of_value
    return {value.interface.slug: name_of(value) or value.value for value in job.inputs}


def show_files(
    session: Session, documents: Iterable[dict[str, Any]], *, with_inputs: bool = False
) -> None:
    """Print the paths of outputs: in JSON one job per line, in a table one file per line."""
    rows = (
        {"socket": slug, "file": path, "inputs": _as_text(document.get("inputs", {}))}
        for document in documents
        for slug, paths in document["files"].items()
        for path in paths
    )
    session.show_all(
        documents if session.as_json else rows, _FILE_COLUMNS[: 3 if with_inputs else 2]
    )


def _as_text(inputs: Mapping[str, Any]) -> str:
    return "; ".join(f"{slug}={value}" for slug, value in inputs.items())
