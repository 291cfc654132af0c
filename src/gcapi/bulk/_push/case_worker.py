"""Rows that become cases: from the journal and the existing cases to a run of `gcapi._workflows.cases.CaseRun`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gcapi import models
from gcapi._workflows.case_kinds import CaseParent, ExistingCase
from gcapi._workflows.cases import CaseRun, CaseSnapshot, CaseStep, PendingValue
from gcapi._workflows.import_watch import MAX_SINGLE_READS, ImportWatch
from gcapi._workflows.plans import Plan
from gcapi._workflows.prepare import PreparedValues
from gcapi._workflows.workflows import Workflows
from gcapi.bulk._push.decisions import CaseIndex, Decision, IndexedCase, WaitResult
from gcapi.bulk._push.row_uploads import RowUploads
from gcapi.bulk._push.rows import ParsedRow, RowPlanner
from gcapi.bulk.journal import Journal
from gcapi.bulk.targets import Target
from gcapi.client import Client
from gcapi.exceptions import SpecError

ADDED_AGAIN = (
    "its values, files or order have changed since case {} was added, so another case is added; with a title it would"
    " be updated"
)
CHANGED = "its values, files or order have changed since it was pushed; existing='update' brings the case up to date"


def find_owner(client: Client, target: Target) -> models.Algorithm | CaseParent[Any]:
    """Return what the jobs or the cases of a target belong to.

    Raises:
        ObjectNotFound: There is none, or no access to it; the message lists similar slugs.
    """
    if target.kind == "algorithm":
        return client.workflows.lookup.algorithms.get(target.slug)
    if target.kind == "archive":
        return client.workflows.archive(target.slug)
    return client.workflows.reader_study(target.slug)


@dataclass(frozen=True)
class JournalRecorder:
    """The recorder of one row's case.

    Attributes:
        journal: The journal.
        fingerprint: The row.
    """

    journal: Journal
    fingerprint: bytes

    def record(
        self, step: CaseStep, case: CaseSnapshot | None = None, values: PreparedValues | None = None
    ) -> None:
        """Note a step in the journal."""
        if case is None:
            known = self.journal.record(self.fingerprint)
            if step == "creating" or known is None or known.state == "uploading":
                self.journal.note(self.fingerprint, step)
            # A row that got further in an earlier run keeps its state while files are uploaded again.
            return
        before: dict[str, Any] = {"values": dict(case.values), "order": case.order}
        if step == "filling" and values is not None:
            before["slugs"] = values.slugs
        if step != "created":
            self.journal.forget_other(self.fingerprint, case.pk)
        self.journal.note(
            self.fingerprint, step, pk=case.pk, before=None if step == "filled" else before
        )


@dataclass(eq=False)
class CaseWorker:
    """Make the cases of an archive or a reader study.

    Attributes:
        workflows: The workflows of the client.
        parent: The archive or the reader study.
        planner: Plans the values of rows.
        uploads: Uploads the files of rows, and has the journal.
        existing: What to do about cases that this journal did not make.
    """

    workflows: Workflows
    parent: CaseParent[Any]
    planner: RowPlanner
    uploads: RowUploads
    existing: ExistingCase

    def __post_init__(self) -> None:
        self._journal = self.uploads.journal
        self._index = CaseIndex(self.parent.cases())

    def decide(self, row: ParsedRow) -> Decision:
        """Return what to do about a row."""
        record = self._journal.find(row.identity)
        if record is not None and record.pk in self._index.pks:
            if record.state in {"filled", "imported"}:
                return Decision("nothing", record.pk, note="done by an earlier run")
            return Decision("finish", record.pk, row.slugs)
        # A title is generated from the content, so the files are read only if a case may have it.
        has_title = bool(row.row.title) or self._index.has_generated
        case = self._index.by_title.get(row.title) if has_title else None
        if case is None:
            replaced = self._journal.replaced(row.identity)
            note = ADDED_AGAIN.format(replaced) if replaced in self._index.pks else ""
            return Decision("make", slugs=row.slugs, note=note)
        if record is not None and record.state == "creating" and not case.slugs:
            # The run that requested this case ended before it received the response.
            return Decision("finish", case.pk, row.slugs)
        return self._decide_existing(row, case)

    def _decide_existing(self, row: ParsedRow, case: IndexedCase) -> Decision:
        if case.alike:
            note = (
                f"the cases {case.alike} and {case.pk} both have the title {row.title!r}, in different Unicode forms:"
                " rename one of them"
            )
            return Decision("refuse", case.pk, note=note)
        if self.existing == "update":
            return Decision("take", case.pk, row.slugs)
        # The journal made or filled it for a row, this one or an earlier version.
        is_known = self._journal.owner(case.pk) is not None
        if self.existing == "error":
            note = (
                CHANGED if is_known else "choose another title, or say existing='skip' or 'update'"
            )
            note = f"there is a case {row.title!r} already: {note}"
            return Decision("refuse", case.pk, note=note)
        missing = row.slugs - case.slugs
        if missing:
            return Decision("take", case.pk, missing)
        return Decision("nothing", case.pk, note=CHANGED if is_known else "it was there already")

    def push_row(self, row: ParsedRow) -> Decision:
        """Make, finish, fill or change the case of a row; return what was done.

        Raises:
            SpecError: The row cannot become a case.
        """
        decision = self.decide(row)
        if decision.action == "nothing":
            return decision
        if decision.action == "refuse":
            raise SpecError(decision.note)
        run: CaseRun[Any] = self.workflows.cases.run(
            self.parent.kind,
            JournalRecorder(self._journal, row.fingerprint),
            partial(self.uploads.upload, row.identity),
            self.uploads.wait_for_others,
        )
        if decision.action == "finish":
            self._finish(run, row, decision.pk)
            return replace(decision, note="an earlier run created it")
        fields = {"order": row.row.order} if row.row.order else {}
        plans = self.planner.plan(row, decision.slugs)
        if decision.action == "make":
            return replace(decision, pk=self._make(run, row, fields, plans))
        if self.existing == "skip":
            run.complete(decision.pk, fields, plans)
            return replace(decision, note="it was there already; what it lacked was filled in")
        run.update(decision.pk, fields, plans)
        return replace(decision, note="it was there already; changed")

    def _make(
        self, run: CaseRun[Any], row: ParsedRow, fields: dict[str, Any], plans: Sequence[Plan]
    ) -> str:
        record = self._journal.record(row.fingerprint)
        if record is not None and record.pk:
            self._journal.forget(row.fingerprint)  # its case is no longer on the server
        was_requested = record is not None and record.state == "creating"
        case = run.make(self.parent, row.title, fields, plans, was_requested=was_requested)
        return str(case.pk)

    def _finish(self, run: CaseRun[Any], row: ParsedRow, pk: str) -> None:
        """Fill a case that an earlier run created, unless that run did."""
        record = self._journal.record(row.fingerprint)
        assert record is not None
        if record.before:
            before = CaseSnapshot(pk, row.title, record.before["order"], record.before["values"])
        else:
            before = CaseSnapshot.of(self.parent.kind.namespace.detail(pk=pk))
        # The order is set together with the values, so a case that has values has its order too.
        has_order = bool(row.row.order) and (self.existing == "update" or not before.values)
        fields = {"order": row.row.order} if has_order else {}
        slugs = frozenset(record.before.get("slugs", row.slugs))
        plans = self.planner.plan(row, slugs)
        sent = None
        if record.state == "filling":
            sent = self.uploads.known(row.fingerprint, plans)
        run.finish(before, fields, plans, sent)

    def wait(self, rows: Mapping[str, ParsedRow], timeout: float | None) -> WaitResult:
        """Wait for the values of cases.

        Args:
            rows: The rows, by the pks of their cases.
            timeout: Seconds; `None` for as long as it takes.
        """
        notes: dict[str, str] = {}
        pending: dict[str, dict[str, PendingValue]] = {}
        for pk, row in rows.items():
            record = self._journal.record(row.fingerprint)
            if record is None or record.state != "filled":
                continue
            before = record.before.get("values", {})
            for slug, files in self.uploads.noted_files(row).items():
                pending.setdefault(pk, {})[slug] = PendingValue(before.get(slug), files)
            if pk not in pending:
                self._journal.note(row.fingerprint, "imported")

        def complete(case: Any) -> None:
            self._journal.note(rows[case.pk].fingerprint, "imported")
            self._journal.forget_uploads(rows[case.pk].fingerprint)

        def failed(pk: str) -> None:
            # A re-run uploads the files again, and fills the case again.
            self._journal.forget_uploads(rows[pk].fingerprint)
            self._journal.note(rows[pk].fingerprint, "created", pk=pk)

        watch = ImportWatch(
            pending,
            self._read,
            self.workflows.resources,
            self.workflows.imports,
            self.workflows.settings.timeout,
            on_complete=complete,
            on_failure=failed,
            on_partial=notes.__setitem__,
        )
        return WaitResult(*watch.wait(timeout), notes)

    def _read(self, pks: Sequence[str]) -> Iterable[Any]:
        if len(pks) > MAX_SINGLE_READS:
            return self.parent.cases()
        return (self.parent.kind.namespace.detail(pk=pk) for pk in pks)
