"""Compare a push whose bytes are sent by two local Dask workers with one that sends them in this process.

    cluster.py [--rounds N]

It needs the extras `dask` and `dicom`, and prints its table, which is in README.md beside this file. The files and the
link are those of `run.py`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pattern
from harness import LINK, Server, running_server
from slices import write_slices
from workloads import TOKEN
from world import DICOM_SOCKET, FILE_SOCKET

from gcapi import Client
from gcapi.bulk import Manifest, Row, push

if TYPE_CHECKING:
    from concurrent.futures import Executor

TARGET = "archive:bench-cases"
#: The number of large files and DICOM sets, and the size of a file in bytes.
FILES, FILE_SIZE, SETS = 4, 64 * pattern.MIB, 2


def manifests(folder: Path) -> dict[str, Manifest]:
    """Write the files, and return a manifest of each kind."""
    for number in range(FILES):
        pattern.write(folder / f"from-{number * FILE_SIZE}.sqreg", number * FILE_SIZE, FILE_SIZE)
    for number in range(SETS):
        write_slices(folder / f"set-{number}")
    files = [f"from-{number * FILE_SIZE}.sqreg" for number in range(FILES)]
    sets = [f"set-{number}" for number in range(SETS)]
    return {
        f"{FILES} files of 64 MiB": _manifest(folder, FILE_SOCKET, files),
        f"{SETS} DICOM sets of 200 slices": _manifest(folder, DICOM_SOCKET, sets),
    }


def _manifest(folder: Path, socket: str, cells: list[str]) -> Manifest:
    rows = [
        Row(line, cells={socket: cell}, title=f"Case {line}") for line, cell in enumerate(cells)
    ]
    return Manifest(tuple(rows), folder)


def seconds(server: Server, folder: Path, manifest: Manifest, executor: Executor | None) -> float:
    """Return the seconds of a push into an empty archive."""
    bundle = folder / "bundle.pem"
    bundle.write_text(server.ready["authority"])
    token_file = folder / "token"
    token_file.write_text(TOKEN)
    with (
        tempfile.TemporaryDirectory() as journal,
        Client(TOKEN, server.ready["base_url"], str(bundle)) as client,
    ):
        started = time.perf_counter()
        report = push(
            client,
            manifest,
            TARGET,
            journal=Path(journal) / "journal",
            executor=executor,
            token_file=token_file,
        )
        elapsed = time.perf_counter() - started
    server.take()
    assert report.is_complete, report.failed
    return elapsed


def main() -> None:
    """Measure and print both ways for each kind."""
    parser = argparse.ArgumentParser(description="Compare Dask workers with threads.")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gcapi-cluster-")))
        server = stack.enter_context(running_server(LINK))
        distributed: Any = import_module("distributed")  # which has no types
        local = distributed.LocalCluster(n_workers=2, threads_per_worker=4, dashboard_address=None)
        cluster = stack.enter_context(distributed.Client(stack.enter_context(local)))
        executor = stack.enter_context(cluster.get_executor())
        print("| push | threads | two Dask workers |\n| --- | --- | --- |")
        for name, manifest in manifests(folder).items():
            found: dict[bool, list[float]] = {False: [], True: []}
            seconds(server, folder, manifest, executor)  # imports are not measured
            for _ in range(rounds):
                for on_cluster, times in found.items():
                    used = executor if on_cluster else None
                    times.append(seconds(server, folder, manifest, used))
            print(f"| {name} | {median(found[False]):.2f} s | {median(found[True]):.2f} s |")


if __name__ == "__main__":
    main()
