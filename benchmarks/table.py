"""The rows of the benchmark, their requirements, and the Markdown of the result."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from harness import LINK, Figures, Mode, limit_seconds
from sizes import (
    CASE_SIZE,
    CASES,
    CONNECTIONS,
    FILE_SIZE,
    FILES,
    INSTANCE_SIZE,
    INSTANCES,
    LARGE,
    SLICE_SIDE,
    SLICES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

THEIRS, OURS = "published", "this"


@dataclass(frozen=True)
class Row:
    """A workload and its requirements.

    Attributes:
        name: The name in `workloads.py`.
        title: The name in the table.
        size: The bytes that it moves; 0 if the link's limit does not apply.
        transfers: The smallest number of requests; `CONNECTIONS` for a file that can be split.
        faster: The required speed over the link, relative to the published client.
        near: The required time, relative to the link's limit.
        growth: The limit for the growth of memory in bytes.
        cpu: The limit for CPU seconds over the link, relative to the published client.
        connections: The limit for the number of connections.
        repeats: The measurements per round.
    """

    name: str
    title: str
    size: int = 0
    transfers: int = CONNECTIONS
    faster: float | None = None
    near: float | None = None
    growth: float | None = None
    cpu: float | None = None
    connections: int | None = None
    repeats: int = 1


ROWS = (
    Row("upload", "upload one 256 MiB file", LARGE, faster=7, near=1.3, growth=100e6),
    Row(
        "object",
        "upload 256 MiB from a file object",
        LARGE,
        faster=7,
        growth=60e6,
    ),
    Row("files", "one case of 200 files of 0.5 MiB", FILES * FILE_SIZE, FILES, faster=3),
    Row(
        "dicom-upload",
        "DICOM set of 200 slices, de-identified and uploaded",
        SLICES * 2 * SLICE_SIDE**2,
        SLICES,
        faster=2.2,
        growth=80e6,
    ),
    Row("cases", "60 cases of one file and one value", CASES * CASE_SIZE, CASES, faster=7),
    Row("loop", "the same cases in a plain loop", CASES * CASE_SIZE, CASES, faster=4),
    Row("download", "download one 256 MiB file", LARGE, faster=7, near=1.3, growth=60e6),
    Row(
        "dicom",
        "DICOM set of 300 instances of 0.5 MiB",
        INSTANCES * INSTANCE_SIZE,
        INSTANCES,
        faster=1.05,
        cpu=0.7,
        connections=CONNECTIONS + 2,
    ),
    Row("iterate", "`iterate_all` over 20,000 items", faster=5, growth=25e6),
)
#: Rows without a server, which are measured once.
LOCAL_ROWS = (
    Row("parse", "parsing 100,000 archive items of two values", faster=1),
    Row("import", "`import gcapi` and its `Client`", repeats=3),
    Row("import-httpx", "`import httpx` in the same environment", repeats=3),
)


@dataclass(frozen=True)
class Result:
    """All measurements of a row over a link.

    Attributes:
        md5: The CPU seconds for the MD5 of the row's bytes.
    """

    row: Row
    mode: Mode
    figures: dict[str, list[Figures]]
    md5: float = 0.0

    def seconds(self, client: str) -> float:
        """Return the median of a client."""
        return median(figure.seconds for figure in self.figures[client])

    def cpu(self, client: str) -> float:
        """Return the median of a client."""
        return median(figure.cpu for figure in self.figures[client])

    def growth(self, client: str) -> int:
        """Return the maximum of a client."""
        return max(figure.growth for figure in self.figures[client])

    def peak(self, client: str) -> int:
        """Return the maximum of a client."""
        return max(figure.peak for figure in self.figures[client])

    def connections(self, client: str) -> int:
        """Return the maximum of a client."""
        return max(figure.connections for figure in self.figures[client])

    def requests(self, client: str) -> int:
        """Return the maximum of a client."""
        return max(figure.requests for figure in self.figures[client])

    def temporary(self, client: str) -> int:
        """Return the maximum of a client."""
        return max(figure.temporary for figure in self.figures[client])

    @property
    def ratio(self) -> float:
        """The speed relative to the published client."""
        return self.seconds(THEIRS) / self.seconds(OURS)

    @property
    def limit(self) -> float | None:
        """The seconds that the link needs."""
        row = self.row
        return limit_seconds(self.mode, row.size, row.transfers) if row.size else None


@dataclass(frozen=True)
class Verdict:
    """A requirement and its measurement."""

    title: str
    link: str
    required: str
    measured: str
    met: bool


def verdicts(results: Iterable[Result]) -> list[Verdict]:
    """Compare every result with its requirements."""
    return [
        Verdict(result.row.title, result.mode.name, *outcome)
        for result in results
        for outcome in (_over_link(result) if result.mode == LINK else _over_loopback(result))
    ]


Outcome = tuple[str, str, bool]


def _over_link(result: Result) -> Iterable[Outcome]:
    row, limit, growth = result.row, result.limit, result.growth(OURS)
    if row.faster is not None:
        yield (
            f"at least {row.faster:g} × the published client",
            f"{result.ratio:.2f} ×",
            result.ratio >= row.faster,
        )
    if row.near is not None and limit is not None:
        times = result.seconds(OURS) / limit
        yield f"within {row.near:g} × the link's limit", f"{times:.2f} ×", times <= row.near
    if row.growth is not None:
        yield f"growth at most {_mb(row.growth)}", _mb(growth), growth <= row.growth
    if row.cpu is not None:
        share = result.cpu(OURS) / result.cpu(THEIRS)
        yield f"CPU at most {row.cpu:g} × the published", f"{share:.2f} ×", share <= row.cpu
    if row.connections is not None:
        opened = result.connections(OURS)
        yield f"at most {row.connections} connections", str(opened), opened <= row.connections


def _over_loopback(result: Result) -> Iterable[Outcome]:
    if result.row.faster is None:
        return
    yield "no slower", f"{result.ratio:.2f} ×", result.ratio >= 1
    ours, allowed = result.cpu(OURS), result.cpu(THEIRS) + result.md5
    yield f"CPU at most {allowed:.2f} s (published + MD5)", f"{ours:.2f} s", ours <= allowed


def render(results: Sequence[Result]) -> str:
    """Return the figures and the verdicts as Markdown."""
    parts = [_figures(results), "", _verdicts(verdicts(results))]
    return "\n".join(parts)


def _figures(results: Sequence[Result]) -> str:
    head = (
        *("work", "link", "seconds: published", "seconds: this", "ratio", "link's limit"),
        *("CPU s: published", "CPU s: this", "MD5", "growth (peak): published"),
        *(
            "growth (peak): this",
            "connections / requests: published",
            "connections / requests: this",
            "temporary files: published",
            "temporary files: this",
        ),
    )
    return _table(head, [_figures_row(result) for result in results])


def _figures_row(result: Result) -> tuple[str, ...]:
    limit = result.limit
    return (
        result.row.title,
        "" if result.row in LOCAL_ROWS else result.mode.name,
        *(_spread([each.seconds for each in result.figures[who]]) for who in (THEIRS, OURS)),
        f"**{result.ratio:.2f}**",
        "" if limit is None else f"{limit:.2f}",
        *(f"{result.cpu(who):.2f}" for who in (THEIRS, OURS)),
        f"{result.md5:.2f}" if result.md5 else "",
        *(f"{_mb(result.growth(who))} ({_mb(result.peak(who))})" for who in (THEIRS, OURS)),
        *(f"{result.connections(who)} / {result.requests(who)}" for who in (THEIRS, OURS)),
        *(_mb(result.temporary(who)) for who in (THEIRS, OURS)),
    )


def _verdicts(found: Sequence[Verdict]) -> str:
    head = ("work", "link", "required", "measured", "")
    rows = [
        (each.title, each.link, each.required, each.measured, "met" if each.met else "**not met**")
        for each in found
    ]
    unmet = sum(not each.met for each in found)
    return f"{len(found) - unmet} of {len(found)} requirements are met.\n\n" + _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _spread(seconds: Sequence[float]) -> str:
    return f"{median(seconds):.2f} ({min(seconds):.2f}–{max(seconds):.2f})"


def _mb(count: float) -> str:
    return f"{count / 1e6:.0f} MB"
