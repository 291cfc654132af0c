"""Algorithms, their container images, and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import (
    VALIDATING_INPUTS,
    Algorithm,
    AlgorithmImage,
    Image,
    Interface,
    Job,
    Socket,
)
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import non_field_error
from gcapi_sandbox._http.fields import url_related
from gcapi_sandbox._http.filters import SLUG, Filter, existing_pk, related
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.pagination import paginate
from gcapi_sandbox._http.permissions import rows_with_role
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._resources.credits import check_credits
from gcapi_sandbox._socket_values.posted_values import PostedValue, apply_values, posted_values
from gcapi_sandbox._socket_values.rendering import (
    render_socket,
    render_values,
    render_written_values,
)
from gcapi_sandbox._socket_values.stored_values import values_of
from gcapi_sandbox._socket_values.validation import kind_of

if TYPE_CHECKING:
    from gcapi_sandbox._database.store import Rows, Store
    from gcapi_sandbox._util.json_types import Json

_IS_ACTIVE = "status NOT IN ('Succeeded', 'Failed', 'Cancelled')"
_HAS_IMAGE = (
    "pk IN (SELECT a.owner FROM Attachment a JOIN Value v ON v.pk = a.value "
    "WHERE a.role = '{}' AND v.image = ?)"
)


def interfaces_of(store: Store, algorithm: str) -> list[Interface]:
    """Return the interfaces of an algorithm in order."""
    return list(store.rows(Interface, "algorithm = ?", algorithm, order="pk"))


def _sockets(call: Call, pks: list[int]) -> list[Socket]:
    return [call.store.get(Socket, pk) for pk in pks]


def _render(call: Call, algorithm: Algorithm) -> Json:
    sql = "SELECT avg(exec_duration) FROM Job WHERE algorithm = ? AND status = 'Succeeded'"
    return {
        "api_url": call.api_url(f"algorithms/{algorithm.pk}/"),
        "url": call.site_url(f"algorithms/{algorithm.slug}/"),
        "description": algorithm.description,
        "pk": algorithm.pk,
        "title": algorithm.title,
        "logo": call.site_url(f"media/logos/algorithm/{algorithm.slug}.png"),
        "slug": algorithm.slug,
        "average_duration": call.store.execute(sql, algorithm.pk)[0][0],
        "interfaces": [
            {
                "inputs": [render_socket(socket) for socket in _sockets(call, one.inputs)],
                "outputs": [render_socket(socket) for socket in _sockets(call, one.outputs)],
            }
            for one in interfaces_of(call.store, algorithm.pk)
        ],
    }


register_reads("algorithms", Algorithm, _render, SLUG)


def _render_image(call: Call, image: AlgorithmImage) -> Json:
    algorithm = call.store.get(Algorithm, image.algorithm)
    return {
        "pk": image.pk,
        "url": call.site_url(f"algorithms/{algorithm.slug}/images/{image.pk}/"),
        "api_url": call.api_url(f"algorithms/images/{image.pk}/"),
        "algorithm": call.api_url(f"algorithms/{algorithm.pk}/"),
        "created": image.created,
        "import_status": image.import_status,
        "image": None,
    }


register_reads(
    "algorithms_images",
    AlgorithmImage,
    _render_image,
    related("algorithm", Algorithm, "algorithm = ?"),
)


def jobs_of(call: Call, kind: str) -> Rows[Job]:
    """Return the caller's jobs or invocations in order."""
    return call.visible(Job).narrow("kind = ?", kind).sorted("created, rowid")


def _iso_duration(seconds: float | None) -> str | None:
    """Return seconds in the form `P0DT00H22M17S`."""
    if seconds is None:
        return None
    whole = int(seconds)
    days, rest = divmod(whole, 86_400)
    fraction = f".{round((seconds - whole) * 1e6):06}".rstrip("0").rstrip(".")
    return f"P{days}DT{rest // 3600:02}H{rest // 60 % 60:02}M{rest % 60:02}{fraction}S"


def _render_job(call: Call, job: Job) -> Json:
    algorithm = call.store.get(Algorithm, job.algorithm)
    return {
        "pk": job.pk,
        "url": call.site_url(f"algorithms/{algorithm.slug}/jobs/{job.pk}/"),
        "api_url": call.api_url(f"algorithms/jobs/{job.pk}/"),
        "algorithm_image": call.api_url(f"algorithms/images/{job.algorithm_image}/"),
        "inputs": render_values(call, job.pk, "inputs"),
        "outputs": render_values(call, job.pk, "outputs"),
        "status": job.status,
        "hanging_protocol": None,
        "optional_hanging_protocols": [],
        "view_content": {},
        "exec_duration": _iso_duration(job.exec_duration),
        "invoke_duration": _iso_duration(job.invoke_duration),
        "algorithm": call.api_url(f"algorithms/{job.algorithm}/"),
    }


