"""Multipart upload: one pool over (file, part) for everything that a call uploads, bounded, verified, resumable.

A file goes through three steps: *begin* (create the upload, get the first URLs), *parts* (each PUT to the store), and
*complete*. Begin and complete run on `max_concurrent_uploads` connections to the API, the parts of all files on as many
to the store, so that neither waits for the other.

Memory: at most `max_concurrent_uploads` × `BLOCK` (256 KiB) for files and bytes; for file objects, which can only be
read once, twice `max_concurrent_uploads` parts of 8 MiB (more beyond the first 8,000 MiB).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from gcapi._layout import Piece, cut, part_size
from gcapi._limits import LONGEST_WAIT, LimitWait, unused_noted
from gcapi._names import check_upload_name
from gcapi._sources import (
    FileObjectSource,
    PartBody,
    PathSource,
    Source,
    body_of,
    body_of_bytes,
    layout,
)
from gcapi.exceptions import (
    GCAPIError,
    LimitReached,
    PermissionDenied,
    SpecError,
    StatusError,
    StorageError,
    TransferError,
    UploadInterrupted,
    UploadLimitReached,
    shown_url,
    status_error,
)
from gcapi.progress import Listener, Progress

if TYPE_CHECKING:
    from pathlib import Path

    from gcapi._calls import Calls
    from gcapi._settings import Settings
    from gcapi.models import UserUpload, UserUploadComplete, UserUploadPresignedURLs

#: How often a part whose checksum differs is sent before it is given up.
CHECKSUM_ATTEMPTS = 3
#: How often completing an upload is tried when its answer is lost.
COMPLETE_ATTEMPTS = 3
_MD5 = re.compile(r"[0-9a-f]{32}")
_FORBIDDEN = 403


class Uploads:
    """Upload files to the object store.

    Args:
        calls: Calls the API.
        listener: Hears of the bytes that were sent.
    """

    def __init__(self, calls: Calls, listener: Listener) -> None:
        self._calls = calls
        self._listener = listener

    # ------------------------------------------------------------ one call each

    def create(self, filename: str) -> UserUpload:
        """Begin an upload under a name."""
        from gcapi.models import UserUpload

        body = {"filename": check_upload_name(filename)}
        return UserUpload.from_dict(
            self._calls.operation("uploads.uploads_create", body=body).to_dict()
        )

    def detail(self, pk: str) -> UserUpload:
        """Get an upload."""
        upload: UserUpload = self._calls.operation("uploads.uploads_retrieve", pk)
        return upload

    def presigned_urls(
        self, pk: str, s3_upload_id: str, part_numbers: Iterable[int]
    ) -> UserUploadPresignedURLs:
        """Get a URL for each part, good for an hour.

        Raises:
            UploadLimitReached: Your uploads take more room than you have.
            PermissionDenied: The upload is finished or aborted.
        """
        try:
            answer: UserUploadPresignedURLs = self._calls.operation(
                "uploads.uploads_generate_presigned_urls_partial_update",
                pk,
                s3_upload_id,
                body={"part_numbers": list(part_numbers)},
            )
        except UploadLimitReached as error:
            # The server says the same of an upload that takes no parts any more.
            status = self.detail(pk).status
            if status == "Initialized":
                raise
            raise PermissionDenied(
                f"Upload {pk} is {status!r} and takes no parts; the server calls that: {error.words}",
                response=error.response,
            ) from error
        return answer

    def list_parts(self, pk: str, s3_upload_id: str) -> list[Mapping[str, Any]]:
        """Get what the store has of an unfinished upload."""
        answer = self._calls.operation("uploads.uploads_list_parts_retrieve", pk, s3_upload_id)
        parts: list[Mapping[str, Any]] = answer.to_dict()["parts"]
        return parts

    def complete(self, pk: str, s3_upload_id: str, parts: Iterable[Any]) -> UserUploadComplete:
        """Put the parts together.

        Args:
            pk: The upload.
            s3_upload_id: The store's name for it.
            parts: Mappings or part models; what they hold beside ``ETag`` and ``PartNumber`` is not sent, since the
                server fails on it.
        """
        answer: UserUploadComplete = self._calls.operation(
            "uploads.uploads_complete_multipart_upload_partial_update",
            pk,
            s3_upload_id,
            body={"parts": [_part(part) for part in parts]},
        )
        return answer

    def abort(self, pk: str, s3_upload_id: str) -> UserUpload:
        """Give an upload up; the store forgets its parts."""
        answer: UserUpload = self._calls.operation(
            "uploads.uploads_abort_multipart_upload_partial_update", pk, s3_upload_id
        )
        return answer

    # ------------------------------------------------------------ whole files

    def upload_all(self, sources: Sequence[Source]) -> list[UserUploadComplete]:
        """Upload files and return the uploads in their order.

        Raises:
            UploadInterrupted: The network failed, or the server did for a while. The uploads are left as they are, to
                be taken up again; the error carries their pks and prints the calls.
            LimitReached: You may not upload so much, and waiting did not help, or would not.
            StatusError: The API or the store refused one; all that were under way are aborted.
            TransferError: A file changed meanwhile, or the store garbled it; all that were under way are aborted.
        """
        total = sum(source.size or 0 for source in sources)
        connections = self._calls.settings.max_concurrent_uploads
        files = [
            _File(self, source, Progress(self._listener, "upload", source.name, source.size))
            for source in sources
        ]
        for file in files:
            if file.source.size is not None:
                file.plan(layout(file.source.size, total=total, connections=connections))
        return self._run(files)

    def resume(self, pk: str, path: Path) -> UserUploadComplete:
        """Take up an unfinished upload of a file; see `UploadsNamespace.resume`."""
        from gcapi.models import UserUploadComplete

        upload = self.detail(pk)
        if upload.status == "Completed":
            return UserUploadComplete.from_dict(upload.to_dict())
        if upload.status != "Initialized":
            raise SpecError(
                f"Upload {pk} is {upload.status!r} and cannot be taken up; upload the file again."
            )
        source = PathSource(path, upload.filename)
        held = {int(part["PartNumber"]): part for part in self.list_parts(pk, upload.s3_upload_id)}
        file = _File(
            self, source, Progress(self._listener, "upload", path.name, source.size), upload
        )
        size = source.size or 0
        pieces = cut(
            size, _held_size(held.values(), size, self._calls.settings.max_concurrent_uploads)
        )
        file.plan(pieces)
        for piece in pieces:
            if piece.number in held:
                file.keep_if_same(piece, held[piece.number])
        return self._run([file])[0]

    def _run(self, files: Sequence[_File]) -> list[UserUploadComplete]:
        run = _Run(files, self._calls.settings, self._count)
        try:
            with unused_noted(run.count_finished):
                return run.results()
        except BaseException as error:
            left = [file for file in files if file.is_unfinished]
            if left and _is_interruption(error):
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

    # ------------------------------------------------------------ one part

    def put(self, url: str, body: PartBody) -> str:
        """Send a part to its URL and return its ETag.

        Raises:
            StorageError: The store refused.
            TransferError: It gave no ETag.
        """
        client = self._calls.transport.client_for(httpx.URL(url))
        headers = {"Content-Length": str(body.length)}
        response = client.send(client.build_request("PUT", url, content=body, headers=headers))
        if not response.is_success:
            raise status_error(response, storage=True)
        etag = response.headers.get("ETag")
        if not etag:
            raise TransferError(f"The store took a part at {shown_url(url)} and gave it no ETag.")
        return str(etag)


class _File:
    """One upload on its way: its parts, their URLs and their ETags.

    Args:
        uploads: Calls the API and the store.
        source: What is uploaded.
        counter: Counts its bytes.
        upload: The upload to go on with; `None` to create one.
    """

    def __init__(
        self,
        uploads: Uploads,
        source: Source,
        counter: Progress,
        upload: UserUpload | None = None,
    ) -> None:
        self.source = source
        self.upload = upload
        self.result: Future[UserUploadComplete] = Future()
        self.pieces: list[Piece] = []
        self._uploads = uploads
        self._counter = counter
        self._etags: dict[int, str] = {}
        self._urls: dict[int, str] = {}
        self._url_lock = threading.Lock()
        self._lock = threading.Lock()

    @property
    def is_unfinished(self) -> bool:
        """Whether there is an upload at the server that is not complete."""
        return self.upload is not None and (
            not self.result.done() or self.result.cancelled() or self.result.exception() is not None
        )

    def plan(self, pieces: list[Piece]) -> None:
        """Set the parts, where the length is known before."""
        self.pieces = pieces

    def keep_if_same(self, piece: Piece, held: Mapping[str, Any]) -> None:
        """Keep a part that the store has, if its length and its MD5 are those of the file."""
        body = body_of(self.source, piece, lambda _: None)
        if held["Size"] != piece.length or _md5_of(held["ETag"]) is None:
            return
        for _ in body:
            pass
        if body.md5 == _md5_of(held["ETag"]):
            self._etags[piece.number] = held["ETag"]
            self._counter.add(piece.length)

    def begin(self, wait: LimitWait) -> UserUpload:
        """Create the upload, unless one is taken up."""
        if self.upload is None:
            self.upload = wait.call(lambda: self._uploads.create(self.source.name))
        return self.upload

    def missing(self) -> list[Piece]:
        """Return the parts that the store does not have."""
        return [piece for piece in self.pieces if piece.number not in self._etags]

    def send(self, piece: Piece, data: bytes | None, batch: int, stop: threading.Event) -> bool:
        """Send one part, and tell whether it was the last that was missing.

        Args:
            piece: The part.
            data: Its bytes, where they are in memory; `None` to read them from the source.
            batch: How many URLs to ask for at once.
            stop: Set when the call has failed.
        """

        def count(sent: int) -> None:
            _go_on(stop)
            self._counter.add(sent)

        body = body_of(self.source, piece, count) if data is None else body_of_bytes(data, count)
        try:
            etag = self._sent_whole(piece, body, batch)
        finally:
            body.release()
        with self._lock:
            self._etags[piece.number] = etag
            return bool(self.pieces) and len(self._etags) == len(self.pieces)

    def _sent_whole(self, piece: Piece, body: PartBody, batch: int) -> str:
        for _ in range(CHECKSUM_ATTEMPTS):
            etag = self._put_with_fresh_url(piece, body, batch)
            if _md5_of(etag) in {None, body.md5}:
                return etag
        raise TransferError(
            f"Part {piece.number} of {self.source.name!r} reached the store with another checksum"
            f" {CHECKSUM_ATTEMPTS} times; something on the way changes it."
        )

    def _put_with_fresh_url(self, piece: Piece, body: PartBody, batch: int) -> str:
        try:
            return self._uploads.put(self._url(piece.number, batch), body)
        except StorageError as error:
            if error.status_code != _FORBIDDEN:
                raise
        # A presigned URL expires after an hour; one that is refused when it is fresh has another reason.
        try:
            return self._uploads.put(self._url(piece.number, batch, fresh=True), body)
        except StorageError as error:
            error.add_note(
                "A fresh URL was refused too. A proxy that changes requests, or a wrong clock, can be the cause."
            )
            raise

    def _url(self, number: int, batch: int, *, fresh: bool = False) -> str:
        upload = self.upload
        assert upload is not None
        with self._url_lock:
            if fresh or number not in self._urls:
                last = number + 1 if fresh else number + batch
                numbers = range(number, min(last, self._end(number)))
                answer = self._uploads.presigned_urls(upload.pk, upload.s3_upload_id, numbers)
                self._urls.update({int(key): url for key, url in answer.presigned_urls.items()})
            return self._urls[number]

    def _end(self, number: int) -> int:
        """Return the number after the last part, or after this one where that is not known."""
        return (self.pieces[-1].number if self.pieces else number) + 1

    def complete(self) -> UserUploadComplete:
        """Put the parts together; after a lost answer the upload's status decides."""
        self.source.check_unchanged()
        upload = self.upload
        assert upload is not None
        parts = [{"ETag": etag, "PartNumber": n} for n, etag in sorted(self._etags.items())]
        for attempt in range(1, COMPLETE_ATTEMPTS + 1):
            try:
                return self._uploads.complete(upload.pk, upload.s3_upload_id, parts)
            except (httpx.TransportError, StatusError) as error:
                if isinstance(error, StatusError) and not error.response.is_server_error:
                    raise
                done = self._completed()
                if done is not None:
                    return done
                if attempt == COMPLETE_ATTEMPTS or not _is_interruption(error):
                    raise
        raise AssertionError

    def _completed(self) -> UserUploadComplete | None:
        from gcapi.models import UserUploadComplete

        assert self.upload is not None
        current = self._uploads.detail(self.upload.pk)
        if current.status != "Completed":
            return None
        return UserUploadComplete.from_dict(current.to_dict())

    def abort_quietly(self) -> None:
        """Give the upload up, if the server can be reached."""
        assert self.upload is not None
        # The error that brought us here is the one to show; what is not aborted is purged after a day.
        with suppress(StatusError, httpx.TransportError):
            self._uploads.abort(self.upload.pk, self.upload.s3_upload_id)


