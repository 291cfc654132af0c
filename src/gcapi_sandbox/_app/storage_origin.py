"""The storage origin, which accepts signed requests only and refuses API tokens."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import uuid
from base64 import b64encode
from http import HTTPStatus
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response

from gcapi_sandbox._database.records import Image, Instance, Part, StoredObject, Upload
from gcapi_sandbox._http import authentication
from gcapi_sandbox._imaging.dicom import frame_ids, read_frame
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._object_store.conditional_requests import ConditionError, wants_range
from gcapi_sandbox._object_store.signatures import SignatureError
from gcapi_sandbox._object_store.signers import (
    BUCKET_ROOT,
    DICOM_ROOT,
    MEDIA_ROOT,
    dicom_signer,
    object_signer,
)

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from gcapi_sandbox._state import State

_PIXELS = "application/octet-stream"


class StorageError(Exception):
    """Raised when a request is answered with an XML error, like that of S3."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class StorageOrigin:
    """The ASGI application that stores parts of uploads and serves files."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request."""
        request = Request(scope, receive)
        try:
            response = await self._route(request)
        except SignatureError as error:
            response = _error_response(request, StorageError(403, error.code, str(error)))
        except ConditionError as error:
            response = _error_response(request, StorageError(error.status, error.code, str(error)))
            response.headers.update(error.headers)
        except StorageError as error:
            response = _error_response(request, error)
        await response(scope, receive, send)

    async def _route(self, request: Request) -> Response:
        path = request.url.path
        header = request.headers.get("authorization", "").encode("latin-1")
        if authentication.scheme(header).lower() == "bearer":
            raise StorageError(400, "InvalidArgument", "Unsupported Authorization Type")
        if path.startswith(DICOM_ROOT):
            return await self._dicom(request)
        signed = object_signer(self._state).verify_url(request.method, path, request.url.query)
        if request.method == "PUT":
            return await self._put_part(request, signed)
        return self._get(request)

    def _get(self, request: Request) -> Response:
        key = request.url.path.removeprefix(MEDIA_ROOT)
        stored = self._state.store.find(StoredObject, "pk = ?", key)
        if stored is None:
            raise StorageError(404, "NoSuchKey", "The specified key does not exist.")
        return self._file(request, stored)

    def _file(self, request: Request, stored: StoredObject, content_type: str = "") -> Response:
        path = self._state.objects / stored.pk
        if not wants_range(request.headers, stored.etag, path.stat().st_size):
            # S3 ignores several ranges and invalid ones, which Starlette does not.
            headers = request.scope["headers"]
            request.scope["headers"] = [pair for pair in headers if pair[0] != b"range"]
        return FileResponse(
            path,
            headers={"ETag": stored.etag, "Content-Type": content_type or stored.content_type},
        )

    async def _put_part(self, request: Request, signed: dict[str, str]) -> Response:
        upload = self._upload(request.url.path, signed.get("uploadId", ""))
        number = int(signed["partNumber"])
        temporary = self._state.incoming / uuid.uuid4().hex
        try:
            etag, size = await _write_body(request, temporary)
            _check_digest(request, etag)
            self._store_part(Part(upload=upload.pk, number=number, etag=etag, size=size), temporary)
        finally:
            temporary.unlink(missing_ok=True)
        return Response(headers={"ETag": etag})

    def _store_part(self, part: Part, temporary: Path) -> None:
        store = self._state.store
        with store.transaction():
            if not store.rows(Upload, "pk = ? AND status = 'Initialized'", part.upload):
                raise _no_such_upload()
            part.modified = self._state.clock.text()
            objects.store_part(self._state, part, temporary)

    def _upload(self, path: str, s3_upload_id: str) -> Upload:
        pk = path.removeprefix(BUCKET_ROOT).rpartition("/")[2]
        upload = self._state.store.find(
            Upload,
            "pk = ? AND s3_upload_id = ? AND status = 'Initialized'",
            pk,
            s3_upload_id,
        )
        if upload is None:
            raise _no_such_upload()
        return upload

    async def _dicom(self, request: Request) -> Response:
        dicom_signer(self._state).verify_headers(
            request.method,
            request.url.path,
            request.url.query,
            dict(request.headers),
            self._state.limits.dicom_recipe_seconds,
        )
        if found := re.search(r"/instances/([^/]+)$", request.url.path):
            return self._instance(request, request.query_params.get("imageSetId", ""), found[1])
        if found := re.search(r"/imageSet/(\w+)/getImageSetMetadata$", request.url.path):
            return self._metadata(found[1])
        if found := re.search(r"/imageSet/(\w+)/getImageFrame$", request.url.path):
            wanted = _frame_id(await request.body())
            return await run_in_threadpool(self._frame, found[1], wanted)
        raise _resource_not_found("operation")

    def _instance(self, request: Request, image_set: str, uid: str) -> Response:
        instance = self._state.store.find(
            Instance, "image_set_id = ? AND sop_instance_uid = ?", image_set, uid
        )
        if instance is None:
            raise _resource_not_found("instance")
        stored = self._state.store.get(StoredObject, instance.key)
        return self._file(request, stored, "application/dicom")

    def _frame(self, image_set: str, frame: str) -> Response:
        """Return the pixels of a frame, uncompressed, whereas AWS sends HTJ2K."""
        for instance in self._state.store.rows(Instance, "image_set_id = ?", image_set):
            if frame in (frames := frame_ids(instance)):
                path = self._state.objects / instance.key
                return Response(read_frame(path, frames.index(frame)), media_type=_PIXELS)
        raise _resource_not_found("frame")

    def _metadata(self, image_set: str) -> Response:
        image = self._state.store.find(Image, "image_set_id = ?", image_set)
        if image is None:
            raise _resource_not_found("image set")
        content = gzip.compress(json.dumps({"ImageSetID": image_set, **image.tags}).encode())
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return Response(content, headers=headers)


def _resource_not_found(kind: str) -> StorageError:
    return StorageError(404, "ResourceNotFoundException", f"No such {kind}")


def _frame_id(body: bytes) -> str:
    try:
        return str(json.loads(body)["imageFrameId"])
    except (ValueError, KeyError, TypeError):
        raise StorageError(400, "ValidationException", "An imageFrameId is needed.") from None


def _no_such_upload() -> StorageError:
    return StorageError(404, "NoSuchUpload", "The specified multipart upload does not exist.")


async def _write_body(request: Request, target: Path) -> tuple[str, int]:
    """Write the body to a file in chunks, and return its ETag and its size."""
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    try:
        with target.open("wb") as file:
            async for chunk in request.stream():
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
    except ClientDisconnect:
        raise StorageError(400, "RequestTimeout", "The connection was closed.") from None
    return f'"{digest.hexdigest()}"', size


def _check_digest(request: Request, etag: str) -> None:
    """Raise StorageError if the client's checksum of a body is not that of the body, whose quoted MD5 is given."""
    told = request.headers.get("content-md5")
    if told is not None and told != b64encode(bytes.fromhex(etag.strip('"'))).decode():
        message = "The Content-MD5 you specified did not match what we received."
        raise StorageError(400, "BadDigest", message)


def _error_response(request: Request, error: StorageError) -> Response:
    content = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
        f"<Resource>{escape(request.url.path)}</Resource>"
        f"<RequestId>{uuid.uuid4().hex[:16].upper()}</RequestId></Error>"
    )
    return Response(
        None if error.status == HTTPStatus.NOT_MODIFIED else content,
        error.status,
        media_type="application/xml",
    )
