"""Posted socket values: parsed, checked, and applied to a case or a job.

Values and images are applied at once; files and uploads are left to background tasks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._database.records import Image, Socket, Upload, UploadSession
from gcapi_sandbox._http.bodies import FormFile
from gcapi_sandbox._http.errors import BadRequestError, ServerError, non_field_error
from gcapi_sandbox._http.fields import (
    REQUIRED,
    FieldError,
    Fields,
    json_value,
    list_of_objects,
    many_related,
    nullable,
    slug_related,
    text,
    url_related,
)
from gcapi_sandbox._http.permissions import visible
from gcapi_sandbox._object_store.objects import is_claimed
from gcapi_sandbox._socket_values.stored_values import (
    attach,
    attached_value,
    detach,
    shared_image_value,
    shared_json_value,
    values_of,
)
from gcapi_sandbox._socket_values.validation import (
    image_problem,
    json_problem,
    kind_of,
    super_kind_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._http.calls import Call
    from gcapi_sandbox._util.json_types import Json

_SINGLE_SOURCES = ("image", "value", "file", "user_upload", "upload_session")
_UPLOADS_SOURCE = ("image_name", "user_uploads")
_SOURCES = str([*_SINGLE_SOURCES, _UPLOADS_SOURCE])


@dataclass
class PostedValue:
    """A posted value: its socket, and its fields that are not null with their references resolved."""

    socket: Socket
    given: dict[str, Any]

    @property
    def in_background(self) -> bool:
        """True if a background task must process a file before the value exists."""
        return not {"value", "image"} & self.given.keys()

    @property
    def uploads(self) -> list[str]:
        """The pks of its uploads."""
        single = [self.given["user_upload"]] if "user_upload" in self.given else []
        return [upload.pk for upload in (*single, *self.given.get("user_uploads", ()))]


def posted_values(call: Call) -> Callable[[Json], list[PostedValue]]:
    """Accept a list of posted values."""
    return list_of_objects(lambda item: _parse(call, item))


def optional_values(call: Call, fields: Fields) -> list[PostedValue]:
    """Return the field `values`, which may be absent."""
    return fields.optional("values", posted_values(call), list[PostedValue]())


def form_file(data: Json) -> FormFile:
    """Accept a file of a multipart form."""
    if isinstance(data, FormFile):
        return data
    raise FieldError("The submitted data was not a file. Check the encoding type on the form.")


def _parse(call: Call, item: dict[str, Json]) -> PostedValue:
    fields = Fields(item)
    socket = fields.optional("interface", slug_related(call.visible(Socket)), None)
    parsed = {name: fields.optional(name, nullable(parse), None) for name, parse in _parsers(call)}
    if "interface" not in item and call.method != "PATCH":
        fields.errors["interface"] = [REQUIRED]
    fields.check()
    if socket is None:
        raise non_field_error("An interface must be specified")
    given = {name: value for name, value in parsed.items() if value is not None}
    _check_sources(socket, item, given)
    _check_content(socket, given)
    return PostedValue(socket, given)


def _parsers(call: Call) -> tuple[tuple[str, Callable[[Json], Any]], ...]:
    upload = url_related(visible(call.store, Upload, call.user_id), "uploads")
    queued = call.visible(UploadSession).narrow("status = 'Queued' AND target = '{}'")
    return (
        ("value", json_value),
        ("image", url_related(call.visible(Image), "cases/images")),
        ("file", form_file),
        ("user_upload", upload),
        ("user_uploads", many_related(upload)),
        ("upload_session", url_related(queued, "cases/upload-sessions")),
        ("image_name", text()),
    )


def _check_sources(socket: Socket, item: dict[str, Json], given: dict[str, Any]) -> None:
    singles, pair = set(_SINGLE_SOURCES), set(_UPLOADS_SOURCE)
    if not item.keys() & (singles | pair):
        raise non_field_error(f"You must provide at least one of {_SOURCES}.")
    if len(given.keys() & singles) + bool(given.keys() & pair) > 1:
        raise non_field_error(f"You can only provide one of {_SOURCES} for each socket.")
    required, alternatives = _REQUIRED_FIELDS[
        "DICOM" if kind_of(socket).is_dicom else super_kind_of(socket)
    ]
    usable = given.keys() - ({"user_uploads"} if given.get("user_uploads") == [] else set())
    if not any(usable >= set(names) for names in alternatives):
        raise non_field_error(f"{required} required for interface kind {socket.kind}")


# For each super kind, the beginning of the error message and the sets of fields that it accepts.
_REQUIRED_FIELDS: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "Value": ("value is", (("value",),)),
    "File": ("user_upload or file is", (("user_upload",), ("file",))),
    "Image": (
        "upload_session, user_uploads or image are",
        (("image",), ("user_uploads",), ("upload_session",)),
    ),
    "DICOM": (
        "either user_uploads with image_name, or image are",
        (("image",), ("user_uploads", "image_name")),
    ),
}


def _check_content(socket: Socket, given: dict[str, Any]) -> None:
    problem = None
    if "value" in given:
        problem = json_problem(socket, given["value"])
    if "image" in given:
        problem = image_problem(socket, given["image"])
    if problem:
        raise BadRequestError({"__all__": [problem]})


def detach_other_values(
    call: Call, posted: list[PostedValue], owner: str, role: str = "values"
) -> None:
    """Detach the values of sockets that are not among the posted ones, as PUT does."""
    kept = {one.socket.pk for one in posted}
    others = [v.socket for v in values_of(call.store, owner, role) if v.socket not in kept]
    detach(call.store, owner, role, others)


def apply_values(call: Call, posted: list[PostedValue], owner: str, role: str = "values") -> None:
    """Attach the values that are complete, and schedule background tasks for the others.

    Raises:
        ServerError: A background task uses one of the uploads; the real server fails then.
    """
    if any(is_claimed(call.state, pk) for one in posted for pk in one.uploads):
        raise ServerError
    for one in posted:
        source = next(name for name in _APPLY if name in one.given)
        _APPLY[source](call, one, owner, role)


def _apply_value(call: Call, one: PostedValue, owner: str, role: str) -> None:
    before = attached_value(call.store, owner, role, one.socket)
    data = one.given["value"]
    if before is None or before.value != data:  # in Python 0 equals False, as on the server
        attach(call.store, owner, role, shared_json_value(call.store, one.socket, data))


def _apply_image(call: Call, one: PostedValue, owner: str, role: str) -> None:
    value = shared_image_value(call.store, one.socket, one.given["image"].pk)
    attach(call.store, owner, role, value)


def _refuse_file(_: Call, one: PostedValue, __: str, ___: str) -> None:
    """Refuse a file of a multipart form, which the real server accepts and then fails to apply."""
    raise BadRequestError([f'["Unknown data type file for interface {one.socket.title}"]'])


def _target(call: Call, one: PostedValue, owner: str, role: str) -> dict[str, Any]:
    return {"owner": owner, "role": role, "socket": one.socket.pk, "user": call.user_id}


def _apply_file(call: Call, one: PostedValue, owner: str, role: str) -> None:
    payload = {"upload": one.given["user_upload"].pk, **_target(call, one, owner, role)}
    call.state.schedule("file", owner, payload)


def _apply_dicom(call: Call, one: PostedValue, owner: str, role: str) -> None:
    payload = {
        "name": one.given["image_name"],
        "uploads": one.uploads,
        **_target(call, one, owner, role),
    }
    call.state.schedule("dicom", owner, payload)


def _apply_uploads(call: Call, one: PostedValue, owner: str, role: str) -> None:
    session = call.store.add(UploadSession(creator=call.user_id, uploads=one.uploads))
    _schedule_import(call, session, _target(call, one, owner, role))


def _apply_session(call: Call, one: PostedValue, owner: str, role: str) -> None:
    _schedule_import(call, one.given["upload_session"], _target(call, one, owner, role))


def _schedule_import(call: Call, session: UploadSession, target: dict[str, Any]) -> None:
    session.target, session.status = target, "Re-Queued"
    call.store.save(session)
    call.state.schedule("import", target["owner"], {"session": session.pk})


# By the field that is given; the first one decides.
_APPLY: dict[str, Callable[[Call, PostedValue, str, str], None]] = {
    "value": _apply_value,
    "image": _apply_image,
    "file": _refuse_file,
    "user_upload": _apply_file,
    "image_name": _apply_dicom,
    "user_uploads": _apply_uploads,
    "upload_session": _apply_session,
}
