"""Endpoints, which keep an algorithm warm, and invocations of them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Algorithm, Endpoint, Job
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.fields import url_related
from gcapi_sandbox._http.filters import Filter
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.pagination import paginate
from gcapi_sandbox._http.permissions import rows_with_role
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._resources.algorithms import jobs_of, ready_image, start_job
from gcapi_sandbox._socket_values.posted_values import posted_values
from gcapi_sandbox._socket_values.rendering import render_values, render_written_values

if TYPE_CHECKING:
    from gcapi_sandbox._util.json_types import Json

_ACTIVE_STATUSES = ("Queued", "Started", "Running")


def _render(call: Call, endpoint: Endpoint) -> Json:
    left = timedelta(seconds=max(0, int(endpoint.expires - call.state.clock.timestamp())))
    return {
        "api_url": call.api_url(f"algorithms/endpoints/{endpoint.pk}/"),
        "pk": endpoint.pk,
        "algorithm": call.api_url(f"algorithms/{endpoint.algorithm}/"),
        "status": endpoint.status,
        "remaining_lifetime": str(left),
    }


register_reads("algorithms_endpoints", Endpoint, _render, Filter("status", "status = ?"))


@operation("algorithms_endpoints_create")
def create_endpoint(call: Call) -> Reply:
    """Start an endpoint, which runs at once in the sandbox."""
    fields = call.fields
    mine = rows_with_role(call.store, Algorithm, call.user_id, "editors", "users")
    algorithm = fields.require("algorithm", url_related(mine, "algorithms"))
    fields.check()
    ready_image(call, algorithm)
    expires = call.state.clock.timestamp() + call.state.limits.endpoint_seconds
    endpoint = Endpoint(creator=call.user_id, algorithm=algorithm.pk, expires=expires)
    return Reply(201, _render(call, call.store.add(endpoint)))


@operation("algorithms_endpoints_keep_alive_partial_update")
def keep_endpoint_alive(call: Call) -> Reply:
    """Extend the lifetime of an endpoint."""
    endpoint = call.lookup(Endpoint)
    endpoint.expires = call.state.clock.timestamp() + call.state.limits.endpoint_seconds
    call.store.save(endpoint)
    return Reply(200, _render(call, endpoint))


def _render_invocation(call: Call, job: Job) -> dict[str, Json]:
    return {
        "pk": job.pk,
        "endpoint": call.api_url(f"algorithms/endpoints/{job.endpoint}/"),
        "status": job.status,
    }


def _render_full_invocation(call: Call, job: Job) -> Json:
    return {
        **_render_invocation(call, job),
        "inputs": render_values(call, job.pk, "inputs"),
        "outputs": render_values(call, job.pk, "outputs"),
        "error_message": job.error_message,
    }


@operation("algorithms_invocations_list")
def list_invocations(call: Call) -> Reply:
    """List the caller's invocations."""
    return paginate(call, jobs_of(call, "invocation"), _render_full_invocation)


@operation("algorithms_invocations_retrieve")
def retrieve_invocation(call: Call) -> Reply:
    """Return one invocation."""
    rows = jobs_of(call, "invocation")
    return Reply(200, _render_full_invocation(call, call.lookup(Job, "Invocation", rows)))


@operation("algorithms_invocations_create")
def create_invocation(call: Call) -> Reply:
    """Run the algorithm of an endpoint."""
    fields = call.fields
    running = call.visible(Endpoint).narrow("status IN (?, ?, ?)", *_ACTIVE_STATUSES)
    endpoint = fields.require("endpoint", url_related(running, "algorithms/endpoints"))
    inputs = fields.require("inputs", posted_values(call))
    fields.check()
    algorithm = call.store.get(Algorithm, endpoint.algorithm)
    job = start_job(call, algorithm, ready_image(call, algorithm), inputs, endpoint.pk)
    inputs_shown = render_written_values(call, job.pk, "inputs")
    return Reply(201, {**_render_invocation(call, job), "inputs": inputs_shown})
