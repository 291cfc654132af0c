"""Runs an algorithm on a job's inputs, in folders as the platform's containers see them."""

from __future__ import annotations

import importlib
import json
import shutil
import time
from typing import TYPE_CHECKING, Any

from gcapi_sandbox import _objects
from gcapi_sandbox._importing import import_folder
from gcapi_sandbox._records import Algorithm, ImageFile, Interface, Job, Socket, Value
from gcapi_sandbox._sockets import image_problem, super_kind_of
from gcapi_sandbox._tasks import check_content, new_image, store_image
from gcapi_sandbox._values import attach, file_record, image_record, json_record, values_of
from gcapi_sandbox._worker import Refused, work

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcapi_sandbox._records import Task
    from gcapi_sandbox._state import State

    Run = Callable[[Path, Path], None]
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
    _execute(state, job, inputs, outputs)
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


def _execute(state: State, job: Job, inputs: Path, outputs: Path) -> None:
    run = _runner(state, job.algorithm)
    _advance(state, job, "Executing")
    started = time.monotonic()
    try:
        run(inputs, outputs)
    except Exception as error:
        raise Refused(f"The algorithm failed: {type(error).__name__}: {error}") from error
    job.exec_duration = job.invoke_duration = time.monotonic() - started
    _advance(state, job, "Executed")


def _runner(state: State, algorithm: str) -> Run:
    if algorithm in state.runners:
        return state.runners[algorithm]
    module, _, function = state.store.get(Algorithm, algorithm).run.partition(":")
    if not function:
        raise Refused("The algorithm's function belonged to a process that has ended")
    run: Run = getattr(importlib.import_module(module), function)
    return run


def _provide_inputs(state: State, job: Job, folder: Path) -> None:
    folder.mkdir()
    for value in values_of(state.store, job.pk, "inputs"):
        socket = state.store.get(Socket, value.socket)
        _provide(state, value, folder / socket.relative_path)


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
    staged = _objects.Staged.measure(path)
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
    staged = _objects.Staged.measure(imported.path)

    def store() -> Value:
        image = store_image(state, imported, staged)
        return image_record(state.store, socket, image.pk)

    return store


_READERS: dict[str, Callable[[State, Socket, Path, Path], Store]] = {
    "Value": _read_value,
    "File": _read_file,
    "Image": _read_image,
}
