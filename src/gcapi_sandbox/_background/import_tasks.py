"""The tasks that turn uploads into images, files and DICOM image sets."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._background.job_validation import settle_job
from gcapi_sandbox._background.programs import ProgramInterruptedError
from gcapi_sandbox._background.worker import UNEXPECTED, TaskError, task_handler
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
from gcapi_sandbox._imaging.image_import import ImportedImage, ImportResult, import_images
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._socket_values.stored_values import attach, new_file_value, shared_image_value
from gcapi_sandbox._socket_values.validation import image_problem, json_problem, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcapi_sandbox._database.records import Task
    from gcapi_sandbox._state import State

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAX_IMAGE_NAME_LENGTH = 255
_DUPLICATES = "Duplicate files uploaded, please try again with a unique set of files"


def _wait_before_import(state: State) -> None:
    """Sleep for `Faults.import_seconds`."""
    if state.stopping.wait(state.import_seconds):
        raise ProgramInterruptedError


def _fetch_uploads(state: State, task: Task, uploads: list[str], folder: Path) -> list[Path]:
    """Claim completed uploads for a task and write them to a folder under their file names."""
    objects.claim(state, uploads, task.pk)
    found = [state.store.find(Upload, "pk = ? AND status = 'Completed'", pk) for pk in uploads]
    records = [upload for upload in found if upload is not None and upload.filename != ".."]
    if len(records) < len(uploads):
        raise TaskError(UNEXPECTED)
    if len({upload.filename for upload in records}) < len(records):
        raise TaskError(_DUPLICATES)
    folder.mkdir()
    for upload in records:
        objects.assemble(state, upload, folder / upload.filename)
    return [folder / upload.filename for upload in records]


def _consume(state: State, uploads: list[str]) -> None:
    """Delete the uploads; raise TaskError if another task has consumed one of them."""
    if any(not state.store.rows(Upload, "pk = ?", pk) for pk in uploads):
        raise TaskError(UNEXPECTED)
    objects.delete_uploads(state, uploads)


# Images


def _target_socket(state: State, session: UploadSession) -> Socket | None:
    pk = session.target.get("socket")
    return state.store.get(Socket, pk) if pk else None


def _import_failed(state: State, task: Task, error: TaskError) -> None:
    session = state.store.get(UploadSession, task.payload["session"])
    _session_failed(state, task, session, error)


def _session_failed(state: State, task: Task, session: UploadSession, error: TaskError) -> None:
    socket = _target_socket(state, session)
    reason = str(error)
    if socket is not None:
        reason = f"Image validation for socket {socket.title} failed with error: {reason}."
    session.status, session.error_message = "Failed", reason
    state.store.save(session)
    state.notify_user(session.creator, reason)
    settle_job(state, task.owner)


@task_handler("import", _import_failed)
def import_session(state: State, task: Task, folder: Path) -> Callable[[], None]:
    """Import the files of an upload session."""
    _wait_before_import(state)
    session = state.store.get(UploadSession, task.payload["session"])
    socket = _target_socket(state, session)
    files = _fetch_uploads(state, task, session.uploads, folder / "files")
    outcome = import_images(folder / "files", folder)
    if outcome.failed and not outcome.images:
        raise TaskError(_import_problem(outcome))
    problem = _image_problem(outcome, socket, single="archive" not in session.target)
    staged = [objects.StagedFile.create(image.path) for image in outcome.images]

    def finish() -> None:
        _consume(state, session.uploads)
        session.target = {**session.target, "filenames": [path.name for path in files]}
        session.uploads = []  # once an image was built, even if the socket does not take it
        images = [
            store_image(state, imported, file, session.pk)
            for imported, file in zip(outcome.images, staged, strict=True)
        ]
        if problem is not None:
            _session_failed(state, task, session, TaskError(problem))
            return
        for image in images:
            _attach_image(state, session, socket, image)
        session.status = "Succeeded"
        session.error_message = _import_problem(outcome)  # files beside an image are left out
        state.store.save(session)
        settle_job(state, task.owner)

    return finish


def _import_problem(outcome: ImportResult) -> str:
    """Return the server's words about files that could not be imported; empty if there are none."""
    count = len(outcome.failed)
    return f"{count} file{'s' * (count > 1)} could not be imported" if count else ""


def _image_problem(outcome: ImportResult, socket: Socket | None, *, single: bool) -> str | None:
    """Return why the images of an import are invalid for a socket."""
    if socket is None:
        return None
    if single and len(outcome.images) != 1:
        return "Image imports should result in a single image"
    problems = (image_problem(socket, new_image(image)) for image in outcome.images)
    return next((problem for problem in problems if problem), None)


