"""Job starts whose response is lost: the job exists exactly once, or the error says that this is unknown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    AmbiguousWriteError,
    StatusError,
)
from gcapi_sandbox import RecordedRequest, Rule, Sandbox
from tests.support.data import add_collection, found, unique, value_of, written
from tests.support.lost_responses import (
    ACTED_CUT,
    AFTER,
    CUT,
    LOST_RESPONSES,
    REFUSED,
    Sockets,
    add_sockets,
    always,
    faulty,
    in_turn,
    make_values,
)


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


JOBS = ("*/algorithms/jobs/",)
STARTS = r"/algorithms/jobs/$"


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


@pytest.fixture
def other_process(sandbox: Sandbox) -> Iterator[Client]:
    """Connect as another process does: by another address, since starts at one are made one by one."""
    with Client(sandbox.token, sandbox.base_url.replace("127.0.0.1", "localhost")) as client:
        yield client


OTHER_CONTENTS = ["image", "image on the server", "file"]


@pytest.mark.parametrize(
    ("content", "way"),
    [*product(["value", "all"], AFTER), *product(OTHER_CONTENTS, ["connection cut"])],
)
def test_a_job_whose_answer_is_lost_is_found(
    sandbox: Sandbox, algorithm: str, job_inputs: Any, content: str, way: str
) -> None:
    """However the response is lost, the job that was started is returned, and is the only one."""
    with faulty(sandbox, *in_turn("POST", JOBS, AFTER[way])) as client:
        inputs = job_inputs(content, client)
        started = client.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        job = client.wait_for_job(started, timeout=30)

        assert [one.pk for one in jobs_of(client, algorithm)] == [started.pk]
        assert {value.interface for value in started.inputs} == {
            spec.socket_slug for spec in inputs
        }
        assert (job.status, len(found(sandbox, "POST", STARTS))) == ("Succeeded", 1)


@pytest.mark.parametrize(
    "fault", ["not done, connection cut", "not done, lost twice", "not done, then done and lost"]
)
@pytest.mark.parametrize("content", ["value", "all"])
def test_a_job_that_never_arrived_is_sent_again(
    sandbox: Sandbox, algorithm: str, job_inputs: Any, content: str, fault: str
) -> None:
    """If all uploads are unused and there is no new job, the job is sent again, and there is one."""
    with faulty(sandbox, *in_turn("POST", JOBS, *LOST_RESPONSES[fault])) as client:
        started = client.start_algorithm_job(algorithm_slug=algorithm, inputs=job_inputs(content))
        assert client.wait_for_job(started, timeout=30).status == "Succeeded"
        assert [one.pk for one in jobs_of(client, algorithm)] == [started.pk]


def test_a_job_that_waits_for_its_inputs_is_waited_for(
    sandbox: Sandbox, algorithm: str, job_inputs: Any
) -> None:
    """A job that does not show its inputs yet is read again until it does."""
    held = sandbox.hold_background()
    # The first look is the count before.
    (third_look,) = in_turn("GET", JOBS, Rule(), skip=2)

    def release(rule: Rule, _: RecordedRequest) -> None:
        if rule is third_look:
            held.__exit__(None, None, None)

    faults = [*in_turn("POST", JOBS, ACTED_CUT), third_look]
    with faulty(sandbox, *faults, on_strike=release, timeout=20.0) as client:
        held.__enter__()
        started = client.start_algorithm_job(algorithm_slug=algorithm, inputs=job_inputs("all"))
        assert [one.pk for one in jobs_of(client, algorithm)] == [started.pk]


def test_a_job_whose_inputs_do_not_show_in_time_is_ambiguous(
    sandbox: Sandbox, algorithm: str, job_inputs: Any
) -> None:
    """A new job that may be ours and does not show its inputs is named, and no other is started."""
    with (
        sandbox.hold_background(),
        faulty(sandbox, *in_turn("POST", JOBS, ACTED_CUT)) as client,
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
    with faulty(sandbox, *in_turn("POST", JOBS, ACTED_CUT)) as client:
        with pytest.raises(AmbiguousWriteError) as unclear:
            client.start_algorithm_job(algorithm_slug=algorithm, inputs=[bad], inspect="off")
        (job,) = jobs_of(client, algorithm)
        assert job.status == "Cancelled"
        assert job.pk in str(unclear.value)


@pytest.mark.parametrize("lost", ["before", "after"])
def test_a_job_that_somebody_else_started_meanwhile_is_not_taken_for_ours(
    sandbox: Sandbox, other_process: Client, algorithm: str, job_inputs: Any, lost: str
) -> None:
    """If another process starts a job with the same inputs, the result is ambiguous, and no third job is started."""
    inputs = job_inputs("all")

    def start_twin(*_: object) -> None:
        other_process.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        sandbox.wait_idle()

    failure = ACTED_CUT if lost == "after" else CUT
    with faulty(sandbox, *in_turn("POST", JOBS, failure), on_strike=start_twin) as ours:
        with pytest.raises(AmbiguousWriteError, match="this is uncertain") as unclear:
            ours.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        sandbox.wait_idle()
        jobs = jobs_of(ours, algorithm)
        assert len(jobs) == (2 if lost == "after" else 1)
        assert all(job.pk in str(unclear.value) for job in jobs)


def test_a_job_of_somebody_else_is_not_taken_for_ours_after_our_uploads_expired(
    sandbox: Sandbox, other_process: Client, algorithm: str, job_inputs: Any
) -> None:
    """Uploads that are gone, and may be a day old by the server's clock, do not show that our job was started."""
    inputs = job_inputs("all")

    def start_twin(*_: object) -> None:
        other_process.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        sandbox.wait_idle()

    lost = in_turn("POST", JOBS, replace(CUT, clock_jump=25 * 3600))
    with faulty(sandbox, *lost, on_strike=start_twin) as ours:
        with pytest.raises(AmbiguousWriteError, match="this is uncertain") as unclear:
            ours.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        (job,) = jobs_of(ours, algorithm)
        assert job.pk in str(unclear.value)


