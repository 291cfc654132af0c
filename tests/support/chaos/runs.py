"""Seeded runs of the workflows, and the command line that starts them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx

from gcapi.exceptions import GCAPIError
from gcapi_sandbox import Faults, RecordedRequest, Rule
from tests.support.chaos.clients import RemoteClient, connect
from tests.support.chaos.faults import Schedule, describe, fails
from tests.support.chaos.workflows import (
    WEIGHTS,
    WORKFLOWS,
    Run,
    World,
    WrongResultError,
    must,
    new_world,
)
from tests.support.data import DEADLINE
from tests.support.programs.suspension import suspended

RUNS = 300


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Create temporary files in a folder."""
    folder.mkdir()
    former, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = former


def run_once(world: World, seed: int) -> str:
    """Do one run; return a description of what is wrong, or an empty string."""
    schedule, rng = Schedule(seed), Random(f"workflow {seed}")
    name = rng.choices(list(WORKFLOWS), WEIGHTS)[0]
    log: list[str] = []
    wrong = ""
    with tempfile.TemporaryDirectory() as base:
        folder, temporary = Path(base) / "files", Path(base) / "temporary"
        folder.mkdir()
        try:
            with (
                temporary_files_in(temporary),
                _faulty_client(world, schedule, temporary) as client,
            ):
                may_expire = bool(schedule.suspensions)
                run = Run(world, client, rng, folder, log, schedule.is_hard, may_expire)
                WORKFLOWS[name](run)
                world.sandbox.wait_idle(DEADLINE)
            _check_left_over(Path(base), temporary)
        except WrongResultError as error:
            wrong = str(error)
        except (
            AssertionError,
            GCAPIError,
            httpx.HTTPError,
            OSError,
            ValueError,
            TypeError,
            LookupError,
        ):
            wrong = "".join(traceback.format_exc(limit=-4))
    struck = [request for request in world.sandbox.requests if request.faults]
    world.faults += sum(map(fails, struck))
    world.suspensions += sum(
        rule in schedule.suspensions for request in struck for rule in request.faults
    )
    if not wrong:
        return ""
    return "\n  ".join([f"seed {seed}, {name}: {wrong}", *map(describe, struck), *log])


@contextmanager
def _faulty_client(world: World, schedule: Schedule, temporary: Path) -> Iterator[Any]:
    """Set the faults, paused, and yield a client that meets them once they are not."""
    sandbox = world.sandbox
    account = sandbox.token, sandbox.base_url
    remote = RemoteClient(*account, temporary) if schedule.suspensions else None

    def suspend(rule: Rule, _: RecordedRequest) -> None:
        if remote and rule in schedule.suspensions:
            with ExitStack() as awake:
                for pid in remote.pids:
                    awake.enter_context(suspended(pid))

    sandbox.requests.clear()
    sandbox.faults, sandbox.are_faults_paused = schedule.faults, True
    sandbox.on_strike = suspend if remote else None
    try:
        with remote or connect(*account) as client:
            yield client
    finally:
        sandbox.faults, sandbox.are_faults_paused, sandbox.on_strike = Faults(), False, None


def _check_left_over(base: Path, temporary: Path) -> None:
    left = [*base.rglob("*.part"), *temporary.rglob("gcapi-*")]
    must(not left, f"left over: {[path.name for path in left]}")


def main() -> int:
    """Do the runs that the command line asks for; return 1 if one failed."""
    parser = argparse.ArgumentParser(description="Run workflows under random faults.")
    parser.add_argument("--runs", type=int, default=RUNS, help="the number of seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="run only this seed")
    options = parser.parse_args()
    first, runs = (options.first, options.runs) if options.seed is None else (options.seed, 1)
    seeds = range(first, first + runs)
    begin = time.monotonic()
    failed = 0
    with new_world() as world:
        for seed in seeds:
            wrong = run_once(world, seed)
            if wrong:
                failed += 1
                sys.stdout.write(f"{wrong}\n  again: python -m tests.support.chaos --seed {seed}\n")
                sys.stdout.flush()
    seconds = time.monotonic() - begin
    sys.stdout.write(
        f"{len(seeds)} runs with {world.faults} faults and {world.suspensions} suspensions, {failed} of them wrong, in"
        f" {seconds:.0f} s\n"
    )
    return 1 if failed else 0
