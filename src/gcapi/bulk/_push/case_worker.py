"""One case after another: made once, filled once, each step noted before the next."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from gcapi._api.quota import LONGEST_WAIT
from gcapi._workflows.cases import (
    Change,
    Parent,
    archive_items,
    archive_parent,
    display_sets,
    reader_study_parent,
)
from gcapi._workflows.checks import check_order, check_title
from gcapi._workflows.prepare import posted_of
from gcapi.bulk._push.decisions import Index, Step, decide
from gcapi.exceptions import SpecError, TitleTaken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gcapi._workflows.cases import CaseKind
    from gcapi._workflows.plans import Plan
    from gcapi._workflows.prepare import Posted
    from gcapi.bulk._push.decisions import Existing
    from gcapi.bulk._push.row_uploads import Sender
    from gcapi.bulk._push.rows import Ready
    from gcapi.bulk.journal import Begun, Journal
    from gcapi.bulk.targets import Target
    from gcapi.client import Client


@dataclass(frozen=True)
class Outcome:
    """What a row has come to.

    Attributes:
        how: Whether something was done for it.
        pk: Its case or job.
        note: What the user should know.
    """

    how: str
    pk: str
    note: str = ""


def home_of(client: Client, target: Target) -> tuple[CaseKind[Any], Parent]:
    """Return where the cases of an archive or a reader study are, and what they belong to.

    Raises:
        ObjectNotFound: With near names.
    """
    if target.kind == "archive":
        return (
            archive_items(client.archive_items),
            archive_parent(client.workflows.lookup, target.slug),
        )
    return (
        display_sets(client.reader_studies),
        reader_study_parent(client.workflows.lookup, target.slug),
    )


class CaseWork:
    """Make the cases of an archive or a reader study.

    Args:
        client: Talks to the server.
        target: The archive or the reader study.
        journal: Is told of every step.
        sender: Uploads files.
        existing: What to do about cases that this journal did not make.
    """

    def __init__(
        self,
        client: Client,
        target: Target,
        *,
        journal: Journal,
        sender: Sender,
        existing: Existing,
    ) -> None:
        self._client = client
        self._cases = client.workflows.cases
        self._journal = journal
        self._sender = sender
        self._existing: Existing = existing
        self.kind: CaseKind[Any]
        self.parent: Parent
        self.kind, self.parent = home_of(client, target)
        self.index: Index = Index.of(self.kind.all_of(self.parent))

    def settle(self, rows: Iterable[Ready]) -> None:
        """Do nothing: what an earlier run left open is settled row by row."""

    def decide(self, ready: Ready) -> Step:
        """Return what is to be done about a row."""
        there = self.index.by_title.get(ready.title)
        is_known = there is not None and self._journal.owner(there.pk) is not None
        record = self._journal.record(ready.fingerprint)
        return decide(ready, record, self.index, self._existing, is_known=is_known)

    def do(self, ready: Ready) -> Outcome:
        """Do what is to be done about a row.

        Raises:
            SpecError: It cannot be done as it is written.
        """
        step = self.decide(ready)
        if step.what == "nothing":
            return Outcome("skipped", step.pk, step.note)
        if step.what == "refuse":
            raise SpecError(step.note)
        if step.what == "finish":
            return self._finish(ready, step.pk)
        plans = self._plan(ready, step.slugs)
        if step.what == "take":
            return self._take(ready, step.pk, plans)
        return Outcome("done", self._make(ready, plans))

    def _plan(self, ready: Ready, slugs: frozenset[str]) -> list[Plan]:
        check_title(ready.title)
        check_order(ready.row.order or 0)
        return self._client.workflows.values.plan(ready.only(slugs))

    # ------------------------------------------------------------ making

    def _make(self, ready: Ready, plans: Sequence[Plan]) -> str:
        record = self._journal.record(ready.fingerprint)
        if record is not None and record.pk:
            # Its case is no longer on the server, so that it begins anew.
            self._journal.forget(ready.fingerprint)
        posted = self._upload(ready, plans)
        self._journal.note(ready.fingerprint, "creating")
        case = self._create(ready, was_asked_for=record is not None and record.state == "creating")
        before: dict[str, Any] = {"values": {}, "order": getattr(case, "order", None)}
        self._journal.note(ready.fingerprint, "created", pk=case.pk, before=before)
        self._fill(ready, case.pk, posted, _former(before, ready.title))
        return str(case.pk)

    def _upload(self, ready: Ready, plans: Sequence[Plan]) -> Posted:
        """Upload the files; of a row that has no case yet, the state is noted before the first and after the last."""
        record = self._journal.record(ready.fingerprint)
        is_first = record is None or record.state == "uploading"
        if is_first:
            self._journal.note(ready.fingerprint, "uploading")
        begun = self._sender.send(ready.fingerprint, plans)
        if is_first:
            self._journal.note(ready.fingerprint, "uploaded")
        self._sender.used_up(begun)
        return posted_of(plans, begun)

    def _create(self, ready: Ready, *, was_asked_for: bool) -> Any:
        """Create the case, or return the one that an earlier run asked for.

        Raises:
            TitleTaken: It is somebody else's.
        """
        try:
            return self._cases.create(self.kind, self.parent, ready.title)
        except TitleTaken:
            # The server may have been at it while the titles were read.
            found = self.kind.titled(self.parent, ready.title) if was_asked_for else None
            if found is None or found.values:
                raise
            return found

    def _fill(self, ready: Ready, pk: str, posted: Posted, former: Any) -> None:
        fields: dict[str, Any] = {"values": posted.values} if posted.values else {}
        # Its place is set together with its values, so a case that has some has its place too.
        if ready.row.order and (self._existing == "update" or not former.values):
            fields["order"] = ready.row.order
        if fields:
            change = Change(fields, posted, former)
            slugs = [value["interface"] for value in posted.values]
            before = {
                "values": change.before,
                "order": getattr(former, "order", None),
                "slugs": slugs,
            }
            self._journal.note(ready.fingerprint, "filling", pk=pk, before=before)
            self._cases.send(self.kind, pk, change)
        self._journal.note(ready.fingerprint, "filled", pk=pk)

    # ------------------------------------------------------------ what is there

    def _take(self, ready: Ready, pk: str, plans: Sequence[Plan]) -> Outcome:
        """Fill or change a case that this journal did not make."""
        case = self.kind.namespace.detail(pk=pk)
        there = {value.interface.slug for value in case.values}
        if self._existing == "skip":
            plans = [plan for plan in plans if plan.slug not in there]
        posted = self._upload(ready, plans)
        self._journal.forget_other(ready.fingerprint, pk)
        self._fill(ready, pk, posted, case)
        changed = "changed" if self._existing == "update" else "what it lacked was filled in"
        return Outcome("done", pk, f"it was there already; {changed}")

    def _finish(self, ready: Ready, pk: str) -> Outcome:
        """Fill a case that an earlier run was at, unless it did: what it had sent may have been carried out."""
        record = self._journal.record(ready.fingerprint)
        assert record is not None
        before, title = record.before, ready.title
        former = _former(before, title) if before else self.kind.namespace.detail(pk=pk)
        plans = self._plan(ready, frozenset(before.get("slugs", ready.slugs)))
        if record.state == "filling" and self._was_filled(ready, pk, plans, former):
            self._journal.note(ready.fingerprint, "filled", pk=pk)
        else:
            self._fill(ready, pk, self._upload(ready, plans), former)
        return Outcome("done", pk, "an earlier run had begun it")

    def _was_filled(self, ready: Ready, pk: str, plans: Sequence[Plan], former: Any) -> bool:
        """Tell whether the request that fills a case was carried out, as the case or its uploads show."""
        noted = self._journal.uploads(ready.fingerprint)
        posted = posted_of(plans, {slug: _named(group) for slug, group in noted.items()})
        fields = {"order": ready.row.order} if ready.row.order else {}
        change = Change(fields, posted, former)
        case = self.kind.namespace.detail(pk=pk)
        now = {value.interface.slug: value.pk for value in case.values}
        before = change.before
        if plans and all(now.get(plan.slug) not in {None, before.get(plan.slug)} for plan in plans):
            return True
        if change.shows_in(case):
            return True
        # Uploads that are gone were used, unless they are so old that the server has removed them.
        return _are_young(noted) and posted.is_used(self._client.uploads)


def _former(before: Mapping[str, Any], title: str) -> Any:
    """Return a case as it was, of which no more than this is asked."""
    values = [
        SimpleNamespace(interface=SimpleNamespace(slug=slug), pk=pk)
        for slug, pk in before["values"].items()
    ]
    return SimpleNamespace(values=values, title=title, order=before["order"])


def _named(noted: Mapping[int, Begun]) -> list[Any]:
    """Return uploads of the journal, of which no more than the pk is asked."""
    return [SimpleNamespace(pk=each.pk, api_url="", filename="") for each in noted.values()]


def _are_young(noted: Mapping[str, Mapping[int, Begun]]) -> bool:
    times = [each.begun for group in noted.values() for each in group.values()]
    return bool(times) and time.time() - min(times) < LONGEST_WAIT
