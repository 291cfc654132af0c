"""Every namespace, against the sandbox."""

from __future__ import annotations

import inspect
import io
import re
import uuid
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gcapi
from gcapi import Client, SocketValueSpec, models
from gcapi.exceptions import (
    AuthenticationError,
    ObjectNotFound,
    PermissionDenied,
    StatusError,
)
from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import Answer, Loopback, connect, in_turn

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
READ = {"detail", "page", "iterate_all", "count", "to_dataframe"}
WRITE = {"create", "update", "partial_update", "delete"}
CHANGE = {"update", "partial_update"}

#: The methods of each namespace other than reading; the writes are exactly those of the API.
NAMESPACES: dict[str, set[str]] = {
    "images": {"download", "read", "array", "preview"},
    "uploads": {
        "create",
        "generate_presigned_urls",
        "list_parts",
        "complete_multipart_upload",
        "abort_multipart_upload",
        "resume",
        "upload_fileobj",
        "upload_multiple_fileobj",
    },
    "raw_image_upload_sessions": {"create"},
    "archives": {"patients", "studies"},
    "archive_items": {"create", *CHANGE},
    "reader_studies": {"ground_truth", "answers_table"},
    "reader_studies.answers": {"create", "partial_update"},
    "reader_studies.answers.mine": set(),
    "reader_studies.questions": set(),
    "reader_studies.display_sets": {"create", *CHANGE},
    "algorithms": set(),
    "algorithm_images": set(),
    "algorithm_jobs": {"create", "by_input_image"},
    "algorithm_endpoints": {"create", "keep_alive"},
    "algorithm_invocations": {"create"},
    "interfaces": set(),
    "challenges": set(),
    "evaluations": {"claimable_evaluations", "claim", "update_external_evaluation", "leaderboard"},
    "notifications": {*CHANGE, "delete"},
    "subscriptions": {*CHANGE, "delete"},
    "workstations": set(),
    "workstation_configs": set(),
    "sessions": {"keep_alive"},
    "feedback": {"create"},
}
#: The methods of namespaces without a list.
SINGLE = {"profiles": {"self"}, "timezone": {"update"}}
#: The model of each namespace, and the attribute with its primary key.
MODELS = {
    "images": "HyperlinkedImage",
    "uploads": "UserUpload",
    "raw_image_upload_sessions": "RawImageUploadSession",
    "archives": "Archive",
    "archive_items": "ArchiveItem",
    "reader_studies": "ReaderStudy",
    "reader_studies.answers": "Answer",
    "reader_studies.answers.mine": "Answer",
    "reader_studies.questions": "Question",
    "reader_studies.display_sets": "DisplaySet",
    "algorithms": "Algorithm",
    "algorithm_images": "AlgorithmImage",
    "algorithm_jobs": "HyperlinkedJob",
    "algorithm_endpoints": "Endpoint",
    "algorithm_invocations": "Invocation",
    "interfaces": "ComponentInterface",
    "challenges": "PublicChallenge",
    "evaluations": "Evaluation",
    "notifications": "Notification",
    "subscriptions": "Follow",
    "workstations": "Workstation",
    "workstation_configs": "WorkstationConfig",
    "sessions": "Session",
    "feedback": "Feedback",
}
#: Namespaces whose lists have no primary keys.
NAMELESS = {"notifications", "feedback"}
HEADER = b"ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"


def _count(_: Path, output: Path) -> None:
    (output / "count.json").write_text("3")


