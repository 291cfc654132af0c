"""The outcome of the imports of plain images, in the words of the server's upload sessions.

A session names our uploads until an image was built. From then on it names only the images, which have the names of our
files. Images of earlier imports may have these names too, so the time at which the store received an image is compared
with the creation of our uploads, both by the server's clock.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from typing import TypeVar

from gcapi import models
from gcapi._api.quota import MAX_QUOTA_WAIT
from gcapi._transfer.downloads import Downloads
from gcapi._transfer.multipart import COMPLETED
from gcapi._util.http_dates import parse_http_date
from gcapi._util.messages import printable
from gcapi._util.polling import poll
from gcapi._workflows.namespaces import Namespaces
from gcapi._workflows.plans import Plan, Upload
from gcapi._workflows.prepare import UploadedFiles, upload_names
from gcapi._workflows.slug_lookup import Lookup
from gcapi.exceptions import StatusError

Key = TypeVar("Key", bound=Hashable)
UploadSession = models.RawImageUploadSession

FAILED = "Failed"
_ENDED = {FAILED, "Succeeded", "Cancelled"}
#: Seconds that a value may still take to appear once its uploads are gone.
APPEARANCE_SECONDS = 60.0
#: Seconds in which another process gives a file, which it has uploaded, to a case, and the server takes it.
FILE_IMPORT_SECONDS = 2.0
_NEVER = datetime.min.replace(tzinfo=UTC)


class ImportSessions:
    """The upload sessions of this user; what was read of images is kept.

    Args:
        resources: The namespaces.
        downloads: Reads the time at which an image was stored.
        lookup: Finds sockets.
    """

    def __init__(self, resources: Namespaces, downloads: Downloads, lookup: Lookup) -> None:
        self._resources = resources
        self._downloads = downloads
        self._lookup = lookup
        #: The names of the images of sessions, and when the first of them was stored.
        self._built: dict[str, tuple[frozenset[str], datetime]] = {}
        #: When uploads of other processes were seen first, in seconds of the monotonic clock.
        self._first_seen: dict[str, float] = {}

    def read(self) -> list[UploadSession]:
        """List the sessions that name uploads or have a message."""
        sessions = self._resources.raw_image_upload_sessions.iterate_all()
        return [one for one in sessions if one.user_uploads or one.error_message]

    def refused(
        self, sessions: Iterable[UploadSession], values: Mapping[Key, tuple[str, UploadedFiles]]
    ) -> dict[Key, UploadSession]:
        """Return the sessions in which the server built images of uploads, and refused them.

        Of several values with the same socket and file names, either all were refused, or it is unknown which were.

        Args:
            sessions: The sessions.
            values: The sockets and the uploads, which are gone.
        """
        built = [one for one in sessions if one.status == FAILED and not one.user_uploads]
        groups: defaultdict[tuple[str, frozenset[str]], list[tuple[datetime, Key]]] = defaultdict(
            list
        )
        for key, (slug, files) in values.items():
            if files.created is not None and files.is_plain_image:
                # The header of an HTTP date has no fractions of seconds.
                created = files.created.replace(microsecond=0)
                groups[slug, frozenset(files.names)].append((created, key))
        found: dict[Key, UploadSession] = {}
        for (slug, names), members in groups.items():
            members.sort(key=lambda one: one[0], reverse=True)
            candidates = sorted(
                ((self._built_of(one)[1], one) for one in built if self._fits(one, slug, names)),
                key=lambda one: one[0],
                reverse=True,
            )
            pairs = list(zip(members, candidates, strict=False))
            if len(pairs) == len(members) and all(a[0] <= b[0] for a, b in pairs):
                found |= {key: session for (_, key), (_, session) in pairs}
        return found

    def reason(self, files: Mapping[str, UploadedFiles], sessions: Sequence[UploadSession]) -> str:
        """Return why images could not be imported, in the server's words; empty if no session tells.

        Args:
            files: Their uploads, by socket slug.
            sessions: The sessions.
        """
        ours = {pk for one in files.values() for pk in one.pks}
        failed = [one for one in sessions if one.status == FAILED and ours & {*one.user_uploads}]
        gone = {
            slug: (slug, one)
            for slug, one in files.items()
            if one.is_plain_image and one.are_used(self._resources.uploads) is not False
        }
        failed += self.refused(sessions, gone).values()
        return " ".join(dict.fromkeys(printable(one.error_message) for one in failed))

    def left_out(self, images: Mapping[str, UploadedFiles]) -> dict[str, str]:
        """Return the server's words about files that were not imported, by the URL of the image that was.

        Args:
            images: The uploads of each image, by its URL. If there is one for each, nothing is requested.
        """
        several = {url: files for url, files in images.items() if len(files.pks) > 1}
        sessions = self.read() if several else []
        return {
            url: f"{printable(one.error_message)} ({several[url]})"
            for one in sessions
            if one.error_message and one.status != FAILED
            for url in one.image_set
            if url in several
        }

    def others(self, own: Collection[str]) -> set[tuple[str, bool]]:
        """Return uploads that another process of this user may be giving to a case, as `names_of` does.

        Uploads do not show what they are for, and those of plain images are named by a session as soon as they are
        given. Others are known by their age only.

        Args:
            own: The pks of the uploads of this process.
        """
        uploads = [
            upload
            for upload in self._resources.uploads.iterate_all()
            if upload.status == COMPLETED and upload.pk not in own
        ]
        sessions = self._resources.raw_image_upload_sessions.iterate_all() if uploads else ()
        statuses = {pk: session.status for session in sessions for pk in session.user_uploads or ()}
        # The age is that since this process saw it: it may have been created long before its last part was sent.
        now = time.monotonic()
        return {
            (upload.filename, upload.pk in statuses)
            for upload in uploads
            if statuses.get(upload.pk, FAILED) not in _ENDED
            or (
                upload.pk not in statuses
                and now - self._first_seen.setdefault(upload.pk, now) < FILE_IMPORT_SECONDS
            )
        }

    def wait_for_others(self, plans: Iterable[Plan], own: Callable[[], Collection[str]]) -> bool:
        """Wait while another process may be giving the files of plans to a case; return whether one was.

        Args:
            plans: The plans.
            own: Returns the pks of the uploads of this process.
        """
        names = names_of(plans)
        waited = False

        def look() -> bool | None:
            nonlocal waited
            if self.others(own()).isdisjoint(names):
                return True
            waited = True
            return None

        if names:
            poll(look, timeout=MAX_QUOTA_WAIT)
        return waited

    def _fits(self, session: UploadSession, slug: str, names: frozenset[str]) -> bool:
        title = self._lookup.socket(slug).title
        if not session.image_set or title not in session.error_message:
            return False
        built, _ = self._built_of(session)
        return bool(built) and built <= names

    def _built_of(self, session: UploadSession) -> tuple[frozenset[str], datetime]:
        """Return the names of the images of a session, and when the first of them was stored."""
        if session.pk not in self._built:
            try:
                images = [self._resources.images.detail(api_url=url) for url in session.image_set]
                stored = [self._stored_at(image) for image in images]
            except StatusError:
                # The server does not show it, and so this session explains nothing.
                self._built[session.pk] = frozenset(), _NEVER
            else:
                self._built[session.pk] = frozenset(one.name for one in images), min(stored)
        return self._built[session.pk]

    def _stored_at(self, image: models.HyperlinkedImage) -> datetime:
        for file in image.files:
            with closing(self._downloads.api_file(file.file).get({"Range": "bytes=0-0"})) as answer:
                if answer.is_success:
                    return parse_http_date(answer.headers.get("Last-Modified", "")) or _NEVER
        return _NEVER


def names_of(plans: Iterable[Plan]) -> set[tuple[str, bool]]:
    """Return the names of the uploads of plans, and whether they are for a plain image."""
    return {
        (name, plan.is_image and plan.image_name is None)
        for plan in plans
        if isinstance(plan, Upload)
        for name in upload_names(plan)
    }


def images_of(
    inputs: Iterable[models.HyperlinkedComponentInterfaceValue], files: Mapping[str, UploadedFiles]
) -> dict[str, UploadedFiles]:
    """Return the uploads of the images of inputs, by their URLs.

    Args:
        inputs: The inputs.
        files: Their uploads, by socket slug.
    """
    return {
        value.image: files[value.interface.slug]
        for value in inputs
        if isinstance(value.image, str) and value.interface.slug in files
    }
