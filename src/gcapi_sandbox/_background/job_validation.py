"""The step of a job between the arrival of its inputs and its run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from gcapi_sandbox._background.worker import TaskError, task_handler
from gcapi_sandbox._database.records import VALIDATING_INPUTS, Interface, Job, Task
from gcapi_sandbox._socket_values.stored_values import values_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gcapi_sandbox._state import State


def settle_job(state: State, owner: str) -> None:
    """Queue a job, or cancel it, after the last task for its inputs; ignore other owners."""
    job = state.store.find(Job, "pk = ? AND status = ?", owner, VALIDATING_INPUTS)
    if job is None or state.store.rows(Task, "owner = ?", owner):
        return
    wanted = set(state.store.get(Interface, job.interface).inputs)
    present = {value.socket for value in values_of(state.store, job.pk, "inputs")}
    job.status = "Queued" if present == wanted else "Cancelled"
    state.store.save(job)
    if job.status == "Queued":
        state.schedule("run", job.pk)


def _validation_failed(state: State, task: Task, _: TaskError) -> None:
    settle_job(state, task.owner)


@task_handler("validate", _validation_failed)
def validate_inputs(state: State, task: Task, _: Path) -> Callable[[], None]:
    """Check whether a job has all its inputs already."""
    return partial(settle_job, state, task.owner)
