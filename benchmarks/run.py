"""Compare this client with the published one, against the benchmark's own server: `make bench`.

    run.py [--rounds N] [--only NAME] [--mode link|loopback] [--no-write]

A complete run writes its table to README.md beside this file.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import chart
from harness import (
    HERE,
    LINK,
    LOOPBACK,
    MODES,
    Bench,
    BenchmarkError,
    Files,
    Mode,
    checkout_python,
    limit_seconds,
    md5_seconds,
    published_python,
    running_server,
)
from sizes import CONNECTIONS, LARGE
from table import LOCAL_ROWS, OURS, ROWS, THEIRS, Result, Row, render

README = HERE / "README.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
#: Ignored by git; keeps the environment of the published client.
KEPT = HERE.parent / ".bench"


class Run:
    """A run of the benchmark, with its results.

    Args:
        options: The parsed command line.
        files: The files that the workloads send.
    """

    def __init__(self, options: argparse.Namespace, files: Files) -> None:
        self._options = options
        self._files = files
        self._pythons = {THEIRS: published_python(KEPT), OURS: checkout_python(KEPT)}
        self.results: list[Result] = []
        self.ceilings: list[str] = []
        self.versions: dict[str, dict[str, str]] = {}

    def mode(self, mode: Mode, rows: tuple[Row, ...]) -> None:
        """Measure rows over a link."""
        if not rows:
            return
        with running_server(mode) as server:
            bench = Bench(server, self._files)
            self._warm(bench)
            self.ceilings += [self._ceiling(bench, mode, work) for work in ("upload", "download")]
            for row in rows:
                self.results.append(self._row(bench, mode, row))
            self.versions = {who: bench.versions[str(self._pythons[who])] for who in self._pythons}

    def _warm(self, bench: Bench) -> None:
        """Load both clients once, so that reading from disk is not measured."""
        for python in self._pythons.values():
            bench.measure(python, "import")

    def _ceiling(self, bench: Bench, mode: Mode, work: str) -> str:
        seconds = median(bench.ceiling(work) for _ in range(self._options.rounds))
        limit = limit_seconds(mode, LARGE, CONNECTIONS)
        against = "no limit" if limit is None else f"limit {limit:.2f} s"
        words = (
            f"{work}, {mode.name}: {seconds:.2f} s = {LARGE / seconds / 1e6:.0f} MB/s ({against})"
        )
        _say(f"bare sockets, {words}")
        return words

    def _row(self, bench: Bench, mode: Mode, row: Row) -> Result:
        result = Result(row, mode, {who: [] for who in self._pythons}, _md5(row))
        for _ in range(self._options.rounds * row.repeats):
            for who, python in self._pythons.items():
                result.figures[who].append(bench.measure(python, row.name))
        _say(
            f"{mode.name:<9} {row.name:<13} published {result.seconds(THEIRS):6.2f} s,"
            f" this {result.seconds(OURS):6.2f} s, ratio {result.ratio:5.2f}"
        )
        return result


def _md5(row: Row) -> float:
    return md5_seconds(row.size) if row.size else 0.0


def main() -> None:
    """Measure what the command line asks for, print it, and write it if it is complete."""
    options = _options()
    load = os.getloadavg()[0]
    # On disk, where users' files are.
    with tempfile.TemporaryDirectory(prefix="gcapi-bench-") as directory:
        run = Run(options, Files(Path(directory)))
        try:
            _measure(run, options)
        except BenchmarkError as error:
            print(render(run.results))
            raise SystemExit(f"The benchmark ended early: {error}") from error
    text = "\n".join([_facts(run, options.rounds, load), "", render(run.results)])
    print(text)
    if not (options.only or options.mode or options.no_write):
        _write(text)


def _measure(run: Run, options: argparse.Namespace) -> None:
    for mode in (LINK, LOOPBACK):
        if options.mode in (None, mode.name):
            local = LOCAL_ROWS if mode == LOOPBACK else ()
            rows = (*ROWS, *local)
            run.mode(mode, tuple(row for row in rows if options.only in (None, row.name)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure this client and the published one, in turn."
    )
    names = [row.name for row in (*ROWS, *LOCAL_ROWS)]
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each client")
    parser.add_argument("--only", choices=names, help="one row; nothing is written")
    parser.add_argument("--mode", choices=MODES, help="one link; nothing is written")
    parser.add_argument("--no-write", action="store_true", help="leave README.md as it is")
    return parser.parse_args()


def _facts(run: Run, rounds: int, load: float) -> str:
    """Return the date and the type of the machine."""
    today = datetime.now(UTC).date().isoformat()
    machine = f"{os.cpu_count()} cores, {platform.system()} on {platform.machine()}"
    python = f"Python {platform.python_version()}"
    clients = [
        f"- {who}: gcapi {versions['gcapi']} on httpx {versions['httpx']}"
        for who, versions in run.versions.items()
    ]
    lines = [
        f"Measured on {today}: {machine}, {python}; {rounds} rounds; load of the machine before: {load:.1f}.",
        "",
        *clients,
        "",
        "The same server with bare sockets:",
        "",
        *(f"- {line}" for line in run.ceilings),
    ]
    return "\n".join(lines)


def _write(text: str) -> None:
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}")
    chart.main()
    _say(f"Written to {README.name}.")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
