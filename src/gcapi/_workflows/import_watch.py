"""Waiting for the values that the server imports in the background, of one case or of thousands.

The API has no marker for an import. A value has arrived when its socket has a value with another pk than before. A
plain image that failed shows in an upload session (see `gcapi._workflows.import_sessions`). A file that the server
refused leaves its upload where it is. A DICOM image set that failed leaves nothing: its uploads are gone, and no value
arrives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gcapi import models
from gcapi._util.messages import format_duration, printable
from gcapi._util.polling import poll
from gcapi._workflows.cases import PendingValue
from gcapi._workflows.import_sessions import APPEARANCE_SECONDS, FAILED, ImportSessions
from gcapi._workflows.namespaces import Namespaces
from gcapi._workflows.prepare import UploadedFiles
from gcapi.exceptions import ImportFailed, ImportTimeout

#: Up to how many cases are read, and upload sessions followed, one by one rather than by listing all.
MAX_SINGLE_READS = 20


@dataclass
class ImportWatch:
    """A wait for the values of cases, with few requests at growing intervals.

    Attributes:
        cases: The values to wait for, by the pk of the case and the slug of the socket.
        read: Reads the cases of some pks; it may yield others too.
        resources: The namespaces.
        imports: What the server says about imports of images.
        idle_timeout: Seconds for which the server may be busy with one request.
        on_value: Called with the slug of each value that has arrived.
        on_complete: Called with each case that has all of its values.
        on_failure: Called with the pk of each case that failed.
        on_partial: Called at the end with the pk of each case with an image that lacks some files, and with the
            server's words.
    """

    cases: Mapping[str, Mapping[str, PendingValue]]
    read: Callable[[Sequence[str]], Iterable[Any]]
    resources: Namespaces
    imports: ImportSessions
    idle_timeout: float
    on_value: Callable[[str], object] = lambda _: None
    on_complete: Callable[[Any], object] = lambda _: None
    on_failure: Callable[[str], object] = lambda _: None
    on_partial: Callable[[str, str], object] = lambda _, __: None

    def __post_init__(self) -> None:
        self._waiting = {pk: dict(pending) for pk, pending in self.cases.items()}
        #: When all uploads of a case were first found to be gone.
        self._gone_since: dict[str, float] = {}
        #: The upload sessions of plain images, by case and socket; several where a lost request was repeated.
        self._sessions: dict[tuple[str, str], dict[str, models.RawImageUploadSession]] = {}
        self._failed: dict[str, ImportFailed] = {}
        #: The case and the files of each image that has arrived, by its URL.
        self._images: dict[str, tuple[str, UploadedFiles]] = {}
        self._looks = 0

    def wait(
        self, timeout: float | None
    ) -> tuple[dict[str, ImportFailed], dict[str, ImportTimeout]]:
        """Return the errors of the cases that failed, and of those that took too long, by their pks.

        Args:
            timeout: Seconds to wait; `None` for as long as it takes.
        """
        if poll(self._look, timeout=timeout) is None:
            self._find_failures(self._existing_uploads(), thorough=True)
        images = {url: files for url, (_, files) in self._images.items()}
        for url, words in self.imports.left_out(images).items():
            pk, _ = self._images[url]
            self.on_partial(pk, f"The server says of an image of {pk}: {words}")
        late: dict[str, ImportTimeout] = {}
        existing = self._existing_uploads() if self._waiting else set[str]()
        for pk, pending in self._waiting.items():
            lines = [f"After {format_duration(timeout or 0)} these values of {pk} had not arrived:"]
            lines += [
                f"{slug}: {_state_of(value.files, existing)}" for slug, value in pending.items()
            ]
            late[pk] = ImportTimeout("\n  ".join(lines), pk=pk, slugs=tuple(pending))
        return self._failed, late

    def _look(self) -> bool | None:
        existing = None
        pks = list(self._waiting)
        if len(pks) > MAX_SINGLE_READS:
            existing = self._existing_uploads()
            pks = [pk for pk in pks if not self._uploads_of(pk) <= existing]
        self._read_cases(pks)
        self._looks += 1
        if self._waiting:
            # Listing everything is expensive, so it happens after 1, 2, 4, 8, ... looks.
            is_thorough = self._looks & (self._looks - 1) == 0
            if existing is None and is_thorough:
                existing = self._existing_uploads()
            self._find_failures(existing, thorough=is_thorough)
            if existing is not None:
                self._fail_without_uploads(existing)
        return None if self._waiting else True

    def _uploads_of(self, pk: str) -> set[str]:
        return {upload for value in self._waiting[pk].values() for upload in value.files.pks}

    def _existing_uploads(self) -> set[str]:
        return {upload.pk for upload in self.resources.uploads.iterate_all()}

    def _read_cases(self, pks: Sequence[str]) -> None:
        for case in self.read(pks) if pks else ():
            pending = self._waiting.get(case.pk)
            if pending is None:
                continue
            now = {value.interface.slug: value for value in case.values or () if value.interface}
            for slug, value in list(pending.items()):
                if slug in now and now[slug].pk != value.before:
                    del pending[slug]
                    if isinstance(now[slug].image, str):
                        self._images[now[slug].image] = case.pk, value.files
                    self.on_value(slug)
            if not pending:
                del self._waiting[case.pk]
                self.on_complete(case)

    # ------------------------------------------------------------ failures

    def _find_failures(self, existing: set[str] | None, *, thorough: bool) -> None:
        images = {
            upload: (pk, slug)
            for pk, pending in self._waiting.items()
            for slug, value in pending.items()
            if value.files.is_plain_image
            for upload in value.files.pks
        }
        wanted = set(images.values())
        are_many = len(wanted) > MAX_SINGLE_READS
        if thorough and (are_many or wanted - self._sessions.keys()):
            listed = self.imports.read()
            for session in listed:
                for upload in session.user_uploads or ():
                    if upload in images:
                        self._sessions.setdefault(images[upload], {})[session.pk] = session
            if existing is not None:
                self._note_refused(listed, wanted - self._sessions.keys(), existing)
        for pk, slug in wanted & self._sessions.keys():
            sessions = self._sessions[pk, slug]
            if not are_many:
                for one in sessions:
                    sessions[one] = self.resources.raw_image_upload_sessions.detail(pk=one)
            if all(session.status == FAILED for session in sessions.values()):
                words = next(iter(sessions.values())).error_message
                self._fail(pk, slug, printable(words or "no reason given"))

    def _note_refused(
        self,
        listed: Sequence[models.RawImageUploadSession],
        unknown: Iterable[tuple[str, str]],
        existing: set[str],
    ) -> None:
        """Find the sessions that no longer name the uploads, because an image was built."""
        gone = {
            (pk, slug): (slug, value.files)
            for pk, slug in unknown
            if not {*(value := self._waiting[pk][slug]).files.pks} & existing
        }
        known = {pk for sessions in self._sessions.values() for pk in sessions}
        for key, session in self.imports.refused(
            [one for one in listed if one.pk not in known], gone
        ).items():
            self._sessions[key] = {session.pk: session}

    def _fail_without_uploads(self, existing: set[str]) -> None:
        for pk, pending in list(self._waiting.items()):
            uploads = self._uploads_of(pk)
            if not uploads or uploads & existing:
                # The list changes while it is read, so it may have missed an upload before.
                self._gone_since.pop(pk, None)
                continue
            now = time.monotonic()
            gone_for = now - self._gone_since.setdefault(pk, now)
            if gone_for > max(APPEARANCE_SECONDS, self.idle_timeout):
                slug, value = next(item for item in pending.items() if item[1].files.pks)
                if value.files.are_used(self.resources.uploads) is not False:
                    reason = "its uploads are gone and no value appeared; the API gives no reason"
                    self._fail(pk, slug, reason)

    def _fail(self, pk: str, slug: str, reason: str) -> None:
        # The value may have arrived since the case was read, and the failure be that of a repeated request.
        self._read_cases([pk])
        if slug not in self._waiting.get(pk, ()):
            return
        files = self._waiting.pop(pk)[slug].files
        self._failed[pk] = ImportFailed(
            f"Socket {slug!r} of {pk}: the server could not import {files}: {reason}",
            pk=pk,
            slug=slug,
            reason=reason,
        )
        self.on_failure(pk)


def _state_of(files: UploadedFiles, existing: set[str]) -> str:
    if not files.pks:
        return "no value yet; it was not uploaded by this client, so no more is known."
    left = [pk for pk in files.pks if pk in existing]
    if left:
        return (
            f"upload {left[0]} of {files} is still there: the server is still at work, or could not use the file. The"
            " API shows no more; your notifications on the site do."
        )
    return (
        f"the upload is gone: the server has used {files}, and the value should appear soon; or the import failed (of"
        " a DICOM image set, or of files that make several images), which only your notifications on the site show."
    )
