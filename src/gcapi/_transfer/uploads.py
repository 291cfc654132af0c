"""Multipart uploads: one pool over (file, part) for everything that a call uploads, bounded, verified, resumable.

A file goes through three steps: *begin* (create the upload), *parts* (get a few URLs, and PUT each part to the store),
and *complete*. Begin and complete run on `max_concurrent_uploads` threads, the parts of all files on as many others, so
that neither waits for the other.

Memory: at most `max_concurrent_uploads` × `READ_SIZE` (256 KiB) for files and bytes; for file objects, which can be
read only once, twice `max_concurrent_uploads` parts of 8 MiB (more beyond the first 8,000 MiB).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import FIRST_EXCEPTION, wait
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from gcapi._api.quota import LONGEST_WAIT, LimitWait, unused_noted
from gcapi._transfer.multipart import FileUpload, UploadCalls, go_on, is_interruption
from gcapi._transfer.parts import MAX_PARTS, MIN_PART_SIZE, Part, part_size, split
from gcapi._transfer.upload_sources import FileObjectSource, PathSource, Source, plan_parts
from gcapi._util.fork_safety import Slots
from gcapi._util.scheduler import Pool
from gcapi.exceptions import SpecError, UploadInterrupted
from gcapi.progress import Listener, Progress, given_up_on_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from gcapi._api.operations import Calls
    from gcapi._http.transport import Transport
    from gcapi.exceptions import LimitReached
    from gcapi.models import UserUpload, UserUploadComplete

A = TypeVar("A")
T = TypeVar("T")

#: The states of an upload that takes parts, and of one that is whole.
INITIALIZED, COMPLETED = "Initialized", "Completed"


class Uploads(UploadCalls):
    """Upload files to the object store.

    Args:
        calls: Calls the API.
        listener: Hears of the bytes that were sent.
    """

    def __init__(self, calls: Calls, listener: Listener) -> None:
        super().__init__(calls)
        self._listener = listener
        self._slots = Slots(calls.settings.max_concurrent_uploads)

    def upload_all(self, sources: Sequence[Source]) -> list[UserUploadComplete]:
        """Upload files and return the uploads in their order.

        Raises:
            UploadInterrupted: The network failed, or the server did for a while. The uploads are left as they are, to
                be taken up again; the error carries their pks and prints the calls.
            LimitReached: You may not upload so much, and waiting did not help, or would not.
            StatusError: The API or the store refused one; all that were under way are aborted.
            TransferError: A file changed meanwhile, or the store garbled it; all that were under way are aborted.
        """
        stop = threading.Event()
        files = [self._file(source, stop) for source in sources]
        self._plan_all(files)
        return self._run(files, stop)

    def _plan_all(self, files: Sequence[FileUpload]) -> None:
        total = sum(file.source.size or 0 for file in files)
        connections = self._calls.settings.max_concurrent_uploads
        for file in files:
            if file.source.size is not None:
                file.plan(plan_parts(file.source.size, total=total, connections=connections))

    def resume(self, pk: str, path: Path) -> UserUploadComplete:
        """Take up an unfinished upload of a file; see `UploadsNamespace.resume`."""
        from gcapi.models import UserUploadComplete

        upload = self.detail(pk)
        if upload.status == COMPLETED:
            return UserUploadComplete.from_dict(upload.to_dict())
        stop = threading.Event()
        file = self._file(PathSource(path, upload.filename), stop, upload)
        self._take_up(file)
        return self._run([file], stop)[0]

    def _take_up(self, file: FileUpload) -> None:
        """Plan the parts of an upload that was begun before, and keep those that the store has.

        Raises:
            SpecError: It takes no parts any more.
        """
        upload = file.upload
        assert upload is not None
        with given_up_on_error([file.counter]):
            if upload.status != INITIALIZED:
                raise SpecError(
                    f"Upload {upload.pk} is {upload.status!r} and cannot be taken up; upload the file again."
                )
            parts = self.list_parts(upload.pk, upload.s3_upload_id)
            held = {int(part["PartNumber"]): part for part in parts}
            size = file.source.size or 0
            connections = self._calls.settings.max_concurrent_uploads
            pieces = split(size, _held_size(held.values(), size, connections))
            file.plan(pieces)
            for piece in pieces:
                if piece.number in held:
                    file.keep_if_same(piece, held[piece.number])

    # ------------------------------------------------------------ step by step

    def begin_all(
        self, names: Sequence[str], heard: Callable[[int, UserUpload], None], limits: LimitWait
    ) -> list[UserUpload]:
        """Create uploads, of which nothing is sent yet.

        Args:
            names: What they are called.
            heard: Called with the number and the upload as soon as the server has told of it, in any thread.
            limits: Waits for a limit that stands in the way.
        """

        def begin(number: int) -> UserUpload:
            upload = limits.call(lambda: self.create(names[number]))
            heard(number, upload)
            return upload

        return self._each(begin, range(len(names)))

    def look_at(self, pks: Sequence[str]) -> list[UserUpload]:
        """Get several uploads."""
        return self._each(self.detail, pks)

    def send_all(self, pairs: Sequence[tuple[Source, UserUpload]], *, is_fresh: bool) -> None:
        """Send files to uploads that were begun for them. If that fails, they are left as they are.

        Args:
            pairs: Each file, and its upload.
            is_fresh: Whether nothing was sent to any of them yet; else parts that the store has are kept.

        Raises:
            StatusError: The API or the store refused.
            TransferError: A file changed meanwhile, or the store garbled it.
            httpx.TransportError: The network failed.
        """
        stop = threading.Event()
        files = [self._file(source, stop, upload) for source, upload in pairs]
        if is_fresh:
            self._plan_all(files)
        else:
            self._each(self._take_up, files)
        self._run(files, stop, keep=True)

    def _each(self, act: Callable[[A], T], items: Sequence[A]) -> list[T]:
        """Do something with each of several items at once; the first error is raised."""
        pool = Pool(self._calls.settings.max_concurrent_uploads, "gcapi-upload-api")
        done = False
        try:
            futures = [pool.submit(act, item) for item in items]
            results = [future.result() for future in futures]
            done = True
        finally:
            pool.shutdown(wait=done, cancel_futures=True)
        return results

    def _file(
        self, source: Source, stop: threading.Event, upload: UserUpload | None = None
    ) -> FileUpload:
        counter = Progress(self._listener, "upload", source.name, source.size)
        return FileUpload(self, source, counter, stop, upload)

    def _run(
        self, files: Sequence[FileUpload], stop: threading.Event, *, keep: bool = False
    ) -> list[UserUploadComplete]:
        run = _Run(files, self._calls.transport, stop, self._count, self._slots)
        counters = [file.counter for file in files]
        try:
            with given_up_on_error(counters), unused_noted(run.count_finished):
                return run.results()
        except BaseException as error:
            if keep:
                raise
            left = [file for file in files if file.is_unfinished]
            if left and is_interruption(error):
                raise _interrupted(error, left) from error
            if not isinstance(error, Exception):
                error.add_note(_how_to_resume(left))
                raise
            for file in left:
                file.abort_quietly()
            raise

    def _count(self) -> int:
        """Return how many uploads the user has."""
        answer = self._calls.operation("uploads.uploads_list", params={"limit": 1})
        return int(answer.count)


class _Run:
    """Everything that one call uploads, on two pools of threads.

    Args:
        files: What is uploaded.
        transport: What requests go through; its settings say how many connections to use.
        stop: Set when a step has failed, which ends the others.
        count: Counts all uploads that the user has at the server.
        slots: The connections to the store, which all calls share.
    """

    def __init__(
        self,
        files: Sequence[FileUpload],
        transport: Transport,
        stop: threading.Event,
        count: Callable[[], int],
        slots: Slots,
    ) -> None:
        self._transport = transport
        settings = transport.settings
        connections = settings.max_concurrent_uploads
        self._files = files
        self._count = count
        self._slots = slots
        self._begun = time.monotonic()
        self._limits = LimitWait(settings.on_limit, left=self._time_left, sleep=self._sleep)
        self._connections = connections
        self._stop = stop
        self._api = Pool(connections, "gcapi-upload-api")
        self._store = Pool(connections, "gcapi-upload-store")
        self._waiting = iter(files)
        self._lock = threading.Lock()
        #: What failed first; whatever fails after that may only be its consequence.
        self._error: BaseException | None = None
        #: Parts of file objects are in memory: no more than this many at once.
        self._in_memory = threading.BoundedSemaphore(2 * connections)

    def results(self) -> list[UserUploadComplete]:
        """Do it, and return the uploads in order; the first error stops everything."""
        finished = False
        try:
            # Uploads are begun a little ahead of the connections, so that URLs are asked for late.
            for _ in range(2 * self._connections):
                self._begin_next()
            wait([file.result for file in self._files], return_when=FIRST_EXCEPTION)
            finished = True
        finally:
            self._end(wait_for_threads=finished)
        if self._error is not None:
            raise self._error
        return [file.result.result() for file in self._files]

    def _end(self, *, wait_for_threads: bool) -> None:
        if self._error is not None or not all(file.result.done() for file in self._files):
            self._stop.set()
        for pool in (self._store, self._api):
            pool.shutdown(wait=wait_for_threads, cancel_futures=self._stop.is_set())

    def _begin_next(self) -> None:
        with self._lock:
            file = next(self._waiting, None)
        if file is not None:
            self._submit(self._api, file, partial(self._begin, file))

    def _to_store(self, file: FileUpload, step: Callable[[], None]) -> None:
        def with_connection() -> None:
            with self._slots.one():
                step()

        self._submit(self._store, file, with_connection)

    def _submit(self, pool: Pool, file: FileUpload, step: Callable[[], None]) -> None:
        """Run a step in a pool; what goes wrong in it is the file's result."""

        def guarded() -> None:
            try:
                go_on(self._stop)
                with self._transport.until(self._stop):
                    step()
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
                self._fail(file, error)

        try:
            pool.submit(guarded)
        except RuntimeError as error:
            # The pool was closed since the call has failed; or the system gives no more threads.
            self._fail(file, error)

    def _fail(self, file: FileUpload, error: BaseException) -> None:
        with self._lock:
            if self._error is None:
                self._error = error
            self._stop.set()
            if not file.result.done():
                file.result.set_exception(error)

    def count_finished(self) -> int:
        """Count the files that are uploaded."""
        return sum(file.upload is not None and not file.is_unfinished for file in self._files)

    def _time_left(self, refused: LimitReached) -> float:
        """Return for how long a limit may be waited for: until the first upload of this call expires."""
        ours = sum(file.upload is not None for file in self._files)
        if ours and self._count() <= ours:
            refused.add_note(
                f"All {ours} uploads that you have are of this call, so that waiting would not help: make it smaller."
            )
            return 0.0
        return self._begun + LONGEST_WAIT - time.monotonic()

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)
        go_on(self._stop)

    def _begin(self, file: FileUpload) -> None:
        file.begin(self._limits)
        if isinstance(file.source, FileObjectSource):
            self._pump(file, file.source)
            return
        missing = file.missing()
        for piece in missing:
            self._to_store(file, partial(self._send, file, piece))
        if not missing:
            self._complete(file)

    def _pump(self, file: FileUpload, source: FileObjectSource) -> None:
        """Read a file object part by part, no faster than the parts are sent."""
        pieces: list[Part] = []
        parts = source.parts()
        while True:
            while not self._in_memory.acquire(timeout=0.1):
                go_on(self._stop)
            go_on(self._stop)
            part = next(parts, None)
            if part is None:
                self._in_memory.release()
                break
            pieces.append(part[0])
            self._to_store(file, partial(self._send_from_memory, file, *part))
            del part  # before the next one is read
        all_sent = file.plan(pieces)
        file.counter.set_total(sum(piece.length for piece in pieces))
        if all_sent:
            self._complete(file)

    def _send_from_memory(self, file: FileUpload, piece: Part, data: bytes | bytearray) -> None:
        try:
            is_last = file.send(piece, data, 1)
        finally:
            self._in_memory.release()
        if is_last:
            self._submit(self._api, file, partial(self._complete, file))

    def _send(self, file: FileUpload, piece: Part) -> None:
        if file.send(piece, None, self._connections):
            self._submit(self._api, file, partial(self._complete, file))

    def _complete(self, file: FileUpload) -> None:
        completed = file.complete()
        with self._lock:
            if not file.result.done():
                file.result.set_result(completed)
        self._begin_next()


def _interrupted(error: BaseException, left: Sequence[FileUpload]) -> UploadInterrupted:
    return UploadInterrupted(
        f"The upload was interrupted: {str(error) or type(error).__name__}\n{_how_to_resume(left)}",
        uploads={file.upload.pk: file.source.name for file in left if file.upload is not None},
    )


def _how_to_resume(left: Sequence[FileUpload]) -> str:
    calls = [
        f"    client.uploads.resume(pk={file.upload.pk!r}, file={str(file.source.path)!r})"
        for file in left
        if file.upload is not None and isinstance(file.source, PathSource) and file.source.stays
    ]
    if not calls:
        return "Nothing was left that can be taken up again."
    return "What has arrived is kept for a day. Take it up again with:\n" + "\n".join(calls)


def _held_size(held: Iterable[Mapping[str, Any]], size: int, connections: int) -> int:
    """Return the part size that an unfinished upload was begun with: all its parts but the last have it."""
    largest = max((int(part["Size"]) for part in held), default=0)
    fits = largest >= MIN_PART_SIZE and size <= largest * MAX_PARTS
    return largest if fits else part_size(size, connections)
