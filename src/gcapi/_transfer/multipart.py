"""One multipart upload: its calls to the API, its parts to the store, and what is done when one of them fails."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx

from gcapi._api.error_mapping import status_error
from gcapi._api.operations import plain
from gcapi._http.retrying import REPEATABLE
from gcapi._http.urls import parse_server_url
from gcapi._transfer.file_names import check_upload_name
from gcapi._transfer.upload_sources import PartBody, Source, body_of, body_of_bytes
from gcapi._util.messages import shown_url
from gcapi.exceptions import (
    GCAPIError,
    PermissionDenied,
    StatusError,
    StorageError,
    TransferError,
    UnexpectedAnswer,
    UploadLimitReached,
)
from gcapi.retries import TRANSIENT_STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gcapi._api.operations import Calls
    from gcapi._api.quota import LimitWait
    from gcapi._transfer.parts import Part
    from gcapi.models import UserUpload, UserUploadComplete, UserUploadPresignedURLs
    from gcapi.progress import Progress

#: How often a part whose checksum differs is sent before it is given up.
CHECKSUM_ATTEMPTS = 3
#: Seconds before each further attempt at completing an upload whose answer was lost, and so how many there are.
PAUSES = (0.4, 0.8)
COMPLETE_ATTEMPTS = 1 + len(PAUSES)
_MD5 = re.compile(r"[0-9a-f]{32}")
_FORBIDDEN = 403


class UploadCalls:
    """The requests that an upload is made of.

    Args:
        calls: Calls the API.
        sleep: Waits for a number of seconds.
    """

    def __init__(self, calls: Calls, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._calls = calls
        self.sleep = sleep

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

    def put(self, url: str, body: PartBody) -> str:
        """Send a part to its URL and return its ETag.

        Raises:
            StorageError: The store refused.
            TransferError: It gave no ETag.
        """
        target = parse_server_url(url)
        client = self._calls.transport.client_for(target)
        headers = {"Content-Length": str(body.length)}
        # A part that is sent again replaces itself.
        request = client.build_request(
            "PUT", target, content=body, headers=headers, extensions={REPEATABLE: True}
        )
        response = client.send(request)
        if not response.is_success:
            raise status_error(response, storage=True)
        etag = response.headers.get("ETag")
        if not etag:
            raise TransferError(f"The store took a part at {shown_url(url)} and gave it no ETag.")
        return str(etag)


class Stopped(GCAPIError):
    """End a step because another one of the same call failed."""


def go_on(stop: threading.Event) -> None:
    """Go on, unless the call has failed.

    Raises:
        Stopped: It has.
    """
    if stop.is_set():
        raise Stopped


class FileUpload:
    """One upload on its way: its parts, their URLs and their ETags.

    Args:
        calls: Calls the API and the store.
        source: What is uploaded.
        counter: Counts its bytes.
        stop: Set when the call that it belongs to has failed.
        upload: The upload to go on with; `None` to create one.
    """

    def __init__(
        self,
        calls: UploadCalls,
        source: Source,
        counter: Progress,
        stop: threading.Event,
        upload: UserUpload | None = None,
    ) -> None:
        self.source = source
        self.counter = counter
        self.upload = upload
        self.result: Future[UserUploadComplete] = Future()
        self._pieces: list[Part] = []
        self._calls = calls
        self._stop = stop
        self._etags: dict[int, str] = {}
        self._urls: dict[int, str] = {}
        self._url_lock = threading.Lock()
        self._lock = threading.Lock()

    @property
    def is_unfinished(self) -> bool:
        """Whether there is an upload at the server that is not complete."""
        return self.upload is not None and (
            not self.result.done() or self.result.exception() is not None
        )

    def plan(self, pieces: list[Part]) -> bool:
        """Set the parts, and tell whether all of them were sent already, as those of a file object may be."""
        with self._lock:
            self._pieces = pieces
            return len(self._etags) == len(pieces)

    def keep_if_same(self, piece: Part, held: Mapping[str, Any]) -> None:
        """Keep a part that the store has, if its length and its MD5 are those of the file."""
        md5 = _md5_of(held["ETag"])
        if held["Size"] != piece.length or md5 is None:
            return
        body = body_of(self.source, piece, lambda _: None)
        for _ in body:
            pass
        if body.md5 == md5:
            self._etags[piece.number] = held["ETag"]
            self.counter.add(piece.length)

    def begin(self, limits: LimitWait) -> None:
        """Create the upload, unless one is taken up; wait for a limit that stands in the way."""
        if self.upload is None:
            self.upload = limits.call(lambda: self._calls.create(self.source.name))

    def missing(self) -> list[Part]:
        """Return the parts that the store does not have."""
        return [piece for piece in self._pieces if piece.number not in self._etags]

    def send(self, piece: Part, data: bytes | bytearray | None, batch: int) -> bool:
        """Send one part, and tell whether it was the last that was missing.

        Args:
            piece: The part.
            data: Its bytes, where they are in memory; `None` to read them from the source.
            batch: How many URLs to ask for at once.
        """

        def count(sent: int) -> None:
            go_on(self._stop)
            self.counter.add(sent)

        body = body_of(self.source, piece, count) if data is None else body_of_bytes(data, count)
        try:
            etag = self._sent_whole(piece, body, batch)
        finally:
            body.release()
        with self._lock:
            self._etags[piece.number] = etag
            return bool(self._pieces) and len(self._etags) == len(self._pieces)

    def _sent_whole(self, piece: Part, body: PartBody, batch: int) -> str:
        for _ in range(CHECKSUM_ATTEMPTS):
            etag = self._put_with_fresh_url(piece, body, batch)
            if _md5_of(etag) in {None, body.md5}:
                return etag
        raise TransferError(
            f"Part {piece.number} of {self.source.name!r} reached the store with another checksum"
            f" {CHECKSUM_ATTEMPTS} times; something on the way changes it."
        )

    def _put_with_fresh_url(self, piece: Part, body: PartBody, batch: int) -> str:
        try:
            return self._calls.put(self._url(piece.number, batch), body)
        except StorageError as error:
            if error.status_code != _FORBIDDEN:
                raise
        # A presigned URL expires after an hour; one that is refused when it is fresh has another reason.
        try:
            return self._calls.put(self._url(piece.number, batch, fresh=True), body)
        except StorageError as error:
            if error.status_code == _FORBIDDEN:
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
                answer = self._calls.presigned_urls(upload.pk, upload.s3_upload_id, numbers)
                self._urls.update(_by_number(answer.presigned_urls))
            if number not in self._urls:
                raise UnexpectedAnswer(f"The server gave no URL for part {number} of {upload.pk}.")
            return self._urls[number]

    def _end(self, number: int) -> int:
        """Return the number after the last part, or after this one where that is not known."""
        return (self._pieces[-1].number if self._pieces else number) + 1

    def complete(self) -> UserUploadComplete:
        """Put the parts together; after a lost answer the upload's status decides."""
        self.source.check_unchanged()
        upload = self.upload
        assert upload is not None
        parts = [{"ETag": etag, "PartNumber": n} for n, etag in sorted(self._etags.items())]
        for attempt in range(1, COMPLETE_ATTEMPTS + 1):
            try:
                return self._calls.complete(upload.pk, upload.s3_upload_id, parts)
            except (httpx.TransportError, StatusError) as error:
                if isinstance(error, StatusError) and not error.response.is_server_error:
                    raise
                done = self._completed()
                if done is not None:
                    return done
                if attempt == COMPLETE_ATTEMPTS or not is_interruption(error):
                    raise
            self._calls.sleep(PAUSES[attempt - 1])
        raise AssertionError

    def _completed(self) -> UserUploadComplete | None:
        from gcapi.models import UserUploadComplete

        assert self.upload is not None
        current = self._calls.detail(self.upload.pk)
        if current.status != "Completed":
            return None
        return UserUploadComplete.from_dict(current.to_dict())

    def abort_quietly(self) -> None:
        """Give the upload up, if the server can be reached."""
        assert self.upload is not None
        # The error that brought us here is the one to show; what is not aborted is purged after a day.
        with suppress(GCAPIError, httpx.TransportError):
            self._calls.abort(self.upload.pk, self.upload.s3_upload_id)


