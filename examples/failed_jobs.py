"""List the failed jobs of an algorithm; type checkers know each filter, field and status that it uses.

python examples/failed_jobs.py my-algorithm
"""

from __future__ import annotations

import sys

from gcapi import Client
from gcapi.models import HyperlinkedJob
from grand_challenge_api.api.algorithms import algorithms_jobs_list


def failed_jobs(client: Client, algorithm_slug: str) -> list[HyperlinkedJob]:
    """Return the failed jobs of an algorithm."""
    algorithm = client.algorithms.detail(slug=algorithm_slug)
    query: algorithms_jobs_list.Query = {"algorithm_image__algorithm": algorithm.pk}
    return [job for job in client.algorithm_jobs.iterate_all(query) if job.status == "Failed"]


if __name__ == "__main__":
    with Client() as client:
        for job in failed_jobs(client, sys.argv[1]):
            print(job.pk, job.exec_duration or "not run", job.url)