class _Run:
    """Everything that one call uploads, on two pools of threads.

    Args:
        files: What is uploaded.
        settings: How many connections each pool uses, and whether to wait for limits.
        count: Counts all uploads that the user has at the server.
    """

    def __init__(
        self, files: Sequence[_File], settings: Settings, count: Callable[[], int]
    ) -> None:
        connections = settings.max_concurrent_uploads
        self._files = files
        self._connections = connections
        self._count = count
        self._begun = time.monotonic()
        self._limits = LimitWait(settings.on_limit, left=self._time_left, sleep=self._sleep)
        self._api = ThreadPoolExecutor(connections, thread_name_prefix="gcapi-upload-api")
        self._store = ThreadPoolExecutor(connections, thread_name_prefix="gcapi-upload-store")
        self._stop = threading.Event()
        self._waiting = iter(files)
        self._next_lock = threading.Lock()
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
        error = _first_error([file.result for file in self._files])
        if error is not None:
            raise error
        return [file.result.result() for file in self._files]

    def _end(self, *, wait_for_threads: bool) -> None:
        if not all(file.result.done() for file in self._files) or _first_error(
            [file.result for file in self._files]
        ):
            self._stop.set()
        for pool in (self._store, self._api):
            pool.shutdown(wait=wait_for_threads, cancel_futures=self._stop.is_set())

    def _begin_next(self) -> None:
        with self._next_lock:
            file = next(self._waiting, None)
        if file is not None:
            self._submit(self._api, file, partial(self._begin, file))

    def _submit(self, pool: ThreadPoolExecutor, file: _File, step: Callable[[], None]) -> None:
        """Run a step in a pool; what goes wrong in it is the file's result."""

        def guarded() -> None:
            try:
                _go_on(self._stop)
                step()
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
                self._fail(file, error)

        # The pool is closed when the call has failed, or was interrupted; then nobody waits for this step.
        with suppress(RuntimeError):
            pool.submit(guarded)

    def _fail(self, file: _File, error: BaseException) -> None:
        self._stop.set()
        with self._next_lock:
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
        _go_on(self._stop)

    def _begin(self, file: _File) -> None:
        file.begin(self._limits)
        if isinstance(file.source, FileObjectSource):
            self._pump(file, file.source)
            return
        missing = file.missing()
        for piece in missing:
            self._submit(self._store, file, partial(self._send, file, piece))
        if not missing:
            self._complete(file)

    def _pump(self, file: _File, source: FileObjectSource) -> None:
        """Read a file object part by part, no faster than the parts are sent."""
        pieces: list[Piece] = []
        sends: list[Future[None]] = []
        for piece, data in source.parts():
            while not self._in_memory.acquire(timeout=0.1):
                _go_on(self._stop)
            pieces.append(piece)
            try:
                sends.append(self._store.submit(self._send_from_memory, file, piece, data))
            except RuntimeError:
                # The pool is closed: another file of this call has failed, and that is the error to show.
                _go_on(self._stop)
                raise
            del data  # before the next one is read
        for send in sends:
            send.result()
        file.plan(pieces)
        self._complete(file)

    def _send_from_memory(self, file: _File, piece: Piece, data: bytes) -> None:
        try:
            _go_on(self._stop)
            file.send(piece, data, 1, self._stop)
        finally:
            self._in_memory.release()

    def _send(self, file: _File, piece: Piece) -> None:
        if file.send(piece, None, self._connections, self._stop):
            self._submit(self._api, file, partial(self._complete, file))

    def _complete(self, file: _File) -> None:
        completed = file.complete()
        with self._next_lock:
            if not file.result.done():
                file.result.set_result(completed)
        self._begin_next()


