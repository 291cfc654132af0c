"""Uploads, which wrap the multipart uploads of S3."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, TypedDict, TypeVar

from gcapi_sandbox._database.records import Part, Upload
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import (
    ForbiddenError,
    NotFoundError,
    ServerError,
    non_field_error,
)
from gcapi_sandbox._http.fields import FieldError, Fields, integer, list_of, list_of_objects, text
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._object_store.signers import BUCKET_ROOT, object_signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._util.json_types import Json


T = TypeVar("T")
_part_number = integer(1, 10_000)


class NamedPart(TypedDict):
    """A part in the request that completes an upload."""

    PartNumber: int
    ETag: str | None
    has_unknown_keys: bool  # keys that S3 refuses


def _key(upload: Upload) -> str:
    return f"uploads/{upload.creator}/{upload.pk}"


def _render(call: Call, upload: Upload) -> dict[str, Json]:
    return {
        "pk": upload.pk,
        "created": upload.created,
        "filename": upload.filename,
        "key": _key(upload),
        "s3_upload_id": upload.s3_upload_id,
        "status": upload.status,
        "api_url": call.api_url(f"uploads/{upload.pk}/"),
    }


register_reads("uploads", Upload, _render, order="pk", model="UserUpload")


@operation("uploads_create")
def create_upload(call: Call) -> Reply:
    """Start an upload."""
    fields = call.fields
    filename = fields.require("filename", _filename)
    fields.check()
    if call.visible(Upload).count() >= call.state.limits.uploads_per_user:
        raise non_field_error("You have created too many uploads. Please try again later.")
    upload = Upload(creator=call.user_id, filename=filename, s3_upload_id=secrets.token_urlsafe(48))
    return Reply(201, _render(call, call.store.add(upload)))


def _filename(data: Json) -> str:
    name = text(128)(data)
    if "/" in name or name == ".":
        raise FieldError(f"{name} is not a valid filename")
    return name


def _named_upload(call: Call) -> Upload:
    """Return the upload with both ids of the path."""
    upload = call.lookup(Upload, "UserUpload")
    if not upload.s3_upload_id or upload.s3_upload_id != call.params["s3_upload_id"]:
        raise NotFoundError
    return upload


def _open_upload(call: Call) -> Upload:
    """Return the upload of the path; S3 fails if it is completed or aborted."""
    upload = _named_upload(call)
    if upload.status != "Initialized":
        raise ServerError
    return upload


def _stored_parts(call: Call, upload: Upload) -> list[Part]:
    return list(call.store.rows(Part, "upload = ?", upload.pk, order="number"))


def _stored_bytes(call: Call, upload: Upload) -> int:
    sql = """
        SELECT coalesce(sum(size), 0) FROM Part JOIN Upload ON Upload.pk = Part.upload
        WHERE Upload.creator = ? AND (Upload.status = 'Completed' OR Upload.pk = ?)
    """
    return int(call.store.execute(sql, call.user_id, upload.pk)[0][0])


@operation("uploads_generate_presigned_urls_partial_update")
def presign_parts(call: Call) -> Reply:
    """Return a presigned URL for each part number."""
    upload = _named_upload(call)
    full = _stored_bytes(call, upload) >= call.state.limits.upload_bytes
    if full or upload.status != "Initialized":
        raise ForbiddenError("Upload limit reached")
    numbers = _required(call.fields, "part_numbers", list_of(_part_number))
    urls = {str(number): _part_url(call, upload, number) for number in numbers}
    return Reply(200, {**_render(call, upload), "presigned_urls": urls})


def _required(fields: Fields, name: str, parse: Callable[[Json], T]) -> T:
    if name not in fields.body:
        raise non_field_error(f"The `{name}` field is required")
    found = fields.require(name, parse)
    fields.check()
    return found


def _part_url(call: Call, upload: Upload, number: int) -> str:
    return object_signer(call.state).sign_url(
        "PUT",
        f"{BUCKET_ROOT}{_key(upload)}",
        call.state.limits.presigned_url_seconds,
        {"uploadId": upload.s3_upload_id, "partNumber": str(number)},
    )


@operation("uploads_list_parts_retrieve")
def list_parts(call: Call) -> Reply:
    """List the stored parts of an upload."""
    upload = _open_upload(call)
    parts = [
        {
            "ETag": part.etag,
            "PartNumber": part.number,
            "LastModified": part.modified,
            "Size": part.size,
        }
        for part in _stored_parts(call, upload)
    ]
    return Reply(200, {**_render(call, upload), "parts": parts})


@operation("uploads_complete_multipart_upload_partial_update")
def complete_upload(call: Call) -> Reply:
    """Complete an upload; the errors of S3 become server errors."""
    upload = _named_upload(call)
    named = _required(call.fields, "parts", list_of_objects(_named_part))
    if upload.status != "Initialized":
        raise ServerError
    _check_parts(call, upload, named)
    upload.status, upload.parts = "Completed", [part["PartNumber"] for part in named]
    call.store.save(upload)
    return Reply(200, _render(call, upload))


def _named_part(item: dict[str, Json]) -> NamedPart:
    fields = Fields(item)
    number = fields.require("PartNumber", _part_number)
    etag = fields.optional("ETag", text(), None)
    fields.check()
    return {
        "PartNumber": number,
        "ETag": etag,
        "has_unknown_keys": bool({"LastModified", "Size"} & item.keys()),
    }


def _check_parts(call: Call, upload: Upload, named: list[NamedPart]) -> None:
    """Check S3's rules: stored and unchanged parts, in ascending order, all but the last large enough."""
    stored = {part.number: part for part in _stored_parts(call, upload)}
    numbers = [part["PartNumber"] for part in named]
    ascending = numbers == sorted(set(numbers))
    if not named or not ascending or not all(_is_stored(part, stored) for part in named):
        raise ServerError
    smallest = call.state.limits.smallest_part
    if any(stored[number].size < smallest for number in numbers[:-1]):
        raise ServerError


def _is_stored(part: NamedPart, stored: dict[int, Part]) -> bool:
    known = stored.get(part["PartNumber"])
    if known is None or part["ETag"] is None or part["has_unknown_keys"]:
        return False
    return part["ETag"].strip('"') == known.etag.strip('"')


@operation("uploads_abort_multipart_upload_partial_update")
def abort_upload(call: Call) -> Reply:
    """Abort an upload."""
    upload = _open_upload(call)
    objects.delete_parts(call.state, upload.pk)
    upload.status, upload.s3_upload_id = "Aborted", ""
    call.store.save(upload)
    return Reply(200, _render(call, upload))
