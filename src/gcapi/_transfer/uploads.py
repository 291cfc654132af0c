"""Uploads of many files by one call: bounded, verified and resumable, on one scheduler for the parts of all files.

An upload is created when a thread is free and no part of another file is waiting, its parts are sent to the store, and
the thread that sends the last one completes it. A scheduler has twice as many threads as there are connections to the
store, so that requests to the API do not keep the connections waiting.

Memory: at most `max_concurrent_uploads` × `READ_SIZE` (256 KiB) for files and bytes; for file objects, which can be
read only once, twice `max_concurrent_uploads` parts of 8 MiB (more beyond the first 8,000 MiB).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gcapi import models
from gcapi._api.quota import MAX_QUOTA_WAIT, QuotaWait, note_unused_uploads
from gcapi._transfer.multipart import (
    COMPLETED,
    INITIALIZED,
    FileUpload,
    UploadCalls,
    is_interruption,
)
from gcapi._transfer.parts import MAX_PARTS, MIN_PART_SIZE, Part, part_size, plan_parts, split
from gcapi._transfer.upload_sources import FileObjectSource, PathSource, Source
from gcapi._util.scheduler import Scheduler
from gcapi.exceptions import SpecError, UploadInterrupted
from gcapi.progress import Listener, Progress, given_up_on_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from gcapi._api.operations import Calls
    from gcapi.exceptions import LimitReached
    from gcapi.models import UserUpload, UserUploadComplete


#: The priority of creating an upload: behind the parts of those that were created, so that few are incomplete.
CREATE_PRIORITY = 1


class Uploads(UploadCalls):
    """Uploads of files to the object store.

    Args:
        calls: Calls the API.
        listener: Receives the progress.
    """

    def __init__(self, calls: Calls, listener: Listener) -> None:
        super().__init__(calls)
        self._listener = listener
        self.settings = calls.settings

    def upload_all(self, sources: Sequence[Source]) -> list[UserUploadComplete]:
        """Upload files, and return the uploads in the order of the files.

        Raises:
            UploadInterrupted: The network, or the server for a while, failed. The uploads can be resumed; the error
                carries their pks and the calls to resume them.
            LimitReached: A quota is used up, and waiting did not help, or would not.
            StatusError: The API or the store refused a file; all incomplete uploads are aborted.
            TransferError: A file changed, or arrived with a wrong checksum; all incomplete uploads are aborted.
        """
        files = [self._file(source) for source in sources]
        self._plan_all(files)
        return self._run(files)

    def _plan_all(self, files: Sequence[FileUpload]) -> None:
        total = sum(file.source.size or 0 for file in files)
        for file in files:
            if file.source.size is not None:
                file.plan(
                    plan_parts(
                        file.source.size,
                        total=total,
                        connections=self.settings.max_concurrent_uploads,
                    )
                )

    def resume(self, pk: str, path: Path) -> UserUploadComplete:
        """Resume an incomplete upload of a file; see `UploadsNamespace.resume`."""
        upload = self.detail(pk)
        if upload.status == COMPLETED:
            return models.UserUploadComplete.from_dict(upload.to_dict())
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
            answer = self.list_parts(upload.pk, upload.s3_upload_id).to_dict()
            stored = {int(part["PartNumber"]): part for part in answer["parts"]}
            size = file.source.size or 0
            parts = split(
                size, _stored_part_size(stored.values(), size, self.settings.max_concurrent_uploads)
            )
            file.plan(parts)
            for part in parts:
                if part.number in stored:
                    file.keep_if_same(part, stored[part.number])

    # ------------------------------------------------------------ step by step

    def create_all(
        self, names: Sequence[str], on_created: Callable[[int, UserUpload], None], quota: QuotaWait
    ) -> list[UserUpload]:
        """Create uploads without sending anything to them.

        Args:
            names: Their file names.
            on_created: Called with the index and the upload as soon as the server has created it, in any thread.
            quota: Waits for a quota.
        """

        def create(index: int) -> UserUpload:
            upload = quota.call(lambda: self.create(names[index]))
            on_created(index, upload)
            return upload

        with self._scheduler() as scheduler:
            return scheduler.run_all(create, range(len(names)))

    def retrieve_all(self, pks: Sequence[str]) -> list[UserUpload]:
        """Retrieve several uploads."""
        with self._scheduler() as scheduler:
            return scheduler.run_all(self.detail, pks)

    def send_all(self, pairs: Sequence[tuple[Source, UserUpload]], *, is_fresh: bool) -> None:
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
        if is_fresh:
            self._plan_all(files)
        else:
            with self._scheduler() as scheduler:
                scheduler.run_all(self._keep_stored_parts, files)
        self._run(files, keep=True)

    def _file(self, source: Source, upload: UserUpload | None = None) -> FileUpload:
        counter = Progress(self._listener, "upload", source.name, source.size)
        return FileUpload(self, source, counter, upload)

    def _scheduler(self) -> Scheduler:
        return Scheduler(2 * self.settings.max_concurrent_uploads, "gcapi-upload")

    def _run(self, files: Sequence[FileUpload], *, keep: bool = False) -> list[UserUploadComplete]:
        counters = [file.counter for file in files]
        try:
            with (
                given_up_on_error(counters),
                note_unused_uploads(lambda: sum(file.completed is not None for file in files)),
                self._scheduler() as scheduler,
            ):
                run = _UploadRun(self, files, scheduler)
                for file in files:
                    scheduler.submit(run.start, file, priority=CREATE_PRIORITY)
                scheduler.wait()
        except BaseException as error:
            if keep:
                raise
            unfinished = [file for file in files if file.is_unfinished]
            if unfinished and is_interruption(error):
                raise _interrupted(error, unfinished) from error
            if not isinstance(error, Exception):
                error.add_note(_how_to_resume(unfinished))
                raise
            for file in unfinished:
                file.abort_quietly()
            raise
        return [file.completed for file in files if file.completed is not None]

    def count_own(self) -> int:
        """Return the number of the user's uploads at the server."""
        answer = self._calls.operation("uploads.uploads_list", params={"limit": 1})
        return int(answer.count)