class _Stopped(GCAPIError):
    """End a step because another one of the same call failed."""


def _go_on(stop: threading.Event) -> None:
    """Go on, unless the call has failed.

    Raises:
        _Stopped: It has.
    """
    if stop.is_set():
        raise _Stopped


def _first_error(futures: Sequence[Future[Any]]) -> BaseException | None:
    """Return the error that began it all, rather than one of those that only stopped."""
    errors = [future.exception() for future in futures if future.done() and not future.cancelled()]
    real = [error for error in errors if error is not None]
    return min(real, key=lambda error: isinstance(error, _Stopped | CancelledError), default=None)


def _is_interruption(error: BaseException) -> bool:
    """Tell whether what failed was the way, so that the same may work later; the work itself was not refused."""
    if isinstance(error, StatusError):
        return error.status_code in {429, 502, 503, 504, 507}
    return isinstance(error, httpx.TransportError)


def _interrupted(error: BaseException, left: Sequence[_File]) -> UploadInterrupted:
    return UploadInterrupted(
        f"The upload was interrupted: {error or type(error).__name__}\n{_how_to_resume(left)}",
        uploads={file.source.name: file.upload.pk for file in left if file.upload is not None},
    )


def _how_to_resume(left: Sequence[_File]) -> str:
    calls = [
        f"    client.uploads.resume(pk={file.upload.pk!r}, file={str(file.source.path)!r})"
        for file in left
        if file.upload is not None and isinstance(file.source, PathSource)
    ]
    if not calls:
        return "Nothing was left that can be taken up again."
    return "What has arrived is kept for a day. Take it up again with:\n" + "\n".join(calls)


def _held_size(held: Iterable[Mapping[str, Any]], size: int, connections: int) -> int:
    """Return the part size that an unfinished upload was begun with: all its parts but the last have it."""
    largest = max((int(part["Size"]) for part in held), default=0)
    wanted = part_size(size, connections)
    fits = (
        largest >= part_size(0, connections) and -(-size // largest) <= len(cut(size, wanted)) * 100
    )
    return largest if fits else wanted


def _md5_of(etag: str) -> str | None:
    """Return the MD5 that an ETag is, or `None` where it is something else."""
    bare = etag.strip('"').lower()
    return bare if _MD5.fullmatch(bare) else None


def _part(part: Any) -> dict[str, Any]:
    """Return the two fields of a part that the server takes.

    Raises:
        TypeError: The part has not both.
    """
    fields = part if isinstance(part, Mapping) else part.to_dict()
    try:
        return {"ETag": fields["ETag"], "PartNumber": fields["PartNumber"]}
    except KeyError as error:
        raise TypeError(f"A part needs ETag and PartNumber; {error.args[0]} is missing.") from error
