"""``jobs`` and ``run``: start algorithm jobs, wait for them, and bring their outputs home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcapi.cli.commands.objects import ALGORITHMS
from gcapi.cli.listing import (
    Kind,
    add_show,
    end_of,
    field,
    find_one,
    limit_option,
    print_list,
)
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from gcapi.client import Client
    from gcapi.models import HyperlinkedJob

JOBS = Kind(
    lambda client: client.algorithm_jobs,
    (field("pk"), field("status"), end_of("algorithm", "algorithm")),
    has_slug=False,
)

_timeout = click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Wait no longer than this; by default a day.",
)
_existing = click.option(
    "--existing",
    type=click.Choice(["error", "skip", "overwrite"]),
    default="error",
    show_default=True,
    help="What to do about a file that is there.",
)
_A_DAY = 86_400.0


@click.group()
def jobs() -> None:
    """List, show, wait for or pull jobs of algorithms."""


add_show(jobs, JOBS, "a job, its inputs and its outputs")


@command(jobs, "list")
@click.option("--algorithm", metavar="SLUG", help="Of an algorithm.")
@click.option("--input-image", metavar="PK", help="On an image.")
@click.option("--output-image", metavar="PK", help="The one that made an image.")
@click.option(
    "--status", help="In this state, such as Succeeded; looked through here, not at the server."
)
@limit_option
def jobs_list(
    session: Session,
    *,
    algorithm: str | None,
    input_image: str | None,
    output_image: str | None,
    status: str | None,
    limit: int | None,
) -> None:
    """List the jobs that you may see, in the order in which they were started.

    The API tells no times of jobs.
    """

    def params(client: Client) -> dict[str, Any]:
        filters = {
            "algorithm_image__algorithm": algorithm and find_one(client, ALGORITHMS, algorithm).pk,
            "input_image": input_image,
            "output_image": output_image,
        }
        return {key: value for key, value in filters.items() if value}

    def is_wanted(job: Mapping[str, Any]) -> bool:
        return not status or job["status"].lower() == status.lower()

    print_list(session, JOBS, params, limit=limit, keep=is_wanted if status else None)


@command(jobs)
@click.argument("pks", nargs=-1, required=True, metavar="PK...")
@_timeout
def wait(session: Session, *, pks: tuple[str, ...], timeout: float | None) -> int:
    """Wait until jobs have ended."""
    left = _time_left(timeout)

    def one(client: Client, pk: str) -> dict[str, Any]:
        job = client.wait_for_job(pk, timeout=left())
        session.say(f"Job {pk} has succeeded.")
        return job.to_dict()

    return _each(session, pks, one, lambda documents: session.show_all(documents, JOBS.columns))


@command(jobs)
@click.argument("pks", nargs=-1, required=True, metavar="PK...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="Where to; each job has a folder in it, named by its pk. By default here.",
)
@_existing
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="Wait so long for a job to end; by default not at all.",
)
def pull(
    session: Session, *, pks: tuple[str, ...], output: Path, existing: Any, timeout: float
) -> int:
    """Download all outputs of jobs that have succeeded."""
    left = _time_left(timeout)

    def one(client: Client, pk: str) -> dict[str, Any]:
        job = client.wait_for_job(pk, timeout=left())
        return _downloaded(client, job, output / job.pk, existing)

    return _each(session, pks, one, lambda documents: _show_files(session, documents))


@command()
@click.argument("algorithm", metavar="ALGORITHM")
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="SOCKET=…",
    help="A value for each input socket: a path for images and files (repeated, or separated by ';', for an image of"
    " several files; or a folder, or a glob), JSON for values, and plain text for texts.",
)
@click.option("--wait", is_flag=True, help="Wait until it has ended.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Wait, and download all outputs into this folder.",
)
@_existing
@_timeout
def run(
    session: Session,
    *,
    algorithm: str,
    inputs: tuple[str, ...],
    wait: bool,
    output: Path | None,
    existing: Any,
    timeout: float | None,
) -> None:
    """Run an algorithm, named by its slug.

    "gcapi algorithms show ALGORITHM" says which inputs it takes. Without --wait or --output the job is started, and
    "gcapi jobs pull PK" fetches its outputs later.
    """
    from gcapi.cli.job_inputs import specs_of

    with session.client(progress=True) as client:
        started = client.start_algorithm_job(
            algorithm_slug=algorithm, inputs=specs_of(client, inputs)
        )
        session.say(f"Job {started.pk} was started.")
        if not (wait or output):
            session.show({"pk": started.pk, "status": started.status})
            return
        job = client.wait_for_job(started, timeout=_A_DAY if timeout is None else timeout)
        if output is None:
            session.show(job.to_dict())
            return
        downloaded = _downloaded(client, job, output, existing)
    if session.as_json:
        session.show(downloaded)
    else:
        _show_files(session, [downloaded])


# ---------------------------------------------------------------- one job after the other


def _each(
    session: Session,
    pks: tuple[str, ...],
    act: Callable[[Client, str], dict[str, Any]],
    show: Callable[[Iterable[dict[str, Any]]], None],
) -> int:
    """Do something with each job and print what came of it; one that fails does not stop the others.

    Returns:
        The exit code.
    """
    from gcapi.cli.exit_codes import Failures

    with session.client(progress=True) as client:
        failures = Failures(len(pks))

        def documents() -> Iterator[dict[str, Any]]:
            for pk in pks:
                with failures.told():
                    yield act(client, pk)

        show(documents())
    return failures.exit_code


def _time_left(timeout: float | None) -> Callable[[], float]:
    """Return what tells the seconds that are left of a time that begins now, a day if it is not given."""
    import time

    end = time.monotonic() + (_A_DAY if timeout is None else timeout)
    return lambda: max(0.0, end - time.monotonic())


# ---------------------------------------------------------------- outputs


def _downloaded(
    client: Client, job: HyperlinkedJob, directory: Path, existing: Any
) -> dict[str, Any]:
    """Download a job's outputs, and return where they lie, by socket."""
    files = {
        output.interface.slug: client.download_socket_value(
            output, output_directory=directory, existing=existing
        )
        for output in job.outputs
    }
    return {
        "pk": job.pk,
        "status": job.status,
        "files": {slug: [str(path) for path in paths] for slug, paths in files.items()},
    }


def _show_files(session: Session, documents: Iterable[dict[str, Any]]) -> None:
    """Print where outputs lie: in JSON a job a line, in a table a file a line."""
    rows = (
        {"socket": slug, "file": path}
        for document in documents
        for slug, paths in document["files"].items()
        for path in paths
    )
    session.show_all(documents if session.as_json else rows, (field("socket"), field("file")))
