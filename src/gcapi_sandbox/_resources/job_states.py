"""The life of a job between its inputs and its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Interface, Job, Task
from gcapi_sandbox._resources.values import values_of

if TYPE_CHECKING:
    from gcapi_sandbox._database.state import State

WAITING = "Validating inputs"


def settled(state: State, owner: str) -> None:
    """Queue a job, or cancel it, once nothing more is known to come for its inputs."""
    job = state.store.find(Job, "pk = ? AND status = ?", owner, WAITING)
    if job is None or state.store.rows(Task, "owner = ?", owner):
        return
    wanted = set(state.store.get(Interface, job.interface).inputs)
    present = {value.socket for value in values_of(state.store, job.pk, "inputs")}
    job.status = "Queued" if present == wanted else "Cancelled"
    state.store.save(job)
    if job.status == "Queued":
        state.schedule("run", job.pk)
