"""Annotations as answers and as values of sockets, and the durations of answers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gcapi_sandbox import Sandbox
    from tests.support.servers.raw_http import Web

VERSION = {"major": 1, "minor": 0}
P = [1, 2.5, 3]
POLYGON = {"seed_point": P, "path_points": [P, P], "sub_type": "brush", "groups": ["a"]}
LINE = {"seed_points": [P], "path_point_lists": [[P, P]]}
ANGLE = {"lines": [[P, P], [P, P]]}
ELLIPSE = {"major_axis": [P, P], "minor_axis": [P, P]}
# The required properties of a single annotation.
ONE: dict[str, dict[str, Any]] = {
    "2D bounding box": {"corners": [P, P, P, P]},
    "Distance measurement": {"start": P, "end": P},
    "Point": {"point": P},
    "Polygon": POLYGON,
    "Line": LINE,
    "Angle": ANGLE,
    "Ellipse": ELLIPSE,
    "Three-point angle": {"angle": [P, P, P]},
}
# The type of several annotations, and the key of their list.
MANY = {
    "2D bounding box": ("Multiple 2D bounding boxes", "boxes"),
    "Distance measurement": ("Multiple distance measurements", "lines"),
    "Point": ("Multiple points", "points"),
    "Polygon": ("Multiple polygons", "polygons"),
    "Line": ("Multiple lines", "lines"),
    "Angle": ("Multiple angles", "angles"),
    "Ellipse": ("Multiple ellipses", "ellipses"),
    "Three-point angle": ("Multiple three-point angles", "angles"),
}
KINDS = {
    **{kind: {"type": kind, "version": VERSION, **needs} for kind, needs in ONE.items()},
    **{
        many: {"type": many, "version": VERSION, key: [ONE[kind], {**ONE[kind], "type": kind}]}
        for kind, (many, key) in MANY.items()
    },
}
TIMES = {"question_text": "Times?", "answer_type": "Text", "required": False}
CODE = {
    "question_text": "Code?",
    "answer_type": "Text",
    "answer_min_length": 2,
    "answer_match_pattern": "^[a-z]+$",
}
DEGREE = {"question_text": "Degree?", "answer_type": "Number", "answer_max_value": 5}


@pytest.fixture(scope="module", autouse=True)
def _study(sandbox: Sandbox) -> None:
    """Create a study with a question for each annotation type, and a socket for each single one."""
    questions = [{"question_text": kind, "answer_type": kind} for kind in KINDS]
    sandbox.add_reader_study("Study", questions=[*questions, TIMES, CODE, DEGREE])
    for kind in ONE:
        sandbox.add_socket(kind, kind, slug=f"one-{kind}".lower().replace(" ", "-"))


def answer_new_display_set(web: Web, text: str, content: Any, **body: Any) -> Any:
    """Answer a question about a new display set."""
    case = web.post("reader-studies/display-sets/", {"reader_study": "study"})
    (study,) = web.get("reader-studies/", slug="study")["results"]
    url = next(one["api_url"] for one in study["questions"] if one["question_text"] == text)
    sent = {"question": url, "display_set": case["api_url"], "answer": content, **body}
    return web.api.post("reader-studies/answers/", json=sent)


def changed(annotation: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a copy of an annotation with other keys; None removes a key."""
    made = {**copy.deepcopy(annotation), **changes}
    return {key: value for key, value in made.items() if value is not None}


@pytest.mark.parametrize("kind", KINDS)
def test_annotations_must_match_their_schema(web: Web, kind: str) -> None:
    """An annotation is accepted only in the form of its type, as an answer and as a value."""
    good = KINDS[kind]
    key = next(name for name in good if name not in ("type", "version"))
    bad = [
        changed(good, type="Nothing"),
        changed(good, version={"major": 1.5, "minor": 0}),
        changed(good, extra=1),
        changed(good, **{key: None}),
        changed(good, **{key: [[1, 2]]}),
        changed(good, version=None),
    ]
    assert answer_new_display_set(web, kind, changed(good, name="a name")).status_code == 201
    for content in bad:
        (message,) = answer_new_display_set(web, kind, content).json()["answer"]
        assert message.startswith("JSON does not fulfill schema: ")
    (message,) = answer_new_display_set(web, kind, "x").json()["non_field_errors"]
    assert message == f"Your answer is not the correct type. {kind} expected, <class 'str'> found."
    if kind in ONE:
        path, slug = web.item(), f"one-{kind}".lower().replace(" ", "-")
        assert web.patch(path, {"interface": slug, "value": good}).is_success
        assert {web.patch(path, {"interface": slug, "value": one}).status_code for one in bad} == {
            400
        }


def test_annotation_of_another_type(web: Web) -> None:
    """An annotation of another type than the question's is refused as a wrong type."""
    reply = answer_new_display_set(web, "Point", KINDS["Line"])
    assert reply.json() == {
        "non_field_errors": [
            "Your answer is not the correct type. Point expected, <class 'dict'> found."
        ]
    }


@pytest.mark.parametrize(
    ("text", "content", "problem"),
    [
        ("Code?", "a", "Ensure this value has at least 2 characters (it has 1)."),
        ("Code?", "AB", "Enter a valid answer that matches with the requested format"),
        ("Degree?", 6, "Ensure this value is less than or equal to 5."),
    ],
)
def test_answers_out_of_bounds(web: Web, text: str, content: Any, problem: str) -> None:
    """Violations of length, pattern and range are reported in the server's words."""
    reply = answer_new_display_set(web, text, content)
    assert (reply.status_code, reply.json()) == (400, {"non_field_errors": [problem]})


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("PT5S", "00:00:05"),
        ("P1DT2H3M4.5S", "1 02:03:04.500000"),
        ("1 02:03:04.5", "1 02:03:04.500000"),
        ("03:04", "00:03:04"),
        ("75", "00:01:15"),
        (75, "00:01:15"),
        (0.25, "00:00:00.250000"),
        (None, None),
    ],
)
def test_durations(web: Web, given: Any, shown: str | None) -> None:
    """Durations are accepted in several formats and returned in one."""
    made = answer_new_display_set(web, "Times?", "x", last_edit_duration=given).json()
    assert (made["last_edit_duration"], made["total_edit_duration"]) == (shown, shown)


@pytest.mark.parametrize("given", ["soon", "", True, "1:2:3:4"])
def test_invalid_durations(web: Web, given: Any) -> None:
    """An invalid duration is refused with the expected format."""
    (message,) = answer_new_display_set(web, "Times?", "x", last_edit_duration=given).json()[
        "last_edit_duration"
    ]
    assert message.startswith("Duration has wrong format.")
