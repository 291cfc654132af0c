"""A push that is killed at any moment and run again: everything once, and nothing that is there sent twice."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from gcapi import Client
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, add_collection, content_of, unique, value_of
from tests.support.push import (
    content,
    kill_repeatedly,
    make_sockets,
    parts_sent,
    push_until_complete,
    start_push,
    write_cases,
)

SEED = 20261127


def run_killed(
    sandbox: Sandbox, client: Client, folder: Path, *, kind: str, count: int, kills: int
) -> int:
    """Push cases, kill some of the runs, check the cases, and return how many runs were killed."""
    collection = add_collection(sandbox, client, kind)
    sockets = make_sockets(sandbox)
    # The server numbers display sets by tens itself, so that an order alone does not show that a set was filled.
    manifest = write_cases(folder, sockets, count, ordered=not collection.is_archive)
    prefix = "archive" if collection.is_archive else "study"
    start = partial(
        start_push, sandbox, manifest, f"{prefix}:{collection.slug}", folder / "journal.sqlite3"
    )
    sandbox.requests.clear()
    killed = kill_repeatedly(sandbox, start, kills=kills, seed=SEED, most_requests=14)
    report = push_until_complete(start)

    assert report["failed"] == report["ambiguous"] == []
    sandbox.wait_idle(DEADLINE)
    cases = sorted(collection.all(), key=lambda case: case.title)
    assert [case.title for case in cases] == [f"case {number:05}" for number in range(count)]
    for number, case in enumerate(cases):
        assert collection.is_archive or case.order == 10 * number + 10
        assert value_of(case, sockets.value).value == {"case": number}
        assert content_of(client, value_of(case, sockets.file)) == content(number)
    parts = parts_sent(sandbox)
    assert (len(parts), max(parts.values())) == (count, 1)
    return killed


def test_a_killed_push_goes_on(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """After kills at random moments, the last run leaves every case once, with its values, and no file sent twice."""
    assert run_killed(sandbox, client, tmp_path, kind="archive", count=20, kills=5) == 5


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("kind", "count", "kills"), [("archive", 200, 100), ("reader study", 50, 20)]
)
def test_many_kills_of_many_cases(
    sandbox: Sandbox, client: Client, tmp_path: Path, kind: str, count: int, kills: int
) -> None:
    """After 100 kills at random moments there are exactly 200 cases, all values right, and no file sent twice."""
    assert run_killed(sandbox, client, tmp_path, kind=kind, count=count, kills=kills) > 0.9 * kills


def run_jobs_killed(
    sandbox: Sandbox, client: Client, folder: Path, *, count: int, kills: int
) -> None:
    """Start jobs, kill some of the runs, and check the jobs."""
    sockets = make_sockets(sandbox)
    output = sandbox.add_socket(unique("output"), "Anything")
    algorithm = sandbox.add_algorithm(
        unique("copy"),
        interfaces=[([sockets.value, sockets.file], [output])],
        run=partial(copied, sockets.value, output),
    )
    manifest = write_cases(folder, sockets, count)
    start = partial(
        *(start_push, sandbox, manifest, f"algorithm:{algorithm}", folder / "journal.sqlite3"),
        patience=4.0,
    )
    sandbox.requests.clear()
    kill_repeatedly(sandbox, start, kills=kills, seed=SEED, most_requests=14)
    report = push_until_complete(start)

    assert report["failed"] == []
    sandbox.wait_idle(DEADLINE)
    pk = client.algorithms.detail(slug=algorithm).pk
    jobs = list(client.algorithm_jobs.iterate_all({"algorithm_image__algorithm": pk}))
    started = [
        value.value["case"]
        for job in jobs
        for value in job.inputs
        if value.interface.slug == sockets.value
    ]
    assert len(set(started)) == len(started) == len(jobs)
    assert count - len(report["ambiguous"]) <= len(started) <= count
    assert max(parts_sent(sandbox).values()) == 1


def copied(value: str, output: str, inputs: Path, outputs: Path) -> None:
    """Run an algorithm that returns its input."""
    (outputs / f"{output}.json").write_bytes((inputs / f"{value}.json").read_bytes())


@pytest.fixture
def _no_credit_limit(sandbox: Sandbox) -> Iterator[None]:
    """Lift the limits of jobs."""
    before, sandbox.limits.credits = sandbox.limits.credits, 10**9
    yield
    sandbox.limits.credits = before


@pytest.mark.usefixtures("_no_credit_limit")
def test_killed_jobs_are_started_once(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """After kills at random moments there is one job for each row, or the row is reported as ambiguous."""
    run_jobs_killed(sandbox, client, tmp_path, count=6, kills=3)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("_no_credit_limit")
def test_many_kills_of_many_jobs(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """After 30 kills at random moments there is one job for each row, or the row is reported as ambiguous."""
    run_jobs_killed(sandbox, client, tmp_path, count=60, kills=30)
