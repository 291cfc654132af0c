"""One job after another, each started once; what an earlier run left open is looked for before any other is started.

A request for a job is noted together with the number of jobs that the algorithm had before it. If the run ends before
the answer is noted, the next one looks among the jobs that came after for the one with these inputs, as a client does
after a lost answer. Where that stays undecided, the row is reported and never sent again.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from gcapi._api.lost_writes import WRITE_ERRORS, is_lost
from gcapi._workflows.checks import check_interface
from gcapi._workflows.plans import Upload
from gcapi._workflows.prepare import posted_of, upload_names
from gcapi.bulk._push.case_worker import Outcome
from gcapi.bulk._push.decisions import Step
from gcapi.exceptions import GCAPIError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gcapi._workflows.plans import Plan
    from gcapi._workflows.prepare import Posted
    from gcapi.bulk._push.row_uploads import Sender
    from gcapi.bulk._push.rows import Ready
    from gcapi.bulk.journal import Journal, Record
    from gcapi.bulk.targets import Target
    from gcapi.client import Client


class JobWork:
    """Start jobs of an algorithm.

    Args:
        client: Talks to the server.
        target: The algorithm.
        journal: Is told of every step.
        sender: Uploads files.
    """

    def __init__(self, client: Client, target: Target, *, journal: Journal, sender: Sender) -> None:
        self._client = client
        self._journal = journal
        self._sender = sender
        self._algorithm = client.workflows.lookup.algorithms.get(target.slug)
        #: The rows of which nobody can tell whether they have a job.
        self._unsettled: dict[bytes, Exception] = {}

    @property
    def has_open(self) -> bool:
        """Whether an earlier run left a request open."""
        return next(self._journal.records("posting"), None) is not None

    def settle(self, rows: Iterable[Ready]) -> None:
        """Look for the jobs of requests that an earlier run left open."""
        if not self.has_open:
            return
        for ready in rows:
            record = self._journal.record(ready.fingerprint)
            if record is not None and record.state == "posting":
                try:
                    self._settle(ready, record)
                except GCAPIError as error:
                    self._unsettled[ready.fingerprint] = error

    def _settle(self, ready: Ready, record: Record) -> None:
        """Look for the job of a row.

        Raises:
            AmbiguousWriteError: Nobody can tell whether there is one.
        """
        noted = self._journal.uploads(ready.fingerprint)
        plans = self._plan(ready)
        uploads: dict[str, list[Any]] = {
            plan.slug: [
                SimpleNamespace(pk=each.pk, api_url="", filename=name)
                for each, name in zip(noted[plan.slug].values(), _names(plan), strict=True)
            ]
            for plan in plans
            if plan.slug in noted
        }
        job = self._client.workflows.jobs.find(
            self._algorithm, posted_of(plans, uploads), record.before["jobs"]
        )
        if job is None:
            self._journal.note(ready.fingerprint, "uploaded")
        else:
            self._journal.note(ready.fingerprint, "started", pk=job.pk)

    def decide(self, ready: Ready) -> Step:
        """Return what is to be done about a row."""
        record = self._journal.record(ready.fingerprint)
        if record is not None and record.state in {"started", "ended"}:
            return Step("nothing", record.pk, note="started by an earlier run")
        if record is not None and record.state == "posting":
            return Step(
                "finish", slugs=ready.slugs, note="an earlier run ended while it started it"
            )
        return Step("make", slugs=ready.slugs)

    def do(self, ready: Ready) -> Outcome:
        """Do what is to be done about a row.

        Raises:
            AmbiguousWriteError: Nobody can tell whether its job was started.
            InterfaceMismatch: The algorithm does not take these inputs.
        """
        if ready.fingerprint in self._unsettled:
            raise self._unsettled[ready.fingerprint]
        step = self.decide(ready)
        if step.what == "nothing":
            return Outcome("skipped", step.pk, step.note)
        plans = self._plan(ready)
        if self._journal.record(ready.fingerprint) is None:
            self._journal.note(ready.fingerprint, "uploading")
        begun = self._sender.send(ready.fingerprint, plans)
        self._journal.note(ready.fingerprint, "uploaded")
        job = self._start(ready, posted_of(plans, begun))
        self._sender.used_up(begun)
        return Outcome("done", job.pk)

    def _plan(self, ready: Ready) -> list[Plan]:
        return self._client.workflows.values.plan(
            ready.specs, before=lambda: check_interface(self._algorithm, ready.specs)
        )

    def _start(self, ready: Ready, posted: Posted) -> Any:
        fingerprint = ready.fingerprint

        def note(jobs: int) -> None:
            self._journal.note(fingerprint, "posting", before={"jobs": jobs})

        try:
            job = self._client.workflows.jobs.start(self._algorithm, posted, note=note)
        except WRITE_ERRORS as error:
            if not is_lost(error):
                # It was refused, so there is no job.
                self._journal.note(fingerprint, "uploaded")
            raise
        self._journal.note(fingerprint, "started", pk=job.pk)
        return job


def _names(plan: Plan) -> Sequence[str]:
    return upload_names(plan) if isinstance(plan, Upload) else ()
