"""Multipart uploads of single files: the requests, and the recovery when one of them fails."""

from __future__ import annotations

import hashlib
import threading
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import httpx

from gcapi import models
from gcapi._api.error_mapping import status_error
from gcapi._api.operations import Calls, plain
from gcapi._api.quota import MAX_USER_UPLOADS
from gcapi._http.retrying import REPEATABLE
from gcapi._http.settings import Settings
from gcapi._http.urls import parse_server_url
from gcapi._transfer.checksums import checksum_of, md5_of_etag, note_opaque_etags
from gcapi._transfer.file_names import check_upload_name
from gcapi._transfer.parts import Part
from gcapi._transfer.upload_sources import PartBody, Source
from gcapi._util.fork_safety import Lock, Slots
from gcapi._util.messages import shown_url
from gcapi._util.scheduler import current_token, sleep
from gcapi.exceptions import (
    PermissionDenied,
    StatusError,
    StorageError,
    TransferError,
    UnexpectedAnswer,
    UploadLimitReached,
)
from gcapi.progress import Progress
from gcapi.retries import TRANSIENT_STATUSES
from grand_challenge_api import api

#: The status of an upload that accepts parts, and of a complete one.
INITIALIZED, COMPLETED = "Initialized", "Completed"
#: How often a part with a wrong checksum is sent.
CHECKSUM_ATTEMPTS = 3
#: Seconds before each retry of a completion whose response was lost.
COMPLETE_PAUSES = (0.4, 0.8)
_FORBIDDEN = 403


