"""The storage origin: signed requests only, and never an API token."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import uuid
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response

from gcapi_sandbox import _auth, _objects
from gcapi_sandbox._recipes import DICOM_ROOT
from gcapi_sandbox._recipes import signer as dicom_signer
from gcapi_sandbox._records import Image, Instance, Part, StoredObject, Upload, now
from gcapi_sandbox._signing import BadSignature
from gcapi_sandbox._uploads import BUCKET, signer

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.types import Receive, Scope, Send

    from gcapi_sandbox._state import State

MEDIA = "/media/"


class StorageError(Exception):
    """Answered with S3's XML."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Storage:
    """The ASGI application that takes parts and hands out files."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._route(request)
        except BadSignature as error:
            response = _refusal(request, StorageError(403, error.code, str(error)))
        except StorageError as error:
            response = _refusal(request, error)
        await response(scope, receive, send)

    async def _route(self, request: Request) -> Response:
        path = request.url.path
        header = request.headers.get("authorization", "").encode("latin-1")
        if _auth.scheme(header).lower() == "bearer":
            raise StorageError(400, "InvalidArgument", "Unsupported Authorization Type")
        if path.startswith(DICOM_ROOT):
            return self._dicom(request)
        signed = signer(self._state).check_url(request.method, path, request.url.query)
        if request.method == "PUT":
            return await self._put_part(request, signed)
        return self._get(path)

    def _get(self, path: str) -> Response:
        key = path.removeprefix(MEDIA)
        stored = self._state.store.find(StoredObject, "pk = ?", key)
        if stored is None:
            raise StorageError(404, "NoSuchKey", "The specified key does not exist.")
        return self._file(stored)

    def _file(self, stored: StoredObject, content_type: str = "") -> Response:
        return FileResponse(
            self._state.objects / stored.pk,
            headers={"ETag": stored.etag, "Content-Type": content_type or stored.content_type},
        )

    async def _put_part(self, request: Request, signed: dict[str, str]) -> Response:
        upload = self._upload(request.url.path, signed.get("uploadId", ""))
        number = int(signed["partNumber"])
        temporary = self._state.incoming / uuid.uuid4().hex
        try:
            etag, size = await _receive(request, temporary)
            self._keep(Part(upload=upload.pk, number=number, etag=etag, size=size), temporary)
        finally:
            temporary.unlink(missing_ok=True)
        return Response(headers={"ETag": etag})

    def _keep(self, part: Part, temporary: Path) -> None:
        store = self._state.store
        with store.transaction():
            if not store.rows(Upload, "pk = ? AND status = 'Initialized'", part.upload):
                raise _no_such_upload()
            part.modified = now()
            _objects.keep_part(self._state, part, temporary)

    def _upload(self, path: str, s3_upload_id: str) -> Upload:
        pk = path.removeprefix(f"/{BUCKET}/").rpartition("/")[2]
        upload = self._state.store.find(
            Upload,
            "pk = ? AND s3_upload_id = ? AND status = 'Initialized'",
            pk,
            s3_upload_id,
        )
        if upload is None:
            raise _no_such_upload()
        return upload

    def _dicom(self, request: Request) -> Response:
        dicom_signer(self._state).check_headers(
            request.method,
            request.url.path,
            request.url.query,
            dict(request.headers),
            self._state.limits.dicom_recipe_seconds,
        )
        if found := re.search(r"/instances/([^/]+)$", request.url.path):
            return self._instance(request.query_params.get("imageSetId", ""), found[1])
        if found := re.search(r"/imageSet/(\w+)/getImageSetMetadata$", request.url.path):
            return self._metadata(found[1])
        raise StorageError(501, "NotImplemented", "Frames are not served by the sandbox.")

    def _instance(self, image_set: str, uid: str) -> Response:
        instance = self._state.store.find(
            Instance, "image_set_id = ? AND sop_instance_uid = ?", image_set, uid
        )
        if instance is None:
            raise StorageError(404, "ResourceNotFoundException", "No such instance")
        stored = self._state.store.get(StoredObject, instance.key)
        return self._file(stored, "application/dicom")

    def _metadata(self, image_set: str) -> Response:
        image = self._state.store.find(Image, "image_set_id = ?", image_set)
        if image is None:
            raise StorageError(404, "ResourceNotFoundException", "No such image set")
        content = gzip.compress(json.dumps({"ImageSetID": image_set, **image.tags}).encode())
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return Response(content, headers=headers)


def _no_such_upload() -> StorageError:
    return StorageError(404, "NoSuchUpload", "The specified multipart upload does not exist.")


async def _receive(request: Request, target: Path) -> tuple[str, int]:
    """Write the body to a file as it comes; return its ETag and its size."""
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


def _refusal(request: Request, error: StorageError) -> Response:
    content = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
        f"<Resource>{escape(request.url.path)}</Resource>"
        f"<RequestId>{uuid.uuid4().hex[:16].upper()}</RequestId></Error>"
    )
    return Response(content, error.status, media_type="application/xml")
