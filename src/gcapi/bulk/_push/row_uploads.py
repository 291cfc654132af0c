"""The files of a row: into uploads that the journal knows and the server still has, and into new ones.

Uploads are created in this process, and noted before any of their bytes are sent. Sending the bytes is a task that may
run on an executor, and be repeated by another worker: it asks the server what has arrived.

A DICOM image set is de-identified as a whole, with new identifiers each time. So if an earlier run uploaded only some
of its files, all of them are uploaded again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gcapi._api.quota import MAX_QUOTA_WAIT, QuotaWait
from gcapi._transfer.multipart import COMPLETED, INITIALIZED
from gcapi._util.polling import poll
from gcapi._workflows.plans import Upload
from gcapi._workflows.prepare import IncompleteImageSet, KnownUpload, PreparedValues, upload_names
from gcapi.bulk._executors import Here
from gcapi.bulk._push.upload_quota import UploadQuota
from gcapi.exceptions import UploadLimitReached

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gcapi._workflows.plans import Plan
    from gcapi.bulk._executors import Place
    from gcapi.bulk.journal import Journal
    from gcapi.client import Client
    from gcapi.models import UserUpload

#: How often an image set is sent whose uploads change meanwhile.
IMAGE_SET_ATTEMPTS = 3


@dataclass(frozen=True)
class SendFiles:
    """A task: send the files of a row to its uploads.

    Attributes:
        plans: The plans that the files belong to.
        uploads: The uploads of each plan's files, by socket slug.
        is_fresh: Whether nothing was sent to any of them, and no other worker will repeat this task.
    """

    plans: tuple[Upload, ...]
    uploads: Mapping[str, Sequence[UserUpload]]
    is_fresh: bool

    def run(self, client: Client) -> None:
        """Send what has not arrived yet."""
        client.workflows.values.send_files(self.plans, self.uploads, is_fresh=self.is_fresh)


class RowUploads:
    """Upload the files of rows.

    Args:
        client: The client.
        journal: Records the uploads.
        place: Where bytes are sent.
    """

    def __init__(self, client: Client, journal: Journal, place: Place) -> None:
        self._client = client
        self._journal = journal
        self._place = place
        self._on_limit = client.workflows.settings.on_limit
        self._quota = UploadQuota(client.uploads.count, self._on_limit)
        self._limits = QuotaWait(self._on_limit)
        self._lock = threading.Lock()
        noted = journal.upload_pks()
        #: The uploads of earlier runs that the server still has.
        self._usable: dict[str, UserUpload] = {
            upload.pk: upload
            for upload in (client.uploads.iterate_all() if noted else ())
            if upload.pk in noted and upload.status in {INITIALIZED, COMPLETED}
        }

    def known(
        self, fingerprint: bytes, plans: Sequence[Plan]
    ) -> tuple[PreparedValues, float | None]:
        """Return the values that an earlier run sent, and when its first upload was created, if any."""
        noted = self._journal.uploads(fingerprint)
        uploads = {
            plan.slug: [
                KnownUpload(upload.pk, name)
                for upload, name in zip(noted[plan.slug].values(), upload_names(plan), strict=True)
            ]
            for plan in plans
            if isinstance(plan, Upload)
        }
        times = [upload.created for group in noted.values() for upload in group.values()]
        return PreparedValues.of(plans, uploads), min(times, default=None)

    def upload(self, fingerprint: bytes, plans: Sequence[Plan]) -> PreparedValues:
        """Upload the files of a row, each once.

        Raises:
            SpecError: There are more files than the server accepts.
            LimitReached: They exceed a quota, and waiting does not help or is not wanted.
        """
        with_files = tuple(plan for plan in plans if isinstance(plan, Upload))
        if not with_files:
            return PreparedValues.of(plans, {})
        uploads = self._send(fingerprint, with_files)
        with self._lock:
            for upload in (upload for group in uploads.values() for upload in group):
                self._usable.pop(upload.pk, None)
        return PreparedValues.of(plans, uploads)

    def _send(
        self, fingerprint: bytes, plans: tuple[Upload, ...]
    ) -> Mapping[str, Sequence[UserUpload]]:
        for attempt in range(1, IMAGE_SET_ATTEMPTS + 1):
            uploads, is_fresh = self._create(fingerprint, plans)
            task = SendFiles(plans, uploads, is_fresh and isinstance(self._place, Here))
            try:
                self._send_within_limit(task)
            except IncompleteImageSet:
                if attempt == IMAGE_SET_ATTEMPTS:
                    raise
                for upload in (upload for group in uploads.values() for upload in group):
                    now = self._client.uploads.detail(pk=upload.pk)
                    with self._lock:
                        self._usable[upload.pk] = now
            else:
                return uploads
        raise AssertionError

    def _send_within_limit(self, task: SendFiles) -> None:
        """Send files; where they exceed the quota of bytes, wait until earlier uploads are used."""
        try:
            self._place.do(task)
        except UploadLimitReached as error:
            if self._on_limit != "wait":
                raise
            refused = error
        else:
            return
        ours = sum(len(group) for group in task.uploads.values())
        again = SendFiles(task.plans, task.uploads, is_fresh=False)
        self._quota.warn("bytes of earlier uploads of yours to be used", refused.words)

        def attempt() -> bool | None:
            # Counted before the attempt, because what is used meanwhile makes room for the next one.
            are_all_ours = self._client.uploads.count() <= ours
            try:
                self._place.do(again)
            except UploadLimitReached:
                if are_all_ours:
                    raise
                return None
            return True

        if poll(attempt, timeout=MAX_QUOTA_WAIT) is None:
            raise refused

    def _create(
        self, fingerprint: bytes, plans: Sequence[Upload]
    ) -> tuple[dict[str, list[UserUpload]], bool]:
        """Return the uploads of a row's files, and whether all of them are new."""
        noted = self._journal.uploads(fingerprint)
        found: dict[tuple[str, int], UserUpload] = {}
        for plan in plans:
            known = noted.get(plan.slug, {})
            held = [
                self._still_usable(known[n].pk) if n in known else None
                for n in range(len(plan.files))
            ]
            found.update(_kept(plan, held))
        wanted = {
            (plan.slug, n): name for plan in plans for n, name in enumerate(upload_names(plan))
        }
        missing = [place for place in wanted if place not in found]
        with self._quota.reserve(len(missing)) as created:

            def note(index: int, upload: UserUpload) -> None:
                self._journal.note_upload(fingerprint, *missing[index], upload.pk)
                with self._lock:
                    self._usable[upload.pk] = upload
                created()

            new = self._client.workflows.file_uploads.create_all(
                [wanted[place] for place in missing], note, self._limits
            )
        uploads = {**found, **dict(zip(missing, new, strict=True))}
        return (
            {plan.slug: [uploads[plan.slug, n] for n in range(len(plan.files))] for plan in plans},
            not found,
        )

    def _still_usable(self, pk: str) -> UserUpload | None:
        """Return an upload that will still exist in an hour, or `None`."""
        with self._lock:
            upload = self._usable.get(pk)
        if upload is None or time.time() - upload.created.timestamp() > MAX_QUOTA_WAIT:
            return None
        return upload


def _kept(
    plan: Upload, held: Sequence[UserUpload | None]
) -> Iterator[tuple[tuple[str, int], UserUpload]]:
    """Yield the uploads of a plan that can be used, by socket slug and number."""
    is_complete = all(upload is not None and upload.status == COMPLETED for upload in held)
    for number, upload in enumerate(held):
        # Complete files of an image set that is not complete do not match what will be de-identified now.
        mismatches = plan.image_name is not None and not is_complete
        if upload is not None and not (mismatches and upload.status == COMPLETED):
            yield (plan.slug, number), upload