def new_image(imported: ImportedImage, origin: str | None = None) -> Image:
    """Return the record of an imported image without storing it."""
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
    state: State, imported: ImportedImage, staged: objects.StagedFile, origin: str | None = None
) -> Image:
    """Store an image and its file."""
    image = state.store.add(new_image(imported, origin))
    file, pk = new_pk(), image.pk
    key = f"images/{pk[:2]}/{pk[2:4]}/{pk}/{file}/{pk}.mha"
    objects.store_object(state, key, staged)
    state.store.add(ImageFile(pk=file, image=pk, key=key))
    return image


def _attach_image(
    state: State, session: UploadSession, socket: Socket | None, image: Image
) -> None:
    target = session.target
    if socket is None:
        answer = state.store.get(Answer, target["answer"])
        answer.answer_image = image.pk
        state.store.save(answer)
        return
    owner = target["owner"]
    if "archive" in target:
        owner = state.store.add(ArchiveItem(archive=target["archive"])).pk
    attach(state.store, owner, target["role"], shared_image_value(state.store, socket, image.pk))


# Files


def _file_failed(state: State, task: Task, error: TaskError) -> None:
    socket = state.store.get(Socket, task.payload["socket"])
    message = f"File validation for socket {socket.title} failed with error: {error}."
    state.notify_user(task.payload["user"], message)
    settle_job(state, task.owner)


@task_handler("file", _file_failed)
def check_file(state: State, task: Task, folder: Path) -> Callable[[], None]:
    """Make an upload the value of a file socket; JSON is validated."""
    target = task.payload
    socket = state.store.get(Socket, target["socket"])
    (path,) = _fetch_uploads(state, task, [target["upload"]], folder / "files")
    read_file_content(socket, path)
    staged = objects.StagedFile.create(path)

    def finish() -> None:
        _consume(state, [target["upload"]])
        value = new_file_value(state, socket, staged, path.name)
        attach(state.store, target["owner"], target["role"], value)
        settle_job(state, task.owner)

    return finish


def _is_newick(path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    return text.endswith(";") and text.count("(") == text.count(")")


def _is_biom(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE


_FILE_CHECKS: dict[str, Callable[[Path], bool]] = {"NEWCK": _is_newick, "BIOM": _is_biom}


def read_file_content(socket: Socket, path: Path) -> Any:
    """Return the JSON of a file for a JSON socket; raise TaskError for an invalid file.

    Of the files that are not JSON, the server checks only Newick and BIOM.
    """
    if (is_valid := _FILE_CHECKS.get(socket.kind)) and not is_valid(path):
        raise TaskError(f"The file is not valid {kind_of(socket).label}")
    if not kind_of(socket).is_json:
        return None
    try:
        data = json.loads(path.read_bytes())
    except ValueError:
        raise TaskError("The file is not valid JSON") from None
    problem = json_problem(socket, data)
    if problem:
        raise TaskError(problem)
    return data


# DICOM image sets


def _dicom_failed(state: State, task: Task, error: TaskError) -> None:
    socket = state.store.get(Socket, task.payload["socket"])
    message = f"Image validation for socket {socket.title} failed with error: {error}."
    objects.delete_uploads(state, task.payload["uploads"])
    state.notify_user(task.payload["user"], message)
    settle_job(state, task.owner)


@task_handler("dicom", _dicom_failed)
def import_dicom(state: State, task: Task, folder: Path) -> Callable[[], None]:
    """Make a DICOM image set of uploads."""
    _wait_before_import(state)
    target = task.payload
    socket = state.store.get(Socket, target["socket"])
    files = _read_dicom(state, task, socket, folder / "files")
    staged = [objects.StagedFile.create(file.path) for file in files]

    def finish() -> None:
        _consume(state, target["uploads"])
        image = _store_instances(state, target["name"], files, staged)
        value = shared_image_value(state.store, socket, image.pk)
        attach(state.store, target["owner"], target["role"], value)
        settle_job(state, task.owner)

    return finish


def _read_dicom(state: State, task: Task, socket: Socket, folder: Path) -> list[DicomFile]:
    target = task.payload
    if not kind_of(socket).is_dicom:
        raise TaskError("Image may not be DICOM")
    if len(target["name"]) > _MAX_IMAGE_NAME_LENGTH:
        raise TaskError(f"The image name has more than {_MAX_IMAGE_NAME_LENGTH} characters")
    try:
        return read_image_set(_fetch_uploads(state, task, target["uploads"], folder))
    except DicomError as error:
        raise TaskError(str(error)) from error


def _store_instances(
    state: State, name: str, files: list[DicomFile], staged: list[objects.StagedFile]
) -> Image:
    image_set = uuid.uuid4().hex
    for file, stage in zip(files, staged, strict=True):
        uid = file.sop_instance_uid
        key = f"dicom/{image_set}/{uid}.dcm"
        objects.store_object(state, key, stage)
        state.store.add(
            Instance(image_set_id=image_set, sop_instance_uid=uid, key=key, frames=file.frames)
        )
    return state.store.add(Image(name=name, image_set_id=image_set, tags=files[0].shared))
