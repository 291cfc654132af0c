"""What the worker does with uploads: images, files and DICOM image sets become values."""

from __future__ import annotations

import json
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._background.worker import UNEXPECTED, Refused, work
from gcapi_sandbox._database.records import (
    Answer,
    ArchiveItem,
    Image,
    ImageFile,
    Instance,
    Socket,
    Upload,
    UploadSession,
    new_pk,
)
from gcapi_sandbox._imaging.dicom import DicomError, DicomFile, read_image_set
from gcapi_sandbox._imaging.importing import Import, Imported, import_folder
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._resources import job_states
from gcapi_sandbox._resources.sockets import image_problem, json_problem, kind_of
from gcapi_sandbox._resources.values import attach, file_record, image_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcapi_sandbox._database.records import Task
    from gcapi_sandbox._database.state import State

_HDF5 = b"\x89HDF\r\n\x1a\n"
_LONGEST_IMAGE_NAME = 255
_DUPLICATES = "Duplicate files uploaded, please try again with a unique set of files"


def _unpack(state: State, task: Task, uploads: list[str], folder: Path) -> list[Path]:
    """Claim completed uploads for a task and write them into a folder under their own names."""
    objects.claim(state, uploads, task.pk)
    found = [state.store.find(Upload, "pk = ? AND status = 'Completed'", pk) for pk in uploads]
    records = [upload for upload in found if upload is not None and upload.filename != ".."]
    if len(records) < len(uploads):
        raise Refused(UNEXPECTED)
    if len({upload.filename for upload in records}) < len(records):
        raise Refused(_DUPLICATES)
    folder.mkdir()
    for upload in records:
        objects.assemble(state, upload, folder / upload.filename)
    return [folder / upload.filename for upload in records]


def _consume(state: State, uploads: list[str]) -> None:
    """Delete uploads that became something; another task may have been quicker."""
    if any(not state.store.rows(Upload, "pk = ?", pk) for pk in uploads):
        raise Refused(UNEXPECTED)
    objects.discard(state, uploads)


# Images


def _target_socket(state: State, session: UploadSession) -> Socket | None:
    pk = session.target.get("socket")
    return state.store.get(Socket, pk) if pk else None


def _session_failed(state: State, task: Task, refused: Refused) -> None:
    session = state.store.get(UploadSession, task.payload["session"])
    socket = _target_socket(state, session)
    reason = str(refused)
    if refused.consume:
        objects.discard(state, session.uploads)
        session.uploads = []
    if socket is not None:
        reason = f"Image validation for socket {socket.title} failed with error: {reason}."
    session.status, session.error_message = "Failed", reason
    state.store.save(session)
    state.notify(session.creator, reason)
    job_states.settled(state, task.owner)


@work("import", _session_failed)
def import_session(state: State, task: Task, folder: Path) -> Callable[[], None]:
    """Import the files of an upload session."""
    state.begin_import()
    session = state.store.get(UploadSession, task.payload["session"])
    socket = _target_socket(state, session)
    _unpack(state, task, session.uploads, folder / "files")
    outcome = import_folder(folder / "files", folder)
    _check_import(outcome, socket, single="archive" not in session.target)
    staged = [objects.Staged.measure(image.path) for image in outcome.images]

    def finish() -> None:
        _consume(state, session.uploads)
        for imported, file in zip(outcome.images, staged, strict=True):
            image = store_image(state, imported, file, session.pk)
            _place_image(state, session, socket, image)
        session.status, session.uploads = "Succeeded", []
        state.store.save(session)
        job_states.settled(state, task.owner)

    return finish


def _check_import(outcome: Import, socket: Socket | None, *, single: bool) -> None:
    if outcome.failed:
        count = len(outcome.failed)
        raise Refused(f"{count} file{'s' * (count > 1)} could not be imported")
    if socket is None:
        return
    if single and len(outcome.images) != 1:
        raise Refused("Image imports should result in a single image", consume=True)
    for image in outcome.images:
        if problem := image_problem(socket, new_image(image)):
            raise Refused(problem)


def new_image(imported: Imported, origin: str | None = None) -> Image:
    """Return the record of an imported image, not stored yet."""
    return Image(
        name=imported.name,
        origin=origin,
        color_space=imported.color_space,
        shape=imported.shape,
        spacing=imported.spacing,
        segments=imported.segments,
        tags=imported.tags,
    )


def store_image(
    state: State, imported: Imported, staged: objects.Staged, origin: str | None = None
) -> Image:
    """Keep an image and its file."""
    image = state.store.add(new_image(imported, origin))
    file, pk = new_pk(), image.pk
    key = f"images/{pk[:2]}/{pk[2:4]}/{pk}/{file}/{pk}.mha"
    objects.store(state, key, staged)
    state.store.add(ImageFile(pk=file, image=pk, key=key))
    return image


