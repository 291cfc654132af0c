"""Waiting for what many cases were given: a few requests for all of them, at growing intervals.

The user's uploads are listed, three pages at most: one that is gone was used, or came to nothing. Only cases with such
uploads are looked at. A plain image that failed shows in an upload session with the server's words; of a file that the
server did not take, the upload stays; of a DICOM image set the API shows nothing but that its uploads are gone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcapi._util.messages import format_duration
from gcapi._util.polling import poll
from gcapi.bulk._executors import run_on
from gcapi.exceptions import ImportFailed, ImportTimeout, JobFailed, JobTimeout
from gcapi.jobs import SUCCEEDED, TERMINAL_STATUSES, failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from gcapi._workflows.cases import CaseKind, Parent
    from gcapi.bulk._push.rows import Ready
    from gcapi.bulk.journal import Journal
    from gcapi.client import Client

#: From how many cases on the whole list is read rather than each of them.
MANY = 20
#: Seconds that a value may still take to appear once its uploads are gone.
GRACE = 60.0

Errors = dict[str, Exception]


@dataclass
class _Waiting:
    """A case, and what it waits for.

    Attributes:
        ready: Its row.
        uploads: The uploads of each socket that has not got its value.
        before: The pks of the values that the sockets had.
        ripe: When all its uploads were seen to be gone; `None` before.
    """

    ready: Ready
    uploads: dict[str, set[str]]
    before: Mapping[str, int]
    ripe: float | None = None

    @property
    def pks(self) -> set[str]:
        """All uploads that it waits for."""
        return {pk for group in self.uploads.values() for pk in group}

    def names(self, slug: str) -> str:
        """Return the local files of a socket, as a message calls them."""
        paths = next((spec.paths for spec in self.ready.specs if spec.socket_slug == slug), ())
        shown = ", ".join(path.name for path in paths[:3])
        return shown + (f" and {len(paths) - 3} more" if len(paths) > len(paths[:3]) else "")


class CaseWatch:
    """Wait for the values of cases.

    Args:
        client: Talks to the server.
        journal: Knows the uploads, and is told what has come.
        readies: The rows, by the pks of their cases.
        kind: Archive items or display sets.
        parent: What they belong to.
    """

    def __init__(
        self,
        client: Client,
        journal: Journal,
        readies: Mapping[str, Ready],
        kind: CaseKind[Any],
        parent: Parent,
    ) -> None:
        self._client = client
        self._journal = journal
        self._kind = kind
        self._parent = parent
        self._failed: Errors = {}
        self._left = {
            pk: waiting for pk, ready in readies.items() if (waiting := self._waiting(ready))
        }
        self._looks = 0
        #: Seconds after which values whose uploads are gone are given up.
        self._grace = max(GRACE, client.workflows.settings.timeout)

    def _waiting(self, ready: Ready) -> _Waiting | None:
        record = self._journal.record(ready.fingerprint)
        if record is None or record.state != "filled":
            return None
        noted = self._journal.uploads(ready.fingerprint)
        uploads = {slug: {each.pk for each in group.values()} for slug, group in noted.items()}
        if not uploads:
            self._journal.note(ready.fingerprint, "imported")
            return None
        return _Waiting(ready, uploads, record.before.get("values", {}))

    def wait(self, timeout: float | None) -> tuple[Errors, Errors]:
        """Return what failed and what had not come in time, by the pks of the cases.

        Args:
            timeout: Seconds; `None` to wait for as long as it takes.
        """
        poll(self._look, timeout=timeout)
        if self._left:
            self._find_failures()
        late: Errors = {
            pk: ImportTimeout(
                f"After {format_duration(timeout or 0)}, {self._what_is_known(waiting)}",
                pk=pk,
                slugs=tuple(waiting.uploads),
            )
            for pk, waiting in self._left.items()
        }
        return self._failed, late

    def _look(self) -> bool | None:
        if self._left:
            self._strike()
        self._looks += 1
        # Reading all sessions is dear, so it happens at ever longer distances.
        if self._left and self._looks & (self._looks - 1) == 0:
            self._find_failures()
        return None if self._left else True

    def _strike(self) -> None:
        """Strike out what has come, of cases that have an upload less than before."""
        there = {upload.pk for upload in self._client.uploads.iterate_all()}
        ripe = {pk: each for pk, each in self._left.items() if not each.pks <= there}
        for pk in self._left.keys() - ripe.keys():
            self._left[
                pk
            ].ripe = None  # the list changes while it is read, and may have skipped one before
        for case in self._cases(ripe):
            waiting = ripe.get(case.pk)
            if waiting is not None:
                self._strike_case(case, waiting, there)

    def _cases(self, pks: Iterable[str]) -> Iterable[Any]:
        wanted = list(pks)
        if len(wanted) > MANY:
            return self._kind.all_of(self._parent)
        return (self._kind.namespace.detail(pk=pk) for pk in wanted)

    def _strike_case(self, case: Any, waiting: _Waiting, there: set[str]) -> None:
        values = {value.interface.slug: value.pk for value in case.values}
        for slug in list(waiting.uploads):
            if values.get(slug) not in {None, waiting.before.get(slug)}:
                del waiting.uploads[slug]
        if not waiting.uploads:
            del self._left[case.pk]
            self._journal.note(waiting.ready.fingerprint, "imported")
            self._journal.forget_uploads(waiting.ready.fingerprint)
        elif not waiting.pks & there:
            waiting.ripe = waiting.ripe or time.monotonic()
            if time.monotonic() - waiting.ripe > self._grace:
                slug = next(iter(waiting.uploads))
                self._fail(
                    case.pk, slug, "its uploads are gone and no value came; the API tells no reason"
                )

    def _find_failures(self) -> None:
        """Look for failed imports among the upload sessions; each names its uploads."""
        of_upload = {
            upload: (pk, slug)
            for pk, waiting in self._left.items()
            for slug, group in waiting.uploads.items()
            for upload in group
        }
        sessions: dict[tuple[str, str], list[Any]] = {}
        for session in self._client.raw_image_upload_sessions.iterate_all():
            for place in {of_upload[pk] for pk in session.user_uploads or () if pk in of_upload}:
                sessions.setdefault(place, []).append(session)
        for (pk, slug), found in sessions.items():
            # There are several where a request was sent again whose answer was lost.
            has_failed = all(session.status == "Failed" for session in found)
            if has_failed and pk in self._left and not self._has_come(pk, slug):
                self._fail(pk, slug, found[0].error_message or "no reason given")

    def _has_come(self, pk: str, slug: str) -> bool:
        """Tell whether a value came in spite of a failure: it may have since the case was read."""
        waiting = self._left[pk]
        values = self._kind.namespace.detail(pk=pk).values
        return any(
            value.interface.slug == slug and value.pk != waiting.before.get(slug)
            for value in values
        )

    def _fail(self, pk: str, slug: str, reason: str) -> None:
        waiting = self._left.pop(pk)
        words = f"Socket {slug!r} of {pk}: {waiting.names(slug)}: the server could not import it: {reason}"
        self._failed[pk] = ImportFailed(words, pk=pk, slug=slug, reason=reason)
        # A re-run uploads it again and fills the case anew.
        self._journal.forget_uploads(waiting.ready.fingerprint)
        self._journal.note(waiting.ready.fingerprint, "created", pk=pk)
        self._journal.note_error(waiting.ready.fingerprint, words)

    def _what_is_known(self, waiting: _Waiting) -> str:
        lines = [f"{slug} ({waiting.names(slug)})" for slug in waiting.uploads]
        return (
            f"these values had not come: {', '.join(lines)}. The server is still at work, or could not use a file, of"
            " which the API tells nothing; your notifications on the site do."
        )


class JobWatch:
    """Wait for jobs to end.

    Args:
        client: Talks to the server.
        journal: Is told which have ended well.
        readies: The rows, by the pks of their jobs.
        workers: How many jobs are read at once.
    """

    def __init__(
        self, client: Client, journal: Journal, readies: Mapping[str, Ready], *, workers: int
    ) -> None:
        self._client = client
        self._journal = journal
        self._workers = workers
        self._failed: Errors = {}
        self._states: dict[str, str] = {}
        self._left = {
            pk: ready
            for pk, ready in readies.items()
            if (record := journal.record(ready.fingerprint)) and record.state != "ended"
        }

    def wait(self, timeout: float | None) -> tuple[Errors, Errors]:
        """Return the jobs that failed and those that had not ended in time, by their pks.

        Args:
            timeout: Seconds; `None` to wait for as long as it takes.
        """
        poll(self._look, timeout=timeout)
        late: Errors = {
            pk: JobTimeout(
                f"Job {pk} had not ended after {format_duration(timeout or 0)}; it is {self._states.get(pk, '')!r},"
                " and goes on.",
                pk=pk,
                status=self._states.get(pk, ""),
            )
            for pk in self._left
        }
        return self._failed, late

    def _look(self) -> bool | None:
        read = run_on(
            self._workers, list(self._left), lambda pk: self._client.algorithm_jobs.detail(pk=pk)
        )
        for done in read:
            if done.error is not None:
                raise done.error
            self._strike(done.result)
        return None if self._left else True

    def _strike(self, job: Any) -> None:
        self._states[job.pk] = job.status
        if job.status not in TERMINAL_STATUSES:
            return
        ready = self._left.pop(job.pk)
        if job.status == SUCCEEDED:
            self._journal.note(ready.fingerprint, "ended")
            self._journal.forget_uploads(ready.fingerprint)
        else:
            error: JobFailed = failure(job)
            self._failed[job.pk] = error
            self._journal.note_error(ready.fingerprint, str(error))
