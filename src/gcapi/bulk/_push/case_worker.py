"""Rows that become cases: from the journal and the existing cases to a run of `gcapi._workflows.cases.CaseRun`."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from gcapi._api.quota import MAX_QUOTA_WAIT
from gcapi._workflows.cases import CaseSnapshot
from gcapi.bulk._push.decisions import CaseIndex, Decision, decide
from gcapi.exceptions import SpecError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcapi._workflows.case_kinds import CaseParent, ExistingCase
    from gcapi._workflows.cases import CaseRun, CaseStep
    from gcapi._workflows.plans import Plan
    from gcapi._workflows.prepare import PreparedValues
    from gcapi.bulk._push.row_uploads import RowUploads
    from gcapi.bulk._push.rows import ParsedRow
    from gcapi.bulk.journal import Journal
    from gcapi.bulk.targets import Target
    from gcapi.client import Client


def find_parent(client: Client, target: Target) -> CaseParent[Any]:
    """Return the archive or reader study of a target.

    Raises:
        ObjectNotFound: There is none, or no access to it; the message lists similar slugs.
    """
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


class CaseWorker:
    """Make the cases of an archive or a reader study.

    Args:
        client: The client.
        target: The archive or the reader study.
        journal: Records every step.
        uploads: Uploads the files of rows.
        existing: What to do about cases that this journal did not make.
    """

    def __init__(
        self,
        client: Client,
        target: Target,
        *,
        journal: Journal,
        uploads: RowUploads,
        existing: ExistingCase,
    ) -> None:
        self._workflows = client.workflows
        self._journal = journal
        self._uploads = uploads
        self._existing: ExistingCase = existing
        self.parent: CaseParent[Any] = find_parent(client, target)
        self._index = CaseIndex.of(self.parent.cases())

    def decide(self, row: ParsedRow) -> Decision:
        """Return what to do about a row."""
        case = self._index.by_title.get(row.title)
        is_known = case is not None and self._journal.owner(case.pk) is not None
        record = self._journal.record(row.fingerprint)
        return decide(row, record, self._index, self._existing, is_known=is_known)

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
        run: CaseRun[Any] = self._workflows.cases.run(
            self.parent.kind,
            JournalRecorder(self._journal, row.fingerprint),
            partial(self._uploads.upload, row.fingerprint),
        )
        if decision.action == "finish":
            self._finish(run, row, decision.pk)
            return replace(decision, note="an earlier run had begun it")
        fields = {"order": row.row.order} if row.row.order else {}
        plans = self._workflows.values.plan(row.only(decision.slugs))
        if decision.action == "make":
            return replace(decision, pk=self._make(run, row, fields, plans))
        if self._existing == "skip":
            run.complete(decision.pk, fields, plans)
            return replace(decision, note="it was there already; what it lacked was filled in")
        run.change(self._snapshot(decision.pk), fields, plans)
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
        before = self._snapshot(pk)
        slugs = row.slugs
        if record.before:
            before = CaseSnapshot(pk, row.title, record.before["order"], record.before["values"])
            slugs = frozenset(record.before.get("slugs", slugs))
        # The order is set together with the values, so a case that has values has its order too.
        has_order = bool(row.row.order) and (self._existing == "update" or not before.values)
        fields = {"order": row.row.order} if has_order else {}
        plans = self._workflows.values.plan(row.only(slugs))
        sent = self._sent(row, plans) if record.state == "filling" else None
        run.finish(before, fields, plans, sent)

    def _snapshot(self, pk: str) -> CaseSnapshot:
        return CaseSnapshot.of(self.parent.kind.namespace.detail(pk=pk))

    def _sent(self, row: ParsedRow, plans: Sequence[Plan]) -> PreparedValues:
        """Return the values that an earlier run sent, with their uploads if they are still evidence."""
        sent, created = self._uploads.known(row.fingerprint, plans)
        if created is not None and time.time() - created < MAX_QUOTA_WAIT:
            return sent
        # The server deletes old uploads, so that their absence does not show that they were used.
        return replace(sent, files={})