def _place_image(state: State, session: UploadSession, socket: Socket | None, image: Image) -> None:
    target = session.target
    if socket is None:
        answer = state.store.get(Answer, target["answer"])
        answer.answer_image = image.pk
        state.store.save(answer)
        return
    owner = target["owner"]
    if "archive" in target:
        owner = state.store.add(ArchiveItem(archive=target["archive"])).pk
    attach(state.store, owner, target["role"], image_record(state.store, socket, image.pk))


# Files


def _file_failed(state: State, task: Task, refused: Refused) -> None:
    socket = state.store.get(Socket, task.payload["socket"])
    message = f"File validation for socket {socket.title} failed with error: {refused}."
    state.notify(task.payload["user"], message)
    job_states.settled(state, task.owner)


@work("file", _file_failed)
def check_file(state: State, task: Task, folder: Path) -> Callable[[], None]:
    """Make an upload the value of a file socket, after looking into it if it is JSON."""
    place = task.payload
    socket = state.store.get(Socket, place["socket"])
    (path,) = _unpack(state, task, [place["upload"]], folder / "files")
    check_content(socket, path)
    staged = objects.Staged.measure(path)

    def finish() -> None:
        _consume(state, [place["upload"]])
        value = file_record(state, socket, staged, path.name)
        attach(state.store, place["owner"], place["role"], value)
        job_states.settled(state, task.owner)

    return finish


def _is_newick(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    return text.endswith(";") and text.count("(") == text.count(")")


def _is_biom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_HDF5)) == _HDF5


_LOOKS: dict[str, Callable[[Path], bool]] = {"NEWCK": _is_newick, "BIOM": _is_biom}


def check_content(socket: Socket, path: Path) -> Any:
    """Return the JSON of a file if its socket wants JSON; refuse what does not fit.

    Of the other kinds the server looks into two only.
    """
    if (looks_right := _LOOKS.get(socket.kind)) and not looks_right(path):
        raise Refused(f"The file is not valid {kind_of(socket).label}")
    if not kind_of(socket).is_json:
        return None
    try:
        data = json.loads(path.read_bytes())
    except ValueError:
        raise Refused("The file is not valid JSON") from None
    problem = json_problem(socket, data)
    if problem:
        raise Refused(problem)
    return data


# DICOM image sets


def _dicom_failed(state: State, task: Task, refused: Refused) -> None:
    socket = state.store.get(Socket, task.payload["socket"])
    message = f"Image validation for socket {socket.title} failed with error: {refused}."
    objects.discard(state, task.payload["uploads"])
    state.notify(task.payload["user"], message)
    job_states.settled(state, task.owner)


@work("dicom", _dicom_failed)
def import_dicom(state: State, task: Task, folder: Path) -> Callable[[], None]:
    """Make uploads one DICOM image set."""
    state.begin_import()
    place = task.payload
    socket = state.store.get(Socket, place["socket"])
    files = _read_dicom(state, task, socket, folder / "files")
    staged = [objects.Staged.measure(file.path) for file in files]

    def finish() -> None:
        _consume(state, place["uploads"])
        image = _store_instances(state, place["name"], files, staged)
        value = image_record(state.store, socket, image.pk)
        attach(state.store, place["owner"], place["role"], value)
        job_states.settled(state, task.owner)

    return finish


def _read_dicom(state: State, task: Task, socket: Socket, folder: Path) -> list[DicomFile]:
    place = task.payload
    if not kind_of(socket).is_dicom:
        raise Refused("Image may not be DICOM")
    if len(place["name"]) > _LONGEST_IMAGE_NAME:
        raise Refused(f"The image name has more than {_LONGEST_IMAGE_NAME} characters")
    try:
        return read_image_set(_unpack(state, task, place["uploads"], folder))
    except DicomError as error:
        raise Refused(str(error)) from error


def _store_instances(
    state: State, name: str, files: list[DicomFile], staged: list[objects.Staged]
) -> Image:
    image_set = uuid.uuid4().hex
    for file, stage in zip(files, staged, strict=True):
        uid = file.sop_instance_uid
        key = f"dicom/{image_set}/{uid}.dcm"
        objects.store(state, key, stage)
        state.store.add(
            Instance(image_set_id=image_set, sop_instance_uid=uid, key=key, frames=file.frames)
        )
    return state.store.add(Image(name=name, image_set_id=image_set, tags=files[0].shared))


# Jobs


def _validation_failed(state: State, task: Task, _: Refused) -> None:
    job_states.settled(state, task.owner)


@work("validate", _validation_failed)
def validate_inputs(state: State, task: Task, _: Path) -> Callable[[], None]:
    """Look whether a job has all its inputs already."""
    return partial(job_states.settled, state, task.owner)