class UploadCalls:
    """The requests of uploads.

    Args:
        calls: Calls the API.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.settings: Settings = calls.settings
        self.sleep = sleep
        #: The pks of the latest uploads that this client created.
        self.created: deque[str] = deque(maxlen=MAX_USER_UPLOADS)
        #: The connections to the store, which all calls of the client share.
        self.connections: Slots = Slots(calls.settings.max_concurrent_uploads)

    def create(self, filename: str) -> models.UserUpload:
        """Create an upload."""
        body = {"filename": check_upload_name(filename)}
        upload = models.UserUpload.from_dict(
            self._calls.call(api.uploads_create, body=body).to_dict()
        )
        self.created.append(upload.pk)
        return upload

    def detail(self, pk: str) -> models.UserUpload:
        """Get an upload."""
        return self._calls.call(api.uploads_retrieve, pk)

    def presigned_urls(
        self, pk: str, s3_upload_id: str, part_numbers: Iterable[int]
    ) -> models.UserUploadPresignedURLs:
        """Get a presigned URL for each part, valid for an hour.

        Raises:
            UploadLimitReached: Your uploads exceed your storage quota.
            PermissionDenied: The upload is completed or aborted.
        """
        try:
            return self._calls.call(
                api.uploads_generate_presigned_urls_partial_update,
                pk,
                s3_upload_id,
                body={"part_numbers": list(part_numbers)},
            )
        except UploadLimitReached as error:
            # The server answers the same for an upload that accepts no more parts.
            status = self.detail(pk).status
            if status == INITIALIZED:
                raise
            raise PermissionDenied(
                f"Upload {pk} is {status!r} and accepts no parts. The server says: {error.words}",
                response=error.response,
            ) from error

    def complete(
        self, pk: str, s3_upload_id: str, parts: Iterable[Any]
    ) -> models.UserUploadComplete:
        """Complete an upload from its parts.

        Args:
            pk: The upload's primary key.
            s3_upload_id: The upload's ID in the store.
            parts: Mappings or part models. Only ``ETag`` and ``PartNumber`` are sent, because the server answers 500
                to other fields.
        """
        return self._calls.call(
            api.uploads_complete_multipart_upload_partial_update,
            pk,
            s3_upload_id,
            body={"parts": [_part(part) for part in parts]},
        )

    def abort(self, pk: str, s3_upload_id: str) -> models.UserUpload:
        """Abort an upload; the store deletes its parts."""
        return self._calls.call(api.uploads_abort_multipart_upload_partial_update, pk, s3_upload_id)

    def put(self, url: str, body: PartBody, *, is_repeat: bool) -> str | None:
        """Send a part to its presigned URL; call it with one of the `connections`.

        Args:
            url: The presigned URL.
            body: The part.
            is_repeat: Whether the part arrived with another checksum before. The store is then asked to compare it.

        Returns:
            The part's ETag; `None` if the part arrived with another checksum.

        Raises:
            StorageError: The store refused the part.
            TransferError: The store returned no ETag.
        """
        target = parse_server_url(url)
        client = self._calls.transport.client_for(target)
        headers = {"Content-Length": str(body.length)}
        known_md5 = body.md5 if is_repeat else ""
        if known_md5:
            headers["Content-MD5"] = b64encode(bytes.fromhex(known_md5)).decode("ascii")
        # A part that is sent again replaces itself.
        request = client.build_request(
            "PUT", target, content=body, headers=headers, extensions={REPEATABLE: True}
        )
        response = client.send(request)
        if not response.is_success:
            error = status_error(response, storage=True)
            if known_md5 and error.words.startswith("BadDigest"):
                return None
            raise error
        etag = response.headers.get("ETag")
        if not etag:
            raise TransferError(f"The store returned no ETag for the part at {shown_url(url)}.")
        server = self._calls.transport.server(target)
        checksum = checksum_of(response.headers, server)
        if checksum is None or body.has(checksum):
            if checksum is not None and checksum.is_etag:
                server.has_md5_etags = True
            return str(etag)
        if known_md5 and checksum.is_etag and not server.has_md5_etags:
            # The store found the part to be right, so that its ETags are no MD5 checksums.
            note_opaque_etags(server, target.netloc.decode("ascii"))
            return str(etag)
        return None


class FileUpload:
    """A multipart upload of one file: its parts, their presigned URLs and their ETags.

    Args:
        calls: Calls the API and the store.
        source: The file.
        counter: Counts the bytes that were sent.
        upload: The upload to resume; `None` to create one.
    """

    def __init__(
        self,
        calls: UploadCalls,
        source: Source,
        counter: Progress,
        upload: models.UserUpload | None = None,
    ) -> None:
        self.source = source
        self.counter = counter
        self.upload = upload
        self.is_being_created = False
        #: How many of its parts are sent at once.
        self.connections = calls.connections.count
        self.completed: models.UserUploadComplete | None = None
        self._parts: list[Part] = []
        self._calls = calls
        self._etags: dict[int, str] = {}
        self._urls: dict[int, str] = {}
        self._url_lock = Lock()
        self._lock = threading.Lock()

    def create(self) -> None:
        """Create the upload."""
        self.is_being_created = True
        try:
            self.upload = self._calls.create(self.source.name)
        finally:
            self.is_being_created = False

    def plan(self, parts: list[Part]) -> bool:
        """Set the parts, and return whether all of them were already sent, as those of a file object may be."""
        with self._lock:
            self._parts = parts
            return len(self._etags) == len(parts)

    @property
    def is_planned(self) -> bool:
        """Return whether the parts are set."""
        return bool(self._parts)

    def keep_if_same(self, part: Part, stored: Mapping[str, Any]) -> None:
        """Keep a part that the store has, if its length and MD5 match the file."""
        md5 = md5_of_etag(stored["ETag"])
        if stored["Size"] != part.length or md5 is None:
            return
        digest = hashlib.md5(usedforsecurity=False)
        for block in self.source.read(part):
            digest.update(block)
        if digest.hexdigest() == md5:
            self._etags[part.number] = stored["ETag"]
            self.counter.add(part.length)

    def missing(self) -> list[Part]:
        """Return the parts that the store does not have."""
        return [part for part in self._parts if part.number not in self._etags]

    def send(self, part: Part, read: Callable[[], Iterator[bytes]]) -> None:
        """Send one part; after the last one, complete the upload.

        Args:
            part: The part.
            read: Returns an iterator over its bytes.
        """
        body = PartBody(read, part.length, self.counter.add)
        try:
            self._url(part.number)  # before a connection is held
            with self._calls.connections.hold_one():
                try:
                    etag = self._send_checked(part, body)
                except BaseException as error:
                    # While the connection is held, so that no waiting thread sends a further part.
                    current_token().cancel(error)
                    raise
        finally:
            body.release()
        with self._lock:
            self._etags[part.number] = etag
            is_last = bool(self._parts) and len(self._etags) == len(self._parts)
        if is_last:
            self.complete()

    def _send_checked(self, part: Part, body: PartBody) -> str:
        for attempt in range(CHECKSUM_ATTEMPTS):
            etag = self._put_with_fresh_url(part, body, is_repeat=attempt > 0)
            if etag is not None:
                return etag
        raise TransferError(
            f"Part {part.number} of {self.source.name!r} reached the store with another checksum"
            f" {CHECKSUM_ATTEMPTS} times; something on the way changes it."
        )

    def _put_with_fresh_url(self, part: Part, body: PartBody, *, is_repeat: bool) -> str | None:
        try:
            return self._calls.put(self._url(part.number), body, is_repeat=is_repeat)
        except StorageError as error:
            if error.status_code != _FORBIDDEN:
                raise
        # A presigned URL expires after an hour. A refusal of a fresh one has another cause.
        try:
            return self._calls.put(self._url(part.number, fresh=True), body, is_repeat=is_repeat)
        except StorageError as error:
            if error.status_code == _FORBIDDEN:
                error.add_note(
                    "A fresh URL was refused too. A proxy that changes requests, or a wrong clock, can be the cause."
                )
            raise

    def _url(self, number: int, *, fresh: bool = False) -> str:
        upload = self.upload
        assert upload is not None
        with self._url_lock:
            if fresh or number not in self._urls:
                numbers = [number] if fresh else self._batch_of(number)
                answer = self._calls.presigned_urls(upload.pk, upload.s3_upload_id, numbers)
                self._urls.update(_by_number(answer.presigned_urls))
            if number not in self._urls:
                raise UnexpectedAnswer(f"The server gave no URL for part {number} of {upload.pk}.")
            return self._urls[number]

    def _batch_of(self, number: int) -> list[int]:
        """Return the numbers of a part, and of missing parts beside it, so that batches do not overlap.

        The further parts of a file object are unknown, so each of them is a batch of its own.
        """
        size = self._calls.settings.max_concurrent_uploads
        first = number - (number - 1) % size
        return [
            one
            for one in range(first, first + size)
            if one == number or (one <= len(self._parts) and one not in self._etags)
        ]

    def complete(self) -> None:
        """Complete the upload; after a lost response, its status decides whether to try again."""
        self.source.check_unchanged()
        upload = self.upload
        assert upload is not None
        parts = [{"ETag": etag, "PartNumber": n} for n, etag in sorted(self._etags.items())]
        for pause in (*COMPLETE_PAUSES, None):
            try:
                self.completed = self._calls.complete(upload.pk, upload.s3_upload_id, parts)
            except (httpx.TransportError, StatusError) as error:
                if isinstance(error, StatusError) and not error.response.is_server_error:
                    raise
                current = self._calls.detail(upload.pk)
                if current.status == COMPLETED:
                    self.completed = models.UserUploadComplete.from_dict(current.to_dict())
                elif pause is None or not is_interruption(error):
                    raise
                else:
                    self._calls.sleep(pause)
            if self.completed is not None:
                self.source.release()
                return


def is_interruption(error: BaseException) -> bool:
    """Return whether an error is one of the connection or transient, so that the upload can be resumed later."""
    if isinstance(error, StatusError):
        return error.status_code in TRANSIENT_STATUSES
    return isinstance(error, httpx.TransportError)


def _by_number(urls: Any) -> dict[int, str]:
    """Return presigned URLs by part number; raise `UnexpectedAnswer` if the server sent anything else."""
    try:
        return {int(number): str(url) for number, url in urls.items()}
    except (AttributeError, ValueError) as error:
        raise UnexpectedAnswer("The server gave no URLs for the parts of an upload.") from error


def _part(part: Any) -> dict[str, Any]:
    """Return the two fields of a part that the server accepts; raise `TypeError` if one is missing."""
    fields: Mapping[str, Any] = plain(part)
    try:
        return {"ETag": fields["ETag"], "PartNumber": fields["PartNumber"]}
    except KeyError as error:
        raise TypeError(f"A part needs ETag and PartNumber; {error.args[0]} is missing.") from error
