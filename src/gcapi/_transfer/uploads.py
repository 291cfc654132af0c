"""Uploads of many files by one call: bounded, verified and resumable, on one scheduler for the parts of all files.

An upload is created when a thread is free and no part of another file is waiting, its parts are sent to the store, and
the thread that sends the last one completes it. A scheduler has twice as many threads as there are connections to the
store, so that requests to the API do not keep the connections waiting, and three times as many for several files, which
may be small; but not for file objects, since each thread may hold a part of one.

Memory: at most `max_concurrent_uploads` × `READ_SIZE` (256 KiB) for files and bytes; for file objects, which can be
read only once, twice `max_concurrent_uploads` parts of 8 MiB (more beyond the first 8,000 MiB).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx

from gcapi import models
from gcapi._api.operations import Calls
from gcapi._api.quota import MAX_QUOTA_WAIT, QuotaWait, note_unused_uploads
from gcapi._transfer.multipart import (
    COMPLETED,
    INITIALIZED,
    FileUpload,
    UploadCalls,
    is_interruption,
)
from gcapi._transfer.parts import MAX_PARTS, MIN_PART_SIZE, Part, connections_for, part_size, split
from gcapi._transfer.upload_sources import FileObjectSource, PathSource, Source, blocks_of
from gcapi._util.scheduler import Scheduler
from gcapi.exceptions import GCAPIError, LimitReached, SpecError, UploadInterrupted
from gcapi.progress import Listener, Progress, given_up_on_error
from grand_challenge_api import api

#: The priority of creating an upload: behind the parts of those that were created, so that few are incomplete.
CREATE_PRIORITY = 1
#: Seconds between two checks whether other threads have created their uploads.
_CREATION_INTERVAL = 0.01


class Uploads(UploadCalls):
    """Uploads of files to the object store.

    Args:
        calls: Calls the API.
        listener: Receives the progress.
    """

    def __init__(self, calls: Calls, listener: Listener) -> None:
        super().__init__(calls)
        self._listener = listener

    def upload_all(self, sources: Sequence[Source]) -> list[models.UserUploadComplete]:
        """Upload files, and return the uploads in the order of the files.

        Raises:
            UploadInterrupted: The network, or the server for a while, failed. The uploads can be resumed; the error
                carries their pks and the calls to resume them.
            LimitReached: A quota is used up, and waiting did not help, or would not.
            StatusError: The API or the store refused a file; all incomplete uploads are aborted.
            TransferError: A file changed, or arrived with a wrong checksum; all incomplete uploads are aborted.
        """
        files = [self._file(source) for source in sources]
        self._share_connections(files)
        return self._run(files)

    def _share_connections(self, files: Sequence[FileUpload]) -> None:
        total = sum(file.source.size or 0 for file in files)
        for file in files:
            size = file.source.size or 0
            file.connections = connections_for(size, total, self.settings.max_concurrent_uploads)

    def resume(self, pk: str, path: Path) -> models.UserUploadComplete:
        """Resume an incomplete upload of a file; see `UploadsNamespace.resume`."""
        upload = self.detail(pk)
        if upload.status == COMPLETED:
            raise SpecError(
                f"Upload {pk} of {upload.filename!r} is complete. The API shows neither its size nor a checksum, so"
                f" {path} cannot be compared with it. Use it as it is, with client.uploads.detail(pk={pk!r}), or upload"
                " the file again."
            )
        file = self._file(PathSource(path, upload.filename), upload)
        self._keep_stored_parts(file)
        return self._run([file])[0]

    def _keep_stored_parts(self, file: FileUpload) -> None:
        """Plan the parts of an upload that was created before, and keep those that the store has.

        Raises:
            SpecError: The upload accepts no more parts.
        """
        upload = file.upload
        assert upload is not None
        with given_up_on_error([file.counter]):
            if upload.status != INITIALIZED:
                raise SpecError(
                    f"Upload {upload.pk} is {upload.status!r} and cannot be resumed; upload the file again."
                )
            if file.source.is_made_anew:
                return
            answer = self._calls.call(
                api.uploads_list_parts_retrieve, upload.pk, upload.s3_upload_id
            ).to_dict()
            stored = {int(part["PartNumber"]): part for part in answer["parts"]}
            size = file.source.size or 0
            # All parts that the store has, but the last one, have the size of the largest.
            length = max((int(part["Size"]) for part in stored.values()), default=0)
            if length < MIN_PART_SIZE or size > length * MAX_PARTS:
                length = part_size(size, self.settings.max_concurrent_uploads)
            parts = split(size, length)
            file.plan(parts)
            for part in parts:
                if part.number in stored:
                    file.keep_if_same(part, stored[part.number])

    # ------------------------------------------------------------ step by step

    def create_all(
        self,
        names: Sequence[str],
        on_created: Callable[[int, models.UserUpload], None],
        quota: QuotaWait,
    ) -> list[models.UserUpload]:
        """Create uploads without sending anything to them.

        Args:
            names: Their file names.
            on_created: Called with the index and the upload as soon as the server has created it, in any thread.
            quota: Waits for a quota.
        """

        def create(index: int) -> models.UserUpload:
            upload = quota.call(lambda: self.create(names[index]))
            on_created(index, upload)
            return upload

        with self._scheduler() as scheduler:
            return scheduler.run_all(create, range(len(names)))

    def retrieve_all(self, pks: Sequence[str]) -> list[models.UserUpload]:
        """Retrieve several uploads."""
        with self._scheduler() as scheduler:
            return scheduler.run_all(self.detail, pks)

    def send_all(
        self, pairs: Sequence[tuple[Source, models.UserUpload]], *, is_fresh: bool
    ) -> None:
        """Send files to uploads that were created for them. When that fails, the uploads stay as they are.

        Args:
            pairs: Each file, and its upload.
            is_fresh: Whether nothing was sent to any of them yet; else parts that the store has are kept.

        Raises:
            StatusError: The API or the store refused a file.
            TransferError: A file changed, or arrived with a wrong checksum.
            httpx.TransportError: The network failed.
        """
        files = [self._file(source, upload) for source, upload in pairs]
        self._share_connections(files)
        if not is_fresh:
            with self._scheduler() as scheduler:
                scheduler.run_all(self._keep_stored_parts, files)
        self._run(files, keep=True)

    def _file(self, source: Source, upload: models.UserUpload | None = None) -> FileUpload:
        counter = Progress(self._listener, "upload", source.name, source.size)
        return FileUpload(self, source, counter, upload)

    def _scheduler(self, per_connection: int = 2) -> Scheduler:
        return Scheduler(per_connection * self.settings.max_concurrent_uploads, "gcapi-upload")

    def _run(
        self, files: Sequence[FileUpload], *, keep: bool = False
    ) -> list[models.UserUploadComplete]:
        time_left = partial(self._time_left, files, time.monotonic())
        quota = QuotaWait(self.settings.on_limit, time_left=time_left)
        has_objects = any(isinstance(file.source, FileObjectSource) for file in files)
        per_connection = 2 if has_objects or len(files) == 1 else 3
        try:
            with (
                given_up_on_error([file.counter for file in files]),
                note_unused_uploads(lambda: sum(file.completed is not None for file in files)),
                self._scheduler(per_connection) as scheduler,
            ):
                for file in files:
                    scheduler.submit(self._start, file, scheduler, quota, priority=CREATE_PRIORITY)
                scheduler.wait()
        except BaseException as error:
            if keep:
                raise
            unfinished = [
                (file.upload, file.source)
                for file in files
                if file.upload is not None and file.completed is None
            ]
            if unfinished and is_interruption(error):
                raise UploadInterrupted(
                    f"The upload was interrupted: {str(error) or type(error).__name__}\n{_how_to_resume(unfinished)}",
                    uploads={upload.pk: source.name for upload, source in unfinished},
                ) from error
            if not isinstance(error, Exception):
                error.add_note(_how_to_resume(unfinished))
                raise
            for upload, _ in unfinished:
                # The error to raise is the first one. The server purges an upload that cannot be aborted after a day.
                with suppress(GCAPIError, httpx.TransportError):
                    self.abort(upload.pk, upload.s3_upload_id)
            raise
        return [file.completed for file in files if file.completed is not None]

    def _start(self, file: FileUpload, scheduler: Scheduler, quota: QuotaWait) -> None:
        """Create an upload, unless one is resumed, and submit its parts."""
        file.source.prepare()
        if file.upload is None:
            quota.call(file.create)
        if isinstance(file.source, FileObjectSource):
            scheduler.submit(self._send_next, file, scheduler, file.source.parts(), list[Part]())
            return
        if not file.is_planned:
            size = file.source.size or 0
            file.counter.set_total(size)
            file.plan(split(size, part_size(size, file.connections)))
        missing = file.missing()
        for part in missing:
            scheduler.submit(file.send, part, partial(file.source.read, part))
        if not missing:
            file.complete()

    def _send_next(
        self,
        file: FileUpload,
        scheduler: Scheduler,
        parts: Iterator[tuple[Part, bytes | bytearray]],
        sent: list[Part],
    ) -> None:
        """Read the next part of a file object and send it, while another thread reads the one after it."""
        part, data = next(parts, (None, b""))
        if part is not None:
            sent.append(part)
            scheduler.submit(self._send_next, file, scheduler, parts, sent)
            file.send(part, partial(blocks_of, data, 0, part.length))
            return
        are_all_sent = file.plan(sent)
        file.counter.set_total(sum(part.length for part in sent))
        if are_all_sent:
            file.complete()

    def _time_left(
        self, files: Sequence[FileUpload], started: float, refused: LimitReached
    ) -> float:
        """Return the seconds for which to wait for a quota: until the first upload of this call expires."""
        own = int(self._calls.call(api.uploads_list, params={"limit": 1}).count)
        # The count may include uploads whose responses are still on their way to other threads.
        creating = [file for file in files if file.is_being_created]
        while any(file.is_being_created for file in creating):
            self.sleep(_CREATION_INTERVAL)
        created = sum(file.upload is not None for file in files)
        if created and own <= created:
            refused.add_note(
                f"All your {created} uploads are of this call, so waiting would not help: upload less at once."
            )
            return 0.0
        return started + MAX_QUOTA_WAIT - time.monotonic()


def _how_to_resume(unfinished: Sequence[tuple[models.UserUpload, Source]]) -> str:
    calls = [
        f"    client.uploads.resume(pk={upload.pk!r}, file={str(source.path)!r})"
        for upload, source in unfinished
        if isinstance(source, PathSource) and source.stays
    ]
    if not calls:
        return "None of its uploads can be resumed."
    return "What was sent is kept for a day. Resume it with:\n" + "\n".join(calls)
