"""Algorithms, their images, and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Algorithm, AlgorithmImage, Image, Interface, Job, Socket
from gcapi_sandbox._http.errors import Json, refused
from gcapi_sandbox._http.fields import hyperlink
from gcapi_sandbox._http.handlers import Call, Reply, operation
from gcapi_sandbox._http.pagination import SLUG, Filter, existing, paginate, related
from gcapi_sandbox._http.permissions import with_role
from gcapi_sandbox._resources.credits import check_credits
from gcapi_sandbox._resources.job_states import WAITING
from gcapi_sandbox._resources.posted_values import Posted, apply, posted_values
from gcapi_sandbox._resources.sockets import kind_of, render_socket
from gcapi_sandbox._resources.values import read_shape, values_of, write_shape

if TYPE_CHECKING:
    from gcapi_sandbox._database.store import Rows, Store

_ACTIVE = "status NOT IN ('Succeeded', 'Failed', 'Cancelled')"
_WITH_IMAGE = (
    "pk IN (SELECT a.owner FROM Attachment a JOIN Value v ON v.pk = a.value "
    "WHERE a.role = '{}' AND v.image = ?)"
)


def interfaces_of(store: Store, algorithm: str) -> list[Interface]:
    """Return the interfaces of an algorithm in their order."""
    return list(store.rows(Interface, "algorithm = ?", algorithm, order="pk"))


def _sockets(call: Call, pks: list[int]) -> list[Socket]:
    return [call.store.get(Socket, pk) for pk in pks]


def _render(call: Call, algorithm: Algorithm) -> Json:
    sql = "SELECT avg(exec_duration) FROM Job WHERE algorithm = ? AND status = 'Succeeded'"
    return {
        "api_url": call.link(f"algorithms/{algorithm.pk}/"),
        "url": call.site(f"algorithms/{algorithm.slug}/"),
        "description": algorithm.description,
        "pk": algorithm.pk,
        "title": algorithm.title,
        "logo": call.site(f"media/logos/algorithm/{algorithm.slug}.png"),
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


@operation("algorithms_list")
def list_algorithms(call: Call) -> Reply:
    """List the algorithms that the caller may use."""
    return paginate(call, call.visible(Algorithm).sorted("created, rowid"), _render, SLUG)


@operation("algorithms_retrieve")
def retrieve_algorithm(call: Call) -> Reply:
    """Show one algorithm."""
    return Reply(200, _render(call, call.lookup(Algorithm)))


def _render_image(call: Call, image: AlgorithmImage) -> Json:
    algorithm = call.store.get(Algorithm, image.algorithm)
    return {
        "pk": image.pk,
        "url": call.site(f"algorithms/{algorithm.slug}/images/{image.pk}/"),
        "api_url": call.link(f"algorithms/images/{image.pk}/"),
        "algorithm": call.link(f"algorithms/{algorithm.pk}/"),
        "created": image.created,
        "import_status": image.import_status,
        "image": None,
    }


@operation("algorithms_images_list")
def list_algorithm_images(call: Call) -> Reply:
    """List the container images of algorithms that the caller edits."""
    rows = call.visible(AlgorithmImage).sorted("created, rowid")
    return paginate(call, rows, _render_image, related("algorithm", Algorithm, "algorithm = ?"))


@operation("algorithms_images_retrieve")
def retrieve_algorithm_image(call: Call) -> Reply:
    """Show one container image."""
    return Reply(200, _render_image(call, call.lookup(AlgorithmImage)))


def jobs_of(call: Call, kind: str) -> Rows[Job]:
    """Return the caller's jobs or invocations in order."""
    return call.visible(Job).narrow("kind = ?", kind).sorted("created, rowid")


def iso_duration(seconds: float | None) -> str | None:
    """Write seconds as `P0DT00H22M17S`."""
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
        "url": call.site(f"algorithms/{algorithm.slug}/jobs/{job.pk}/"),
        "api_url": call.link(f"algorithms/jobs/{job.pk}/"),
        "algorithm_image": call.link(f"algorithms/images/{job.algorithm_image}/"),
        "inputs": read_shape(call, job.pk, "inputs"),
        "outputs": read_shape(call, job.pk, "outputs"),
        "status": job.status,
        "hanging_protocol": None,
        "optional_hanging_protocols": [],
        "view_content": {},
        "exec_duration": iso_duration(job.exec_duration),
        "invoke_duration": iso_duration(job.invoke_duration),
        "algorithm": call.link(f"algorithms/{job.algorithm}/"),
    }


