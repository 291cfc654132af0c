"""Pulls on the workers of executors, which find the token themselves and may die."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from gcapi import Client
from gcapi.bulk import PullProgress, pull, verify
from gcapi.bulk._pull.case_pull import CasePull
from gcapi.bulk._pull.remote_cases import find_source, iterate_cases
from gcapi.bulk.targets import Target
from gcapi.exceptions import ConfigurationError
from gcapi_sandbox import Sandbox
from tests.support.pull import add_archive, add_sockets, contents, leftovers, many_cases

CASES = 24


@pytest.fixture(scope="module")
def archive(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an archive of small cases."""
    cases = many_cases(tmp_path_factory.mktemp("sources"), add_sockets(sandbox), CASES)
    with Client(sandbox.token, sandbox.base_url) as client:
        return add_archive(sandbox, client, cases)


@pytest.fixture
def expected(client: Client, archive: str, tmp_path: Path) -> dict[str, str]:
    """Return the files of a pull without an executor."""
    pull(client, f"archive:{archive}", tmp_path / "reference")
    return contents(tmp_path / "reference")


@pytest.fixture
def processes() -> Iterator[ProcessPoolExecutor]:
    """Yield an executor of processes that share nothing with this one."""
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_processes_pull_with_a_token_of_their_own(
    sandbox: Sandbox,
    client: Client,
    archive: str,
    expected: dict[str, str],
    processes: ProcessPoolExecutor,
    tmp_path: Path,
) -> None:
    """Workers pull the same files, with the token from a file; without a token the pull is an error with advice."""
    home = tmp_path / "home"
    with pytest.raises(ConfigurationError, match="no token"):
        pull(client, f"archive:{archive}", home, executor=processes)
    (tmp_path / "token").write_text(sandbox.token)
    report = pull(
        client,
        f"archive:{archive}",
        home,
        existing="skip",
        executor=processes,
        token_file=tmp_path / "token",
    )
    assert (report.cases, report.failed) == (CASES, [])
    assert (contents(home), leftovers(home), verify(home)) == (expected, [], [])


def test_units_pickle_without_the_token(
    sandbox: Sandbox, client: Client, archive: str, tmp_path: Path
) -> None:
    """A task that is sent to a worker can be pickled, and does not contain the token."""
    source = find_source(client, Target.parse(f"archive:{archive}"))
    case = next(iterate_cases(client, source))
    unit = CasePull(case, tmp_path, "case", "skip", None)
    pickled = pickle.dumps(unit)
    assert pickle.loads(pickled) == unit
    assert sandbox.token.encode() not in pickled


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
def test_a_dask_cluster_that_loses_a_worker(
    sandbox: Sandbox, client: Client, archive: str, expected: dict[str, str], tmp_path: Path
) -> None:
    """If a worker of a Dask cluster is killed, the pull is still complete."""
    distributed = pytest.importorskip("distributed")
    home = tmp_path / "home"
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=":0",
            env={"GRAND_CHALLENGE_AUTHORIZATION": sandbox.token},
            local_directory=str(tmp_path / "dask"),
        ) as cluster,
        distributed.Client(cluster) as dask,
    ):
        victim = next(iter(dask.run(os.getpid).values()))

        def kill(event: PullProgress) -> None:
            if event.ended == CASES // 3:
                os.kill(victim, signal.SIGKILL)

        report = pull(
            client, f"archive:{archive}", home, executor=dask.get_executor(), progress=kill
        )
    assert (report.cases, report.failed) == (CASES, [])
    assert (contents(home), leftovers(home), verify(home)) == (expected, [], [])
