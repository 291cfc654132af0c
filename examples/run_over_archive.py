"""Run an algorithm on the cases of an archive and download the outputs; an interrupted run can be repeated.

    python examples/run_over_archive.py my-archive my-algorithm results/

Each case with all inputs of one of the algorithm's interfaces gets a job. Nothing is uploaded, because the values are
on the server. `results/jobs.json` records the job of each case, so that none is started twice. The outputs of a case
are written to `results/<pk of the case>/`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import JobFailed, StatusError
from gcapi.models import Algorithm, ArchiveItem


class Started:
    """The started jobs by the pks of their cases, stored in a file.

    Args:
        path: The file, which is created with the first job.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.jobs: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, case: str, job: str) -> None:
        """Record a job, and replace the file atomically."""
        self.jobs[case] = job
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self.jobs, indent=1))
        new.replace(self._path)


def inputs_of(case: ArchiveItem, algorithm: Algorithm) -> list[SocketValueSpec] | None:
    """Return the values of a case for the first interface that it has all inputs of, or `None`."""
    values = {value.interface.slug: value for value in case.values}
    for interface in algorithm.interfaces:
        slugs = [socket.slug for socket in interface.inputs]
        if values.keys() >= set(slugs):
            return [SocketValueSpec(slug, existing_socket_value=values[slug]) for slug in slugs]
    return None


def start(client: Client, archive_slug: str, algorithm_slug: str, started: Started) -> int:
    """Start a job for each case without one; return the number of refused jobs."""
    algorithm = client.algorithms.detail(slug=algorithm_slug)
    archive = client.archives.detail(slug=archive_slug)
    refused = 0
    for case in client.archive_items.iterate_all({"archive": archive.pk}):
        inputs = inputs_of(case, algorithm)
        if case.pk in started.jobs or inputs is None:
            continue
        try:
            # With 16 active jobs, the client waits here until one has ended.
            job = client.start_algorithm_job(algorithm_slug=algorithm_slug, inputs=inputs)
        except StatusError as error:  # for instance, that it ran on these values before
            refused += 1
            print(f"{case.title or case.pk}: {error.words}", file=sys.stderr)
        else:
            started.add(case.pk, job.pk)
    return refused


def fetch(client: Client, started: Started, output: Path) -> int:
    """Wait for the jobs and download their outputs; return the number of failed jobs."""
    failed = 0
    for case, job in started.jobs.items():
        try:
            done = client.wait_for_job(job)
        except JobFailed as error:
            failed += 1
            print(error, file=sys.stderr)
            continue
        for value in done.outputs:
            client.download_socket_value(value, output_directory=output / case, existing="skip")
        print(output / case)
    return failed


def main() -> int:
    """Start the jobs and download their outputs; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("archive", help="slug of the archive")
    parser.add_argument("algorithm", help="slug of the algorithm")
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    started = Started(options.output / "jobs.json")
    with Client(progress=True) as client:
        refused = start(client, options.archive, options.algorithm, started)
        failed = fetch(client, started, options.output)
    return 1 if refused or failed else 0


if __name__ == "__main__":
    sys.exit(main())