class _UploadRun:
    """The tasks of everything that one call uploads.

    Args:
        uploads: Calls the API.
        files: The files.
        scheduler: Runs the tasks.
    """

    def __init__(self, uploads: Uploads, files: Sequence[FileUpload], scheduler: Scheduler) -> None:
        self._uploads = uploads
        self._files = files
        self._scheduler = scheduler
        self._started = time.monotonic()
        self._connections = uploads.settings.max_concurrent_uploads
        self._quota = QuotaWait(uploads.settings.on_limit, time_left=self._time_left)

    def start(self, file: FileUpload) -> None:
        """Create an upload, unless one is resumed, and submit its parts."""
        if file.upload is None:
            file.upload = self._quota.call(lambda: self._uploads.create(file.source.name))
        if isinstance(file.source, FileObjectSource):
            sent: list[Part] = []
            self._scheduler.submit(self._send_next, file, file.source.parts(), sent)
            return
        missing = file.missing()
        for part in missing:
            self._scheduler.submit(file.send, part, None, self._connections)
        if not missing:
            file.complete()

    def _send_next(
        self, file: FileUpload, parts: Iterator[tuple[Part, bytes | bytearray]], sent: list[Part]
    ) -> None:
        """Read the next part of a file object and send it, while another thread reads the one after it."""
        part, data = next(parts, (None, b""))
        if part is not None:
            sent.append(part)
            self._scheduler.submit(self._send_next, file, parts, sent)
            file.send(part, data, 1)
            return
        are_all_sent = file.plan(sent)
        file.counter.set_total(sum(part.length for part in sent))
        if are_all_sent:
            file.complete()

    def _time_left(self, refused: LimitReached) -> float:
        """Return the seconds for which to wait for a quota: until the first upload of this call expires."""
        created = sum(file.upload is not None for file in self._files)
        if created and self._uploads.count_own() <= created:
            refused.add_note(
                f"All your {created} uploads are of this call, so waiting would not help: upload less at once."
            )
            return 0.0
        return self._started + MAX_QUOTA_WAIT - time.monotonic()


def _interrupted(error: BaseException, unfinished: Sequence[FileUpload]) -> UploadInterrupted:
    return UploadInterrupted(
        f"The upload was interrupted: {str(error) or type(error).__name__}\n{_how_to_resume(unfinished)}",
        uploads={
            file.upload.pk: file.source.name for file in unfinished if file.upload is not None
        },
    )


def _how_to_resume(unfinished: Sequence[FileUpload]) -> str:
    calls = [
        f"    client.uploads.resume(pk={file.upload.pk!r}, file={str(file.source.path)!r})"
        for file in unfinished
        if file.upload is not None and isinstance(file.source, PathSource) and file.source.stays
    ]
    if not calls:
        return "None of its uploads can be resumed."
    return "What was sent is kept for a day. Resume it with:\n" + "\n".join(calls)


def _stored_part_size(stored: Iterable[Mapping[str, Any]], size: int, connections: int) -> int:
    """Return the part size of an incomplete upload, which all parts that the store has but the last one have."""
    largest = max((int(part["Size"]) for part in stored), default=0)
    fits = largest >= MIN_PART_SIZE and size <= largest * MAX_PARTS
    return largest if fits else part_size(size, connections)