@pytest.fixture(scope="module")
def world(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """Return a sandbox that has at least one object of every kind."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "a.mha").write_bytes(HEADER + b"\0\1\2\3")
    scan, count = sandbox.add_socket("Scan"), sandbox.add_socket("Count", "Integer")
    notes = sandbox.add_socket("Notes", "Anything", store_in_database=False)
    sandbox.add_archive("World")
    sandbox.add_reader_study(
        "Study",
        readers=["sandbox"],
        is_educational=True,
        allow_answer_modification=True,
        questions=[{"question_text": "Sure?", "answer_type": "Bool", "required": False}],
    )
    sandbox.add_algorithm("Counter", interfaces=[([scan], [count])], run=_count, users=["sandbox"])
    endpoint = sandbox.add_endpoint("counter")
    evaluation = sandbox.add_evaluation("challenge", "phase", evaluators=["sandbox"])
    session, follow = sandbox.add_viewer_session(), sandbox.add_subscription()
    with Client(sandbox.token, sandbox.base_url) as client:
        values = [SocketValueSpec(scan, file=folder / "a.mha")]
        item = client.add_case_to_archive(archive_slug="world", values=values)
        image = client.wait_for_values(item, values=values, timeout=60).values[0].image
        broken = client.uploads.upload_fileobj(fileobj=io.BytesIO(b"{"), filename="notes.json")
        rejected = {"interface": notes, "user_upload": broken.api_url}
        client.archive_items.partial_update(item.pk, values=[rejected])
        reused = [SocketValueSpec(scan, existing_image_api_url=image)]
        job = client.start_algorithm_job(algorithm_slug="counter", inputs=reused)
        client.wait_for_job(job, timeout=60)
        client.invoke_algorithm_endpoint(endpoint_pk=endpoint, inputs=reused)
        shown = client.add_case_to_reader_study(reader_study_slug="study", values=[])
        question = client.reader_studies.questions.page()[0]
        client.reader_studies.answers.create(
            question=question.pk, display_set=shown.pk, answer=True
        )
        client.feedback.create(
            session=f"{client.base_url}workstations/sessions/{session}/", user_comment="slow"
        )
        client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="x")
        sandbox.wait_idle()
        yield SimpleNamespace(
            item=item.pk,
            image=client.images.detail(api_url=image),
            job=job.pk,
            endpoint=endpoint,
            evaluation=evaluation,
            session=session,
            follow=follow,
            question=question,
            display_set=shown.pk,
        )


# ---------------------------------------------------------------- what there is


def public_methods(thing: object) -> set[str]:
    """Return the names of the public methods of an object."""
    return {
        name for name, _ in inspect.getmembers(thing, inspect.ismethod) if not name.startswith("_")
    }


@pytest.mark.parametrize("name", NAMESPACES)
def test_namespace_offers_what_the_api_has(client: Client, name: str) -> None:
    """Each namespace can read, and has exactly the API's writes."""
    assert public_methods(attrgetter(name)(client)) == READ | NAMESPACES[name]


@pytest.mark.parametrize("name", SINGLE)
def test_namespace_without_a_list(client: Client, name: str) -> None:
    """A namespace without a list in the API has exactly the API's operations."""
    assert public_methods(getattr(client, name)) == SINGLE[name]


def test_there_are_no_other_namespaces(client: Client) -> None:
    """The table has every namespace of a client."""

    def found(parent: object, prefix: str) -> Iterator[str]:
        for name, value in vars(parent).items():
            if not name.startswith("_") and type(value).__module__.startswith("gcapi.resources."):
                yield prefix + name
                yield from found(value, f"{prefix}{name}.")

    assert set(found(client, "")) == NAMESPACES.keys() | SINGLE.keys()


def _shown(one: object) -> str:
    """Return the repr of an object without the remaining lifetime, which changes between two requests."""
    return re.sub(r"remaining_lifetime='[0-9:]+'", "remaining_lifetime", repr(one))


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", NAMESPACES)
def test_reading(client: Client, name: str) -> None:
    """Pages, iteration, counts and single objects agree, and have the right model."""
    namespace = attrgetter(name)(client)
    page = namespace.page(limit=1000)
    assert len(page) == namespace.count() == page.total_count >= 1
    assert all(type(one).__name__ == MODELS[name] for one in page)
    assert sorted(map(_shown, namespace.iterate_all())) == sorted(map(_shown, page))
    if name not in NAMELESS:
        pk = page[0].slug if name == "challenges" else page[0].pk
        assert _shown(namespace.detail(pk=pk)) == _shown(page[0])
        assert isinstance(page[0], getattr(models, MODELS[name]))


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", sorted(NAMESPACES.keys() - {"reader_studies.answers.mine"}))
def test_missing_objects_are_not_found(client: Client, name: str) -> None:
    """A missing object raises ObjectNotFound in every namespace."""
    with pytest.raises(ObjectNotFound, match="or no access"):
        attrgetter(name)(client).detail(pk=str(uuid.uuid4()))


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", NAMESPACES)
def test_wrong_token(sandbox: Sandbox, name: str) -> None:
    """An invalid token is an error in every namespace, rather than an empty list."""
    with Client("ff", sandbox.base_url) as stranger, pytest.raises(AuthenticationError):
        attrgetter(name)(stranger).count()


@pytest.mark.usefixtures("world")
def test_strangers_see_nothing_of_others(sandbox: Sandbox) -> None:
    """Objects that are not public are invisible to other accounts."""
    public = {"interfaces", "challenges", "workstations", "workstation_configs"}
    with Client(sandbox.add_user("stranger"), sandbox.base_url) as stranger:
        seen = {name for name in NAMESPACES if attrgetter(name)(stranger).count()}
    assert seen == public


# ---------------------------------------------------------------- archives and studies


@pytest.mark.usefixtures("world")
def test_archive_item_through_its_life(client: Client) -> None:
    """An archive item can be created, partially updated, and replaced, which clears omitted fields."""
    archive = client.archives.detail(slug="world")
    made = client.archive_items.create(archive=archive.api_url, title="made")
    assert isinstance(made, models.ArchiveItemPost)
    value = {"interface": "count", "value": 3}
    changed = client.archive_items.partial_update(made.pk, values=[value])
    assert (changed.title, [one.value for one in changed.values]) == ("made", [3])
    replaced = client.archive_items.update(made.pk, archive=archive.api_url, title="new", values=[])
    assert (replaced.title, client.archive_items.detail(pk=made.pk).values) == ("new", [])
    assert value == {"interface": "count", "value": 3}


def test_archive_needs_its_fields(sandbox: Sandbox, client: Client) -> None:
    """The error for a missing required field names it, and nothing is sent."""
    sandbox.requests.clear()
    with pytest.raises(TypeError, match="'archive'"):
        client.archive_items.create(title="nowhere")
    assert len(sandbox.requests) == 0


@pytest.mark.usefixtures("world")
def test_models_that_were_read_can_be_sent(client: Client) -> None:
    """Models from the server are valid in a request, and are not changed."""
    archive = client.archives.detail(slug="world")
    item = client.archive_items.create(archive=archive.api_url)
    posted = client.archive_items.partial_update(
        item.pk, values=[{"interface": "count", "value": 1}]
    )
    before = posted.to_dict()
    again = client.archive_items.partial_update(
        item.pk, values=[{"interface": posted.values[0].interface, "value": posted.values[0].value}]
    )
    assert again.to_dict() == posted.to_dict() == before


@pytest.mark.usefixtures("world")
def test_patients_and_studies(client: Client) -> None:
    """Patients and studies of an archive are lists of strings."""
    archive = client.archives.detail(slug="world")
    patients = client.archives.patients(archive.pk)
    assert all(isinstance(one, str) for one in patients)
    assert isinstance(client.archives.studies(archive.pk, patient_id="x"), list)


@pytest.mark.usefixtures("world")
def test_display_set_through_its_life(client: Client) -> None:
    """A display set can be created by the study's slug, updated, and replaced."""
    made = client.reader_studies.display_sets.create(reader_study="study", title="made", order=50)
    assert (made.title, made.order) == ("made", 50)
    changed = client.reader_studies.display_sets.partial_update(made.pk, order=60)
    assert (changed.title, changed.order) == ("made", 60)
    replaced = client.reader_studies.display_sets.update(made.pk, reader_study="study", values=[])
    assert (replaced.title, replaced.order) == ("", 60)
    assert client.reader_studies.display_sets.count({"reader_study": world_study(client)}) >= 2


def world_study(client: Client) -> str:
    """Return the primary key of the study."""
    return str(client.reader_studies.detail(slug="study").pk)


@pytest.mark.parametrize("form", ["pk", "uuid", "url"])
def test_answers_accept_bare_pks(client: Client, world: SimpleNamespace, form: str) -> None:
    """The question and the display set of an answer can be primary keys or API URLs."""
    shown = client.reader_studies.display_sets.create(reader_study="study")
    question = world.question
    refer: dict[str, Callable[[Any], object]] = {
        "pk": lambda thing: thing.pk,
        "uuid": lambda thing: uuid.UUID(thing.pk),
        "url": lambda thing: thing.api_url,
    }
    shown = client.reader_studies.display_sets.detail(pk=shown.pk)
    fields = {"question": refer[form](question), "display_set": refer[form](shown), "answer": True}
    before = dict(fields)
    answer = client.reader_studies.answers.create(**fields)
    assert (answer.answer, answer.question, answer.display_set) == (
        True,
        question.api_url,
        shown.api_url,
    )
    assert fields == before
    changed = client.reader_studies.answers.partial_update(answer.pk, answer=False)
    assert changed.answer is False


def test_own_answers(sandbox: Sandbox, client: Client, world: SimpleNamespace) -> None:
    """`answers.mine` lists the user's answers, and has the filters of answers."""
    mine = client.reader_studies.answers.mine
    assert {answer.creator for answer in mine.iterate_all()} == {"sandbox"}
    assert mine.count({"question__reader_study": world_study(client)}) == mine.count()
    assert mine.page(params={"display_set": world.display_set}).total_count == 1
    sandbox.requests.clear()
    mine.count()
    assert sandbox.requests[-1].path == "/api/v1/reader-studies/answers/mine/"


def test_ground_truth(sandbox: Sandbox, client: Client, world: SimpleNamespace) -> None:
    """The ground truth of a display set is keyed by the primary keys of the questions."""
    with pytest.raises(ObjectNotFound):
        client.reader_studies.ground_truth(str(uuid.uuid4()), world.display_set)
    sandbox.add_ground_truth(world.display_set, {"Sure?": True})
    truth = client.reader_studies.ground_truth(world_study(client), world.display_set)
    assert truth[world.question.pk]["answer"] is True
    assert truth[world.question.pk]["question_text"] == "Sure?"


# ---------------------------------------------------------------- algorithms


def test_jobs_by_input_image(sandbox: Sandbox, client: Client, world: SimpleNamespace) -> None:
    """Jobs can be listed by an input image."""
    sandbox.requests.clear()
    jobs = list(client.algorithm_jobs.by_input_image(pk=world.image.pk))
    assert [job.pk for job in jobs] == [world.job]
    assert f"input_image={world.image.pk}" in sandbox.requests[-1].query


def test_job_is_created_by_hand(client: Client, world: SimpleNamespace) -> None:
    """A job can be created from the API's fields, and a second one with the same inputs is refused."""
    algorithm = client.algorithms.detail(slug="counter")
    inputs = [{"interface": "scan", "image": world.image.api_url}]
    with pytest.raises(StatusError, match="already exists"):
        client.algorithm_jobs.create(algorithm=algorithm.api_url, inputs=inputs)


def test_endpoint_is_kept_alive(client: Client, world: SimpleNamespace) -> None:
    """An endpoint can be created and kept alive."""
    algorithm = client.algorithms.detail(slug="counter")
    assert isinstance(client.algorithm_endpoints.keep_alive(world.endpoint), dict)
    made = client.algorithm_endpoints.create(algorithm=algorithm.api_url)
    assert made.algorithm == algorithm.api_url


def test_invocation_is_created_by_hand(client: Client, world: SimpleNamespace) -> None:
    """An invocation can be created from the API's fields."""
    made = client.algorithm_invocations.create(
        endpoint=f"{client.base_url}algorithms/endpoints/{world.endpoint}/",
        inputs=[{"interface": "scan", "image": world.image.api_url}],
    )
    assert client.algorithm_invocations.detail(pk=made.pk).endpoint == made.endpoint


@pytest.mark.usefixtures("world")
def test_upload_session_is_created_by_hand(client: Client) -> None:
    """An upload session can be created from uploads."""
    upload = client.uploads.upload_fileobj(
        fileobj=io.BytesIO(HEADER + b"\0\0\0\0"), filename="b.mha"
    )
    session = client.raw_image_upload_sessions.create(uploads=[upload.api_url])
    assert client.raw_image_upload_sessions.detail(pk=session.pk).status == "Queued"


# ---------------------------------------------------------------- challenges, people, viewers


@pytest.mark.usefixtures("world")
def test_challenge_by_its_short_name(sandbox: Sandbox, client: Client) -> None:
    """A challenge is retrieved by its short name in one request."""
    client.challenges.count()
    sandbox.requests.clear()
    by_slug = client.challenges.detail(slug="challenge")
    assert len(sandbox.requests) == 1
    assert (
        by_slug == client.challenges.detail(pk="challenge") == client.challenges.detail("challenge")
    )
    assert by_slug == client.challenges.detail(api_url=by_slug.api_url)


def test_evaluation_is_claimed_and_reported(sandbox: Sandbox) -> None:
    """An external evaluation can be listed, claimed and reported, and errors have the server's words."""
    pk = sandbox.add_evaluation("claims", "first", evaluators=["evaluator"])
    other = sandbox.add_evaluation("claims", "second", evaluators=["evaluator"])
    with Client(sandbox.add_user("evaluator"), sandbox.base_url) as client:
        claimable = client.evaluations.claimable_evaluations()
        assert {one.pk for one in claimable} == {pk, other}
        phase = next(one.phase_pk for one in claimable if one.pk == pk)
        filtered = client.evaluations.claimable_evaluations({"submission__phase": phase})
        assert [one.pk for one in filtered] == [pk]
        with pytest.raises(StatusError, match="You need to claim an evaluation"):
            client.evaluations.update_external_evaluation(pk, status="Succeeded", metrics={})
        assert client.evaluations.claim(pk).status == "External Execution In Progress"
        with pytest.raises(StatusError, match="only claim one evaluation"):
            client.evaluations.claim(other)
        with pytest.raises(StatusError, match="Metrics are required"):
            client.evaluations.update_external_evaluation(pk, status="Succeeded")
        done = client.evaluations.update_external_evaluation(
            pk, status=models.StatusEnum.Succeeded, metrics={"dice": 0.9}
        )
        assert (done.status, done.metrics) == ("Succeeded", {"dice": 0.9})


def test_failed_evaluation_is_reported(sandbox: Sandbox) -> None:
    """A failed evaluation is reported with a message and without metrics."""
    pk = sandbox.add_evaluation("failures", "only", evaluators=["unlucky"])
    with Client(sandbox.add_user("unlucky"), sandbox.base_url) as client:
        client.evaluations.claim(pk)
        done = client.evaluations.update_external_evaluation(
            pk, status="Failed", error_message="out of memory"
        )
    assert (done.status, done.error_message) == ("Failed", "out of memory")


def test_own_profile(client: Client) -> None:
    """The profile belongs to the token's account."""
    assert client.profiles.self().user.username == "sandbox"


def test_timezone(client: Client) -> None:
    """A time zone can be set, and an invalid one is refused with the server's words."""
    assert client.timezone.update("Europe/Amsterdam").timezone == "Europe/Amsterdam"
    with pytest.raises(StatusError, match="not a valid choice"):
        client.timezone.update("Mars")


def test_session_is_kept_alive(sandbox: Sandbox, client: Client, world: SimpleNamespace) -> None:
    """A viewer session can be extended, until the server refuses with its words."""
    assert client.sessions.keep_alive(world.session) == {"status": "session extended"}
    before = sandbox.limits.session_seconds
    sandbox.limits.session_seconds = 0
    try:
        with pytest.raises(StatusError, match="session duration limit reached"):
            client.sessions.keep_alive(world.session)
    finally:
        sandbox.limits.session_seconds = before


def test_feedback(client: Client, world: SimpleNamespace) -> None:
    """Feedback on an own session can be created, with and without a context."""
    session = f"{client.base_url}workstations/sessions/{world.session}/"
    given = client.feedback.create(session=session, user_comment="slow", context={"a": [1]})
    assert (given.user_comment, given.context, given.screenshot) == ("slow", {"a": [1]}, None)


def test_subscription_is_changed_and_deleted(sandbox: Sandbox, client: Client) -> None:
    """A subscription can be updated and deleted."""
    pk = str(sandbox.add_subscription())
    assert client.subscriptions.partial_update(pk, flag="all").flag == "all"
    assert client.subscriptions.update(pk, flag="none").flag == "none"
    assert client.subscriptions.delete(pk) is None
    with pytest.raises(ObjectNotFound):
        client.subscriptions.delete(pk)


def test_notification_is_read_and_deleted() -> None:
    """A notification can be marked as read and deleted."""
    answers = [Answer(body={"read": True})] * 3 + [Answer(status=204)]
    with Loopback(in_turn(*answers)) as server, connect(server) as client:
        assert client.notifications.detail(pk=PK).read is True
        assert client.notifications.partial_update(PK, read=True).read is True
        assert client.notifications.update(PK, read=True).read is True
        assert client.notifications.delete(PK) is None
    path = f"/api/v1/notifications/{PK}/"
    assert [(seen.method, seen.path) for seen in server.seen] == [
        ("GET", path),
        ("PATCH", path),
        ("PUT", path),
        ("DELETE", path),
    ]
    assert server.seen[1].json() == {"read": True}


def test_missing_permission(sandbox: Sandbox, client: Client) -> None:
    """Changing a read-only object raises PermissionDenied, which says whom to ask."""
    slug = sandbox.add_archive("Read only", editors=["editor"], users=["sandbox"])
    with Client(sandbox.add_user("editor"), sandbox.base_url) as editor:
        archive = editor.archives.detail(slug=slug)
        item = editor.archive_items.create(archive=archive.api_url)
    assert client.archive_items.detail(pk=item.pk).title == ""
    with pytest.raises(PermissionDenied, match="ask an editor"):
        client.archive_items.partial_update(item.pk, title="mine")


def test_bodies_are_json() -> None:
    """Writes send JSON."""
    with Loopback(in_turn(Answer(body={"timezone": "UTC"}))) as server, connect(server) as client:
        client.timezone.update("UTC")
    assert server.seen[0].header("Content-Type") == "application/json"
    assert server.seen[0].json() == {"timezone": "UTC"}


def test_models_are_those_of_the_generated_package() -> None:
    """Namespaces return the models of the generated package."""
    from grand_challenge_api.models import Archive

    assert gcapi.models.Archive is Archive
