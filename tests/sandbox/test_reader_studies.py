"""Reader studies: questions, display sets, answers and ground truth."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcapi_sandbox import Sandbox
    from tests.support.servers.raw_http import Web

POINT = {"type": "Point", "version": {"major": 1, "minor": 0}, "point": [1, 2, 3]}
QUESTIONS = (
    {"question_text": "Text?", "answer_type": "Text", "answer_max_length": 4, "required": False},
    {"question_text": "Needed?", "answer_type": "TEXT"},
    {
        "question_text": "Number?",
        "answer_type": "Number",
        "answer_min_value": 1,
        "answer_step_size": 0.5,
    },
    {"question_text": "Yes?", "answer_type": "Bool"},
    {"question_text": "Which?", "answer_type": "Choice", "options": ["a", "b"]},
    {"question_text": "Which ones?", "answer_type": "Multiple choice", "options": ["a", "b"]},
    {"question_text": "Where?", "answer_type": "Point", "help_text": "<b>look</b> & point"},
    {"question_text": "Mask?", "answer_type": "Mask", "required": False},
    {"question_text": "Part two", "answer_type": "Heading"},
)


@pytest.fixture(scope="module", autouse=True)
def _studies(sandbox: Sandbox) -> None:
    """Add two studies and a socket."""
    sandbox.add_socket("Text", "String")
    sandbox.add_reader_study(
        "Study", questions=QUESTIONS, readers=["reader"], allow_answer_modification=True
    )
    sandbox.add_reader_study(
        "Fixed", questions=QUESTIONS[:1], readers=["reader"], is_educational=True
    )


@pytest.fixture
def reader(sandbox: Sandbox) -> Iterator[Web]:
    """Return a plain HTTP client of a reader of both studies."""
    from tests.support.servers.raw_http import Web

    user = Web(sandbox, sandbox.add_user("reader"))
    yield user
    user.close()


def display_set(web: Web, study: str = "study", **body: Any) -> Any:
    """Create a display set."""
    return web.post("reader-studies/display-sets/", {"reader_study": study, **body})


def question(web: Web, text: str, study: str = "study") -> Any:
    """Return a question by its text."""
    (found,) = web.get("reader-studies/", slug=study)["results"]
    return next(one for one in found["questions"] if one["question_text"] == text)


def answer(web: Web, text: str, content: Any, case: Any = None, **body: Any):
    """Post an answer."""
    if case is None:
        case = display_set(web)
    question_url = question(web, text)["api_url"]
    return web.api.post(
        "reader-studies/answers/",
        json={"question": question_url, "display_set": case["api_url"], "answer": content, **body},
    )


def test_study_and_questions(web: Web) -> None:
    """A study has full questions in order, with escaped texts."""
    (study,) = web.get("reader-studies/", slug="study")["results"]
    assert [one["question_text"] for one in study["questions"]] == [
        one["question_text"] for one in QUESTIONS
    ]
    listed = web.get("reader-studies/questions/", reader_study=study["pk"])["results"]
    assert listed == study["questions"]
    assert web.get(study["api_url"]) == study
    number = question(web, "Number?")
    assert (number["answer_type"], number["answer_step_size"]) == ("Number", "0.500")
    assert (number["answer_min_value"], number["default_annotation_color"]) == (1, "")
    assert question(web, "Where?")["help_text_safe"] == "look &amp; point"
    assert [one["title"] for one in question(web, "Which?")["options"]] == ["a", "b"]


def test_default_order_is_a_multiple_of_ten(web: Web) -> None:
    """Without an order, or with 0, a display set gets the next multiple of ten."""
    web.sandbox.add_reader_study("Ordered")
    orders = [
        display_set(web, "ordered", **body)["order"]
        for body in ({}, {"order": 0}, {"order": 33}, {})
    ]
    assert orders == [10, 20, 33, 40]
    first = display_set(web, "ordered", order=1)
    assert first["index"] == 0
    reply = web.api.patch(first["api_url"], json={"order": 0}).json()
    assert (reply["order"], reply["index"]) == (50, 4)
    assert web.api.patch(first["api_url"], json={"title": "x"}).json()["order"] == 50
    for order, problem in (
        (None, "This field may not be null."),
        (-1, "Ensure this value is greater than or equal to 0."),
    ):
        assert web.api.patch(first["api_url"], json={"order": order}).json() == {"order": [problem]}
    pk = web.get("reader-studies/", slug="ordered")["results"][0]["pk"]
    listed = web.get("reader-studies/display-sets/", reader_study=pk)["results"]
    assert [one["order"] for one in listed] == [10, 20, 33, 40, 50]
    assert [one["index"] for one in listed] == [0, 1, 2, 3, 4]


def test_json_of_display_sets(web: Web) -> None:
    """Writes show the study by slug and reads by URL; titles are escaped."""
    case = display_set(web, title="<b>x</b> & y")
    assert (case["reader_study"], case["title_safe"]) == ("study", "x &amp; y")
    read = web.get(case["api_url"])
    assert read["reader_study"] == web.get("reader-studies/", slug="study")["results"][0]["api_url"]
    reply = web.patch(case["api_url"], {"interface": "text", "value": "v"})
    assert [one["interface"] for one in reply.json()["values"]] == ["text"]
    assert [one["interface"]["slug"] for one in web.get(case["api_url"])["values"]] == ["text"]


def test_invalid_display_sets(web: Web) -> None:
    """Titles must be unique, values are refused in a POST, and the study is the slug of one that the user edits."""
    title = str(uuid.uuid4())
    display_set(web, title=title)
    post = "reader-studies/display-sets/"
    for body, error in (
        (
            {"reader_study": "study", "title": title},
            {"non_field_errors": ["The fields title, reader_study must make a unique set."]},
        ),
        ({"reader_study": "nope"}, {"reader_study": ["Object with slug=nope does not exist."]}),
        ({}, {"reader_study": ["This field is required."]}),
        (
            {"reader_study": "study", "values": [{"interface": "text", "value": "x"}]},
            ["Values can only be added via update"],
        ),
    ):
        reply = web.api.post(post, json=body)
        assert (reply.status_code, reply.json()) == (400, error)


def test_answered_display_sets_are_locked(web: Web, reader: Web) -> None:
    """A display set with answers cannot be changed."""
    case = display_set(web)
    assert answer(reader, "Text?", "x", case).status_code == 201
    for body in ({}, {"title": "x"}, {"values": []}):
        reply = web.api.patch(case["api_url"], json=body)
        assert (reply.status_code, reply.json()) == (
            400,
            ["This display set cannot be changed, as answers for it already exist."],
        )


def test_readers_cannot_change_display_sets(web: Web, reader: Web) -> None:
    """A reader can view display sets but not change them."""
    case = display_set(web)
    assert reader.get(case["api_url"])
    assert reader.api.patch(case["api_url"], json={}).status_code == 403


def test_new_answer(web: Web, reader: Web) -> None:
    """An answer names its creator, and shows durations as clock times."""
    case = display_set(web)
    made = answer(reader, "Text?", "good", case, last_edit_duration="PT65S", creator="x").json()
    assert (made["creator"], made["answer"], made["is_ground_truth"]) == ("reader", "good", False)
    assert (made["last_edit_duration"], made["total_edit_duration"]) == ("00:01:05", "00:01:05")
    assert (made["display_set"], made["answer_image"]) == (case["api_url"], None)
    assert reader.get(made["api_url"]) == web.get(made["api_url"]) == made


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("Text?", ""),
        ("Number?", 1.5),
        ("Yes?", False),
        ("Which?", 50),
        ("Which?", 50.0),
        ("Which ones?", [60, 61, 60]),
        ("Where?", POINT),
        ("Mask?", None),
    ],
)
def test_valid_answers(reader: Web, web: Web, text: str, content: Any) -> None:
    """Each answer type accepts answers that match it."""
    if isinstance(content, list) or text == "Which?":
        ids = [option["id"] for option in question(web, text)["options"]]
        content = [*ids, ids[0]] if isinstance(content, list) else type(content)(ids[0])
    reply = answer(reader, text, content, display_set(web))
    assert reply.status_code == 201, reply.text
    assert reply.json()["answer"] == content


@pytest.mark.parametrize(
    ("text", "content", "problem"),
    [
        ("Text?", 1, "Your answer is not the correct type. Text expected, <class 'int'> found."),
        (
            "Text?",
            None,
            "Your answer is not the correct type. Text expected, <class 'NoneType'> found.",
        ),
        ("Text?", "too long", "Ensure this value has at most 4 characters (it has 8)."),
        ("Needed?", "", "Answer for required question cannot be empty"),
        (
            "Number?",
            True,
            "Your answer is not the correct type. Number expected, <class 'bool'> found.",
        ),
        ("Number?", 0, "Ensure this value is greater than or equal to 1."),
        ("Number?", 1.3, "Ensure this value is a multiple of step size 0.500."),
        ("Which?", -1, "Provided option is not valid for this question"),
        ("Which?", None, "Provided option is not valid for this question"),
        ("Which ones?", [-1], "Provided options are not valid for this question"),
        (
            "Where?",
            "here",
            "Your answer is not the correct type. Point expected, <class 'str'> found.",
        ),
        ("Part two", "x", "Headings are not answerable."),
    ],
)
def test_invalid_answers(reader: Web, web: Web, text: str, content: Any, problem: str) -> None:
    """Each invalid answer has its specific message."""
    reply = answer(reader, text, content, display_set(web))
    assert (reply.status_code, reply.json()) == (400, {"non_field_errors": [problem]})


def test_answers_that_match_no_type(reader: Web, web: Web) -> None:
    """An object that is not an answer of any type is refused before the question is checked."""
    reply = answer(reader, "Text?", {"type": "Nothing"}, display_set(web))
    assert reply.json()["answer"][0].startswith("JSON does not fulfill schema")


def test_one_answer_per_reader(reader: Web, web: Web) -> None:
    """A second answer of the same reader to the same question is refused."""
    case = display_set(web)
    answer(reader, "Text?", "x", case)
    assert answer(reader, "Text?", "y", case).json() == {
        "non_field_errors": ["User reader has already answered this question for this display set."]
    }
    assert answer(web, "Text?", "y", case).status_code == 201


def test_display_set_of_an_answer(reader: Web, web: Web, stranger: Web) -> None:
    """The display set of an answer must be given, belong to the study, and be visible."""
    url = question(web, "Text?")["api_url"]
    reply = reader.api.post("reader-studies/answers/", json={"question": url, "answer": "x"})
    assert reply.status_code == 500
    other = display_set(web, "fixed")
    (message,) = answer(reader, "Text?", "x", other).json()["non_field_errors"]
    assert "does not belong to this reader study" in message
    body = {"question": url, "display_set": other["api_url"], "answer": "x"}
    assert stranger.api.post("reader-studies/answers/", json=body).json()["display_set"] == [
        "Invalid hyperlink - Object does not exist."
    ]


def test_answers_can_be_changed(reader: Web, web: Web) -> None:
    """Readers can change the content and duration of their own answers if the study allows it."""
    made = answer(reader, "Text?", "x", display_set(web), last_edit_duration=5).json()
    url = made["api_url"]
    changed = reader.api.patch(url, json={"answer": "y", "last_edit_duration": "00:00:02.5"}).json()
    assert (changed["answer"], changed["total_edit_duration"]) == ("y", "00:00:07.500000")
    again = reader.api.patch(url, json={"answer": "z"}).json()
    assert (again["last_edit_duration"], again["total_edit_duration"]) == (None, None)
    refused = reader.api.patch(url, json={"answer": "z", "display_set": made["display_set"]})
    assert refused.json() == {
        "non_field_errors": ["Only the answer and last_edit_duration field can be modified."]
    }
    body = {name: made[name] for name in ("answer", "question", "display_set")}
    assert reader.api.put(url, json=body).status_code == 400
    assert web.api.patch(url, json={"answer": "z"}).status_code == 403


def test_answers_cannot_be_changed(reader: Web, web: Web) -> None:
    """A study can forbid changes of answers."""
    body = {
        "question": question(web, "Text?", "fixed")["api_url"],
        "display_set": display_set(web, "fixed")["api_url"],
        "answer": "x",
    }
    url = reader.post("reader-studies/answers/", body)["api_url"]
    assert reader.api.patch(url, json={"answer": "y"}).json() == {
        "non_field_errors": ["This reader study does not allow answer modification."]
    }


def test_listing_answers(reader: Web, web: Web) -> None:
    """Editors see all answers, readers their own, and `mine` is a page."""
    case = display_set(web)
    pk = case["pk"]
    answer(reader, "Text?", "r", case)
    answer(web, "Text?", "e", case)
    path = "reader-studies/answers/"
    assert [one["answer"] for one in web.get(path, display_set=pk)["results"]] == ["r", "e"]
    assert [one["answer"] for one in reader.get(path, display_set=pk)["results"]] == ["r"]
    assert web.get(f"{path}mine/", display_set=pk)["count"] == 1
    assert web.get(path, display_set=pk, creator="reader")["count"] == 1
    assert web.get(path, display_set=pk, is_ground_truth=1)["count"] == 0


def test_unanswered_display_sets(reader: Web, web: Web) -> None:
    """Users can list their unanswered display sets, and editors those of others."""
    web.sandbox.add_reader_study("Short", questions=QUESTIONS[:1], readers=["reader"])
    study = web.get("reader-studies/", slug="short")["results"][0]["pk"]
    done, open_ = (display_set(web, "short") for _ in range(2))
    url = question(web, "Text?", "short")["api_url"]
    reader.post(
        "reader-studies/answers/", {"question": url, "display_set": done["api_url"], "answer": "x"}
    )
    path, own = (
        "reader-studies/display-sets/",
        {"reader_study": study, "unanswered_by_user": "true"},
    )
    assert [one["pk"] for one in reader.get(path, **own)["results"]] == [open_["pk"]]
    assert [one["pk"] for one in web.get(path, **own, user="reader")["results"]] == [open_["pk"]]
    for params, status in (
        ({"user": "reader"}, 400),
        ({"unanswered_by_user": "true"}, 400),
        ({**own, "unanswered_by_user": "junk"}, 500),
        ({**own, "user": "nobody"}, 500),
    ):
        assert web.api.get(path, params=params).status_code == status
    assert reader.api.get(path, params={**own, "user": "sandbox"}).status_code == 403


def test_mask_answers(reader: Web, web: Web, scan: bytes) -> None:
    """A mask is answered with null first, and its image is added by an upload session."""
    made = answer(reader, "Mask?", None, display_set(web)).json()
    body = {"uploads": [reader.upload("mask.mha", scan)], "answer": made["pk"]}
    session = reader.post("cases/upload-sessions/", body)
    assert reader.get(made["api_url"])["answer"] == {"upload_session_pk": session["pk"]}
    web.sandbox.wait_idle()
    image = reader.get(made["api_url"])["answer_image"]
    assert reader.get(image)["name"] == "mask.mha"
    other = answer(reader, "Text?", "x", display_set(web)).json()
    refused = reader.api.post("cases/upload-sessions/", json={"uploads": [], "answer": other["pk"]})
    assert refused.json() == {
        "non_field_errors": ["This question does not accept image type answers."]
    }


def test_ground_truth(reader: Web, web: Web) -> None:
    """Ground truth is shown for educational studies that have some."""
    (study,) = web.get("reader-studies/", slug="fixed")["results"]
    case = display_set(web, "fixed")
    path = f"reader-studies/{study['pk']}/ground-truth/"
    web.sandbox.add_ground_truth(case["pk"], {"Text?": "yes"})
    truth = reader.get(f"{path}{case['pk']}/")
    assert truth == {
        question(web, "Text?", "fixed")["pk"]: {
            "answer": "yes",
            "answer_text": "yes",
            "question_text": "Text?",
            "options": {},
            "explanation": "",
        }
    }
    assert reader.get(f"{path}{uuid.uuid4()}/") == {}
    assert reader.api.get(f"{path}nonsense/").status_code == 500
    (other,) = web.get("reader-studies/", slug="study")["results"]
    assert (
        web.api.get(f"reader-studies/{other['pk']}/ground-truth/{case['pk']}/").status_code == 404
    )
    assert web.get("reader-studies/", slug="fixed")["results"][0]["has_ground_truth"]


def test_display_sets_as_csv(web: Web) -> None:
    """Display sets are available as CSV, one row each, with nested values as JSON."""
    case = display_set(web)
    reply = web.api.get(f"{case['api_url']}?format=csv")
    assert reply.headers["Content-Type"] == "text/csv"
    assert case["pk"] in reply.text


def test_shuffled_studies(reader: Web, web: Web) -> None:
    """A shuffled study has a different order for each reader, and no index outside its own list."""
    extra = {"help_text": "<i>Look</i> twice", "roll_over_answers_for_n_cases": 2}
    web.sandbox.add_reader_study("Mixed", readers=["reader"], is_shuffled=True, extra=extra)
    (study,) = web.get("reader-studies/", slug="mixed")["results"]
    assert (study["help_text_safe"], study["roll_over_answers_for_n_cases"]) == ("Look twice", 2)
    made = [display_set(web, "mixed") for _ in range(12)]
    assert {one["index"] for one in made} == {None}
    path, filters = "reader-studies/display-sets/", {"reader_study": study["pk"]}
    orders = []
    for user in (web, reader, web):
        listed = user.get(path, **filters)["results"]
        assert [one["index"] for one in listed] == list(range(12))
        orders.append([one["pk"] for one in listed])
    assert orders[0] == orders[2] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(one["pk"] for one in made)
    assert web.get(made[0]["api_url"])["index"] is None


def test_scores(reader: Web, web: Web) -> None:
    """An answer has a score that can be set and changed."""
    made = answer(reader, "Text?", "x", display_set(web), score=0.5).json()
    assert made["score"] == 0.5
    url = made["api_url"]
    assert reader.api.patch(url, json={"answer": "y", "score": None}).json()["score"] is None
    assert reader.api.patch(url, json={"answer": "y", "score": "x"}).json() == {
        "score": ["A valid number is required."]
    }
