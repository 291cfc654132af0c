"""Upload sessions: imports of files into images."""

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
from gcapi_sandbox._http.errors import BadRequest, Json, refused
from gcapi_sandbox._http.fields import Fields, each, hyperlink, nullable, one, slug
from gcapi_sandbox._http.handlers import Call, Reply, operation
from gcapi_sandbox._http.pagination import paginate
from gcapi_sandbox._http.permissions import visible, with_role

if TYPE_CHECKING:
    from collections.abc import Callable

_TARGETS = ("archive", "archive_item", "display_set", "answer")
# The server counts the tasks that follow an import; here they are part of it.
_ACTIVE = "status NOT IN ('Succeeded', 'Failed') AND target != '{}'"
_ITEMS = {"archive_item": "an archive item", "display_set": "a display set"}


def render(call: Call, session: UploadSession) -> Json:
    """Show an upload session."""
    images = call.store.rows(Image, "origin = ?", session.pk)
    return {
        "pk": session.pk,
        "creator": session.creator,
        "status": session.status,
        "error_message": session.error_message,
        "image_set": [call.link(f"cases/images/{image.pk}/") for image in images],
        "api_url": call.link(f"cases/upload-sessions/{session.pk}/"),
        "user_uploads": session.uploads,
        "uploads": [call.link(f"uploads/{pk}/") for pk in session.uploads],
    }


@operation("cases_upload_sessions_list")
def list_sessions(call: Call) -> Reply:
    """List the caller's sessions, in no order that means anything."""
    return paginate(call, call.visible(UploadSession).sorted("pk"), render)


@operation("cases_upload_sessions_retrieve")
def retrieve_session(call: Call) -> Reply:
    """Show one session."""
    return Reply(200, render(call, call.lookup(UploadSession, "RawImageUploadSession")))


@operation("cases_upload_sessions_create")
def create_session(call: Call) -> Reply:
    """Begin an import; without a target the session waits to be used by a socket value."""
    fields = call.fields
    completed = visible(call.store, Upload, call.user_id).narrow("status = 'Completed'")
    uploads = fields.require("uploads", each(hyperlink(completed, "uploads")))
    socket = fields.take("interface", nullable(slug(call.visible(Socket))), None)
    targets = _read_targets(call, fields)
    fields.check()
    _check(call, uploads, socket, targets)
    session = UploadSession(creator=call.user_id, uploads=[upload.pk for upload in uploads])
    session.target = _target(call, socket, targets)
    call.store.add(session)
    if "answer" in targets:
        targets["answer"].answer = {"upload_session_pk": session.pk}
        call.store.save(targets["answer"])
    shown = render(call, session)  # before it is scheduled
    if session.target:
        session.status = "Re-Queued"
        call.store.save(session)
        owner = session.target["owner"] or session.pk
        call.state.schedule("import", owner, {"session": session.pk})
    return Reply(201, shown)


def _read_targets(call: Call, fields: Fields) -> dict[str, Any]:
    editable = ("editors", "uploaders")
    archives = with_role(call.store, Archive, call.user_id, *editable)
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
        "archive": slug(archives),
        "archive_item": one(items),
        "display_set": one(display_sets),
        "answer": one(answers),
    }
    found = {name: fields.take(name, nullable(parse), None) for name, parse in readers.items()}
    return {name: target for name, target in found.items() if target is not None}


def _check(
    call: Call, uploads: list[Upload], socket: Socket | None, targets: dict[str, Any]
) -> None:
    limit = call.state.limits.files_per_session
    if len(uploads) > limit:
        raise refused(
            f"Too many files uploaded. A maximum of {limit} files may be uploaded per session."
        )
    active = visible(call.store, UploadSession, call.user_id).narrow(_ACTIVE).count()
    if active >= call.state.limits.imports_per_user:
        raise refused(
            f"You currently have {active} active image post processing tasks. "
            "Please wait until they have ended."
        )
    if len({upload.filename for upload in uploads}) < len(uploads):
        raise refused("Filenames must be unique")
    if len(targets) > 1:
        raise refused("Only one of archive, archive item, answer or reader study can be set")
    for name in targets.keys() & _ITEMS.keys():
        if socket is None:
            raise refused(f"An interface needs to be defined to upload to {_ITEMS[name]}.")
    if socket is not None and not targets.keys() & {"archive", *_ITEMS}:
        raise refused("An interface can only be defined for archive, archive item and display set.")
    if "answer" in targets:
        _check_answer(call, targets["answer"])


def _check_answer(call: Call, answer: Answer) -> None:
    if call.store.get(Question, answer.question).answer_type != "MASK":
        raise refused("This question does not accept image type answers.")
    if answer.answer is not None and answer.answer_image is None:
        raise BadRequest(
            {"non_field_errors": ["This answer already has an image assignment pending"]}
        )


def _target(call: Call, socket: Socket | None, targets: dict[str, Any]) -> dict[str, Any]:
    """Return where the images go, in the form that the worker reads."""
    if not targets:
        return {}
    (name, target), *_ = targets.items()
    if name == "answer":
        return {"owner": target.pk, "answer": target.pk}
    if socket is None:
        found = call.store.find(Socket, "slug = 'generic-medical-image'")
        if found is None:
            raise refused("There is no socket generic-medical-image")
        socket = found
    place = {"role": "values", "socket": socket.pk, "user": call.user_id}
    if name == "archive":
        return {"owner": "", "archive": target.pk, **place}
    return {"owner": target.pk, **place}
