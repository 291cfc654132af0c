"""Measure how bulk transfers grow with the number of rows: `make bench-scale`.

    scale.py [ROWS ...]

Each step is a process of its own, against the benchmark's server without latency. The rows are tiny: a title and a
number, which are two requests. A complete run writes its table to README.md beside this file.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workloads import TOKEN, peak

if TYPE_CHECKING:
    from gcapi import Client

ROWS = (1_000, 10_000, 50_000)
README = Path(__file__).parent / "README.md"
#: The seconds after which a step is stopped.
STEP_LIMIT = 900.0
BEGIN, END = "<!-- scale: begin -->", "<!-- scale: end -->"


@dataclass(frozen=True)
class Step:
    """What a step took: seconds, the peak memory of its process in bytes, and what it did to how many rows."""

    seconds: float
    peak: int
    rows: int


def manifest(folder: Path, rows: int) -> Path:
    """Write a manifest of tiny rows."""
    path = folder / "manifest.csv"
    with path.open("w") as file:
        file.write("title,bench-value\n")
        file.writelines(f"Case {number},0.5\n" for number in range(rows))
    return path


def check(client: Client, folder: Path) -> int:
    """Check the manifest."""
    from gcapi.bulk import check_manifest

    report = check_manifest(client, folder / "manifest.csv", "archive:bench-cases")
    assert not report.problems, report.problems[:3]
    return int(report.rows)


def push(client: Client, folder: Path) -> int:
    """Push the manifest."""
    from gcapi.bulk import push as push_rows

    path = folder / "manifest.csv"
    return len(
        push_rows(client, path, "archive:bench-cases", journal=folder / "journal", workers=8).done
    )


def push_again(client: Client, folder: Path) -> int:
    """Push the manifest again, which has nothing left to do."""
    from gcapi.bulk import push as push_rows

    path = folder / "manifest.csv"
    return len(push_rows(client, path, "archive:bench-cases", journal=folder / "journal").skipped)


def pull(client: Client, folder: Path) -> int:
    """Pull the archive."""
    from gcapi.bulk import pull as pull_cases

    report = pull_cases(client, "archive:bench-cases", folder / "pulled")
    return report.cases


def diff(client: Client, folder: Path) -> int:
    """Compare the pulled folder with the server."""
    from gcapi import bulk

    return len(bulk.diff(client, folder / "pulled"))


def verify(_: Client, folder: Path) -> int:
    """Compare the pulled folder with its manifest."""
    from gcapi import bulk

    return len(bulk.verify(folder / "pulled"))


#: The steps, in order, and whether the result is the number of rows (or else of differences).
STEPS = {
    "check": (check, True),
    "push": (push, True),
    "push again": (push_again, True),
    "pull": (pull, True),
    "diff": (diff, False),
    "verify": (verify, False),
}


def run_step(name: str, place: dict[str, str]) -> Step:
    """Run a step in this process."""
    from gcapi import Client

    started = time.perf_counter()
    with Client(token=TOKEN, base_url=place["base_url"], verify=place["verify"]) as client:
        rows = STEPS[name][0](client, Path(place["folder"]))
    return Step(time.perf_counter() - started, peak(), rows)


def measure(rows: int, python: Path) -> list[str]:
    """Run all steps for a number of rows, each in a process of its own; return a row of the table for each."""
    from harness import LOOPBACK, BenchmarkError, run_json, running_server

    lines: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="gcapi-scale-") as directory,
        running_server(LOOPBACK) as server,
    ):
        folder = Path(directory)
        bundle = folder / "bundle.pem"
        bundle.write_text(server.ready["authority"])
        manifest(folder, rows)
        place = {
            "base_url": server.ready["base_url"],
            "verify": str(bundle),
            "folder": str(folder),
        }
        for name, (_, counts_rows) in STEPS.items():
            found = Step(**run_json([str(python), __file__, "step", name], place, limit=STEP_LIMIT))
            seen = server.count()
            expected = rows if counts_rows else 0
            if found.rows != expected or seen["api"]["problems"]:
                raise BenchmarkError(f"{name} of {rows}: {found}, {seen['api']['problems'][:3]}")
            journal = sum(path.stat().st_size for path in folder.glob("journal*"))
            cells = (
                f"{rows:,}",
                name,
                f"{found.seconds:.1f}",
                f"{1000 * found.seconds / rows:.2f}",
                f"{found.peak / 1e6:.0f} MB",
                f"{journal / 1e6:.1f} MB" if name == "push" else "",
                f"{seen['api']['requests'] / rows:.3f}",
            )
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def main() -> None:
    """Run a step, or measure all of them and write the table."""
    if sys.argv[1:2] == ["step"]:
        print(json.dumps(asdict(run_step(sys.argv[2], json.load(sys.stdin)))))
        return
    from harness import checkout_python

    python = checkout_python(Path(__file__).parents[1] / ".bench")
    wanted = tuple(map(int, sys.argv[1:])) or ROWS
    head = [
        "rows",
        "step",
        "seconds",
        "seconds a 1,000 rows",
        "peak memory",
        "journal",
        "requests a row",
    ]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for rows in wanted:
        lines += measure(rows, python)
    if wanted == ROWS:
        before, _, rest = README.read_text().partition(BEGIN)
        README.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
