"""Writes of cases and answers whose response is lost: what was asked for exists exactly once, as it was asked for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi._workflows.prepare import UploadedFiles
from gcapi.exceptions import (
    AmbiguousWriteError,
    IncompleteCase,
    PermissionDenied,
    StatusError,
    TitleTaken,
)
from gcapi_sandbox import Rule, Sandbox
from tests.support.data import (
    CaseCollection,
    add_collection,
    content_of,
    found,
    unique,
    value_of,
)
from tests.support.lost_responses import (
    ACTED_CUT,
    CHANGE,
    CREATION,
    CUT,
    LOST_RESPONSES,
    REFUSED,
    SERVER_ERROR,
    UNAVAILABLE,
    Sockets,
    add_sockets,
    always,
    faulty,
    in_turn,
    make_values,
)
from tests.support.servers.loopback import Answer, Loopback, connect

KINDS = ["archive", "reader study"]
CREATIONS = r"/(archives/items|display-sets)/$"
CHANGES = r"/(archives/items|display-sets)/[^/]+/$"


@pytest.fixture(scope="module")
def sockets(sandbox: Sandbox) -> Sockets:
    """Add the sockets."""
    return add_sockets(sandbox)


@pytest.fixture
def values(sockets: Sockets, tmp_path: Path) -> dict[str, list[SocketValueSpec]]:
    """Return the values of cases and jobs."""
    return make_values(sockets, tmp_path)


def check_only_case(
    collection: CaseCollection, pk: str, specs: list[SocketValueSpec], **fields: Any
) -> None:
    """Check that a case is the only one, and is as it was specified."""
    collection.sandbox.wait_idle()
    (case,) = collection.all()
    assert case.pk == pk
    assert {name: getattr(case, name) for name in fields} == fields
    assert {value.interface.slug for value in case.values} == {spec.socket_slug for spec in specs}
    for spec in specs:
        value = value_of(case, spec.socket_slug)
        if spec.source == "value":
            assert value.value == json.loads(json.dumps(spec.value))
        elif value.file:
            assert content_of(collection.client, value) == "a;ü".encode()
        else:
            assert collection.client.images.detail(api_url=value.image).name == "noise.mha"


# ---------------------------------------------------------------- cases are created


@pytest.mark.parametrize(("title", "content"), [("", "none"), ("P-0001", "all")])
@pytest.mark.parametrize("fault", LOST_RESPONSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_creation_makes_one_case(
    sandbox: Sandbox, values: Any, kind: str, fault: str, title: str, content: str
) -> None:
    """However the response to a creation is lost, there is one case, with its title and all its values."""
    order = {} if kind == "archive" else {"order": 7}
    with faulty(sandbox, *in_turn("POST", CREATION, *LOST_RESPONSES[fault])) as client:
        collection = add_collection(sandbox, client, kind)
        made = collection.add(*values[content], title=title, **order)

        assert made.title == title
        check_only_case(collection, made.pk, values[content], title=title, **order)


def test_a_case_that_was_found_is_returned_as_one_that_was_made(sandbox: Sandbox) -> None:
    """After a lost response, the returned case has the form of a response: the slug of the study, and no values."""
    with faulty(sandbox, *in_turn("POST", CREATION, ACTED_CUT)) as client:
        collection = add_collection(sandbox, client, "reader study")
        made = collection.add(title="found")
        again = collection.add(title="made")
        assert (made.reader_study, made.order) == (collection.slug, 10)
        assert (again.reader_study, again.order) == (collection.slug, 20)


@pytest.mark.parametrize("order", [None, 0])
def test_an_order_that_is_left_to_the_server_stays_so(sandbox: Sandbox, order: int | None) -> None:
    """A display set whose creation and filling are lost still gets the number of the last."""
    faults = [*in_turn("POST", CREATION, ACTED_CUT), *in_turn("PATCH", CHANGE, ACTED_CUT)]
    with faulty(sandbox, *faults) as client:
        collection = add_collection(sandbox, client, "reader study")
        collection.add(order=order)
        collection.add(order=order)
        assert [(case.title, case.order) for case in collection.all()] == [("", 10), ("", 20)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_creation_that_fails_at_once_is_not_repeated(sandbox: Sandbox, kind: str) -> None:
    """A 500 to the first request is final, and there is no case."""
    with faulty(sandbox, *in_turn("POST", CREATION, SERVER_ERROR)) as client:
        collection = add_collection(sandbox, client, kind)
        with pytest.raises(StatusError, match="500"):
            collection.add(title="a")
        assert (collection.all(), len(found(sandbox, "POST", CREATIONS))) == ([], 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_that_was_cut_is_asked_for_again(
    sandbox: Sandbox, values: Any, kind: str
) -> None:
    """A refusal whose JSON was cut on its way says nothing for certain, so the request is repeated."""
    rules = in_turn("POST", CREATION, Rule(failure="half"), skip=1)
    with faulty(sandbox, *rules) as client:
        collection = add_collection(sandbox, client, kind)
        first = collection.add(*values["inline"], title="P-0001")
        with pytest.raises(TitleTaken, match="has the title 'P-0001'; nothing was created"):
            collection.add(*values["inline"], title="P-0001")
        assert [case.pk for case in collection.all()] == [first.pk]
        assert len(found(sandbox, "POST", CREATIONS)) == 3


def test_a_refusal_that_is_nested_deeply_is_a_refusal(sandbox: Sandbox) -> None:
    """A refusal whose JSON is nested too deeply to be parsed is raised as what it is, and not repeated."""
    nested = "[" * 5_000 + "]" * 5_000
    refusal = Rule(failure="status", status=400, body=nested, content_type="application/json")
    with faulty(sandbox, *always("POST", CREATION, refusal)) as client:
        collection = add_collection(sandbox, client, "archive")
        with pytest.raises(StatusError, match="400"):
            collection.add(title="P-0001")
        assert len(found(sandbox, "POST", CREATIONS)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_title_that_is_taken_is_refused(sandbox: Sandbox, values: Any, kind: str) -> None:
    """A taken title raises an error that is a ValueError and a StatusError, and the other case stays as it is."""
    with faulty(sandbox) as client:
        collection = add_collection(sandbox, client, kind)
        first = collection.add(title="P-0001")
        with pytest.raises(
            TitleTaken, match="has the title 'P-0001'; nothing was created"
        ) as refused:
            collection.add(*values["inline"], title="P-0001")
        assert isinstance(refused.value, ValueError)
        assert isinstance(refused.value, StatusError)
        check_only_case(collection, first.pk, [], title="P-0001")


@pytest.mark.parametrize("existing", ["error", "skip"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_title_that_is_taken_meanwhile_is_refused(
    sandbox: Sandbox, client: Client, values: Any, kind: str, existing: str
) -> None:
    """A case with values is not ours, even if our creation was lost: its title is refused, or it is used if asked."""
    others: list[Any] = []
    homes: list[CaseCollection] = []

    def overtake(*_: object) -> None:
        others.append(homes[0].add(*values["inline"], title="P-0001"))

    with faulty(sandbox, *in_turn("POST", CREATION, CUT), on_strike=overtake) as ours:
        homes.append(add_collection(sandbox, client, kind))
        collection = CaseCollection(ours, sandbox, homes[0].slug, homes[0].is_archive)
        number = values["inline"][0].socket_slug
        if existing == "error":
            with pytest.raises(TitleTaken):
                collection.add(SocketValueSpec(number, value=0), title="P-0001")
        else:
            made = collection.add(SocketValueSpec(number, value=0), title="P-0001", existing="skip")
            assert made.pk == others[0].pk
        check_only_case(collection, others[0].pk, values["inline"], title="P-0001")


@pytest.mark.parametrize("kind", KINDS)
def test_a_creation_that_cannot_be_looked_for_is_ambiguous(sandbox: Sandbox, kind: str) -> None:
    """If neither a retry nor a look can tell, the error names the title to look for, and no second case is created."""
    faults = [*in_turn("POST", CREATION, ACTED_CUT), *always("GET", CREATION, REFUSED)]
    with faulty(sandbox, *faults) as client:
        collection = add_collection(sandbox, client, kind)
        with pytest.raises(AmbiguousWriteError, match="'P-0001' was lost") as unclear:
            collection.add(title="P-0001")
        assert isinstance(unclear.value.__cause__, PermissionDenied)
    with Client(sandbox.token, sandbox.base_url) as direct:
        assert (
            len(CaseCollection(direct, sandbox, collection.slug, collection.is_archive).all()) == 1
        )


def test_a_creation_that_is_never_answered_is_ambiguous(sandbox: Sandbox) -> None:
    """If every repeat is lost too, the error has the title to look for and the last failure."""
    with faulty(sandbox, *always("POST", CREATION, CUT)) as client:
        collection = add_collection(sandbox, client, "archive")
        with pytest.raises(AmbiguousWriteError, match=r"'gcapi-incomplete-.*Look for it"):
            collection.add()
        assert (collection.all(), len(found(sandbox, "POST", CREATIONS))) == ([], 5)


# ---------------------------------------------------------------- cases are filled and changed


@pytest.mark.parametrize("kind", KINDS)
def test_uploads_that_may_have_expired_prove_nothing(
    sandbox: Sandbox, values: Any, kind: str
) -> None:
    """Uploads that are gone, and may be a day old by the server's clock, do not show that a case was filled."""
    day_passes = in_turn("PATCH", CHANGE, Rule(clock_jump=25 * 3600))
    with faulty(sandbox, *day_passes, *always("PATCH", CHANGE, UNAVAILABLE)) as client:
        collection = add_collection(sandbox, client, kind)
        with pytest.raises(IncompleteCase, match="unknown whether it was changed") as left:
            collection.add(*values["uploads"], title="P-0001")
        looks = {request.status for request in found(sandbox, "GET", r"/uploads/[^/]+/$")}
        assert looks == {404}
        (case,) = collection.all()
    assert (case.pk, case.values) == (left.value.pk, [])


