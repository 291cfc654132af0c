"""Waiting for values that the server takes up in the background, and finding out why one does not come.

The API has no job or marker for it. A value has come when the socket's value has another pk than before. A plain image
that failed shows in an upload session, which names our uploads; of files and DICOM image sets the API shows neither
failure nor reason.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gcapi._util.messages import format_duration
from gcapi._util.polling import poll
from gcapi.exceptions import ImportFailed, ImportTimeout, ObjectNotFound
from gcapi.progress import Listener, Progress, given_up_on_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gcapi import models
    from gcapi._workflows.prepare import Pending
    from gcapi.resources import RawImageUploadSessions, UploadsNamespace


class ImportWatch:
    """Watch the values of one case come.

    Args:
        read: Reads the case.
        pending: What is waited for, by socket slug.
        sessions: Where failed imports of images show.
        uploads: Where it shows whether an upload was used.
        listener: Hears of each value that has come.
    """

    def __init__(
        self,
        *,
        read: Callable[[], Any],
        pending: Mapping[str, Pending],
        sessions: RawImageUploadSessions,
        uploads: UploadsNamespace,
        listener: Listener,
    ) -> None:
        self._read = read
        self._missing = dict(pending)
        self._sessions = sessions
        self._uploads = uploads
        self._progress = {slug: Progress(listener, "import", slug, 1) for slug in pending}
        #: The upload sessions of each plain image, once they were found: several where a lost request was sent again.
        self._sessions_of: dict[str, set[str]] = {}
        self._looks = 0

    def wait(
        self,
        *,
        pk: str,
        timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Any:
        """Return the case once all values have come.

        Args:
            pk: The case, for messages.
            timeout: Seconds; `None` to wait for as long as it takes.
            clock: Tells the time in seconds.
            sleep: Waits for a number of seconds.

        Raises:
            ImportFailed: The server could not import an image, with its words.
            ImportTimeout: Not all had come in time, with what is known of their uploads.
        """
        with given_up_on_error(self._progress.values()):
            case = poll(lambda: self._look(pk), timeout=timeout, clock=clock, sleep=sleep)
            if case is None:
                self._find_failures(pk, thorough=True)
                if not self._missing:
                    return self._read()
                raise ImportTimeout(self._what_is_known(timeout), pk=pk, slugs=tuple(self._missing))
            return case

    def _look(self, pk: str) -> Any:
        case = self._read_and_strike()
        if not self._missing:
            return case
        self._looks += 1
        # Reading all sessions is dear, so it happens at ever longer distances; a session once found is read each time.
        self._find_failures(pk, thorough=self._looks & (self._looks - 1) == 0)
        return None

    def _read_and_strike(self) -> Any:
        """Read the case, and strike out what has come."""
        case = self._read()
        values = {value.interface.slug: value.pk for value in case.values or () if value.interface}
        for slug, pending in list(self._missing.items()):
            if values.get(slug) not in {None, pending.before}:
                del self._missing[slug]
                self._progress[slug].add(1)
        return case

    def _find_failures(self, pk: str, *, thorough: bool) -> None:
        images = {slug: item for slug, item in self._missing.items() if item.is_plain_image}
        if thorough and images.keys() - self._sessions_of.keys():
            self._find_sessions(images)
        for slug in images.keys() & self._sessions_of.keys():
            sessions = [self._sessions.detail(pk=one) for one in self._sessions_of[slug]]
            if all(session.status == "Failed" for session in sessions):
                # The value may have come since the case was read, and the failure be that of a repeat.
                self._read_and_strike()
                if slug in self._missing:
                    raise _failure(pk, slug, sessions[0])

    def _find_sessions(self, images: Mapping[str, Pending]) -> None:
        of_upload = {upload: slug for slug, item in images.items() for upload in item.uploads}
        for session in self._sessions.iterate_all():
            for upload in session.user_uploads or ():
                if upload in of_upload:
                    self._sessions_of.setdefault(of_upload[upload], set()).add(session.pk)

    def _what_is_known(self, timeout: float | None) -> str:
        lines = [f"{slug}: {self._state_of(item.uploads)}" for slug, item in self._missing.items()]
        waited = format_duration(timeout or 0)
        return f"After {waited} these values had not come:\n  " + "\n  ".join(lines)

    def _state_of(self, uploads: Sequence[str]) -> str:
        if not uploads:
            return "no value yet; it was not uploaded by this client, so no more is known."
        left = [pk for pk in uploads if self._exists(pk)]
        if left:
            return (
                f"upload {left[0]} is still there: the server is still at work, or could not use the file. The API"
                " tells no more; your notifications on the site do."
            )
        return (
            "the upload is gone: it was used, and the value should appear soon, or the import failed (of a DICOM image"
            " set, or of files that make several images), which only your notifications on the site tell."
        )

    def _exists(self, pk: str) -> bool:
        try:
            self._uploads.detail(pk=pk)
        except ObjectNotFound:
            return False
        return True


def _failure(pk: str, slug: str, session: models.RawImageUploadSession) -> ImportFailed:
    reason = session.error_message or "no reason given"
    return ImportFailed(
        f"Socket {slug!r} of {pk}: the server could not import the image: {reason}",
        pk=pk,
        slug=slug,
        reason=reason,
    )
