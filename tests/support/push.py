"""Folders of small cases, and pushes of them in processes that can be killed at any moment."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcapi.bulk import PushReport, Row, push, write_manifest
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, CaseCollection, content_of, unique, value_of
from tests.support.programs import push_program

#: The program that pushes a manifest and prints a report.
PROGRAM = Path(push_program.__file__)


@dataclass(frozen=True)
class Sockets:
    """The sockets of a case of one value and one file.

    Attributes:
        value: A socket of the kind Anything.
        file: A socket of the kind CSV file.
    """

    value: str
    file: str


def make_sockets(sandbox: Sandbox) -> Sockets:
    """Add the sockets of a small case."""
    return Sockets(
        sandbox.add_socket(unique("value"), "Anything"),
        sandbox.add_socket(unique("file"), "CSV file"),
    )


def content(number: int) -> bytes:
    """Return the content of the file of a case."""
    return f"case;{number}\n".encode() * (1 + number % 7)


def write_cases(
    folder: Path, sockets: Sockets, count: int, *, titled: bool = True, ordered: bool = False
) -> Path:
    """Write a manifest of small cases and their files."""
    rows = []
    for number in range(count):
        (folder / f"{number}.csv").write_bytes(content(number))
        cells = {sockets.value: json.dumps({"case": number}), sockets.file: f"{number}.csv"}
        order = 10 * number + 10 if ordered else None
        rows.append(Row(0, f"case {number:05}" if titled else "", order, cells))
    path = folder / "manifest.csv"
    write_manifest(path, rows)
    return path


def start_push(
    sandbox: Sandbox, manifest: Path, target: str, journal: Path, **options: Any
) -> subprocess.Popen[str]:
    """Start a push in a process of its own."""
    environment = {**os.environ, "GRAND_CHALLENGE_AUTHORIZATION": sandbox.token}
    given = json.dumps({"workers": 4, "patience": 20.0, **options})
    return subprocess.Popen(
        [
            sys.executable,
            str(PROGRAM),
            sandbox.base_url,
            str(manifest),
            target,
            str(journal),
            given,
        ],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_after(sandbox: Sandbox, process: subprocess.Popen[str], count: int, pause: float) -> bool:
    """Kill a process some time after that many requests; return whether it was still running."""
    end = time.monotonic() + DEADLINE
    before = len(sandbox.requests)
    while len(sandbox.requests) - before < count and process.poll() is None:
        assert time.monotonic() < end
        time.sleep(0.002)
    time.sleep(pause)
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def kill_repeatedly(
    sandbox: Sandbox, start: Any, *, kills: int, seed: int, most_requests: int
) -> int:
    """Kill several runs at random moments, and return the number that were still running.

    Args:
        sandbox: The sandbox that they push to.
        start: Starts a run.
        kills: The number of runs.
        seed: The seed of the moments.
        most_requests: The largest number of requests before a kill.
    """
    moments = random.Random(seed)
    return sum(
        kill_after(sandbox, start(), moments.randint(1, most_requests), moments.uniform(0.0, 0.03))
        for _ in range(kills)
    )


def push_until_complete(start: Any, attempts: int = 3) -> dict[str, Any]:
    """Run a push until nothing fails, and return its report."""
    for _ in range(attempts):
        output, errors = start().communicate(timeout=300)
        assert output, errors
        report: dict[str, Any] = json.loads(output)
        if not report["failed"]:
            break
    return report


def parts_sent(sandbox: Sandbox) -> Counter[str]:
    """Return the number of stored parts of each upload."""
    return Counter(
        one.path
        for one in sandbox.requests
        if one.origin == "storage" and one.method == "PUT" and one.status == 200
    )


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def target(collection: CaseCollection) -> str:
    """Return how a collection is written as a target."""
    return f"{'archive' if collection.is_archive else 'study'}:{collection.slug}"


def pushed(collection: CaseCollection, manifest: Path, **options: Any) -> PushReport:
    """Push a manifest with its journal beside it."""
    client = options.pop("client", collection.client)
    return push(
        client, manifest, target(collection), journal=manifest.with_suffix(".db"), **options
    )


def told(report: PushReport) -> tuple[int, int, int, int]:
    """Return how many rows ended in which way."""
    return len(report.done), len(report.skipped), len(report.failed), len(report.ambiguous)


def check_cases(collection: CaseCollection, sockets: Sockets, count: int) -> None:
    """Check that a collection has the cases of `write_cases`, each once."""
    collection.sandbox.wait_idle(DEADLINE)
    cases = sorted(collection.all(), key=lambda case: case.title)
    assert [case.title for case in cases] == [f"case {number:05}" for number in range(count)]
    for number, case in enumerate(cases):
        assert value_of(case, sockets.value).value == {"case": number}
        assert content_of(collection.client, value_of(case, sockets.file)) == content(number)
