"""Reports of a push: what it would do with each row, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gcapi._util.html import ShownAsTable
from gcapi._util.scheduler import TaskResult
from gcapi._util.user_dirs import private_state_dir
from gcapi.bulk._push.decisions import Decision
from gcapi.bulk.manifest import Manifest, Row, write_manifest
from gcapi.exceptions import AmbiguousWriteError

#: The note column with the reason why a row failed.
ERROR_NOTE = "gc:error"
#: How a row ended: done, skipped because nothing was left to do, failed, of unknown result, or still waiting.
Ending = Literal["done", "skipped", "failed", "ambiguous", "waiting"]


@dataclass(frozen=True)
class RowDone:
    """A row that has its case or job.

    Attributes:
        row: The row.
        pk: The case or the job.
        note: What the user should know; usually empty.
    """

    row: Row
    pk: str
    note: str = ""


@dataclass(frozen=True)
class RowFailure:
    """A row that failed, or whose values or job did not arrive.

    Attributes:
        row: The row.
        error: The reason.
    """

    row: Row
    error: BaseException

    def __str__(self) -> str:
        return f"{self.row.name}: {_one_line(self.error)}"


@dataclass(frozen=True)
class PushProgress:
    """The progress of a push when a row has ended.

    Attributes:
        row: The row.
        how: How it ended.
        ended: How many rows have ended.
        total: How many rows there are.
    """

    row: Row
    how: Ending
    ended: int
    total: int


PushListener = Callable[[PushProgress], None]


@dataclass(repr=False)
class PushReport(ShownAsTable):
    """The result of a push.

    Attributes:
        done: Rows for which something was created, changed or finished.
        skipped: Rows with nothing left to do, and why where the user should know.
        failed: Rows that failed; the same command tries them again.
        ambiguous: Rows of which it is unknown whether their job was started, which is not sent again; or whether their
            case was created or filled, which the next run finds out by its title.
        waiting: Rows whose values or jobs did not arrive in time.
        manifest: The manifest.
        journal: The file of the journal.
        pending: How many rows have files whose import, or jobs whose end, has not been waited for.
    """

    manifest: Manifest
    journal: Path
    done: list[RowDone] = field(default_factory=list[RowDone])
    skipped: list[RowDone] = field(default_factory=list[RowDone])
    failed: list[RowFailure] = field(default_factory=list[RowFailure])
    ambiguous: list[RowFailure] = field(default_factory=list[RowFailure])
    waiting: list[RowFailure] = field(default_factory=list[RowFailure])
    pending: int = 0

    @property
    def is_complete(self) -> bool:
        """True if every row has its case or job, with all values."""
        return not (self.failed or self.ambiguous or self.waiting)

    def failed_manifest(self, path: Path | None = None) -> Path | None:
        """Write the rows that failed to a manifest of their own, with the reasons in the column ``gc:error``.

        Args:
            path: The file, in the manifest's folder, which its relative paths refer to; `None` for
                ``<name>.failed.<suffix>`` beside the manifest, or in the folder ``failed`` of your state directory if
                that cannot be written, from where you copy it beside the manifest.

        Returns:
            The file; `None` if no row failed, in which case none is written.

        Raises:
            ValueError: The file is in another folder.
            OSError: The file cannot be written.
        """
        source = self.manifest.path or self.manifest.folder / "manifest.csv"
        target = path or source.with_name(f"{source.stem}.failed{source.suffix}")
        if target.absolute().parent != self.manifest.folder.absolute():
            raise ValueError(
                f"{target} must be in {self.manifest.folder}, because the paths in it are relative to that folder."
            )
        if not self.failed:
            return None
        rows = [
            replace(each.row, notes={**each.row.notes, ERROR_NOTE: _one_line(each.error)})
            for each in sorted(self.failed, key=lambda each: each.row.line)
        ]
        # So that decimal commas are read again.
        delimiter = ";" if self.manifest.origin.has_decimal_commas else ","
        try:
            write_manifest(target, rows, delimiter=delimiter)
        except OSError:
            if path is not None:
                raise
            target = private_state_dir("failed") / target.name
            write_manifest(target, rows, delimiter=delimiter)
        return target


def _one_line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())


@dataclass(frozen=True)
class PlannedRow:
    """The action of a push for a row.

    Attributes:
        row: The row.
        what: ``"make"`` a case or job, ``"finish"`` what an earlier run began, ``"take"`` an existing case,
            ``"nothing"``, or ``"fail"``.
        files: How many files it would upload at most; the server may have some of them already.
        size: Their size in bytes.
        note: The reason.
    """

    row: Row
    what: Literal["make", "finish", "take", "nothing", "fail"]
    files: int = 0
    size: int = 0
    note: str = ""


def add_result(report: PushReport, result: TaskResult[Row, Decision]) -> Ending:
    """Add a row to a report, and return how it ended."""
    if result.result is not None:
        skipped = result.result.action == "nothing"
        ended = RowDone(result.item, result.result.pk, result.result.note)
        (report.skipped if skipped else report.done).append(ended)
        return "skipped" if skipped else "done"
    assert result.error is not None
    is_ambiguous = isinstance(result.error, AmbiguousWriteError)
    (report.ambiguous if is_ambiguous else report.failed).append(
        RowFailure(result.item, result.error)
    )
    return "ambiguous" if is_ambiguous else "failed"
