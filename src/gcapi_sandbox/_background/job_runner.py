"""The task that runs a job, in folders laid out as the platform's containers see them."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._background.import_tasks import new_image, read_file_content, store_image
from gcapi_sandbox._background.programs import Program, ProgramError, execute
from gcapi_sandbox._background.worker import TaskError, task_handler
from gcapi_sandbox._database.records import (
    Algorithm,
    Image,
    ImageFile,
    Interface,
    Job,
    Socket,
    Value,
)
from gcapi_sandbox._imaging.image_import import import_images
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._socket_values.rendering import render_socket
from gcapi_sandbox._socket_values.stored_values import (
    attach,
    new_file_value,
    shared_image_value,
    shared_json_value,
    values_of,
)
from gcapi_sandbox._socket_values.validation import image_problem, super_kind_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcapi_sandbox._database.records import Task
    from gcapi_sandbox._state import State

    StoreOutput = Callable[[], Value]


def _run_failed(state: State, task: Task, error: TaskError) -> None:
    job = state.store.get(Job, task.owner)
    job.status, job.error_message = "Failed", str(error)
    state.store.save(job)
    state.notify_user(job.creator, f"Job {job.pk} failed: {error}")


@task_handler("run", _run_failed)
def run_job(state: State, task: Task, folder: Path) -> Callable[[], None]:
    """Run the algorithm of a job or an invocation and store its outputs."""
    job = state.store.get(Job, task.owner)
    interface = state.store.get(Interface, job.interface)
    inputs, outputs = folder / "input", folder / "output"
    _set_status(state, job, "Provisioned")
    _write_inputs(state, job, inputs)
    outputs.mkdir()
    _execute(state, job, folder)
    sockets = [state.store.get(Socket, pk) for pk in interface.outputs]
    stores = [_read_output(state, socket, outputs, folder) for socket in sockets]

    def finish() -> None:
        for store in stores:
            attach(state.store, job.pk, "outputs", store())
        job.status = "Succeeded"
        state.store.save(job)

    return finish


def _set_status(state: State, job: Job, status: str) -> None:
    job.status = status
    with state.store.transaction():
        state.store.save(job)


def _execute(state: State, job: Job, folder: Path) -> None:
    algorithm = state.store.get(Algorithm, job.algorithm)
    program = _program(state, algorithm)
    _set_status(state, job, "Executing")
    started = time.monotonic()
    try:
        execute(program, folder, algorithm.time_limit, state.stopping)
    except ProgramError as error:
        raise TaskError(f"The algorithm failed: {error}") from error
    job.exec_duration = job.invoke_duration = time.monotonic() - started
    _set_status(state, job, "Executed")


def _program(state: State, algorithm: Algorithm) -> Program:
    pickled = state.pickles.get(algorithm.pk, b"")
    if not (pickled or algorithm.run or algorithm.command):
        raise TaskError("The algorithm's function was lost when the process that added it ended")
    return Program(algorithm.folder, algorithm.run, tuple(algorithm.command), pickled)


def _write_inputs(state: State, job: Job, folder: Path) -> None:
    folder.mkdir()
    rendered: list[dict[str, Any]] = []
    for value in values_of(state.store, job.pk, "inputs"):
        socket = state.store.get(Socket, value.socket)
        _write_input(state, value, folder / socket.relative_path)
        rendered.append(_render_input(state, socket, value))
    (folder / "inputs.json").write_text(json.dumps(rendered))


def _render_input(state: State, socket: Socket, value: Value) -> dict[str, Any]:
    """Return an input as the API shows a value, without URLs, as a container has no network."""
    image = state.store.get(Image, value.image) if value.image else None
    return {
        "pk": value.pk,
        "interface": render_socket(socket),
        "socket": render_socket(socket),
        "value": value.value,
        "file": socket.relative_path if value.key else None,
        "image": {"pk": image.pk, "name": image.name} if image else None,
    }


def _write_input(state: State, value: Value, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if value.image:
        path.mkdir(exist_ok=True)
        for source in _image_files(state, value.image):
            shutil.copy(source, path / source.name)
    elif value.key:
        shutil.copy(state.objects / value.key, path)
    else:
        path.write_text(json.dumps(value.value))


def _image_files(state: State, image: str) -> list[Path]:
    keys = [file.key for file in state.store.rows(ImageFile, "image = ?", image)]
    instances = state.store.execute(
        "SELECT key FROM Instance JOIN Image USING (image_set_id) WHERE Image.pk = ?", image
    )
    return [state.objects / key for key in (*keys, *(row[0] for row in instances))]


def _read_output(state: State, socket: Socket, outputs: Path, folder: Path) -> StoreOutput:
    """Validate an output, and return a function that stores it."""
    path = outputs / socket.relative_path
    if not path.exists():
        raise TaskError(f"Output file '{socket.relative_path}' was not produced")
    return _READERS[super_kind_of(socket)](state, socket, path, folder)


def _read_value(state: State, socket: Socket, path: Path, _: Path) -> StoreOutput:
    data: Any = read_file_content(socket, path)
    return lambda: shared_json_value(state.store, socket, data)


def _read_file(state: State, socket: Socket, path: Path, _: Path) -> StoreOutput:
    read_file_content(socket, path)
    staged = objects.StagedFile.create(path)
    return lambda: new_file_value(state, socket, staged, path.name)


def _read_image(state: State, socket: Socket, path: Path, folder: Path) -> StoreOutput:
    target = folder / f"socket-{socket.pk}"
    target.mkdir()
    outcome = import_images(path, target)
    if outcome.failed or len(outcome.images) != 1:
        raise TaskError(f"'{socket.relative_path}' must hold exactly one image")
    (imported,) = outcome.images
    problem = image_problem(socket, new_image(imported))
    if problem:
        raise TaskError(problem)
    staged = objects.StagedFile.create(imported.path)

    def store() -> Value:
        image = store_image(state, imported, staged)
        return shared_image_value(state.store, socket, image.pk)

    return store


_READERS: dict[str, Callable[[State, Socket, Path, Path], StoreOutput]] = {
    "Value": _read_value,
    "File": _read_file,
    "Image": _read_image,
}
