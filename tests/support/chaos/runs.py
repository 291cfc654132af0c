"""Seeded runs of the workflows, and the command line that starts them."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random

import httpx

from gcapi import Client
from gcapi.exceptions import GCAPIError
from gcapi.retries import PatientStrategy
from tests.support.chaos.faults import Schedule, faulty_relays
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
from tests.support.servers.loopback import NO_TLS

RUNS = 300
#: The timeout of the client in seconds, which also bounds its search for the effect of a lost request.
PATIENCE = 1.5


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
                faulty_relays(world.sandbox, world.upstream, schedule) as url,
                Client(
                    world.sandbox.token,
                    url,
                    verify=NO_TLS,
                    timeout=PATIENCE,
                    retry_strategy=partial(
                        PatientStrategy, backoff_factor=0.01, longest_delay=0.05
                    ),
                ) as client,
            ):
                WORKFLOWS[name](Run(world, client, rng, folder, log, schedule.is_hard))
                world.sandbox.wait_idle(DEADLINE)
            _check_left_over(Path(base), temporary)
        except WrongResultError as error:
            wrong = str(error)
        except (GCAPIError, httpx.HTTPError, OSError, ValueError, TypeError, LookupError):
            wrong = "".join(traceback.format_exc(limit=-4))
    if not wrong:
        return ""
    return "\n  ".join([f"seed {seed}, {name}: {wrong}", *schedule.log, *log])


def _check_left_over(base: Path, temporary: Path) -> None:
    left = [*base.rglob("*.part"), *temporary.rglob("gcapi-*")]
    must(not left, f"left over: {[path.name for path in left]}")


def main() -> int:
    """Do the runs that the command line asks for; return 1 if one failed."""
    parser = argparse.ArgumentParser(description="Run workflows under random faults.")
    parser.add_argument("--runs", type=int, default=RUNS, help="the number of seeds, from 0")
    parser.add_argument("--seed", type=int, help="run only this seed")
    options = parser.parse_args()
    seeds = range(options.runs) if options.seed is None else [options.seed]
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
    sys.stdout.write(f"{len(seeds)} runs, {failed} of them wrong, in {seconds:.0f} s\n")
    return 1 if failed else 0
