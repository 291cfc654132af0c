"""Runs an algorithm on a job's inputs, in folders as the platform's containers see them."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._background.import_tasks import check_content, new_image, store_image
from gcapi_sandbox._background.programs import Program, ProgramError, execute
from gcapi_sandbox._background.worker import Refused, work
from gcapi_sandbox._database.records import (
    Algorithm,
    Image,
    ImageFile,
    Interface,
    Job,
    Socket,
    Value,
)
from gcapi_sandbox._imaging.importing import import_folder
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._resources.sockets import image_problem, render_socket, super_kind_of
from gcapi_sandbox._resources.values import (
    attach,
    file_record,
    image_record,
    json_record,
    values_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcapi_sandbox._database.records import Task
    from gcapi_sandbox._database.state import State

    Store = Callable[[], Value]


def _run_failed(state: State, task: Task, refused: Refused) -> None:
    job = state.store.get(Job, task.owner)
    job.status, job.error_message = "Failed", str(refused)
    state.store.save(job)
    state.notify(job.creator, f"Job {job.pk} failed: {refused}")


@work("run", _run_failed)
def run_job(state: State, task: Task, folder: Path) -> Callable[[], None]:
    """Run the algorithm of a job or an invocation and take in what it leaves."""
    job = state.store.get(Job, task.owner)
    interface = state.store.get(Interface, job.interface)
    inputs, outputs = folder / "input", folder / "output"
    _advance(state, job, "Provisioned")
    _provide_inputs(state, job, inputs)
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


def _advance(state: State, job: Job, status: str) -> None:
    job.status = status
    with state.store.transaction():
        state.store.save(job)


def _execute(state: State, job: Job, folder: Path) -> None:
    algorithm = state.store.get(Algorithm, job.algorithm)
    program = _program(state, algorithm)
    _advance(state, job, "Executing")
    started = time.monotonic()
    try:
        execute(program, folder, algorithm.time_limit, state.stopping)
    except ProgramError as error:
        raise Refused(f"The algorithm failed: {error}") from error
    job.exec_duration = job.invoke_duration = time.monotonic() - started
    _advance(state, job, "Executed")


def _program(state: State, algorithm: Algorithm) -> Program:
    pickled = state.pickles.get(algorithm.pk, b"")
    if not (pickled or algorithm.run or algorithm.command):
        raise Refused("The algorithm's function belonged to a process that has ended")
    return Program(algorithm.folder, algorithm.run, tuple(algorithm.command), pickled)


def _provide_inputs(state: State, job: Job, folder: Path) -> None:
    folder.mkdir()
    described: list[dict[str, Any]] = []
    for value in values_of(state.store, job.pk, "inputs"):
        socket = state.store.get(Socket, value.socket)
        _provide(state, value, folder / socket.relative_path)
        described.append(_describe(state, socket, value))
    (folder / "inputs.json").write_text(json.dumps(described))


def _describe(state: State, socket: Socket, value: Value) -> dict[str, Any]:
    """Show an input as the API shows a value, without links: a container has no network."""
    image = state.store.get(Image, value.image) if value.image else None
    return {
        "pk": value.pk,
        "interface": render_socket(socket),
        "socket": render_socket(socket),
        "value": value.value,
        "file": socket.relative_path if value.key else None,
        "image": {"pk": image.pk, "name": image.name} if image else None,
    }


def _provide(state: State, value: Value, path: Path) -> None:
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


def _read_output(state: State, socket: Socket, outputs: Path, folder: Path) -> Store:
    """Look at one output, and return how to store it."""
    path = outputs / socket.relative_path
    if not path.exists():
        raise Refused(f"Output file '{socket.relative_path}' was not produced")
    return _READERS[super_kind_of(socket)](state, socket, path, folder)


def _read_value(state: State, socket: Socket, path: Path, _: Path) -> Store:
    data: Any = check_content(socket, path)
    return lambda: json_record(state.store, socket, data)


def _read_file(state: State, socket: Socket, path: Path, _: Path) -> Store:
    check_content(socket, path)
    staged = objects.Staged.measure(path)
    return lambda: file_record(state, socket, staged, path.name)


def _read_image(state: State, socket: Socket, path: Path, folder: Path) -> Store:
    target = folder / f"socket-{socket.pk}"
    target.mkdir()
    outcome = import_folder(path, target)
    if outcome.failed or len(outcome.images) != 1:
        raise Refused(f"'{socket.relative_path}' must hold exactly one image")
    (imported,) = outcome.images
    problem = image_problem(socket, new_image(imported))
    if problem:
        raise Refused(problem)
    staged = objects.Staged.measure(imported.path)

    def store() -> Value:
        image = store_image(state, imported, staged)
        return image_record(state.store, socket, image.pk)

    return store


_READERS: dict[str, Callable[[State, Socket, Path, Path], Store]] = {
    "Value": _read_value,
    "File": _read_file,
    "Image": _read_image,
}
