"""Job starts whose response is lost: the job exists exactly once, or the error says that this is unknown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    AmbiguousWriteError,
    StatusError,
)
from gcapi_sandbox import Sandbox
from tests.support.data import add_collection, unique, value_of, written
from tests.support.lost_responses import Sockets, add_sockets, make_values
from tests.support.servers.loopback import Answer, Seen
from tests.support.servers.relay import (
    ACTED_CUT,
    AFTER,
    CUT,
    LOST_RESPONSES,
    FaultScript,
    through,
)

KINDS = ["archive", "reader study"]
CREATION = r"/(archives/items|display-sets)/$"
CHANGE = r"/(archives/items|display-sets)/[^/]+/$"


@pytest.fixture(scope="module")
def sockets(sandbox: Sandbox) -> Sockets:
    """Add the sockets."""
    return add_sockets(sandbox)


@pytest.fixture
def values(sockets: Sockets, tmp_path: Path) -> dict[str, list[SocketValueSpec]]:
    """Return the values of cases and jobs."""
    return make_values(sockets, tmp_path)


# ---------------------------------------------------------------- jobs


@pytest.fixture(scope="module")
def _credits(sandbox: Sandbox) -> None:
    sandbox.limits.credits = 10**6


@pytest.fixture
def algorithm(sandbox: Sandbox, sockets: Sockets, _credits: None) -> str:
    """Add an algorithm that takes a number, an image, or everything."""
    slug, output = unique("algorithm"), sandbox.add_socket(unique("out"), "Anything")

    def run(_: Path, outputs: Path) -> None:
        (outputs / f"{output}.json").write_text("42")

    inputs = [
        [sockets.number],
        [sockets.image],
        [sockets.number, sockets.table],
        [sockets.number, sockets.table, sockets.image],
    ]
    sandbox.add_algorithm(slug, slug=slug, interfaces=[(one, [output]) for one in inputs], run=run)
    return slug


JOBS = r"/algorithms/jobs/$"


def jobs_of(client: Client, algorithm: str) -> list[Any]:
    """Return all jobs of an algorithm."""
    pk = client.algorithms.detail(slug=algorithm).pk
    return list(client.algorithm_jobs.iterate_all({"algorithm_image__algorithm": pk}))


@pytest.fixture
def job_inputs(
    sandbox: Sandbox, sockets: Sockets, values: Any
) -> Callable[..., list[SocketValueSpec]]:
    """Return a function that returns inputs of a kind."""

    def make(content: str, client: Client | None = None) -> list[SocketValueSpec]:
        if content == "image on the server" and client is not None:
            collection = add_collection(sandbox, client, "archive")
            case = collection.filled(collection.add(values["uploads"][1]).pk)
            image = value_of(case, sockets.image).image
            return [SocketValueSpec(sockets.image, existing_image_api_url=image)]
        chosen: list[SocketValueSpec] = {
            "value": values["inline"],
            "image": values["uploads"][1:],
            "file": [*values["inline"], values["uploads"][0]],
            "all": values["all"],
        }[content]
        return chosen

    return make


OTHER_CONTENTS = ["image", "image on the server", "file"]


@pytest.mark.parametrize(
    ("content", "way"),
    [*product(["value", "all"], AFTER), *product(OTHER_CONTENTS, ["connection cut"])],
)
def test_a_job_whose_answer_is_lost_is_found(
    sandbox: Sandbox, algorithm: str, job_inputs: Any, content: str, way: str
) -> None:
    """However the response is lost, the job that was started is returned, and is the only one."""
    fault = FaultScript("POST", JOBS, AFTER[way])
    with through(sandbox, fault) as client:
        inputs = job_inputs(content, client)
        started = client.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        job = client.wait_for_job(started, timeout=30)

        assert [one.pk for one in jobs_of(client, algorithm)] == [started.pk]
        assert {value.interface for value in started.inputs} == {
            spec.socket_slug for spec in inputs
        }
        assert (job.status, len(fault.seen)) == ("Succeeded", 1)


@pytest.mark.parametrize(
    "fault", ["not done, connection cut", "not done, lost twice", "not done, then done and lost"]
)
@pytest.mark.parametrize("content", ["value", "all"])
def test_a_job_that_never_arrived_is_sent_again(
    sandbox: Sandbox, algorithm: str, job_inputs: Any, content: str, fault: str
) -> None:
    """If all uploads are unused and there is no new job, the job is sent again, and there is one."""
    with through(sandbox, FaultScript("POST", JOBS, *LOST_RESPONSES[fault])) as client:
        started = client.start_algorithm_job(algorithm_slug=algorithm, inputs=job_inputs(content))
        assert client.wait_for_job(started, timeout=30).status == "Succeeded"
        assert [one.pk for one in jobs_of(client, algorithm)] == [started.pk]


def test_a_job_that_waits_for_its_inputs_is_waited_for(
    sandbox: Sandbox, algorithm: str, job_inputs: Any
) -> None:
    """A job that does not show its inputs yet is read again until it does."""
    held = sandbox.hold_background()
    looks: list[Seen] = []

    class Releasing(FaultScript):
        def __call__(self, seen: Seen) -> Answer | None:
            if seen.method == "GET" and "/algorithms/jobs/?" in seen.path:
                looks.append(seen)
                if len(looks) == 3:  # the first is the count before
                    held.__exit__(None, None, None)
            return super().__call__(seen)

    with through(sandbox, Releasing("POST", JOBS, ACTED_CUT), timeout=20.0) as client:
        held.__enter__()
        started = client.start_algorithm_job(algorithm_slug=algorithm, inputs=job_inputs("all"))
        assert [one.pk for one in jobs_of(client, algorithm)] == [started.pk]


def test_a_job_whose_inputs_do_not_show_in_time_is_ambiguous(
    sandbox: Sandbox, algorithm: str, job_inputs: Any
) -> None:
    """A new job that may be ours and does not show its inputs is named, and no other is started."""
    with (
        sandbox.hold_background(),
        through(sandbox, FaultScript("POST", JOBS, ACTED_CUT)) as client,
    ):
        with pytest.raises(AmbiguousWriteError, match="not all inputs show") as unclear:
            client.start_algorithm_job(algorithm_slug=algorithm, inputs=job_inputs("all"))
        (job,) = jobs_of(client, algorithm)
        assert job.pk in str(unclear.value)


def test_a_lost_job_that_was_cancelled_is_not_started_again(
    sandbox: Sandbox, sockets: Sockets, algorithm: str, tmp_path: Path
) -> None:
    """A cancelled job, which never shows its inputs, is named, and no other is started."""
    bad = SocketValueSpec(sockets.image, file=written(tmp_path / "bad.mha", "no image"))
    with through(sandbox, FaultScript("POST", JOBS, ACTED_CUT)) as client:
        with pytest.raises(AmbiguousWriteError) as unclear:
            client.start_algorithm_job(algorithm_slug=algorithm, inputs=[bad], inspect="off")
        (job,) = jobs_of(client, algorithm)
        assert job.status == "Cancelled"
        assert job.pk in str(unclear.value)


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_job_that_somebody_else_started_meanwhile_is_not_taken_for_ours(
    sandbox: Sandbox, client: Client, algorithm: str, job_inputs: Any, lost: str
) -> None:
    """If another process starts a job with the same inputs, the result is ambiguous, and no third job is started."""
    inputs = job_inputs("all")

    class Twin(FaultScript):
        def __call__(self, seen: Seen) -> Answer | None:
            answer = super().__call__(seen)
            if answer:
                client.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
                sandbox.wait_idle()
            return answer

    answer = ACTED_CUT if lost == "after" else CUT
    with through(sandbox, Twin("POST", JOBS, answer)) as ours:
        with pytest.raises(AmbiguousWriteError, match="this is uncertain") as unclear:
            ours.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        sandbox.wait_idle()
        jobs = jobs_of(ours, algorithm)
        assert len(jobs) == (2 if lost == "after" else 1)
        assert all(job.pk in str(unclear.value) for job in jobs)


def test_another_job_of_the_algorithm_is_not_taken_for_ours(
    sandbox: Sandbox, client: Client, sockets: Sockets, algorithm: str
) -> None:
    """A new job with other inputs is ignored: ours is found beside it, or started again."""
    numbers = iter(range(9))

    class Other(FaultScript):
        def __call__(self, seen: Seen) -> Answer | None:
            answer = super().__call__(seen)
            if answer:
                other = SocketValueSpec(sockets.number, value=["other", next(numbers)])
                client.start_algorithm_job(algorithm_slug=algorithm, inputs=[other])
            return answer

    with through(sandbox, Other("POST", JOBS, CUT, ACTED_CUT)) as ours:
        started = ours.start_algorithm_job(
            algorithm_slug=algorithm, inputs=[SocketValueSpec(sockets.number, value="ours")]
        )
        of_us = [job.pk for job in jobs_of(ours, algorithm) if job.inputs[0].value == "ours"]
        assert of_us == [started.pk]


def test_the_refusal_of_a_duplicate_comes_through(
    sandbox: Sandbox, client: Client, algorithm: str, job_inputs: Any
) -> None:
    """A duplicate job is refused after a lost response as it would be without, and there is no second one."""
    inputs = job_inputs("value")
    client.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
    with through(sandbox, FaultScript("POST", JOBS, CUT)) as ours:
        with pytest.raises(StatusError, match="A result for these inputs"):
            ours.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        assert len(jobs_of(ours, algorithm)) == 1


def test_a_job_that_arrives_late_is_found_by_its_refused_repeat(
    sandbox: Sandbox, algorithm: str, job_inputs: Any
) -> None:
    """If the first request arrives late, its repeat is refused as a duplicate, and the job is found."""

    class Late(FaultScript):
        def __call__(self, seen: Seen) -> Answer | None:
            answer = super().__call__(seen)
            if len(self.seen) == 2 and seen is self.seen[1]:
                late.append(sandbox_client("POST", path="algorithms/jobs/", json=seen.json()))
            return answer

    late: list[Any] = []
    with (
        Client(sandbox.token, sandbox.base_url) as sandbox_client,
        through(sandbox, Late("POST", JOBS, CUT)) as client,
    ):
        started = client.start_algorithm_job(algorithm_slug=algorithm, inputs=job_inputs("value"))
        assert [job.pk for job in jobs_of(client, algorithm)] == [started.pk] == [late[0]["pk"]]


def test_a_job_that_cannot_be_looked_for_is_ambiguous(
    sandbox: Sandbox, algorithm: str, job_inputs: Any
) -> None:
    """If the list of jobs cannot be read after a lost response, the job may exist, and nothing is sent again."""

    class Blind(FaultScript):
        def __call__(self, seen: Seen) -> Answer | None:
            if self.seen and seen.method == "GET" and "/jobs/" in seen.path:
                return Answer(403, {"detail": "No."})
            return super().__call__(seen)

    with (
        through(sandbox, Blind("POST", JOBS, ACTED_CUT)) as client,
        pytest.raises(AmbiguousWriteError, match="Look at your latest jobs"),
    ):
        client.start_algorithm_job(algorithm_slug=algorithm, inputs=job_inputs("value"))
    with Client(sandbox.token, sandbox.base_url) as direct:
        assert len(jobs_of(direct, algorithm)) == 1


def test_jobs_of_one_algorithm_are_started_one_at_a_time(
    sandbox: Sandbox, sockets: Sockets, algorithm: str
) -> None:
    """The threads of a process start jobs of one algorithm one by one, so that a lost one can be identified."""
    together = threading.Barrier(6)
    with through(sandbox) as client:

        def start(number: int) -> str:
            together.wait()
            spec = SocketValueSpec(sockets.number, value=["thread", number])
            return client.start_algorithm_job(algorithm_slug=algorithm, inputs=[spec]).pk

        client.start_algorithm_job(
            algorithm_slug=algorithm, inputs=[SocketValueSpec(sockets.number, value="first")]
        )
        sandbox.requests.clear()
        with ThreadPoolExecutor(6) as pool:
            started = set(pool.map(start, range(6)))
        order = [one.method for one in sandbox.requests if one.path.endswith("/algorithms/jobs/")]
        assert order == ["GET", "POST"] * 6
        assert len(started) == 6


def test_an_invocation_whose_answer_is_lost_is_ambiguous(
    sandbox: Sandbox, algorithm: str, job_inputs: Any
) -> None:
    """Invocations cannot be identified, so a lost one is reported and not repeated."""
    endpoint = sandbox.add_endpoint(algorithm)
    fault = FaultScript("POST", "/invocations/$", ACTED_CUT)
    with through(sandbox, fault) as client:
        with pytest.raises(AmbiguousWriteError, match="Look at your latest invocations"):
            client.invoke_algorithm_endpoint(endpoint_pk=endpoint, inputs=job_inputs("value"))
        assert (client.algorithm_invocations.count(), len(fault.seen)) == (1, 1)