@operation("algorithms_jobs_list")
def list_jobs(call: Call) -> Reply:
    """List the caller's jobs."""
    image = existing(Image, many=True)
    return paginate(
        call,
        jobs_of(call, "job"),
        _render_job,
        related("algorithm_image__algorithm", Algorithm, "algorithm = ?"),
        Filter("input_image", _WITH_IMAGE.format("inputs"), image, many=True),
        Filter("output_image", _WITH_IMAGE.format("outputs"), image, many=True),
    )


@operation("algorithms_jobs_retrieve")
def retrieve_job(call: Call) -> Reply:
    """Show one job."""
    return Reply(200, _render_job(call, call.lookup(Job, within=jobs_of(call, "job"))))


@operation("algorithms_jobs_create")
def create_job(call: Call) -> Reply:
    """Begin a job, if there is a container, credit and an interface for it."""
    fields = call.fields
    mine = with_role(call.store, Algorithm, call.user_id, "editors", "users")
    algorithm = fields.require("algorithm", hyperlink(mine, "algorithms"))
    inputs = fields.require("inputs", posted_values(call))
    fields.check()
    image = ready_image(call, algorithm)
    check_credits(call, algorithm, image)
    active = call.visible(Job).narrow(_ACTIVE).narrow("kind = 'job'").count()
    if active >= call.state.limits.active_jobs_per_user:
        raise refused("You have too many active jobs, please try again after they have completed")
    job = new_job(call, algorithm, image, inputs)
    return Reply(
        201,
        {"pk": job.pk, "inputs": write_shape(call, job.pk, "inputs"), "status": WAITING},
    )


def ready_image(call: Call, algorithm: Algorithm) -> AlgorithmImage:
    """Return the container that would run."""
    where = "algorithm = ? AND import_status = 'Completed'"
    rows = call.store.rows(AlgorithmImage, where, algorithm.pk, order="created DESC")
    for image in rows.slice(1, 0):
        return image
    raise refused("Algorithm image is not ready to be used")


def new_job(
    call: Call,
    algorithm: Algorithm,
    image: AlgorithmImage,
    inputs: list[Posted],
    endpoint: str | None = None,
) -> Job:
    """Record a job or an invocation and let it begin."""
    job = Job(
        kind="invocation" if endpoint else "job",
        creator=call.user_id,
        algorithm=algorithm.pk,
        algorithm_image=image.pk,
        interface=_interface(call, algorithm, inputs).pk,
        endpoint=endpoint,
    )
    call.store.add(job)
    apply(call, inputs, job.pk, "inputs")
    if endpoint is None:
        _check_duplicate(call, job, inputs)
    call.state.schedule("validate", job.pk)
    return job


def _interface(call: Call, algorithm: Algorithm, inputs: list[Posted]) -> Interface:
    given = {one.socket.pk for one in inputs}
    interfaces = interfaces_of(call.store, algorithm.pk)
    for interface in interfaces:
        if set(interface.inputs) == given:
            return interface
    described = " ".join(
        f"Interface {number}: {_describe(_sockets(call, interface.inputs))}"
        for number, interface in enumerate(interfaces, start=1)
    )
    raise refused(
        "The set of inputs provided does not match any of the algorithm's interfaces. "
        f"This algorithm supports the following input combinations: {described}"
    )


def _describe(sockets: list[Socket]) -> str:
    return ", ".join(f"{socket.title} ({kind_of(socket).label})" for socket in sockets)


def _check_duplicate(call: Call, job: Job, inputs: list[Posted]) -> None:
    """Refuse what ran already; only inputs that are known at once can be compared."""
    if any(one.in_background for one in inputs):
        return
    pks = [str(value.pk) for value in values_of(call.store, job.pk, "inputs")]
    job.fingerprint = " ".join([job.algorithm_image, str(len(inputs)), *pks])
    if call.store.rows(Job, "fingerprint = ? AND pk != ?", job.fingerprint, job.pk):
        raise refused("A result for these inputs with the current image and model already exists.")
    call.store.save(job)
