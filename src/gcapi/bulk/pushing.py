"""Push a manifest to an archive, a reader study or an algorithm, and go on with it after any end.

A coordinator on top of what `Client` does for one case. Several rows are at work at once, each in a thread of its own
that goes through the row's life: its files are begun as uploads, sent, given to a new case (or job), and every step is
in the journal before the next one that depends on it (`gcapi.bulk.journal` names the states). So the same command, run
again, goes on: what is uploaded and still there is used, what was half sent is completed, what was made is filled, and
of a request whose answer nobody heard the server is asked what became of it. Only what moves bytes runs on an executor.

The server lets a user have 2,001 uploads, used or not: rows wait before they would exceed that. It removes them after a
day: each row's are sent right before they are used. Of its limits of active jobs, the request that meets one waits. Its
limits of 16 imports and of 100 files are those of upload sessions, which a push makes none of.

Memory: the manifest and the titles of the target (about 1 KB a row and 300 bytes a case), and for each of `workers`
rows what its plans hold: JSON values, and paths. Files are read in blocks of 256 KiB, at most `max_concurrent_uploads`
at once for all rows together. What the report keeps of a row that is done is its pk.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from gcapi.bulk._executors import Here, place_of, run_on
from gcapi.bulk._push.case_worker import CaseWork, Outcome
from gcapi.bulk._push.decisions import Existing
from gcapi.bulk._push.import_wait import CaseWatch, JobWatch
from gcapi.bulk._push.job_worker import JobWork
from gcapi.bulk._push.row_uploads import Sender
from gcapi.bulk._push.rows import Ready, RowReader, upload_sizes
from gcapi.bulk.journal import Journal, journal_path
from gcapi.bulk.manifest import Manifest, Row, read_manifest, write_manifest
from gcapi.bulk.targets import Target
from gcapi.exceptions import AmbiguousWriteError, ObjectNotFound, SpecError

if TYPE_CHECKING:
    from collections.abc import Generator
    from concurrent.futures import Executor
    from pathlib import Path

    from gcapi.bulk._executors import Done, Place
    from gcapi.client import Client

#: The note column that says why a row failed.
ERROR_NOTE = "gc:error"
#: How a row ended: something was done for it, nothing was left to do, it failed, nobody can tell, or its values were
#: not there in time.
Ending = Literal["done", "skipped", "failed", "ambiguous", "waiting"]

Work = CaseWork | JobWork


@dataclass(frozen=True)
class RowDone:
    """A row that has its case or job.

    Attributes:
        row: The row.
        pk: The case or the job.
        note: What the user should know; often empty.
    """

    row: Row
    pk: str
    note: str = ""


@dataclass(frozen=True)
class RowFailure:
    """A row that has not got all that it says.

    Attributes:
        row: The row.
        error: Why.
    """

    row: Row
    error: BaseException

    def __str__(self) -> str:
        name = f" ({self.row.title})" if self.row.title else ""
        return f"line {self.row.line}{name}: {_one_line(self.error)}"


@dataclass(frozen=True)
class PushProgress:
    """One row has ended.

    Attributes:
        row: The row.
        how: In a word.
        ended: How many rows have ended.
        total: How many there are.
    """

    row: Row
    how: Ending
    ended: int
    total: int


PushListener = Callable[[PushProgress], None]


@dataclass
class PushReport:
    """What became of a manifest.

    Attributes:
        done: Rows for which something was made, changed or finished.
        skipped: Rows with nothing left to do, and why where the user should know.
        failed: Rows that did not get through; the same command tries them again.
        ambiguous: Rows of which nobody can tell whether their job was started, which is not sent again; or whether a
            case was made or filled, which the next run finds out by its title.
        waiting: Rows whose values had not all come when the time was over.
        manifest: What was pushed.
        journal: Where the journal is.
    """

    manifest: Manifest
    journal: Path
    done: list[RowDone] = field(default_factory=list[RowDone])
    skipped: list[RowDone] = field(default_factory=list[RowDone])
    failed: list[RowFailure] = field(default_factory=list[RowFailure])
    ambiguous: list[RowFailure] = field(default_factory=list[RowFailure])
    waiting: list[RowFailure] = field(default_factory=list[RowFailure])

    @property
    def is_complete(self) -> bool:
        """Whether every row has what it says."""
        return not (self.failed or self.ambiguous or self.waiting)

    def failed_manifest(self, path: Path | None = None) -> Path | None:
        """Write the rows that failed as a manifest of their own, with the reasons in the column ``gc:error``.

        Args:
            path: Where to, in the manifest's folder, since relative paths count from there; `None` for beside it, as
                ``<its name>.failed.<its suffix>``.

        Returns:
            The file; `None` if no row failed, and then none is written.

        Raises:
            ValueError: Another folder.
        """
        source = self.manifest.path or self.manifest.folder / "manifest.csv"
        target = path or source.with_name(f"{source.stem}.failed{source.suffix}")
        if target.absolute().parent != self.manifest.folder.absolute():
            raise ValueError(
                f"{target} must lie in {self.manifest.folder}: its paths count from there."
            )
        if not self.failed:
            return None
        rows = [
            replace(each.row, notes={**each.row.notes, ERROR_NOTE: _one_line(each.error)})
            for each in sorted(self.failed, key=lambda each: each.row.line)
        ]
        write_manifest(target, rows)
        return target


def _add_to(
    report: PushReport, row: Row, outcome: Outcome | None, error: BaseException | None
) -> Ending:
    if outcome is not None:
        ended = RowDone(row, outcome.pk, outcome.note)
        (report.skipped if outcome.how == "skipped" else report.done).append(ended)
        return "skipped" if outcome.how == "skipped" else "done"
    assert error is not None
    is_ambiguous = isinstance(error, AmbiguousWriteError)
    (report.ambiguous if is_ambiguous else report.failed).append(RowFailure(row, error))
    return "ambiguous" if is_ambiguous else "failed"


def _one_line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split())


@dataclass(frozen=True)
class PlannedRow:
    """What would happen to a row.

    Attributes:
        row: The row.
        what: ``"make"``, ``"finish"`` what an earlier run began, ``"take"`` a case that is there, ``"nothing"``, or
            ``"fail"``.
        files: How many files it has to upload at the most; some may be at the server already.
        size: Their length in bytes.
        note: Why.
    """

    row: Row
    what: Literal["make", "finish", "take", "nothing", "fail"]
    files: int = 0
    size: int = 0
    note: str = ""


# ---------------------------------------------------------------- the two functions


def push(
    client: Client,
    manifest: Manifest | Path,
    target: Target | str,
    *,
    journal: Path | None = None,
    workers: int = 8,
    executor: Executor | None = None,
    existing: Existing = "skip",
    wait: bool = False,
    timeout: float | None = None,
    token_file: str | Path | None = None,
    progress: PushListener | None = None,
) -> PushReport:
    """Push the rows of a manifest; run again, it goes on where it ended, however that was.

    Args:
        client: Talks to the server.
        manifest: The rows, or the file that they are in.
        target: ``archive:SLUG``, ``study:SLUG`` or ``algorithm:SLUG``.
        journal: The file in which is noted what was done; `None` for one in your state directory, of its own for each
            server, target and manifest.
        workers: How many rows are at work at once, at least 1.
        executor: Moves the bytes, on workers that see the files under the same paths; `None` for this process.
        existing: What to do about a case of a row's title that no earlier run has made: ``"skip"`` takes it and fills
            what is missing, ``"update"`` changes it, ``"error"`` fails the row. Jobs have no titles.
        wait: Whether to wait until the server has imported everything, or all jobs have ended.
        timeout: Seconds to wait for that after the last row; `None` for as long as it takes.
        token_file: Where the executor's workers read the token if their environment has none; `None` for nowhere.
        progress: Called in this thread as each row ends; `None` for nothing.

    Returns:
        What became of each row. Rows that fail do not stop the others.

    Raises:
        ManifestError: The manifest cannot be read, with all that is wrong with it.
        TargetError: The target is not written in one of its three forms.
        ObjectNotFound: There is no such target, or no access.
        JournalError: Another process is pushing this manifest to this target.
    """
    if workers < 1:
        raise ValueError(f"workers={workers!r} must be at least 1.")
    run = _Run(client, manifest, target, journal=journal, existing=existing)
    with run.open_journal() as opened:
        place = place_of(client, executor, token_file=token_file)
        try:
            return run.push(opened, place, workers=workers, wait=(wait, timeout), progress=progress)
        except KeyboardInterrupt as error:
            error.add_note("What was done is noted. Run the same command again to go on with it.")
            raise
        finally:
            place.close()


def plan_push(
    client: Client,
    manifest: Manifest | Path,
    target: Target | str,
    *,
    journal: Path | None = None,
    existing: Existing = "skip",
) -> list[PlannedRow]:
    """Tell what `push` would do with each row; nothing is written to the server.

    Args:
        client: Talks to the server.
        manifest: The rows, or the file that they are in.
        target: As for `push`.
        journal: As for `push`: `None` for the one in your state directory.
        existing: As for `push`.

    Raises:
        ManifestError: The manifest cannot be read, with all that is wrong with it.
        ObjectNotFound: There is no such target, or no access.
        JournalError: Another process is pushing this manifest to this target.
    """
    run = _Run(client, manifest, target, journal=journal, existing=existing)
    with run.open_journal() as opened:
        return run.plan(opened)


class _Run:
    """One push, or its plan.

    Args:
        client: Talks to the server.
        manifest: The rows, or the file that they are in.
        target: Where they go.
        journal: The journal's file; `None` for the usual one.
        existing: What to do about cases that are there.
    """

    def __init__(
        self,
        client: Client,
        manifest: Manifest | Path,
        target: Target | str,
        *,
        journal: Path | None,
        existing: Existing,
    ) -> None:
        if existing not in get_args(Existing):
            raise ValueError(f"existing={existing!r} must be 'skip', 'update' or 'error'.")
        self._client = client
        self._manifest = manifest if isinstance(manifest, Manifest) else read_manifest(manifest)
        self._target = Target.of(target)
        self._journal_path = journal
        self._existing: Existing = existing
        lookup = client.workflows.lookup
        is_algorithm = self._target.kind == "algorithm"
        algorithm = lookup.algorithms.get(self._target.slug) if is_algorithm else None
        self._reader = RowReader(lookup, self._manifest, algorithm)

    def open_journal(self) -> Journal:
        source = self._manifest.path or self._manifest.folder
        facts = {
            "server": str(self._client.base_url),
            "target": str(self._target),
            "manifest": str(source.resolve()),
        }
        path = self._journal_path or journal_path(facts)
        return Journal(path, facts, durable=self._target.kind == "algorithm")

    def _work(self, journal: Journal, place: Place) -> Work:
        sender = Sender(self._client, journal, place)
        if self._target.kind == "algorithm":
            return JobWork(self._client, self._target, journal=journal, sender=sender)
        return CaseWork(
            self._client, self._target, journal=journal, sender=sender, existing=self._existing
        )

    def _still_ready(self, row: Row) -> Ready | None:
        """Return a row that is understood; `None` for one that fails when it is its turn, or has had its turn."""
        try:
            return self._reader.read(row)
        except (SpecError, ObjectNotFound, OSError):
            return None

    # ------------------------------------------------------------ pushing

    def push(
        self,
        journal: Journal,
        place: Place,
        *,
        workers: int,
        wait: tuple[bool, float | None],
        progress: PushListener | None,
    ) -> PushReport:
        work = self._work(journal, place)
        rows = self._manifest.rows
        work.settle(ready for row in rows if (ready := self._still_ready(row)))
        report = PushReport(self._manifest, journal.path)

        def act(row: Row) -> Outcome:
            ready = self._reader.read(row)
            try:
                return work.do(ready)
            except Exception as error:
                journal.note_error(ready.fingerprint, _one_line(error))
                raise

        ended: Generator[Done[Row, Outcome]] = run_on(workers, rows, act, place=place)
        with closing(ended):
            for count, each in enumerate(ended, start=1):
                how = _add_to(report, each.unit, each.result, each.error)
                if progress is not None:
                    progress(PushProgress(each.unit, how, count, len(rows)))
        if wait[0]:
            self._wait(journal, work, report, workers, wait[1])
        return report

    def _wait(
        self, journal: Journal, work: Work, report: PushReport, workers: int, timeout: float | None
    ) -> None:
        """Move the rows whose values or jobs failed, or did not come in time, to where they belong."""
        of_pk = {each.pk: each for each in (*report.done, *report.skipped)}
        readies = {
            pk: ready for pk, each in of_pk.items() if (ready := self._still_ready(each.row))
        }
        watch: CaseWatch | JobWatch
        if isinstance(work, JobWork):
            watch = JobWatch(self._client, journal, readies, workers=workers)
        else:
            watch = CaseWatch(self._client, journal, readies, work.kind, work.parent)
        failed, late = watch.wait(timeout)
        for pk, error in failed.items():
            report.failed.append(RowFailure(of_pk[pk].row, error))
        for pk, error in late.items():
            report.waiting.append(RowFailure(of_pk[pk].row, error))
        left = failed.keys() | late.keys()
        report.done = [each for each in report.done if each.pk not in left]
        report.skipped = [each for each in report.skipped if each.pk not in left]

    # ------------------------------------------------------------ planning

    def plan(self, journal: Journal) -> list[PlannedRow]:
        work = self._work(journal, Here(self._client))
        return [self._plan(work, row) for row in self._manifest.rows]

    def _plan(self, work: Work, row: Row) -> PlannedRow:
        try:
            ready = self._reader.read(row)
            step = work.decide(ready)
            if step.what == "refuse":
                return PlannedRow(row, "fail", note=step.note)
            plans = self._client.workflows.values.plan(ready.only(step.slugs))
        except (SpecError, ObjectNotFound, OSError) as error:
            return PlannedRow(row, "fail", note=str(error))
        sizes = upload_sizes(plans)
        return PlannedRow(row, step.what, len(sizes), sum(sizes), step.note)
