"""The check of a manifest: everything that is wrong with it, each with its place and what to do, and nothing is sent.

Values are planned and their files are inspected as for a push, so that both refuse the same rows in the same words.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from gcapi import models
from gcapi._transfer.parts import part_size, split
from gcapi._util.choices import check_choice
from gcapi._util.html import ShownAsTable
from gcapi._workflows.prepare import ValuePreparer
from gcapi.bulk._push.case_worker import find_owner
from gcapi.bulk._push.rows import COLUMN_FIX, RowPlanner, RowReader, upload_sizes
from gcapi.bulk.cells import CellError, ValueCellError
from gcapi.bulk.manifest import Manifest, Problem, Row, column_of, parse_manifest
from gcapi.bulk.targets import Target
from gcapi.client import Client
from gcapi.exceptions import FileInspectionError, InterfaceMismatch, ObjectNotFound, SocketNotFound
from gcapi.findings import Finding, InspectMode, Level
from gcapi.progress import Progress, given_up_on_error

#: The quota of unused uploads of an account that is not verified, and of a verified one, in bytes.
UNVERIFIED_QUOTA, VERIFIED_QUOTA = 2 * 2**30, 128 * 2**30
#: The number of different cells of one column that a problem shows.
_SHOWN_EXAMPLES = 3
#: Requests to create and to fill a case.
_REQUESTS_PER_CASE = 2
#: Requests of an upload beside those for its parts: to create it, to presign URLs and to complete it.
_REQUESTS_PER_UPLOAD = 3


@dataclass(repr=False)
class CheckReport(ShownAsTable):
    """Result of checking a manifest.

    Attributes:
        problems: Everything that is wrong, and what a person should look at, in the order of the lines.
        notes: Remarks about what is not wrong.
        rows: The number of rows.
        files: The number of files that they upload.
        bytes: The total length of these files.
        requests: About how many requests a push takes.
    """

    problems: list[Problem] = field(default_factory=list[Problem])
    notes: list[str] = field(default_factory=list[str])
    rows: int = 0
    files: int = 0
    bytes: int = 0
    requests: int = 0

    @property
    def is_good(self) -> bool:
        """True if there are no problems except warnings."""
        return not self.errors

    @property
    def errors(self) -> list[Problem]:
        """The problems that make a push fail a row."""
        return [problem for problem in self.problems if problem.level == "error"]

    @property
    def warnings(self) -> list[Problem]:
        """The problems that a push only warns of."""
        return [problem for problem in self.problems if problem.level == "warning"]


def check_manifest(
    client: Client,
    manifest: Manifest | Path,
    target: Target | str | None,
    *,
    inspect: InspectMode = "error",
    deep: bool = False,
) -> CheckReport:
    """Check a manifest; the server is only asked for sockets and the target.

    Each file is read once: at most a few KiB of an image, the element headers of a DICOM file, and JSON as a whole. The
    client's `progress` is called for each row.

    Args:
        client: Finds sockets and the target.
        manifest: The rows, or the file that they are in.
        target: Where they will be pushed to; `None` to check what does not depend on it.
        inspect: What the push will be told to do about findings in files: ``"error"`` reports errors and warnings,
            ``"warn"`` reports both as warnings, ``"off"`` does not inspect.
        deep: Whether to read all of the files' content: checksums, and decoding where SimpleITK is installed.

    Raises:
        ManifestError: The file is not a table at all.
        TargetError: The target does not have one of its three forms.
    """
    check_choice("inspect", inspect, InspectMode)
    problems: list[Problem] = []
    if not isinstance(manifest, Manifest):
        manifest, problems = parse_manifest(manifest)
    report = CheckReport(problems, rows=len(manifest.rows))
    goal = None if target is None else Target.of(target)
    owner = None
    try:
        owner = goal and find_owner(client, goal)
    except ObjectNotFound as error:
        report.problems += _problems_of(0, "", error)
    algorithm = owner if isinstance(owner, models.Algorithm) else None
    reader = RowReader(client.workflows.lookup, manifest, algorithm)
    checker = _RowChecker(reader, client.workflows.values, report, inspect, deep=deep)
    name = manifest.folder.name if manifest.path is None else manifest.path.name
    progress = Progress(client.workflows.listener, "check", name, len(manifest.rows))
    with given_up_on_error([progress]):
        for row in manifest.rows:
            checker.check(row)
            progress.add(1)
    if any(row.order is not None for row in manifest.rows) and goal and goal.kind != "study":
        report.notes.append(f"The column order is ignored for {goal}.")
    report.notes += _general_notes(report, deep=deep)
    merged = _merged(report.problems, checker.value_columns)
    report.problems = manifest.origin.located(merged)
    return report


def _general_notes(report: CheckReport, *, deep: bool) -> Iterator[str]:
    """Yield what concerns the check and the push as a whole."""
    if report.bytes > UNVERIFIED_QUOTA:
        is_large = report.bytes > VERIFIED_QUOTA
        quota = "128 GiB" if is_large else "2 GiB if your account is not verified"
        yield (
            f"The files have {report.bytes / 2**30:.1f} GiB, and the quota of uploads that are not imported yet is"
            f" {quota}. A push waits for imports if that is not enough."
        )
    if deep and find_spec("SimpleITK") is None:
        yield "SimpleITK is not installed, so images were not decoded. Install it with: pip install SimpleITK"


def _merged(problems: Iterable[Problem], value_columns: AbstractSet[str]) -> list[Problem]:
    """Return one problem for those that are alike in several rows, in the order of the lines.

    In the column of a value, those that are corrected alike are alike.
    """
    groups: dict[tuple[str, ...], list[Problem]] = defaultdict(list)
    # A socket that does not exist is the same problem in every row.
    for problem in dict.fromkeys(problems):
        what = "" if problem.column in value_columns else problem.what
        groups[problem.column, problem.level, problem.fix, what].append(problem)
    return sorted(map(_merged_group, groups.values()), key=lambda problem: problem.line)


def _merged_group(group: Sequence[Problem]) -> Problem:
    lines = tuple(sorted({problem.line for problem in group}))
    if len(lines) == 1:
        return group[0]
    examples = list(dict.fromkeys(problem.what for problem in group))
    more = f"; and {len(examples) - _SHOWN_EXAMPLES} more" * (len(examples) > _SHOWN_EXAMPLES)
    what = "; ".join(examples[:_SHOWN_EXAMPLES]) + more
    return replace(group[0], line=lines[0], lines=lines, what=what)


class _RowChecker:
    """Checks the rows of a manifest, and adds what it finds to a report.

    Args:
        reader: Turns rows into specifications.
        values: Plans the values of rows.
        report: The report.
        inspect: What to do about findings.
        deep: Whether to read all of the files' content.
    """

    def __init__(
        self,
        reader: RowReader,
        values: ValuePreparer,
        report: CheckReport,
        inspect: InspectMode,
        *,
        deep: bool,
    ) -> None:
        self._reader = reader
        self._planner = RowPlanner(values, inspect, self._warn, deep)
        self._report = report
        #: The columns in which a cell is not a value of the socket's kind.
        self.value_columns: set[str] = set()

    def check(self, row: Row) -> None:
        report = self._report
        parsed, errors = self._reader.read_valid(row)
        if not row.cells:  # a pulled archive has such rows, so a push accepts them
            what, fix = "the row has no values", "Fill a cell, or remove the row"
            report.problems.append(Problem(row.line, "", what, fix, "warning"))
        plans, others = self._planner.plan_valid(parsed, parsed.slugs)
        for column, error in (*errors, *others):
            if isinstance(error, ValueCellError):
                self.value_columns.add(column)
            report.problems += _problems_of(row.line, column, error)
        sizes = upload_sizes(plans)
        report.files += len(sizes)
        report.bytes += sum(sizes)
        report.requests += _REQUESTS_PER_CASE + sum(
            _REQUESTS_PER_UPLOAD + len(split(size, part_size(size, 1))) for size in sizes
        )

    def _warn(self, row: Row, socket: models.ComponentInterface, finding: Finding) -> None:
        column = column_of(socket.slug)
        self._report.problems.append(_problem_of_finding(row.line, column, finding, "warning"))


def _problems_of(line: int, column: str, error: Exception) -> list[Problem]:
    if isinstance(error, FileInspectionError):
        return [_problem_of_finding(line, column, each, "error") for each in error.findings]
    if isinstance(error, CellError):
        what, fix = error.what, error.fix
    elif isinstance(error, InterfaceMismatch):
        what, fix = str(error), "Fill exactly the sockets of one interface"
    elif isinstance(error, SocketNotFound):
        line = 0  # it is the same in every row
        what, fix = str(error).removesuffix(f" {COLUMN_FIX}."), COLUMN_FIX
    elif isinstance(error, ObjectNotFound):
        what, fix = str(error), "Correct the target's slug, or ask for access"
    else:
        # The column names the socket already, and the last sentence of a message says what to do.
        start, _, rest = str(error).partition(": ")
        message = rest if start.startswith("Socket ") else str(error)
        what, _, fix = message.rstrip(".").rpartition(". ")
        if not what:
            what, fix = fix, "Correct the cell, or the file that it names"
    return [Problem(line, column, " ".join(what.split()).rstrip("."), fix)]


def _problem_of_finding(line: int, column: str, finding: Finding, level: Level) -> Problem:
    place = "" if finding.file is None else f"{finding.file}: "
    return Problem(line, column, f"{place}{finding.what}", finding.fix, level)
