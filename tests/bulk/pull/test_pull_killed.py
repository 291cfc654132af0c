"""Pulls that are killed at any moment resume and are complete."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import pull, verify
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE
from tests.support.pull import add_archive, add_sockets, contents, leftovers, many_cases

PROGRAM = """
import sys
from gcapi import Client
from gcapi.bulk import pull

base_url, token, source, folder, existing = sys.argv[1:]
with Client(token, base_url) as client:
    pull(client, source, folder, existing=existing)
"""
MEBI = 1024 * 1024

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGKILL")


@pytest.fixture(scope="module")
def archive(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an archive of small cases and one file that is downloaded in several ranges."""
    sockets = add_sockets(sandbox)
    folder = tmp_path_factory.mktemp("sources")
    cases = many_cases(folder, sockets, 8)
    large = folder / "large.csv"
    large.write_text(random.Random(4711).randbytes(6 * MEBI).hex())
    cases["large"] = [SocketValueSpec(sockets.table, file=large)]
    with Client(sandbox.token, sandbox.base_url) as client:
        return add_archive(sandbox, client, cases)


def killed_when(is_time: Callable[[], bool], command: list[str]) -> bool:
    """Run a program and kill it at a moment; return whether it was still running."""
    with subprocess.Popen(command) as victim:
        deadline = time.monotonic() + DEADLINE
        while victim.poll() is None and not is_time():
            assert time.monotonic() < deadline
            time.sleep(0.0005)
        victim.kill()
    assert victim.returncode in {0, -signal.SIGKILL}
    return victim.returncode != 0


def check_killed(
    sandbox: Sandbox, client: Client, archive: str, tmp_path: Path, *, kills: int, seed: int
) -> None:
    """Kill pulls of one archive into one folder, and check the folder each time.

    Every other one is killed while the large file is being written, the others once so many requests have arrived.
    """
    source, home = f"archive:{archive}", tmp_path / "home"
    sandbox.requests.clear()
    pull(client, source, tmp_path / "reference")
    expected, in_all = contents(tmp_path / "reference"), len(sandbox.requests)
    (large,) = [path for path in expected if path.startswith("large/")]
    chosen = random.Random(seed)
    killed = torn = 0
    home.mkdir()
    for number in range(kills):
        (home / large).unlink(missing_ok=True)
        sandbox.requests.clear()
        count = chosen.randrange(1, in_all // 2)

        def is_time(count: int = count, number: int = number) -> bool:
            if number % 2:
                return any((home / "large").glob("*.part"))
            return len(sandbox.requests) >= count

        arguments = [
            sandbox.base_url,
            sandbox.token,
            source,
            str(home),
            chosen.choice(["skip", "verify"]),
        ]
        killed += killed_when(is_time, [sys.executable, "-W", "error", "-c", PROGRAM, *arguments])
        left = {path.relative_to(home).as_posix() for path in leftovers(home)}
        torn += bool(left)
        found = {path: sha256 for path, sha256 in contents(home).items() if path not in left}
        assert found.items() <= expected.items()
    assert killed
    assert torn
    report = pull(client, source, home, existing="skip")
    assert (report.cases, report.failed, report.remarks) == (9, [], [])
    assert (contents(home), leftovers(home), verify(home)) == (expected, [], [])


def test_a_pull_that_was_killed_goes_on(
    sandbox: Sandbox, client: Client, archive: str, tmp_path: Path
) -> None:
    """A pull that was killed at a few moments resumes, is complete, and leaves no temporary file."""
    check_killed(sandbox, client, archive, tmp_path, kills=4, seed=4711)


@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(10))
def test_a_pull_that_was_killed_at_many_moments_goes_on(
    sandbox: Sandbox, client: Client, archive: str, tmp_path: Path, seed: int
) -> None:
    """The same holds for a hundred moments."""
    check_killed(sandbox, client, archive, tmp_path, kills=10, seed=seed)