def test_uploads_that_are_gone_at_an_unknown_time_prove_nothing() -> None:
    """If a response has no valid date, uploads that are gone may have expired."""
    gone = Answer(404, {"detail": "Not found."}, {"Date": "?"})
    with Loopback(lambda _: gone) as server, connect(server) as client:
        files = UploadedFiles(("0fd8c0bb",), created=datetime.now(UTC))
        assert files.are_used(client.uploads) is None
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("title", "content"), [("", "none"), ("P-0001", "inline"), ("P-0001", "uploads")]
)
@pytest.mark.parametrize("fault", LOST_RESPONSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_filling_fills_once(
    sandbox: Sandbox, values: Any, kind: str, fault: str, title: str, content: str
) -> None:
    """However the response to filling a case is lost, the case has its values and no temporary title."""
    with faulty(sandbox, *in_turn("PATCH", CHANGE, *LOST_RESPONSES[fault])) as client:
        collection = add_collection(sandbox, client, kind)
        made = collection.add(*values[content], title=title)
        check_only_case(collection, made.pk, values[content], title=title)


@pytest.mark.parametrize("title", ["", "P-0001"])
@pytest.mark.parametrize("fault", ["done, lost twice", "not done, then done and lost"])
@pytest.mark.parametrize("kind", KINDS)
def test_uploads_that_still_wait_are_used_once(
    sandbox: Sandbox, values: Any, kind: str, fault: str, title: str
) -> None:
    """If the server has not processed the uploads yet, sending them again creates nothing twice."""
    with faulty(sandbox, *in_turn("PATCH", CHANGE, *LOST_RESPONSES[fault])) as client:
        collection = add_collection(sandbox, client, kind)
        with sandbox.hold_background():
            made = collection.add(*values["uploads"], title=title)
        full = client.wait_for_values(made, values=values["uploads"], timeout=30)
        assert full.pk == made.pk
        check_only_case(collection, made.pk, values["uploads"], title=title)


@pytest.mark.parametrize("content", ["none", "all"])
@pytest.mark.parametrize("fault", LOST_RESPONSES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_lost_change_changes_once(
    sandbox: Sandbox, client: Client, values: Any, kind: str, fault: str, content: str
) -> None:
    """However the response to a change is lost, the case has the new title, order and values, and keeps the others."""
    fields: dict[str, Any] = {"title": "new"} if kind == "archive" else {"title": "new", "order": 3}
    other = sandbox.add_socket(unique("other"), "Integer")
    kept = SocketValueSpec(other, value=1)
    before = add_collection(sandbox, client, kind)
    first = before.add(
        kept, SocketValueSpec(values["inline"][0].socket_slug, value="old"), title="old"
    )
    with faulty(sandbox, *in_turn("PATCH", CHANGE, *LOST_RESPONSES[fault])) as ours:
        collection = CaseCollection(ours, sandbox, before.slug, before.is_archive)
        changed = collection.update(first.pk, *values[content], **fields)
        old = (
            []
            if content in {"inline", "all"}
            else [SocketValueSpec(values["inline"][0].socket_slug, value="old")]
        )

        assert (changed.pk, changed.title) == (first.pk, "new")
        check_only_case(collection, first.pk, [kept, *old, *values[content]], **fields)


@pytest.mark.parametrize("order", [None, 5])
def test_a_display_set_moves_once(sandbox: Sandbox, order: int | None) -> None:
    """A change of the order alone is not repeated once it shows."""
    with faulty(sandbox, *in_turn("PATCH", CHANGE, ACTED_CUT)) as client:
        collection = add_collection(sandbox, client, "reader study")
        items = [collection.add(title=str(number)) for number in range(3)]
        collection.update(items[0].pk, order=order)
        expected = [5, 20, 30] if order else [20, 30, 40]
        assert [case.order for case in collection.all()] == expected
        assert len(found(sandbox, "PATCH", CHANGES)) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_that_is_there_already_converges(sandbox: Sandbox, values: Any, kind: str) -> None:
    """A value that the case had before is sent again after a lost response, which changes nothing."""
    with faulty(sandbox) as client:
        collection = add_collection(sandbox, client, kind)
        made = collection.add(*values["inline"], title="a")
    with faulty(sandbox, *in_turn("PATCH", CHANGE, ACTED_CUT)) as client:
        collection = CaseCollection(client, sandbox, collection.slug, collection.is_archive)
        collection.update(made.pk, *values["inline"])
        assert len(found(sandbox, "PATCH", CHANGES)) == 2
        check_only_case(collection, made.pk, values["inline"], title="a")


@pytest.mark.parametrize("kind", KINDS)
def test_a_filling_that_is_never_answered_is_reported(
    sandbox: Sandbox, values: Any, kind: str
) -> None:
    """If a case cannot be filled, IncompleteCase has its pk and a call that completes it."""
    with faulty(sandbox, *in_turn("PATCH", CHANGE, *[UNAVAILABLE] * 5)) as client:
        collection = add_collection(sandbox, client, kind)
        with pytest.raises(IncompleteCase, match="unknown whether it was changed") as left:
            collection.add(*values["all"])
        (case,) = collection.all()
        assert (case.pk, case.title[:17]) == (left.value.pk, "gcapi-incomplete-")
        (call,) = [line for line in str(left.value).splitlines() if line.startswith("    ")]
        exec(call.strip(), {"client": client, "SocketValueSpec": SocketValueSpec})
        check_only_case(collection, case.pk, values["all"], title="")


def test_a_change_that_is_refused_after_a_loss_says_why(sandbox: Sandbox, values: Any) -> None:
    """If the repeat of a lost change is refused, the change was not carried out, and the refusal is raised."""
    with faulty(sandbox, *in_turn("PATCH", CHANGE, CUT, REFUSED)) as client:
        collection = add_collection(sandbox, client, "archive")
        made = collection.add(title="a")
        with pytest.raises(PermissionDenied, match="No\\."):
            collection.update(made.pk, *values["inline"])
        check_only_case(collection, made.pk, [], title="a")


# ---------------------------------------------------------------- answers


@dataclass(frozen=True)
class Question:
    """A question about a display set, in a study of its own."""

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


ANSWERS = ("*/answers/",)


@pytest.mark.parametrize("fault", LOST_RESPONSES)
def test_a_lost_answer_to_a_question_is_stored_once(
    sandbox: Sandbox, question: Question, fault: str
) -> None:
    """However the response is lost, the reader's answer is stored once and returned."""
    with faulty(sandbox, *in_turn("POST", ANSWERS, *LOST_RESPONSES[fault])) as client:
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
        faulty(sandbox, *in_turn("POST", ANSWERS, CUT)) as ours,
        pytest.raises(AmbiguousWriteError, match="has already answered this question"),
    ):
        ours.reader_studies.answers.create(**fields, answer="ja")


def test_an_answer_that_is_answered_already_is_refused(client: Client, question: Question) -> None:
    """Without a loss, a second answer is refused, even if it is the same."""
    fields = {"question": question.pk, "display_set": question.display_set, "answer": "ja"}
    client.reader_studies.answers.create(**fields)
    with pytest.raises(StatusError, match="has already answered this question"):
        client.reader_studies.answers.create(**fields)
