"""Writes whose answer is lost: what was asked for once exists exactly once, and is exactly what was asked for.

Longer than 500 lines, since every kind of write loses its answer in every way, beside the others for comparison.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    AmbiguousWriteError,
    IncompleteCase,
    PermissionDenied,
    StatusError,
    TitleTaken,
)
from gcapi_sandbox import Sandbox
from tests.support.data import Home, content_of, make_home, noise, unique, value_of, written
from tests.support.loopback import Answer, Seen
from tests.support.relay import (
    ACTED_CUT,
    AFTER,
    CUT,
    LOST_RESPONSES,
    SERVER_ERROR,
    UNAVAILABLE,
    FaultScript,
    through,
)

KINDS = ["archive", "reader study"]
CREATION = r"/(archives/items|display-sets)/$"
CHANGE = r"/(archives/items|display-sets)/[^/]+/$"


@dataclass(frozen=True)
class Sockets:
    """A socket of each way in which a value arrives.

    Attributes:
        number: At once.
        table: In the background, as a file.
        image: In the background, as an image.
    """

    number: str
    table: str
    image: str


@pytest.fixture(scope="module")
def sockets(sandbox: Sandbox) -> Sockets:
    """Make the sockets."""
    return Sockets(
        sandbox.add_socket(unique("number"), "Anything"),
        sandbox.add_socket(unique("table"), "CSV file"),
        sandbox.add_socket(unique("image")),
    )


@pytest.fixture
def values(sockets: Sockets, tmp_path: Path) -> dict[str, list[SocketValueSpec]]:
    """Give the contents of cases."""
    number = SocketValueSpec(sockets.number, value={"a": (1, None)})
    table = SocketValueSpec(sockets.table, file=written(tmp_path / "ein (1)+1 Wert.csv", "a;ü"))
    image = SocketValueSpec(sockets.image, file=noise(tmp_path / "noise.mha", 8))
    return {
        "none": [],
        "inline": [number],
        "uploads": [table, image],
        "all": [number, table, image],
    }


def check_only_case(home: Home, pk: str, specs: list[SocketValueSpec], **fields: Any) -> None:
    """Check that a case is the only one, and is as it was specified."""
    home.sandbox.wait_idle()
    (case,) = home.all()
    assert case.pk == pk
    assert {name: getattr(case, name) for name in fields} == fields
    assert {value.interface.slug for value in case.values} == {spec.socket_slug for spec in specs}
    for spec in specs:
        value = value_of(case, spec.socket_slug)
        if spec.source == "value":
            assert value.value == json.loads(json.dumps(spec.value))
        elif value.file:
            assert content_of(home.client, value) == "a;ü".encode()
        else:
            assert home.client.images.detail(api_url=value.image).name == "noise.mha"


# ---------------------------------------------------------------- cases are created


@pytest.mark.parametrize(("title", "content"), [("", "none"), ("P-0001", "all")])
@pytest.mark.parametrize("fault", LOST_RESPONSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_creation_makes_one_case(
    sandbox: Sandbox, values: Any, kind: str, fault: str, title: str, content: str
) -> None:
    """However the answer to a creation is lost, there is one case, under its title or none, with all its values."""
    order = {} if kind == "archive" else {"order": 7}
    with through(sandbox, FaultScript("POST", CREATION, *LOST_RESPONSES[fault])) as client:
        home = make_home(sandbox, client, kind)
        made = home.add(*values[content], title=title, **order)

        assert made.title == title
        check_only_case(home, made.pk, values[content], title=title, **order)


def test_a_case_that_was_found_is_returned_as_one_that_was_made(sandbox: Sandbox) -> None:
    """After a lost response, the returned case has the form of a response: the slug of the study, and no values."""
    with through(sandbox, FaultScript("POST", CREATION, ACTED_CUT)) as client:
        home = make_home(sandbox, client, "reader study")
        made = home.add(title="found")
        again = home.add(title="made")
        assert (made.reader_study, made.order) == (home.slug, 10)
        assert (again.reader_study, again.order) == (home.slug, 20)


@pytest.mark.parametrize("order", [None, 0])
def test_an_order_that_is_left_to_the_server_stays_so(sandbox: Sandbox, order: int | None) -> None:
    """A display set whose creation and filling are lost still gets the number of the last."""
    faults = [FaultScript("POST", CREATION, ACTED_CUT), FaultScript("PATCH", CHANGE, ACTED_CUT)]
    with through(sandbox, *faults) as client:
        home = make_home(sandbox, client, "reader study")
        home.add(order=order)
        home.add(order=order)
        assert [(case.title, case.order) for case in home.all()] == [("", 10), ("", 20)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_creation_that_fails_at_once_is_not_repeated(sandbox: Sandbox, kind: str) -> None:
    """A 500 to the first request is the server's last word, and nothing is there."""
    fault = FaultScript("POST", CREATION, SERVER_ERROR)
    with through(sandbox, fault) as client:
        home = make_home(sandbox, client, kind)
        with pytest.raises(StatusError, match="500"):
            home.add(title="a")
        assert (home.all(), len(fault.seen)) == ([], 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_title_that_is_taken_is_refused(sandbox: Sandbox, values: Any, kind: str) -> None:
    """A taken title is an error that is a ValueError and a StatusError too, and the case that has it is left alone."""
    with through(sandbox) as client:
        home = make_home(sandbox, client, kind)
        first = home.add(title="P-0001")
        with pytest.raises(
            TitleTaken, match="has the title 'P-0001'; nothing was created"
        ) as refused:
            home.add(*values["inline"], title="P-0001")
        assert isinstance(refused.value, ValueError)
        assert isinstance(refused.value, StatusError)
        check_only_case(home, first.pk, [], title="P-0001")


@pytest.mark.parametrize("existing", ["error", "skip"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_title_that_is_taken_meanwhile_is_refused(
    sandbox: Sandbox, client: Client, values: Any, kind: str, existing: str
) -> None:
    """A case that has values is not ours, even if our own creation was lost: it is refused, or taken where asked."""
    others: list[Any] = []
    homes: list[Home] = []

    class Overtaken(FaultScript):
        def __call__(self, seen: Seen) -> Answer | None:
            lost = super().__call__(seen)
            if lost:
                others.append(homes[0].add(*values["inline"], title="P-0001"))
            return lost

    with through(sandbox, Overtaken("POST", CREATION, CUT)) as ours:
        homes.append(make_home(sandbox, client, kind))
        home = Home(ours, sandbox, homes[0].slug, homes[0].is_archive)
        number = values["inline"][0].socket_slug
        if existing == "error":
            with pytest.raises(TitleTaken):
                home.add(SocketValueSpec(number, value=0), title="P-0001")
        else:
            made = home.add(SocketValueSpec(number, value=0), title="P-0001", existing="skip")
            assert made.pk == others[0].pk
        check_only_case(home, others[0].pk, values["inline"], title="P-0001")


@pytest.mark.parametrize("kind", KINDS)
def test_a_creation_that_cannot_be_looked_for_is_ambiguous(sandbox: Sandbox, kind: str) -> None:
    """If neither a retry nor a look can tell, the error names the title to look for, and no second case is created."""
    no = Answer(403, {"detail": "No."})
    faults = [
        FaultScript("POST", CREATION, ACTED_CUT),
        FaultScript("GET", r"/(archives/items|display-sets)/\?", *[no] * 9),
    ]
    with through(sandbox, *faults) as client:
        home = make_home(sandbox, client, kind)
        with pytest.raises(AmbiguousWriteError, match="'P-0001' was lost") as unclear:
            home.add(title="P-0001")
        assert isinstance(unclear.value.__cause__, PermissionDenied)
    with Client(sandbox.token, sandbox.base_url) as direct:
        assert len(Home(direct, sandbox, home.slug, home.is_archive).all()) == 1


def test_a_creation_that_is_never_answered_is_ambiguous(sandbox: Sandbox) -> None:
    """When every repeat is lost as well, the error has the title to look for, and the last loss."""
    fault = FaultScript("POST", CREATION, *[CUT] * 99)
    with through(sandbox, fault) as client:
        home = make_home(sandbox, client, "archive")
        with pytest.raises(AmbiguousWriteError, match=r"'gcapi-incomplete-.*Look for it"):
            home.add()
        assert (home.all(), len(fault.seen)) == ([], 5)


# ---------------------------------------------------------------- cases are filled and changed


@pytest.mark.parametrize(
    ("title", "content"), [("", "none"), ("P-0001", "inline"), ("P-0001", "uploads")]
)
@pytest.mark.parametrize("fault", LOST_RESPONSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_filling_fills_once(
    sandbox: Sandbox, values: Any, kind: str, fault: str, title: str, content: str
) -> None:
    """However the answer to the request that fills a case is lost, the case has its values and no temporary title."""
    with through(sandbox, FaultScript("PATCH", CHANGE, *LOST_RESPONSES[fault])) as client:
        home = make_home(sandbox, client, kind)
        made = home.add(*values[content], title=title)
        check_only_case(home, made.pk, values[content], title=title)


@pytest.mark.parametrize("title", ["", "P-0001"])
@pytest.mark.parametrize("fault", ["done, lost twice", "not done, then done and lost"])
@pytest.mark.parametrize("kind", KINDS)
def test_uploads_that_still_wait_are_used_once(
    sandbox: Sandbox, values: Any, kind: str, fault: str, title: str
) -> None:
    """If the server has not processed the uploads yet, sending them again creates nothing twice."""
    with through(sandbox, FaultScript("PATCH", CHANGE, *LOST_RESPONSES[fault])) as client:
        home = make_home(sandbox, client, kind)
        with sandbox.hold_background():
            made = home.add(*values["uploads"], title=title)
        full = client.wait_for_values(made, values=values["uploads"], timeout=30)
        assert full.pk == made.pk
        check_only_case(home, made.pk, values["uploads"], title=title)


@pytest.mark.parametrize("content", ["none", "all"])
@pytest.mark.parametrize("fault", LOST_RESPONSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_change_changes_once(
    sandbox: Sandbox, values: Any, kind: str, fault: str, content: str
) -> None:
    """However the answer to a change is lost, the case has the new title, place and values, and keeps the others."""
    fields: dict[str, Any] = {"title": "new"} if kind == "archive" else {"title": "new", "order": 3}
    fault_of_changes = FaultScript("PATCH", CHANGE, *LOST_RESPONSES[fault])
    other = sandbox.add_socket(unique("other"), "Integer")
    with (
        through(sandbox, fault_of_changes) as client,
        Client(sandbox.token, sandbox.base_url) as direct,
    ):
        home = make_home(sandbox, client, kind)
        kept = SocketValueSpec(other, value=1)
        first = Home(direct, sandbox, home.slug, home.is_archive).add(
            kept, SocketValueSpec(values["inline"][0].socket_slug, value="old"), title="old"
        )
        changed = home.update(first.pk, *values[content], **fields)
        old = (
            []
            if content in {"inline", "all"}
            else [SocketValueSpec(values["inline"][0].socket_slug, value="old")]
        )

        assert (changed.pk, changed.title) == (first.pk, "new")
        check_only_case(home, first.pk, [kept, *old, *values[content]], **fields)


@pytest.mark.parametrize("order", [None, 5])
def test_a_display_set_moves_once(sandbox: Sandbox, order: int | None) -> None:
    """A change of nothing but the place is not repeated once it shows: to the end is one step."""
    fault = FaultScript("PATCH", CHANGE, ACTED_CUT)
    with through(sandbox, fault) as client:
        home = make_home(sandbox, client, "reader study")
        items = [home.add(title=str(number)) for number in range(3)]
        home.update(items[0].pk, order=order)
        expected = [5, 20, 30] if order else [20, 30, 40]
        assert [case.order for case in home.all()] == expected
        assert len(fault.seen) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_that_is_there_already_converges(sandbox: Sandbox, values: Any, kind: str) -> None:
    """A value that the case had before is sent again after a loss, which changes nothing."""
    with through(sandbox) as client:
        home = make_home(sandbox, client, kind)
        made = home.add(*values["inline"], title="a")
    again = FaultScript("PATCH", CHANGE, ACTED_CUT)
    with through(sandbox, again) as client:
        home = Home(client, sandbox, home.slug, home.is_archive)
        home.update(made.pk, *values["inline"])
        assert len(again.seen) == 2
        check_only_case(home, made.pk, values["inline"], title="a")


@pytest.mark.parametrize("kind", KINDS)
def test_a_filling_that_is_never_answered_is_reported(
    sandbox: Sandbox, values: Any, kind: str
) -> None:
    """A case whose filling never arrives is an IncompleteCase with its pk, and the printed call completes it."""
    fault = FaultScript("PATCH", CHANGE, *[UNAVAILABLE] * 5)
    with through(sandbox, fault) as client:
        home = make_home(sandbox, client, kind)
        with pytest.raises(IncompleteCase, match="unknown whether it was changed") as left:
            home.add(*values["all"])
        (case,) = home.all()
        assert (case.pk, case.title[:17]) == (left.value.pk, "gcapi-incomplete-")
        (call,) = [line for line in str(left.value).splitlines() if line.startswith("    ")]
        exec(call.strip(), {"client": client, "SocketValueSpec": SocketValueSpec})
        check_only_case(home, case.pk, values["all"], title="")


def test_a_change_that_is_refused_after_a_loss_says_why(sandbox: Sandbox, values: Any) -> None:
    """A change that was lost before it arrived, and then is refused, was not carried out: the refusal comes through."""
    with through(
        sandbox, FaultScript("PATCH", CHANGE, CUT, Answer(403, {"detail": "Not yours."}))
    ) as client:
        home = make_home(sandbox, client, "archive")
        made = home.add(title="a")
        with pytest.raises(PermissionDenied, match="Not yours"):
            home.update(made.pk, *values["inline"])
        check_only_case(home, made.pk, [], title="a")


# ---------------------------------------------------------------- jobs


@pytest.fixture(scope="module")
def _credits(sandbox: Sandbox) -> None:
    sandbox.limits.credits = 10**6


@pytest.fixture
def algorithm(sandbox: Sandbox, sockets: Sockets, _credits: None) -> str:
    """Make an algorithm that takes a number, an image, or everything."""
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
    """Give inputs of each sort; those that are on the server as a client sees them."""

    def make(content: str, client: Client | None = None) -> list[SocketValueSpec]:
        if content == "image on the server" and client is not None:
            home = make_home(sandbox, client, "archive")
            case = home.filled(home.add(values["uploads"][1]).pk)
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
    """However the answer is lost, the job that was started is returned as its answer would be, and is the only one."""
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
    """A job that does not show its inputs yet is looked at again until it does."""
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
    """A new job that may be ours and does not show its inputs is named, and none is sent after it."""
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
    """A job whose inputs the server could not use never shows them: it is named, and none is sent after it."""
    bad = SocketValueSpec(sockets.image, file=written(tmp_path / "bad.mha", "no image"))
    with through(sandbox, FaultScript("POST", JOBS, ACTED_CUT)) as client:
        with pytest.raises(AmbiguousWriteError) as unclear:
            client.start_algorithm_job(algorithm_slug=algorithm, inputs=[bad])
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
        with pytest.raises(AmbiguousWriteError, match="nothing tells for certain") as unclear:
            ours.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        sandbox.wait_idle()
        jobs = jobs_of(ours, algorithm)
        assert len(jobs) == (2 if lost == "after" else 1)
        assert all(job.pk in str(unclear.value) for job in jobs)


def test_another_job_of_the_algorithm_is_not_taken_for_ours(
    sandbox: Sandbox, client: Client, sockets: Sockets, algorithm: str
) -> None:
    """A new job with other inputs changes nothing: ours is sent again, or found beside it."""
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
    """A job whose inputs ran before is refused after a loss as it would have been without, and there is no second."""
    inputs = job_inputs("value")
    client.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
    with through(sandbox, FaultScript("POST", JOBS, CUT)) as ours:
        with pytest.raises(StatusError, match="A result for these inputs"):
            ours.start_algorithm_job(algorithm_slug=algorithm, inputs=inputs)
        assert len(jobs_of(ours, algorithm)) == 1


def test_a_job_that_arrives_late_is_found_by_its_refused_repeat(
    sandbox: Sandbox, algorithm: str, job_inputs: Any
) -> None:
    """A first request that overtakes its own repeat makes the repeat a duplicate, and the job is found."""

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
    """Threads wait for each other from the count before a job until its answer, so that new jobs can be told apart."""
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
    """Nothing tells one invocation from another, so it is made once and the loss is reported."""
    endpoint = sandbox.add_endpoint(algorithm)
    fault = FaultScript("POST", "/invocations/$", ACTED_CUT)
    with through(sandbox, fault) as client:
        with pytest.raises(AmbiguousWriteError, match="Look at your latest invocations"):
            client.invoke_algorithm_endpoint(endpoint_pk=endpoint, inputs=job_inputs("value"))
        assert (client.algorithm_invocations.count(), len(fault.seen)) == (1, 1)


# ---------------------------------------------------------------- answers


@dataclass(frozen=True)
class Question:
    """A question about a display set, in a study of the test's own."""

    pk: str
    display_set: str


@pytest.fixture
def question(sandbox: Sandbox, client: Client) -> Question:
    """Make a study with one display set and one question."""
    slug = sandbox.add_reader_study(
        unique("study"),
        readers=["sandbox"],
        questions=[{"question_text": "What?", "answer_type": "Text", "required": False}],
    )
    (asked,) = client.reader_studies.detail(slug=slug).questions
    shown = client.add_case_to_reader_study(reader_study_slug=slug, values=[])
    return Question(asked.pk, shown.pk)


ANSWERS = "/answers/$"


@pytest.mark.parametrize("fault", LOST_RESPONSES)
def test_a_lost_answer_to_a_question_is_stored_once(
    sandbox: Sandbox, question: Question, fault: str
) -> None:
    """However the server's answer is lost, the reader's is stored once and returned."""
    with through(sandbox, FaultScript("POST", ANSWERS, *LOST_RESPONSES[fault])) as client:
        made = client.reader_studies.answers.create(
            question=question.pk, display_set=question.display_set, answer="ja"
        )
        (stored,) = client.reader_studies.answers.mine.iterate_all(
            {"display_set": question.display_set}
        )
        assert (stored.pk, stored.answer) == (made.pk, "ja")


def test_another_answer_of_before_is_not_taken_for_ours(
    sandbox: Sandbox, client: Client, question: Question
) -> None:
    """If the question has another answer, the refusal is raised after a lost response too."""
    fields = {"question": question.pk, "display_set": question.display_set}
    client.reader_studies.answers.create(**fields, answer="nein")
    with (
        through(sandbox, FaultScript("POST", ANSWERS, CUT)) as ours,
        pytest.raises(AmbiguousWriteError, match="has already answered this question"),
    ):
        ours.reader_studies.answers.create(**fields, answer="ja")


def test_an_answer_that_is_answered_already_is_refused(client: Client, question: Question) -> None:
    """Without a loss, a second answer is refused, even if it is the same."""
    fields = {"question": question.pk, "display_set": question.display_set, "answer": "ja"}
    client.reader_studies.answers.create(**fields)
    with pytest.raises(StatusError, match="has already answered this question"):
        client.reader_studies.answers.create(**fields)
