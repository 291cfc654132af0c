"""Uploads: a state machine around S3's multipart uploads."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, TypedDict, TypeVar

from gcapi_sandbox._database.records import Part, Upload
from gcapi_sandbox._http.errors import BadRequest, Forbidden, Json, NotFound, ServerError, refused
from gcapi_sandbox._http.fields import FieldError, Fields, elements, integer, text
from gcapi_sandbox._http.handlers import Call, Reply, operation
from gcapi_sandbox._http.json_types import is_array, is_object
from gcapi_sandbox._http.pagination import paginate
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._object_store.signatures import Signer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._database.state import State

T = TypeVar("T")
BUCKET = "uploads"
_part_number = integer(1, 10_000)


class Named(TypedDict):
    """A part as the client names it when it completes the upload."""

    PartNumber: int
    ETag: str | None
    stray: bool  # holds keys that S3 does not know


def signer(state: State) -> Signer:
    """Return the signer of the storage origin."""
    return Signer(state.secret, state.storage_url.removeprefix("http://").rstrip("/"))


def key_of(upload: Upload) -> str:
    """Return where S3 keeps an upload."""
    return f"uploads/{upload.creator}/{upload.pk}"


def render(call: Call, upload: Upload) -> dict[str, Json]:
    """Show an upload."""
    return {
        "pk": upload.pk,
        "created": upload.created,
        "filename": upload.filename,
        "key": key_of(upload),
        "s3_upload_id": upload.s3_upload_id,
        "status": upload.status,
        "api_url": call.link(f"uploads/{upload.pk}/"),
    }


@operation("uploads_list")
def list_uploads(call: Call) -> Reply:
    """List the caller's uploads, in no order that means anything."""
    return paginate(call, call.visible(Upload).sorted("pk"), render)


@operation("uploads_retrieve")
def retrieve_upload(call: Call) -> Reply:
    """Show one upload."""
    return Reply(200, render(call, call.lookup(Upload, "UserUpload")))


@operation("uploads_create")
def create_upload(call: Call) -> Reply:
    """Begin an upload."""
    fields = call.fields
    filename = fields.require("filename", _filename)
    fields.check()
    if call.visible(Upload).count() >= call.state.limits.uploads_per_user:
        raise refused("You have created too many uploads. Please try again later.")
    upload = Upload(creator=call.user_id, filename=filename, s3_upload_id=secrets.token_urlsafe(48))
    return Reply(201, render(call, call.store.add(upload)))


def _filename(data: Json) -> str:
    name = text(128)(data)
    if "/" in name or name == ".":
        raise FieldError(f"{name} is not a valid filename")
    return name


def _named_upload(call: Call) -> Upload:
    """Return the upload that both ids of the path name."""
    upload = call.lookup(Upload, "UserUpload")
    if not upload.s3_upload_id or upload.s3_upload_id != call.params["s3_upload_id"]:
        raise NotFound
    return upload


def _open_upload(call: Call) -> Upload:
    """Return the upload that the path names; S3 fails for one that is over."""
    upload = _named_upload(call)
    if upload.status != "Initialized":
        raise ServerError
    return upload


def _parts(call: Call, upload: Upload) -> list[Part]:
    return list(call.store.rows(Part, "upload = ?", upload.pk, order="number"))


def _stored_bytes(call: Call, upload: Upload) -> int:
    sql = """
        SELECT coalesce(sum(size), 0) FROM Part JOIN Upload ON Upload.pk = Part.upload
        WHERE Upload.creator = ? AND (Upload.status = 'Completed' OR Upload.pk = ?)
    """
    return int(call.store.execute(sql, call.user_id, upload.pk)[0][0])


