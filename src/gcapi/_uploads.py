"""Multipart upload of files, several at once.

A file is sent in parts of at least 32 MiB, one after another, and `max_concurrent_uploads` files at once: at most that
many parts are in memory. An upload that fails is aborted, so that the store keeps no half of it.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Protocol, Self

import httpx

from gcapi._names import check_upload_name
from gcapi.exceptions import (
    GCAPIError,
    SpecTypeError,
    StatusError,
    TransferError,
    shown_url,
    status_error,
)
from gcapi.progress import Listener, ProgressEvent

if TYPE_CHECKING:
    from pathlib import Path

    from gcapi._calls import Calls
    from gcapi.models import UserUpload, UserUploadComplete, UserUploadPresignedURLs

#: The store's rules: at most this many parts, of at least this many bytes but for the last.
MAX_PARTS = 10_000
MIN_PART_SIZE = 5 * 1024 * 1024
#: The size of a part unless the file needs larger ones, in bytes.
PART_SIZE = 32 * 1024 * 1024
#: How much of a part is handed to the connection at once, in bytes.
BLOCK = 256 * 1024
#: How many presigned URLs are asked for at once.
URL_BATCH = 5


class Readable(Protocol):
    """What a binary file object has to be able to do."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


class Source(Protocol):
    """Something to upload."""

    @property
    def name(self) -> str:
        """The file name that the server is told."""
        ...

    @property
    def size(self) -> int | None:
        """Its length in bytes; `None` where it is only known at the end."""
        ...

    def parts(self, size: int) -> Iterator[bytes]:
        """Yield the content in parts of `size` bytes, the last one shorter."""
        ...


class PathSource:
    """A file on this machine, read while it is sent."""

    def __init__(self, path: Path, name: str) -> None:
        self.path = path
        self.name = check_upload_name(name)

    @property
    def size(self) -> int:
        """Its length now."""
        return self.path.stat().st_size

    def parts(self, size: int) -> Iterator[bytes]:
        """Yield the content.

        Raises:
            TransferError: The file changed its length while it was read.
        """
        expected, seen = self.size, 0
        with self.path.open("rb") as file:
            for part in _blocks(file, size):
                seen += len(part)
                yield part
                del part
        if seen != expected:
            raise TransferError(
                f"{self.path} changed while it was uploaded: it had {expected} bytes, and {seen} were read."
            )