@operation("algorithms_jobs_list")
def list_jobs(call: Call) -> Reply:
    """List the caller's jobs."""
    image = existing_pk(Image, many=True)
    return paginate(
        call,
        jobs_of(call, "job"),
        _render_job,
        related("algorithm_image__algorithm", Algorithm, "algorithm = ?"),
        Filter("input_image", _HAS_IMAGE.format("inputs"), image, many=True),
        Filter("output_image", _HAS_IMAGE.format("outputs"), image, many=True),
    )


@operation("algorithms_jobs_retrieve")
def retrieve_job(call: Call) -> Reply:
    """Return one job."""
    return Reply(200, _render_job(call, call.lookup(Job, within=jobs_of(call, "job"))))


@operation("algorithms_jobs_create")
def create_job(call: Call) -> Reply:
    """Start a job if there are an image, credits and an interface for it."""
    fields = call.fields
    mine = rows_with_role(call.store, Algorithm, call.user_id, "editors", "users")
    algorithm = fields.require("algorithm", url_related(mine, "algorithms"))
    inputs = fields.require("inputs", posted_values(call))
    fields.check()
    image = ready_image(call, algorithm)
    check_credits(call, algorithm, image)
    active = call.visible(Job).narrow(_IS_ACTIVE).narrow("kind = 'job'").count()
    if active >= call.state.limits.active_jobs_per_user:
        raise non_field_error(
            "You have too many active jobs, please try again after they have completed"
        )
    job = start_job(call, algorithm, image, inputs)
    return Reply(
        201,
        {
            "pk": job.pk,
            "inputs": render_written_values(call, job.pk, "inputs"),
            "status": VALIDATING_INPUTS,
        },
    )


def ready_image(call: Call, algorithm: Algorithm) -> AlgorithmImage:
    """Return the newest image of an algorithm that can run."""
    where = "algorithm = ? AND import_status = 'Completed'"
    rows = call.store.rows(AlgorithmImage, where, algorithm.pk, order="created DESC")
    for image in rows.slice(1, 0):
        return image
    raise non_field_error("Algorithm image is not ready to be used")


def start_job(
    call: Call,
    algorithm: Algorithm,
    image: AlgorithmImage,
    inputs: list[PostedValue],
    endpoint: str | None = None,
) -> Job:
    """Create a job or an invocation, and schedule the validation of its inputs."""
    job = Job(
        kind="invocation" if endpoint else "job",
        creator=call.user_id,
        algorithm=algorithm.pk,
        algorithm_image=image.pk,
        interface=_matching_interface(call, algorithm, inputs).pk,
        endpoint=endpoint,
    )
    call.store.add(job)
    apply_values(call, inputs, job.pk, "inputs")
    if endpoint is None:
        _check_duplicate(call, job, inputs)
    call.state.schedule("validate", job.pk)
    return job


def _matching_interface(call: Call, algorithm: Algorithm, inputs: list[PostedValue]) -> Interface:
    given = {one.socket.pk for one in inputs}
    interfaces = interfaces_of(call.store, algorithm.pk)
    for interface in interfaces:
        if set(interface.inputs) == given:
            return interface
    described = " ".join(
        f"Interface {number}: {_describe(_sockets(call, interface.inputs))}"
        for number, interface in enumerate(interfaces, start=1)
    )
    raise non_field_error(
        "The set of inputs provided does not match any of the algorithm's interfaces. "
        f"This algorithm supports the following input combinations: {described}"
    )


def _describe(sockets: list[Socket]) -> str:
    return ", ".join(f"{socket.title} ({kind_of(socket).label})" for socket in sockets)


def _check_duplicate(call: Call, job: Job, inputs: list[PostedValue]) -> None:
    """Refuse a job that ran before; inputs that are processed in the background are not compared."""
    if any(one.in_background for one in inputs):
        return
    pks = [str(value.pk) for value in values_of(call.store, job.pk, "inputs")]
    job.fingerprint = " ".join([job.algorithm_image, str(len(inputs)), *pks])
    if call.store.rows(Job, "fingerprint = ? AND pk != ?", job.fingerprint, job.pk):
        raise non_field_error(
            "A result for these inputs with the current image and model already exists."
        )
    call.store.save(job)