@operation("uploads_generate_presigned_urls_partial_update")
def presign(call: Call) -> Reply:
    """Sign a URL for each part number."""
    upload = _named_upload(call)
    full = _stored_bytes(call, upload) >= call.state.limits.upload_bytes
    if full or upload.status != "Initialized":
        raise Forbidden("Upload limit reached")
    numbers = _required(call.fields, "part_numbers", elements(_part_number))
    urls = {str(number): _part_url(call, upload, number) for number in numbers}
    return Reply(200, {**render(call, upload), "presigned_urls": urls})


def _required(fields: Fields, name: str, parse: Callable[[Json], T]) -> T:
    if name not in fields.body:
        raise refused(f"The `{name}` field is required")
    found = fields.require(name, parse)
    fields.check()
    return found


def _part_url(call: Call, upload: Upload, number: int) -> str:
    return signer(call.state).url(
        "PUT",
        f"/{BUCKET}/{key_of(upload)}",
        call.state.limits.presigned_url_seconds,
        {"uploadId": upload.s3_upload_id, "partNumber": str(number)},
    )


@operation("uploads_list_parts_retrieve")
def list_parts(call: Call) -> Reply:
    """List the parts that S3 holds."""
    upload = _open_upload(call)
    parts = [
        {
            "ETag": part.etag,
            "PartNumber": part.number,
            "LastModified": part.modified,
            "Size": part.size,
        }
        for part in _parts(call, upload)
    ]
    return Reply(200, {**render(call, upload), "parts": parts})


@operation("uploads_complete_multipart_upload_partial_update")
def complete(call: Call) -> Reply:
    """Make one object of the parts; S3's refusals become server errors."""
    upload = _named_upload(call)
    named = _required(call.fields, "parts", _named_parts)
    if upload.status != "Initialized":
        raise ServerError
    _check_parts(call, upload, named)
    upload.status, upload.parts = "Completed", [part["PartNumber"] for part in named]
    call.store.save(upload)
    return Reply(200, render(call, upload))


def _named_parts(data: Json) -> list[Named]:
    """Accept a list of parts; errors stand at the place of their part."""
    if data is None:
        raise FieldError("This field may not be null.")
    if not is_array(data):
        name = type(data).__name__
        raise FieldError({"non_field_errors": [f'Expected a list of items but got type "{name}".']})
    errors: list[Json] = [{} for _ in data]
    found: list[Named] = []
    for index, item in enumerate(data):
        try:
            found.append(_named_part(item))
        except BadRequest as error:
            errors[index] = error.body
    if any(errors):
        raise FieldError(errors)
    return found


def _named_part(item: Json) -> Named:
    if not is_object(item):
        raise refused(f"Invalid data. Expected a dictionary, but got {type(item).__name__}.")
    fields = Fields(item)
    number = fields.require("PartNumber", _part_number)
    etag = fields.take("ETag", text(), None)
    fields.check()
    return {"PartNumber": number, "ETag": etag, "stray": bool({"LastModified", "Size"} & set(item))}


def _check_parts(call: Call, upload: Upload, named: list[Named]) -> None:
    """Apply S3's rules: known, unchanged, ascending, all but the last large enough."""
    stored = {part.number: part for part in _parts(call, upload)}
    numbers = [part["PartNumber"] for part in named]
    ascending = numbers == sorted(set(numbers))
    if not named or not ascending or not all(_is_stored(part, stored) for part in named):
        raise ServerError
    smallest = call.state.limits.smallest_part
    if any(stored[number].size < smallest for number in numbers[:-1]):
        raise ServerError


def _is_stored(part: Named, stored: dict[int, Part]) -> bool:
    known = stored.get(part["PartNumber"])
    if known is None or part["ETag"] is None or part["stray"]:
        return False
    return part["ETag"].strip('"') == known.etag.strip('"')


@operation("uploads_abort_multipart_upload_partial_update")
def abort(call: Call) -> Reply:
    """Give an upload up."""
    upload = _open_upload(call)
    objects.forget_parts(call.state, upload.pk)
    upload.status, upload.s3_upload_id = "Aborted", ""
    call.store.save(upload)
    return Reply(200, render(call, upload))