class BytesSource:
    """Bytes in memory."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = data
        self.name = check_upload_name(name)

    @property
    def size(self) -> int:
        """Their number."""
        return len(self.data)

    def parts(self, size: int) -> Iterator[bytes]:
        """Yield the content."""
        for start in range(0, len(self.data) or 1, size):
            yield self.data[start : start + size]


class FileObjectSource:
    """A binary file object, seekable or not, read once from where it stands.

    Raises:
        SpecTypeError: A file that was opened as text.
    """

    def __init__(self, fileobj: Readable, name: str) -> None:
        _check_binary(fileobj)
        self.fileobj = fileobj
        self.name = check_upload_name(name)
        self.size = None

    def parts(self, size: int) -> Iterator[bytes]:
        """Yield the content."""
        yield from _blocks(self.fileobj, size)


def _blocks(file: Readable, size: int) -> Iterator[bytes]:
    """Yield full blocks until the end; one empty block for an empty file, since the store wants a part."""
    is_empty = True
    while block := _full_block(file, size):
        is_empty = False
        yield block
        del block  # before the next one is read
    if is_empty:
        yield b""


def _full_block(file: Readable, size: int) -> bytes:
    """Read until a block is full: pipes and sockets give less than they are asked for."""
    pieces: list[bytes] = []
    missing = size
    while missing:
        piece = file.read(missing)
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise _no_binary(file, type(piece).__name__)
        if not piece:
            break
        pieces.append(bytes(piece))
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _check_binary(file: object) -> None:
    """Refuse a file that was opened as text before anything is sent for it."""
    if isinstance(file, io.TextIOBase):
        raise _no_binary(file, "str")


def _no_binary(file: object, gives: str) -> SpecTypeError:
    return SpecTypeError(f"{file!r} gives {gives}; open the file in binary mode ('rb').")


def part_size(size: int | None) -> int:
    """Return the size of a file's parts in bytes, such that they are no more than the store takes.

    Args:
        size: The file's length; `None` if unknown, for which 10,000 parts reach 312 GiB.
    """
    return PART_SIZE if size is None else max(PART_SIZE, -(-size // MAX_PARTS))


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

        made = self._calls.operation(
            "uploads.uploads_create", body={"filename": check_upload_name(filename)}
        )
        return UserUpload.from_dict(made.to_dict())

    def presigned_urls(
        self, pk: str, s3_upload_id: str, part_numbers: Iterable[int]
    ) -> UserUploadPresignedURLs:
        """Get a URL for each part, good for an hour."""
        answer: UserUploadPresignedURLs = self._calls.operation(
            "uploads.uploads_generate_presigned_urls_partial_update",
            pk,
            s3_upload_id,
            body={"part_numbers": list(part_numbers)},
        )
        return answer

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
        """Upload files, `max_concurrent_uploads` at once, and return them in order.

        Raises:
            StatusError: The API or the store refused one; what was under way is aborted, what was not begun is not.
        """
        stop = threading.Event()
        workers = self._calls.settings.max_concurrent_uploads
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="gcapi-upload") as pool:
            futures = [pool.submit(self._upload, source, stop) for source in sources]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                # On the way out for any reason, Ctrl-C among them, no thread begins another part.
                if not all(future.done() for future in futures) or _first_error(futures):
                    stop.set()
                    pool.shutdown(wait=True, cancel_futures=True)
        error = _first_error(futures)
        if error is not None:
            raise error
        return [future.result() for future in futures]

    def _upload(self, source: Source, stop: threading.Event) -> UserUploadComplete:
        if stop.is_set():
            raise _Stopped
        with ExitStack() as undo:
            undo.callback(stop.set)
            upload = self.create(source.name)
            undo.callback(self._abort_quietly, upload)
            parts = list(self._put_parts(source, upload, stop))
            completed = self.complete(upload.pk, upload.s3_upload_id, parts)
            undo.pop_all()
        return completed

    def _abort_quietly(self, upload: UserUpload) -> None:
        # The error that brought us here is the one to show. An upload that cannot be aborted now is purged by the
        # server after a day.
        with suppress(StatusError, httpx.TransportError):
            self.abort(upload.pk, upload.s3_upload_id)

    def _put_parts(
        self, source: Source, upload: UserUpload, stop: threading.Event
    ) -> Iterator[dict[str, Any]]:
        urls: dict[str, str] = {}
        number, sent, total = 0, 0, source.size
        self._listener(ProgressEvent("upload", source.name, 0, total))
        for data in source.parts(part_size(total)):
            if stop.is_set():
                raise _Stopped
            number += 1  # noqa: SIM113 - `enumerate` holds a part while the next one is read
            if str(number) not in urls:
                urls = self._next_urls(upload, number)
            yield {"ETag": self._put(urls[str(number)], data), "PartNumber": number}
            sent += len(data)
            del data
            self._listener(ProgressEvent("upload", source.name, sent, total))

    def _next_urls(self, upload: UserUpload, number: int) -> dict[str, str]:
        numbers = range(number, min(number + URL_BATCH, MAX_PARTS + 1))
        answer = self.presigned_urls(upload.pk, upload.s3_upload_id, numbers)
        return dict(answer.presigned_urls)

    def _put(self, url: str, data: bytes) -> str:
        client = self._calls.transport.client_for(httpx.URL(url))
        headers = {"Content-Length": str(len(data))}
        with _Body(data) as body:
            response = client.send(client.build_request("PUT", url, content=body, headers=headers))
        if not response.is_success:
            raise status_error(response, storage=True)
        etag = response.headers.get("ETag")
        if not etag:
            raise TransferError(f"The store took a part at {shown_url(url)} and gave it no ETag.")
        return str(etag)


class _Body:
    """A part on its way, in blocks; it can be sent again until it is let go of.

    An answered request is part of a reference cycle, and would keep the part in memory until that is collected.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._data), BLOCK):
            yield self._data[start : start + BLOCK]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._data = b""


class _Stopped(GCAPIError):
    """End an upload because another one of the same call failed."""


def _first_error(futures: Sequence[Future[Any]]) -> BaseException | None:
    """Return the error that began it all, rather than one of those that only stopped."""
    errors = [future.exception() for future in futures if future.done() and not future.cancelled()]
    real = [error for error in errors if error is not None]
    return min(real, key=lambda error: isinstance(error, _Stopped), default=None)


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
