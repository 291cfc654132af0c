"""Pushes whose bytes are moved elsewhere: processes, a cluster that loses a worker, and executors that misbehave."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi._http.configuration import TOKEN_VARIABLE
from gcapi.bulk import PushProgress, PushReport, push
from gcapi.bulk._executors import ClientSettings, Runner, WorkerLost
from gcapi.exceptions import ConfigurationError
from gcapi.retries import PatientStrategy
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    add_collection,
    content_of,
    value_of,
    written,
)
from tests.support.push import content, make_sockets, parts_sent, write_cases

COUNT = 12


@pytest.fixture
def collection(sandbox: Sandbox, client: Client) -> CaseCollection:
    """Return an archive."""
    sandbox.requests.clear()
    return add_collection(sandbox, client, "archive")


@pytest.fixture
def processes() -> Iterator[ProcessPoolExecutor]:
    """Return an executor of two new processes."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        yield pool


def pushed(
    collection: CaseCollection, folder: Path, executor: Executor, **options: Any
) -> PushReport:
    """Push cases on an executor and check that all exist."""
    sockets = make_sockets(collection.sandbox)
    manifest = write_cases(folder, sockets, COUNT)
    report = push(
        *(collection.client, manifest, f"archive:{collection.slug}"),
        journal=folder / "journal",
        executor=executor,
        workers=4,
        **options,
    )
    if report.failed:
        return report
    collection.sandbox.wait_idle(DEADLINE)
    cases = sorted(collection.all(), key=lambda case: case.title)
    assert len(cases) == COUNT
    for number, case in enumerate(cases):
        assert value_of(case, sockets.value).value == {"case": number}
        assert content_of(collection.client, value_of(case, sockets.file)) == content(number)
    assert max(parts_sent(collection.sandbox).values()) == 1
    return report


class Forgetful(Executor):
    """Cancel some of the submitted tasks, and run the others at once."""

    def __init__(self, cancelled: int) -> None:
        self.left = cancelled
        self.given = 0

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Do it, or cancel it."""
        future: Future[Any] = Future()
        self.given += 1
        if self.left:
            self.left -= 1
            future.cancel()
        else:
            future.set_result(fn(*args, **kwargs))
        return future


def test_a_worker_without_a_token_reads_it_from_a_file(
    collection: CaseCollection, tmp_path: Path
) -> None:
    """A worker without a token in its environment reads it from the given file."""
    token_file = written(tmp_path / "token", f"{collection.sandbox.token}\n")
    executor = Forgetful(0)
    assert len(pushed(collection, tmp_path, executor, token_file=token_file).done) == COUNT
    assert executor.given == COUNT


def test_a_worker_without_any_token_says_so(collection: CaseCollection, tmp_path: Path) -> None:
    """Without a token in the worker's environment rows fail with what to do, because no token is sent to it."""
    # With settings of its own, since this process, which is the worker here, keeps the client of each.
    with Client(collection.sandbox.token, collection.sandbox.base_url, timeout=47.11) as client:
        report = pushed(replace(collection, client=client), tmp_path, Forgetful(0))
    assert len(report.failed) == COUNT
    assert all(isinstance(each.error, ConfigurationError) for each in report.failed)
    assert f"set {TOKEN_VARIABLE} in its environment" in str(report.failed[0])


def test_what_travels_holds_no_token(client: Client, sandbox: Sandbox, tmp_path: Path) -> None:
    """The settings that are sent to workers contain neither the token nor the content of the token file."""
    token_file = written(tmp_path / "token", sandbox.token)
    assert sandbox.token.encode() not in pickle.dumps(ClientSettings.of(client, token_file))


def test_settings_that_cannot_travel_are_refused(sandbox: Sandbox) -> None:
    """A strategy that cannot be pickled is an error before anything is sent."""
    strategy: Any = lambda: PatientStrategy()  # noqa: E731, PLW0108 - it is to be one that has no name
    with (
        Client(sandbox.token, sandbox.base_url, retry_strategy=strategy) as client,
        ThreadPoolExecutor(1) as threads,
        pytest.raises(ConfigurationError, match="cannot be sent to workers"),
    ):
        Runner(client, threads)


def test_a_pool_that_lost_a_process_is_replaced_by_this_one(
    collection: CaseCollection,
    tmp_path: Path,
    processes: ProcessPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If a pool breaks, the remaining work is done in this process, with a warning, and nothing is done twice."""
    monkeypatch.setenv(TOKEN_VARIABLE, collection.sandbox.token)

    def kill(event: PushProgress) -> None:
        if event.ended == 3:
            os.kill(next(iter(processes._processes)), signal.SIGKILL)

    with pytest.warns(RuntimeWarning, match="the rest is done in this process"):
        report = pushed(collection, tmp_path, processes, progress=kill)
    assert len(report.done) == COUNT


def test_a_cluster_that_loses_a_worker_goes_on(
    collection: CaseCollection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a process of a Dask cluster is killed, every case is created once, and no byte is sent twice."""
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv(TOKEN_VARIABLE, collection.sandbox.token)
    options: Any = {"n_workers": 2, "processes": True, "threads_per_worker": 1}
    with (
        distributed.LocalCluster(**options, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as dask,
    ):

        def kill(event: PushProgress) -> None:
            if event.ended == 3:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

        report = pushed(collection, tmp_path, dask.get_executor(), progress=kill)
    assert len(report.done) == COUNT


class Nothing:
    """A unit that does nothing."""

    def run(self, _: Client) -> str:
        """Return a constant."""
        return "nothing"


def test_what_was_cancelled_is_handed_out_again(
    client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task whose future ends without a result is submitted again, up to three times."""
    monkeypatch.setenv(TOKEN_VARIABLE, sandbox.token)
    assert Runner(client, Forgetful(2)).execute(Nothing()) == "nothing"
    executor = Forgetful(3)
    with pytest.raises(WorkerLost, match="was lost, 3 times: CancelledError"):
        Runner(client, executor).execute(Nothing())
    assert executor.given == 3


#: A program without a file and without a guard, which worker processes cannot import.
UNGUARDED = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from gcapi import Client
from gcapi.bulk import push

base_url, folder, target = sys.argv[1:]
pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
with Client(base_url=base_url) as client, pool:
    report = push(client, Path(folder) / "manifest.csv", target, journal=Path(folder) / "j", executor=pool)
print(len(report.done), len(report.failed))
"""


def test_a_main_program_that_cannot_be_imported(collection: CaseCollection, tmp_path: Path) -> None:
    """Workers that end at once because the program has no `__main__` guard cause a warning, and the work is done."""
    write_cases(tmp_path, make_sockets(collection.sandbox), 2)
    program = written(tmp_path / "unguarded.py", UNGUARDED)
    done = subprocess.run(
        [
            sys.executable,
            str(program),
            collection.sandbox.base_url,
            str(tmp_path),
            f"archive:{collection.slug}",
        ],
        env={**os.environ, TOKEN_VARIABLE: collection.sandbox.token},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stdout.split() == ["2", "0"]
    assert "if __name__ == '__main__'" in done.stderr
