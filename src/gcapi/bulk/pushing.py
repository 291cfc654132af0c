"""Push a manifest to an archive, a reader study or an algorithm, and continue after any interruption.

Several rows are processed at once, each in a thread that takes it through its life: its files are uploaded and given to
a new case or job, and every step is in the journal before the next one that depends on it (see `gcapi.bulk.journal`).
So the same command, run again, continues: it uses finished uploads, completes unfinished ones, fills the cases that
were created, and asks the server about requests whose responses were lost. Only the bytes are sent on an executor.

The server lets a user have 2,001 uploads, used or not, and deletes them after a day: rows wait before they would exceed
that, and upload their files right before they use them. A request that meets the limit of active jobs waits. The limits
of 16 imports and of 100 files are those of upload sessions, which a push does not create.

Memory: the manifest and the titles of the target (about 1 KB for each row and 300 bytes for each case), and what the
plans of `workers` rows hold: JSON values and paths. Files are read in blocks of 256 KiB, at most
`max_concurrent_uploads` at once for all rows together. The report keeps the pk of each row that is done.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Executor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gcapi import models
from gcapi._util.choices import check_choice
from gcapi._util.disk_space import is_disk_full
from gcapi._util.scheduler import Scheduler, cancel_scope
from gcapi._util.user_warnings import calling_line, warn_at
from gcapi._workflows.case_kinds import ExistingCase
from gcapi._workflows.inspection import message_of
from gcapi.bulk._common_cause import common_cause
from gcapi.bulk._executors import Runner
from gcapi.bulk._push.case_worker import CaseWorker, find_owner
from gcapi.bulk._push.decisions import Decision
from gcapi.bulk._push.job_worker import JobExistsError as JobExistsError
from gcapi.bulk._push.job_worker import JobWorker
from gcapi.bulk._push.reports import PlannedRow as PlannedRow
from gcapi.bulk._push.reports import PushListener, add_result
from gcapi.bulk._push.reports import PushProgress as PushProgress
from gcapi.bulk._push.reports import PushReport as PushReport
from gcapi.bulk._push.reports import RowDone as RowDone
from gcapi.bulk._push.reports import RowFailure as RowFailure
from gcapi.bulk._push.row_uploads import RowUploads
from gcapi.bulk._push.rows import ParsedRow, RowPlanner, RowReader, upload_sizes
from gcapi.bulk._transfer_display import RowListener, row_listener
from gcapi.bulk.journal import Journal, JournalError, journal_path
from gcapi.bulk.manifest import Manifest, Row, read_manifest
from gcapi.bulk.targets import Target
from gcapi.client import Client
from gcapi.exceptions import FileWarning, ObjectNotFound, RepeatWarning, SpecError
from gcapi.findings import Finding, InspectMode

#: The number of rows that a warning lists.
SHOWN_REPEATS = 10


def push(  # noqa: PLR0913 - each is an option of one command
    client: Client,
    manifest: Manifest | Path,
    target: Target | str,
    *,
    journal: Path | None = None,
    workers: int = 10,
    executor: Executor | None = None,
    existing: ExistingCase = "skip",
    inspect: InspectMode = "error",
    wait: bool = False,
    timeout: float | None = None,
    again: bool = False,
    token_file: str | Path | None = None,
    progress: PushListener | bool | None = None,
) -> PushReport:
    """Push the rows of a manifest; run again, it continues where it ended, for whatever reason it did.

    When it ends, for whatever reason, nothing of it is sent any more.

    Args:
        client: The client.
        manifest: The rows, or the file that they are in.
        target: ``archive:SLUG``, ``study:SLUG`` or ``algorithm:SLUG``.
        journal: The file in which every step is noted; `None` for that of the target in your state directory, which
            knows the rows of all manifests by their values and the contents of their files.
        workers: How many rows are processed at once, at least 1.
        executor: Sends the bytes, on workers that see the files under the same paths; `None` for this process.
        existing: What to do about a case of a row's title that no earlier run has made: ``"skip"`` keeps it and fills
            what is missing, ``"update"`` changes it, ``"error"`` fails the row. Jobs have no titles.
        inspect: What to do about findings in the files of a row, which are inspected before its first upload:
            ``"error"`` fails the row for errors and issues a `FileWarning` for warnings, ``"warn"`` issues a
            `FileWarning` for both, ``"off"`` does not inspect.
        wait: Whether to wait until the server has imported everything, or all jobs have ended.
        timeout: Seconds to wait for that after the last row; `None` for as long as it takes.
        again: Whether to start a job although one of the algorithm's latest 100 jobs has the inputs of its row and is
            not in the journal. Of files, names are compared. A row that the journal knows is not started again.
        token_file: The file from which the executor's workers read the token if their environment has none; `None` for
            no file.
        progress: `True` to show rows, bytes, their rate and the time left in a bar (plain lines every 10 s without a
            terminal); a callable that is called in this thread as each row ends; `False` for nothing; `None` for
            `True` if the client was made with ``progress=True``. An executor's workers report no bytes.

    Returns:
        What became of each row. Rows that fail do not stop the others, unless all would fail for the same reason.

    Raises:
        ManifestError: The manifest cannot be read; the error lists everything that is wrong with it.
        TargetError: The target has none of its three forms.
        ObjectNotFound: There is no such target, or no access to it.
        JournalError: Another push to this target is running, or the journal cannot be written.
        JobExistsError: A job of another journal has the inputs of a row, and `again` is false.
        AuthenticationError: The server does not accept the token any more.
        UnreachableHostError: A host cannot be reached any more, after all retries.
        StatusError: The server was down (502, 503 or 504) for longer than the retries of one request.
    """
    if workers < 1:
        raise ValueError(f"workers={workers!r} must be at least 1.")
    runner = Runner(client, executor, token_file)
    try:
        with (
            cancel_scope(),
            row_listener(client, progress, "rows", workers) as listener,
            _opened_run(
                client, manifest, target, existing, journal, runner, workers, inspect
            ) as run,
        ):
            report = run.push(workers, listener, again=again)
            if wait:
                run.wait(report, timeout)
            else:
                pks = {each.pk for each in (*report.done, *report.skipped)}
                report.pending = len(run.journal.pending_pks() & pks)
            return report
    except KeyboardInterrupt as error:
        error.add_note("Every step is noted. Run the same command again to continue.")
        raise


def plan_push(
    client: Client,
    manifest: Manifest | Path,
    target: Target | str,
    *,
    journal: Path | None = None,
    existing: ExistingCase = "skip",
    inspect: InspectMode = "error",
    again: bool = False,
) -> list[PlannedRow]:
    """Return what `push` would do with each row; nothing is written to the server.

    Args:
        client: The client.
        manifest: The rows, or the file that they are in.
        target: As for `push`.
        journal: As for `push`; `None` for the default.
        existing: As for `push`.
        inspect: As for `push`; a row whose files have errors would fail.
        again: As for `push`; if it is false, the rows would fail because of which `push` would raise `JobExistsError`.

    Raises:
        ManifestError: The manifest cannot be read; the error lists everything that is wrong with it.
        TargetError: The target has none of its three forms.
        ObjectNotFound: There is no such target, or no access to it.
        JournalError: Another push to this target is running, or the journal cannot be written.
    """
    runner = Runner(client)
    with (
        cancel_scope(),
        _opened_run(client, manifest, target, existing, journal, runner, 1, inspect) as run,
    ):
        if not again:
            run.find_existing()
        return [run.plan_row(row) for row in run.manifest.rows]


@contextmanager
def _opened_run(
    client: Client,
    manifest: Manifest | Path,
    target: Target | str,
    existing: ExistingCase,
    journal: Path | None,
    runner: Runner,
    workers: int,
    inspect: InspectMode,
) -> Generator[_PushRun]:
    """Yield a push with an open journal, which is closed at the end."""
    check_choice("existing", existing, ExistingCase)
    check_choice("inspect", inspect, InspectMode)
    manifest = manifest if isinstance(manifest, Manifest) else read_manifest(manifest)
    goal = Target.of(target)
    workflows, line = client.workflows, calling_line()

    def warn(row: Row, socket: models.ComponentInterface, finding: Finding) -> None:
        warn_at(line, f"{row.name}: {message_of(socket, finding)}", FileWarning)

    planner = RowPlanner(workflows.values, inspect, warn)
    owner = find_owner(client, goal)
    algorithm = owner if isinstance(owner, models.Algorithm) else None
    path = journal or journal_path(str(goal), owner.pk)
    facts = {"target": str(goal), "pk": owner.pk}
    with closing(Journal(path, facts, durable=algorithm is not None)) as opened:
        uploads = RowUploads(client, opened, runner)
        worker: CaseWorker | JobWorker
        if isinstance(owner, models.Algorithm):
            worker = JobWorker(workflows, owner, planner, uploads, workers)
        else:
            worker = CaseWorker(workflows, owner, planner, uploads, existing)
        reader = RowReader(workflows.lookup, manifest, algorithm)
        yield _PushRun(manifest, reader, planner, opened, uploads, worker, line)


@dataclass(frozen=True)
class _PushRun:
    """One push, or its dry run.

    Attributes:
        manifest: The rows.
        reader: Turns rows into specifications.
        planner: Plans their values.
        journal: The journal.
        uploads: Uploads the files of rows.
        worker: Makes the cases or jobs.
        line: The user's line of code, which warnings point at.
    """

    manifest: Manifest
    reader: RowReader
    planner: RowPlanner
    journal: Journal
    uploads: RowUploads
    worker: CaseWorker | JobWorker
    line: tuple[str, int]

    def _usable_rows(self) -> Iterator[ParsedRow]:
        """Yield the rows whose cells can be used; the others fail in their turn."""
        for row in self.manifest.rows:
            with suppress(SpecError, ObjectNotFound, OSError):
                yield self.reader.read(row)

    # ------------------------------------------------------------ pushing

    def push(self, workers: int, listener: RowListener, *, again: bool) -> PushReport:
        if isinstance(self.worker, JobWorker):
            self.worker.find_requested(self._usable_rows)
            if not again:
                self.find_existing()
                self.worker.check_existing(self._usable_rows())
        self._warn_of_repeats()
        rows = self.manifest.rows
        report = PushReport(self.manifest, self.journal.path)
        listener.begin(len(rows))
        with Scheduler(workers, "gcapi-push") as scheduler:
            results = scheduler.map_unordered(self._push_row, rows)
            for count, result in enumerate(results, start=1):
                error = result.error
                if error is not None and (isinstance(error, JournalError) or is_disk_full(error)):
                    # Without its journal, the push could not continue after the next interruption.
                    raise error
                how = add_result(report, result)
                listener.ended(PushProgress(result.item, how, count, len(rows)))
                reason = common_cause(result.error)
                if reason is not None:
                    reason.add_note(
                        f"The push ended after {count} of {len(rows)} rows; every step is noted. Run the same again to"
                        " continue."
                    )
                    raise reason
        self.uploads.abort_abandoned()
        return report

    def find_existing(self) -> None:
        """Find the jobs of other journals that have the inputs of a row."""
        if isinstance(self.worker, JobWorker):
            self.worker.find_existing(self._usable_rows())

    def _warn_of_repeats(self) -> None:
        """Warn, before anything is sent, of jobs and untitled cases that are made again of other values or files."""
        has_repeats = isinstance(self.worker, JobWorker) or not all(
            row.title for row in self.manifest.rows
        )
        repeats = [*self._repeats()] if has_repeats and not self.journal.is_new else []
        if repeats:
            shown = "; ".join(repeats[:SHOWN_REPEATS])
            more = f"; and {len(repeats) - SHOWN_REPEATS} more" * (len(repeats) > SHOWN_REPEATS)
            warn_at(self.line, f"{shown}{more}.", RepeatWarning)

    def _repeats(self) -> Iterator[str]:
        for row in self._usable_rows():
            with suppress(OSError):  # the row fails in its turn
                decision = self.worker.decide(row)
                if decision.action == "make" and decision.note:
                    yield f"{row.row.name}: {decision.note}"

    def _push_row(self, row: Row) -> Decision:
        with self.journal.in_use():
            return self.worker.push_row(self._read(row))

    def _read(self, row: Row) -> ParsedRow:
        parsed, errors = self.reader.read_valid(row)
        self.planner.check(parsed, errors)
        return parsed

    def wait(self, report: PushReport, timeout: float | None) -> None:
        """Wait for imports and jobs, and move the rows that failed or took too long in the report."""
        # Rows that no file has may be of the same line.
        usable = {id(parsed.row): parsed for parsed in self._usable_rows()}
        ended = {each.pk: each.row for each in (*report.done, *report.skipped)}
        rows = {pk: usable[id(row)] for pk, row in ended.items() if id(row) in usable}
        result = self.worker.wait(rows, timeout)
        report.failed += [RowFailure(ended[pk], error) for pk, error in result.failed.items()]
        report.waiting += [RowFailure(ended[pk], error) for pk, error in result.late.items()]
        left = result.failed.keys() | result.late.keys()
        for name in ("done", "skipped"):
            kept: list[RowDone] = [each for each in getattr(report, name) if each.pk not in left]
            noted = [replace(each, note=result.notes.get(each.pk, each.note)) for each in kept]
            setattr(report, name, noted)

    # ------------------------------------------------------------ planning

    def plan_row(self, row: Row) -> PlannedRow:
        try:
            parsed = self._read(row)
            decision = self.worker.decide(parsed)
            if decision.action == "refuse":
                return PlannedRow(row, "fail", note=decision.note)
            plans = self.planner.plan(parsed, decision.slugs)
        except (SpecError, ObjectNotFound, OSError) as error:
            return PlannedRow(row, "fail", note=str(error))
        sizes = upload_sizes(plans)
        return PlannedRow(row, decision.action, len(sizes), sum(sizes), decision.note)
