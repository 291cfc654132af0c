"""Upload sessions, which import uploads as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gcapi_sandbox._database.records import (
    Answer,
    Archive,
    ArchiveItem,
    DisplaySet,
    Image,
    Question,
    Socket,
    Upload,
    UploadSession,
)
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import BadRequestError, non_field_error
from gcapi_sandbox._http.fields import (
    Fields,
    many_related,
    nullable,
    pk_related,
    slug_related,
    url_related,
)
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.permissions import rows_with_role, visible
from gcapi_sandbox._http.read_operations import register_reads

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._util.json_types import Json

# The server counts the tasks that follow an import; here these are part of the import.
_IS_ACTIVE = "status NOT IN ('Succeeded', 'Failed') AND target != '{}'"
_CASE_TARGETS = {"archive_item": "an archive item", "display_set": "a display set"}


def _render(call: Call, session: UploadSession) -> Json:
    images = call.store.rows(Image, "origin = ?", session.pk)
    return {
        "pk": session.pk,
        "creator": session.creator,
        "status": session.status,
        "error_message": session.error_message,
        "image_set": [call.api_url(f"cases/images/{image.pk}/") for image in images],
        "api_url": call.api_url(f"cases/upload-sessions/{session.pk}/"),
        "user_uploads": session.uploads,
        "uploads": [call.api_url(f"uploads/{pk}/") for pk in session.uploads],
    }


register_reads(
    "cases_upload_sessions", UploadSession, _render, order="pk", model="RawImageUploadSession"
)


@operation("cases_upload_sessions_create")
def create_session(call: Call) -> Reply:
    """Start an import; without a target the session waits until a socket value uses it."""
    fields = call.fields
    completed = visible(call.store, Upload, call.user_id).narrow("status = 'Completed'")
    uploads = fields.require("uploads", many_related(url_related(completed, "uploads")))
    socket = fields.optional("interface", nullable(slug_related(call.visible(Socket))), None)
    targets = _read_targets(call, fields)
    fields.check()
    _check_session(call, uploads, socket, targets)
    session = UploadSession(creator=call.user_id, uploads=[upload.pk for upload in uploads])
    session.target = _target(call, socket, targets)
    call.store.add(session)
    if "answer" in targets:
        targets["answer"].answer = {"upload_session_pk": session.pk}
        call.store.save(targets["answer"])
    shown = _render(call, session)  # before it is scheduled
    if session.target:
        session.status = "Re-Queued"
        call.store.save(session)
        owner = session.target["owner"] or session.pk
        call.state.schedule("import", owner, {"session": session.pk})
    return Reply(201, shown)


def _read_targets(call: Call, fields: Fields) -> dict[str, Any]:
    editable = ("editors", "uploaders")
    archives = rows_with_role(call.store, Archive, call.user_id, *editable)
    items = call.visible(ArchiveItem).narrow(
        "archive IN (SELECT target FROM Membership WHERE user = ? AND role IN (?, ?))",
        call.user_id,
        *editable,
    )
    display_sets = call.visible(DisplaySet).narrow(
        "reader_study IN (SELECT target FROM Membership WHERE user = ? AND role = 'editors')",
        call.user_id,
    )
    answers = call.visible(Answer).narrow("creator = ?", call.user_id)
    readers: dict[str, Callable[[Json], Any]] = {
        "archive": slug_related(archives),
        "archive_item": pk_related(items),
        "display_set": pk_related(display_sets),
        "answer": pk_related(answers),
    }
    found = {name: fields.optional(name, nullable(parse), None) for name, parse in readers.items()}
    return {name: target for name, target in found.items() if target is not None}


def _check_session(
    call: Call, uploads: list[Upload], socket: Socket | None, targets: dict[str, Any]
) -> None:
    limit = call.state.limits.files_per_session
    if len(uploads) > limit:
        raise non_field_error(
            f"Too many files uploaded. A maximum of {limit} files may be uploaded per session."
        )
    active = visible(call.store, UploadSession, call.user_id).narrow(_IS_ACTIVE).count()
    if active >= call.state.limits.imports_per_user:
        raise non_field_error(
            f"You currently have {active} active image post processing tasks. "
            "Please wait until they have ended."
        )
    if len({upload.filename for upload in uploads}) < len(uploads):
        raise non_field_error("Filenames must be unique")
    if len(targets) > 1:
        raise non_field_error(
            "Only one of archive, archive item, answer or reader study can be set"
        )
    for name in targets.keys() & _CASE_TARGETS.keys():
        if socket is None:
            raise non_field_error(
                f"An interface needs to be defined to upload to {_CASE_TARGETS[name]}."
            )
    if socket is not None and not targets.keys() & {"archive", *_CASE_TARGETS}:
        raise non_field_error(
            "An interface can only be defined for archive, archive item and display set."
        )
    if "answer" in targets:
        _check_answer(call, targets["answer"])


def _check_answer(call: Call, answer: Answer) -> None:
    if call.store.get(Question, answer.question).answer_type != "MASK":
        raise non_field_error("This question does not accept image type answers.")
    if answer.answer is not None and answer.answer_image is None:
        raise BadRequestError(
            {"non_field_errors": ["This answer already has an image assignment pending"]}
        )


def _target(call: Call, socket: Socket | None, targets: dict[str, Any]) -> dict[str, Any]:
    """Return where the background task attaches the images."""
    if not targets:
        return {}
    (name, target), *_ = targets.items()
    if name == "answer":
        return {"owner": target.pk, "answer": target.pk}
    if socket is None:
        found = call.store.find(Socket, "slug = 'generic-medical-image'")
        if found is None:
            raise non_field_error("The socket generic-medical-image does not exist")
        socket = found
    place = {"role": "values", "socket": socket.pk, "user": call.user_id}
    if name == "archive":
        return {"owner": "", "archive": target.pk, **place}
    return {"owner": target.pk, **place}
