"""Posted socket values: read, checked against their socket, then applied or left to the worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._database.records import Image, Socket, Upload, UploadSession
from gcapi_sandbox._http.bodies import FormFile
from gcapi_sandbox._http.errors import BadRequest, Json, ServerError
from gcapi_sandbox._http.fields import (
    REQUIRED,
    FieldError,
    Fields,
    each,
    hyperlink,
    json_value,
    nullable,
    slug,
    text,
)
from gcapi_sandbox._http.json_types import is_array, is_object
from gcapi_sandbox._http.permissions import visible
from gcapi_sandbox._object_store.objects import is_claimed
from gcapi_sandbox._resources.sockets import image_problem, json_problem, kind_of, super_kind_of
from gcapi_sandbox._resources.values import (
    attach,
    current,
    detach,
    image_record,
    json_record,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._http.handlers import Call

_SINGLE = ("image", "value", "file", "user_upload", "upload_session")
_PAIR = ("image_name", "user_uploads")
_SOURCES = str([*_SINGLE, _PAIR])


@dataclass
class Posted:
    """One posted value, with its references looked up; what was not given is None."""

    socket: Socket
    given: dict[str, Any]

    @property
    def in_background(self) -> bool:
        """Tell whether a file must be worked on before the value appears."""
        return not {"value", "image"} & self.given.keys()

    @property
    def uploads(self) -> list[str]:
        """The pks of the uploads that it names."""
        single = [self.given["user_upload"]] if "user_upload" in self.given else []
        return [upload.pk for upload in (*single, *self.given.get("user_uploads", ()))]


def posted_values(call: Call) -> Callable[[Json], list[Posted]]:
    """Accept a list of posted values; errors stand at the place of their item."""

    def parse(data: Json) -> list[Posted]:
        if data is None:
            raise FieldError("This field may not be null.")
        if not is_array(data):
            name = type(data).__name__
            problem = f'Expected a list of items but got type "{name}".'
            raise FieldError({"non_field_errors": [problem]})
        errors: list[Json] = [{} for _ in data]
        found: list[Posted] = []
        for index, item in enumerate(data):
            try:
                found.append(_posted(call, item))
            except BadRequest as error:
                errors[index] = error.body
        if any(errors):
            raise FieldError(errors)
        return found

    return parse


def take_values(call: Call, fields: Fields) -> list[Posted]:
    """Read the field `values`, which may be absent."""
    return fields.take("values", posted_values(call), list[Posted]())


def _refuse(message: str, key: str = "non_field_errors") -> BadRequest:
    return BadRequest({key: [message]})


def _posted(call: Call, item: Json) -> Posted:
    if not is_object(item):
        name = type(item).__name__
        raise _refuse(f"Invalid data. Expected a dictionary, but got {name}.")
    fields = Fields(item)
    socket = fields.take("interface", slug(call.visible(Socket)), None)
    given = {name: fields.take(name, nullable(parse), None) for name, parse in _readers(call)}
    if "interface" not in item and call.method != "PATCH":
        fields.errors["interface"] = [REQUIRED]
    fields.check()
    if socket is None:
        raise _refuse("An interface must be specified")
    given = {name: value for name, value in given.items() if value is not None}
    _check_sources(socket, item, given)
    _check_content(socket, given)
    return Posted(socket, given)


def _readers(call: Call) -> tuple[tuple[str, Callable[[Json], Any]], ...]:
    uploads = hyperlink(visible(call.store, Upload, call.user_id), "uploads")
    queued = call.visible(UploadSession).narrow("status = 'Queued' AND target = '{}'")
    return (
        ("value", json_value),
        ("image", hyperlink(call.visible(Image), "cases/images")),
        ("file", form_file),
        ("user_upload", uploads),
        ("user_uploads", each(uploads)),
        ("upload_session", hyperlink(queued, "cases/upload-sessions")),
        ("image_name", text()),
    )


def form_file(data: Json) -> FormFile:
    """Accept a file of a multipart form, which JSON cannot hold."""
    if isinstance(data, FormFile):
        return data
    raise FieldError("The submitted data was not a file. Check the encoding type on the form.")


def _check_sources(socket: Socket, item: dict[str, Json], given: dict[str, Any]) -> None:
    if not item.keys() & {*_SINGLE, *_PAIR}:
        raise _refuse(f"You must provide at least one of {_SOURCES}.")
    sources = [*(given.keys() & set(_SINGLE)), *([_PAIR] if given.keys() & set(_PAIR) else [])]
    if len(sources) > 1:
        raise _refuse(f"You can only provide one of {_SOURCES} for each socket.")
    needs, alternatives = _NEEDS["DICOM" if kind_of(socket).is_dicom else super_kind_of(socket)]
    usable = given.keys() - ({"user_uploads"} if given.get("user_uploads") == [] else set())
    if not any(usable >= set(names) for names in alternatives):
        raise _refuse(f"{needs} required for interface kind {socket.kind}")


# What each super kind asks for, and the combinations of fields that satisfy it.
_NEEDS: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
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
        raise _refuse(problem, "__all__")


def remove_others(call: Call, posted: list[Posted], owner: str, role: str = "values") -> None:
    """Let go of the values whose sockets are not among the posted ones, as PUT does."""
    kept = {one.socket.pk for one in posted}
    gone = [v.socket for v in values_of(call.store, owner, role) if v.socket not in kept]
    detach(call.store, owner, role, gone)


def apply(call: Call, posted: list[Posted], owner: str, role: str = "values") -> None:
    """Set what can be set now, and leave the rest to the worker.

    An upload that is being worked on vanishes under a second request, which is a server error.
    """
    if any(is_claimed(call.state, pk) for one in posted for pk in one.uploads):
        raise ServerError
    for one in posted:
        source = next(name for name in _APPLY if name in one.given)
        _APPLY[source](call, one, owner, role)


def _apply_value(call: Call, one: Posted, owner: str, role: str) -> None:
    before = current(call.store, owner, role, one.socket)
    data = one.given["value"]
    if before is None or before.value != data:  # so that 0 is not replaced by false
        attach(call.store, owner, role, json_record(call.store, one.socket, data))


def _apply_image(call: Call, one: Posted, owner: str, role: str) -> None:
    attach(call.store, owner, role, image_record(call.store, one.socket, one.given["image"].pk))


def _refuse_file(_: Call, one: Posted, __: str, ___: str) -> None:
    """Refuse a file that came with the form: it is read and checked, and then of no use."""
    raise BadRequest([f'["Unknown data type file for interface {one.socket.title}"]'])


def _place(call: Call, one: Posted, owner: str, role: str) -> dict[str, Any]:
    return {"owner": owner, "role": role, "socket": one.socket.pk, "user": call.user_id}


def _apply_file(call: Call, one: Posted, owner: str, role: str) -> None:
    payload = {"upload": one.given["user_upload"].pk, **_place(call, one, owner, role)}
    call.state.schedule("file", owner, payload)


def _apply_dicom(call: Call, one: Posted, owner: str, role: str) -> None:
    payload = {
        "name": one.given["image_name"],
        "uploads": [upload.pk for upload in one.given["user_uploads"]],
        **_place(call, one, owner, role),
    }
    call.state.schedule("dicom", owner, payload)


def _apply_uploads(call: Call, one: Posted, owner: str, role: str) -> None:
    uploads = [upload.pk for upload in one.given["user_uploads"]]
    session = call.store.add(UploadSession(creator=call.user_id, uploads=uploads))
    _start(call, session, _place(call, one, owner, role))


def _apply_session(call: Call, one: Posted, owner: str, role: str) -> None:
    _start(call, one.given["upload_session"], _place(call, one, owner, role))


def _start(call: Call, session: UploadSession, place: dict[str, Any]) -> None:
    session.target, session.status = place, "Re-Queued"
    call.store.save(session)
    call.state.schedule("import", place["owner"], {"session": session.pk})


# By what is given, in the order in which it decides.
_APPLY: dict[str, Callable[[Call, Posted, str, str], None]] = {
    "value": _apply_value,
    "image": _apply_image,
    "file": _refuse_file,
    "user_upload": _apply_file,
    "image_name": _apply_dicom,
    "user_uploads": _apply_uploads,
    "upload_session": _apply_session,
}
