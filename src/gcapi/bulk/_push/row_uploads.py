"""The files of a row: into uploads that the journal knows and the server still has, and into new ones.

Uploads are created in this process, and noted before any of their bytes are sent. Sending the bytes is a task that may
run on an executor, and be repeated by another worker: it asks the server what has arrived.

A DICOM image set is de-identified as a whole, with new identifiers each time. So if an earlier run uploaded only some
of its files, all of them are uploaded again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

from gcapi import models
from gcapi._api.quota import MAX_QUOTA_WAIT, QuotaWait
from gcapi._transfer.multipart import COMPLETED, INITIALIZED
from gcapi._util.polling import poll
from gcapi._workflows.import_sessions import names_of
from gcapi._workflows.plans import Plan, Upload
from gcapi._workflows.prepare import IncompleteImageSet, PreparedValues, UploadedFiles, upload_names
from gcapi.bulk._executors import Runner
from gcapi.bulk._push.identity import RowIdentity
from gcapi.bulk._push.rows import ParsedRow
from gcapi.bulk._push.upload_quota import UploadQuota
from gcapi.bulk.journal import Journal, NotedUpload
from gcapi.client import Client
from gcapi.exceptions import StatusError, UploadLimitReached

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
    uploads: Mapping[str, Sequence[models.UserUpload]]
    is_fresh: bool

    def run(self, client: Client) -> None:
        """Send what has not arrived yet."""
        client.workflows.values.send_files(self.plans, self.uploads, is_fresh=self.is_fresh)


class RowUploads:
    """Upload the files of rows.

    Args:
        client: The client.
        journal: Records the uploads.
        runner: Sends the bytes.
    """

    def __init__(self, client: Client, journal: Journal, runner: Runner) -> None:
        self._client = client
        self.journal = journal
        self._runner = runner
        self._on_limit = client.workflows.settings.on_limit
        self._quota = UploadQuota(client.uploads.count, self._on_limit)
        self._limits = QuotaWait(self._on_limit)
        noted = journal.upload_pks()
        #: The noted uploads that the server still has. Single operations on a dictionary need no lock.
        self._usable: dict[str, models.UserUpload] = {
            upload.pk: upload
            for upload in (client.uploads.iterate_all() if noted else ())
            if upload.pk in noted and upload.status in {INITIALIZED, COMPLETED}
        }

    def abort_abandoned(self) -> None:
        """Abort the incomplete uploads of earlier runs that no row of this run has used, so that they free the quota.

        Called when all rows have ended. An upload of a row that failed is kept, since the next run resumes it.
        """
        for fingerprint, pk in self.journal.uploads_of_unmet_rows():
            upload = self._usable.get(pk)
            if upload is not None and upload.status == INITIALIZED:
                # The server purges an upload that cannot be aborted after a day.
                with suppress(StatusError):
                    self._client.workflows.file_uploads.abort(pk, upload.s3_upload_id)
                    self.journal.forget_uploads(fingerprint)

    def wait_for_others(self, plans: Sequence[Plan]) -> bool:
        """Wait while another process may be giving the files of plans to a case; return whether one was.

        What begins later than the first row that asks for it is not looked for.
        """
        if self._others.isdisjoint(names_of(plans)):
            return False
        return self._client.workflows.imports.wait_for_others(plans, self._own)

    @cached_property
    def _others(self) -> set[tuple[str, bool]]:
        return self._client.workflows.imports.others(self._own())

    def _own(self) -> set[str]:
        return self.journal.upload_pks() | {*self._client.workflows.file_uploads.created}

    def known(self, fingerprint: bytes, plans: Sequence[Plan]) -> PreparedValues:
        """Return the values that an earlier run sent."""
        noted = self.journal.uploads(fingerprint)
        return _as_uploaded(plans, lambda plan: noted[plan.slug].values())

    def noted_files(self, row: ParsedRow) -> dict[str, UploadedFiles]:
        """Return the uploads of a row that the journal knows, by socket slug."""
        names = {spec.socket_slug: tuple(path.name for path in spec.paths) for spec in row.specs}
        return {
            slug: UploadedFiles(
                tuple(upload.pk for upload in uploads.values()),
                names.get(slug, ()),
                is_plain_image=True,
                created=datetime.fromtimestamp(min(one.created for one in uploads.values()), UTC),
            )
            for slug, uploads in self.journal.uploads(row.fingerprint).items()
        }

    @staticmethod
    def unsent(plans: Sequence[Plan]) -> PreparedValues:
        """Return the values of plans as they will be sent, with uploads that have names only."""
        return _as_uploaded(plans, lambda plan: [NotedUpload("", 0)] * len(plan.files))

    def upload(self, row: RowIdentity, plans: Sequence[Plan]) -> PreparedValues:
        """Upload the files of a row, which is in the journal, each once.

        Raises:
            LimitReached: They exceed a quota, and waiting does not help or is not wanted.
        """
        self.journal.note_content(row)
        with_files = tuple(plan for plan in plans if isinstance(plan, Upload))
        if not with_files:
            return PreparedValues.of(plans, {})
        uploads = self._send(row.fingerprint, with_files)
        for upload in (upload for group in uploads.values() for upload in group):
            self._usable.pop(upload.pk, None)
        return PreparedValues.of(plans, uploads)

    def _send(
        self, fingerprint: bytes, plans: tuple[Upload, ...]
    ) -> Mapping[str, Sequence[models.UserUpload]]:
        for attempt in range(1, IMAGE_SET_ATTEMPTS + 1):
            uploads, is_fresh = self._create(fingerprint, plans)
            task = SendFiles(plans, uploads, is_fresh and self._runner.is_local)
            try:
                self._send_within_limit(task)
            except IncompleteImageSet:
                if attempt == IMAGE_SET_ATTEMPTS:
                    raise
                for upload in (upload for group in uploads.values() for upload in group):
                    self._usable[upload.pk] = self._client.uploads.detail(pk=upload.pk)
            else:
                return uploads
        raise AssertionError

    def _send_within_limit(self, task: SendFiles) -> None:
        """Send files; where they exceed the quota of bytes, wait until earlier uploads are used."""
        try:
            self._runner.execute(task)
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
                self._runner.execute(again)
            except UploadLimitReached:
                if are_all_ours:
                    raise
                return None
            return True

        if poll(attempt, timeout=MAX_QUOTA_WAIT) is None:
            raise refused

    def _create(
        self, fingerprint: bytes, plans: Sequence[Upload]
    ) -> tuple[dict[str, list[models.UserUpload]], bool]:
        """Return the uploads of a row's files, and whether all of them are new."""
        noted = self.journal.uploads(fingerprint)
        uploads = {
            (plan.slug, number): upload
            for plan in plans
            for number, upload in self._reusable(plan, noted.get(plan.slug, {})).items()
        }
        is_fresh = not uploads
        names = {
            (plan.slug, number): name
            for plan in plans
            for number, name in enumerate(upload_names(plan))
            if (plan.slug, number) not in uploads
        }
        missing = list(names)
        with self._quota.reserve(len(missing)) as created:

            def note(index: int, upload: models.UserUpload) -> None:
                self.journal.note_upload(fingerprint, *missing[index], upload)
                self._usable[upload.pk] = upload
                created()

            new = self._client.workflows.file_uploads.create_all(
                list(names.values()), note, self._limits
            )
        uploads.update(zip(missing, new, strict=True))
        return (
            {plan.slug: [uploads[plan.slug, n] for n in range(len(plan.files))] for plan in plans},
            is_fresh,
        )

    def _reusable(
        self, plan: Upload, noted: Mapping[int, NotedUpload]
    ) -> dict[int, models.UserUpload]:
        """Return the earlier uploads that will still exist in an hour, by the number of the file."""
        oldest = time.time() - MAX_QUOTA_WAIT
        known = {number: self._usable.get(upload.pk) for number, upload in noted.items()}
        uploads = {
            number: upload
            for number, upload in known.items()
            if upload is not None and upload.created.timestamp() >= oldest
        }
        complete = {number for number, upload in uploads.items() if upload.status == COMPLETED}
        if plan.image_name is not None and len(complete) < len(plan.files):
            # The other files will be de-identified now, and would not match those that are complete.
            return {number: uploads[number] for number in uploads.keys() - complete}
        return uploads


def _as_uploaded(
    plans: Sequence[Plan], uploads_of: Callable[[Upload], Iterable[NotedUpload]]
) -> PreparedValues:
    """Return values as they are after the given uploads of their files."""
    uploads = {
        plan.slug: [
            models.UserUpload.from_dict(
                {
                    "pk": upload.pk,
                    "filename": name,
                    "api_url": "",
                    "created": datetime.fromtimestamp(upload.created, UTC).isoformat(),
                }
            )
            for upload, name in zip(uploads_of(plan), upload_names(plan), strict=True)
        ]
        for plan in plans
        if isinstance(plan, Upload)
    }
    return PreparedValues.of(plans, uploads)