def is_interruption(error: BaseException) -> bool:
    """Tell whether what failed was the way, so that the same may work later; the work itself was not refused."""
    if isinstance(error, StatusError):
        return error.status_code in TRANSIENT_STATUSES
    return isinstance(error, httpx.TransportError)


def _by_number(urls: Any) -> dict[int, str]:
    """Return the URLs of parts by the parts' numbers.

    Raises:
        UnexpectedAnswer: The server gave something else.
    """
    try:
        return {int(number): str(url) for number, url in urls.items()}
    except (AttributeError, ValueError) as error:
        raise UnexpectedAnswer("The server gave no URLs for the parts of an upload.") from error


def _md5_of(etag: str) -> str | None:
    """Return the MD5 that an ETag is, or `None` where it is something else."""
    bare = etag.strip('"').lower()
    return bare if _MD5.fullmatch(bare) else None


def _part(part: Any) -> dict[str, Any]:
    """Return the two fields of a part that the server takes.

    Raises:
        TypeError: The part has not both.
    """
    fields: Mapping[str, Any] = plain(part)
    try:
        return {"ETag": fields["ETag"], "PartNumber": fields["PartNumber"]}
    except KeyError as error:
        raise TypeError(f"A part needs ETag and PartNumber; {error.args[0]} is missing.") from error