def test_another_job_of_the_algorithm_is_not_taken_for_ours(
    sandbox: Sandbox, other_process: Client, sockets: Sockets, algorithm: str
) -> None:
    """A new job with other inputs is ignored: ours is found beside it, or started again."""
    numbers = iter(range(9))

    def start_other(*_: object) -> None:
        other = SocketValueSpec(sockets.number, value=["other", next(numbers)])
        other_process.start_algorithm_job(algorithm_slug=algorithm, inputs=[other])

    # The second request is that of the other job.
    faults = [*in_turn("POST", JOBS, CUT), *in_turn("POST", JOBS, ACTED_CUT, skip=2)]
    with faulty(sandbox, *faults, on_strike=start_other) as ours:
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
    with faulty(sandbox, *in_turn("POST", JOBS, CUT)) as ours:
        with pytest.raises(StatusError, match="A result for these inputs"):
            ours.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        assert len(jobs_of(ours, algorithm)) == 1


def test_a_job_that_arrives_late_is_found_by_its_refused_repeat(
    sandbox: Sandbox, other_process: Client, algorithm: str, job_inputs: Any
) -> None:
    """If the first request arrives late, its repeat is refused as a duplicate, and the job is found."""
    inputs, late = job_inputs("value"), []
    (repeat,) = in_turn("POST", JOBS, Rule(), skip=1)

    def arrive(rule: Rule, _: RecordedRequest) -> None:
        if rule is repeat:
            job = other_process.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
            late.append(job.pk)

    with faulty(sandbox, *in_turn("POST", JOBS, CUT), repeat, on_strike=arrive) as ours:
        started = ours.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        assert [job.pk for job in jobs_of(ours, algorithm)] == [started.pk] == late


def test_a_job_that_cannot_be_looked_for_is_ambiguous(
    sandbox: Sandbox, algorithm: str, job_inputs: Any
) -> None:
    """If the list of jobs cannot be read after a lost response, the job may exist, and nothing is sent again."""
    # The first look is the count before.
    blind = (replace(rule, skip=1) for rule in always("GET", JOBS, REFUSED))
    with (
        faulty(sandbox, *in_turn("POST", JOBS, ACTED_CUT), *blind) as client,
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
    with faulty(sandbox) as client:

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
    with faulty(sandbox, *in_turn("POST", ("*/invocations/",), ACTED_CUT)) as client:
        with pytest.raises(AmbiguousWriteError, match="Look at your latest invocations"):
            client.invoke_algorithm_endpoint(endpoint_pk=endpoint, inputs=job_inputs("value"))
        requests = found(sandbox, "POST", "/invocations/$")
        assert (client.algorithm_invocations.count(), len(requests)) == (1, 1)
