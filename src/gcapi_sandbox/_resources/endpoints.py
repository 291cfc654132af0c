"""Endpoints, which keep an algorithm warm, and their invocations."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Algorithm, Endpoint, Job
from gcapi_sandbox._http.fields import hyperlink
from gcapi_sandbox._http.handlers import Call, Reply, operation
from gcapi_sandbox._http.pagination import Filter, paginate
from gcapi_sandbox._http.permissions import with_role
from gcapi_sandbox._resources.algorithms import jobs_of, new_job, ready_image
from gcapi_sandbox._resources.posted_values import posted_values
from gcapi_sandbox._resources.values import read_shape, write_shape

if TYPE_CHECKING:
    from gcapi_sandbox._http.errors import Json

_STATUSES = ("Queued", "Started", "Running")


def _render(call: Call, endpoint: Endpoint) -> Json:
    left = timedelta(seconds=max(0, int(endpoint.expires - time.time())))
    return {
        "api_url": call.link(f"algorithms/endpoints/{endpoint.pk}/"),
        "pk": endpoint.pk,
        "algorithm": call.link(f"algorithms/{endpoint.algorithm}/"),
        "status": endpoint.status,
        "remaining_lifetime": str(left),
    }


@operation("algorithms_endpoints_list")
def list_endpoints(call: Call) -> Reply:
    """List the caller's endpoints."""
    rows = call.visible(Endpoint).sorted("created, rowid")
    return paginate(call, rows, _render, Filter("status", "status = ?"))


@operation("algorithms_endpoints_retrieve")
def retrieve_endpoint(call: Call) -> Reply:
    """Show one endpoint."""
    return Reply(200, _render(call, call.lookup(Endpoint)))


@operation("algorithms_endpoints_create")
def create_endpoint(call: Call) -> Reply:
    """Start an endpoint; the sandbox's run at once."""
    fields = call.fields
    mine = with_role(call.store, Algorithm, call.user_id, "editors", "users")
    algorithm = fields.require("algorithm", hyperlink(mine, "algorithms"))
    fields.check()
    ready_image(call, algorithm)
    expires = time.time() + call.state.limits.endpoint_seconds
    endpoint = Endpoint(creator=call.user_id, algorithm=algorithm.pk, expires=expires)
    return Reply(201, _render(call, call.store.add(endpoint)))


@operation("algorithms_endpoints_keep_alive_partial_update")
def keep_endpoint_alive(call: Call) -> Reply:
    """Let an endpoint live on from now."""
    endpoint = call.lookup(Endpoint)
    endpoint.expires = time.time() + call.state.limits.endpoint_seconds
    call.store.save(endpoint)
    return Reply(200, _render(call, endpoint))


def _invocation(call: Call, job: Job) -> dict[str, Json]:
    return {
        "pk": job.pk,
        "endpoint": call.link(f"algorithms/endpoints/{job.endpoint}/"),
        "status": job.status,
    }


def _read(call: Call, job: Job) -> Json:
    return {
        **_invocation(call, job),
        "inputs": read_shape(call, job.pk, "inputs"),
        "outputs": read_shape(call, job.pk, "outputs"),
        "error_message": job.error_message,
    }


@operation("algorithms_invocations_list")
def list_invocations(call: Call) -> Reply:
    """List the caller's invocations."""
    return paginate(call, jobs_of(call, "invocation"), _read)


@operation("algorithms_invocations_retrieve")
def retrieve_invocation(call: Call) -> Reply:
    """Show one invocation."""
    rows = jobs_of(call, "invocation")
    return Reply(200, _read(call, call.lookup(Job, "Invocation", rows)))


@operation("algorithms_invocations_create")
def create_invocation(call: Call) -> Reply:
    """Run the algorithm of an endpoint."""
    fields = call.fields
    running = call.visible(Endpoint).narrow("status IN (?, ?, ?)", *_STATUSES)
    endpoint = fields.require("endpoint", hyperlink(running, "algorithms/endpoints"))
    inputs = fields.require("inputs", posted_values(call))
    fields.check()
    algorithm = call.store.get(Algorithm, endpoint.algorithm)
    job = new_job(call, algorithm, ready_image(call, algorithm), inputs, endpoint.pk)
    inputs_shown = write_shape(call, job.pk, "inputs")
    return Reply(201, {**_invocation(call, job), "inputs": inputs_shown})
