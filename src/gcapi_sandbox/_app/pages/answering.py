"""Answers that are given on the page of a display set, by the same rules as those of the API.

It serves rehearsals: an organiser reads the study as its readers will. Questions about annotations and masks need the
viewer of the real platform, and are only listed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from gcapi_sandbox._database.records import Answer, Membership, Question, User
from gcapi_sandbox._http.calls import Call
from gcapi_sandbox._http.errors import ApiError
from gcapi_sandbox._http.operations import HANDLERS
from gcapi_sandbox._http.routing import API_ROOT
from gcapi_sandbox._util.json_types import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.requests import Request

    from gcapi_sandbox._database.store import Store
    from gcapi_sandbox._state import State

#: The codes of the types of answers that a form can give.
SIMPLE_TYPES = frozenset({"TEXT", "BOOL", "NUMB", "CHOI", "MCHO"})
_PATH = f"{API_ROOT}reader-studies/"


def readers_of(store: Store, study: str) -> list[User]:
    """Return the users who can answer, readers first."""
    members = store.rows(Membership, "target = ? AND role IN ('readers', 'editors')", study)
    ordered = sorted(members, key=lambda one: (one.role != "readers", one.user))
    return [store.get(User, pk) for pk in dict.fromkeys(one.user for one in ordered)]


def answers_of(store: Store, display_set: str, user: int) -> dict[str, Answer]:
    """Return the answers of a reader, by question."""
    where = "display_set = ? AND creator = ? AND NOT is_ground_truth"
    return {one.question: one for one in store.rows(Answer, where, display_set, user)}


def save_answers(
    state: State, request: Request, raw: bytes, display_set: str, questions: Iterable[Question]
) -> dict[str, str]:
    """Save the answers of a form; return the server's words about each that it refuses, by question.

    Args:
        state: The state of the sandbox.
        request: The request with the form.
        raw: Its body.
        display_set: The display set.
        questions: The questions of the study.
    """
    form = parse_qs(raw.decode(errors="replace"), keep_blank_values=True)
    user = state.store.find(User, "username = ?", form.get("reader", [""])[0])
    if user is None:
        return {}
    given = answers_of(state.store, display_set, user.pk)
    refused: dict[str, str] = {}
    for question in questions:
        if question.answer_type not in SIMPLE_TYPES:
            continue
        answer = parse_answer(question, form)
        earlier = given.get(question.pk)
        if answer == (earlier.answer if earlier else EMPTY.get(question.answer_type)):
            continue
        origin = f"{request.url.scheme}://{request.url.netloc}"
        body: dict[str, Any] = {"answer": answer}
        if earlier is None:
            body["question"] = f"{origin}{_PATH}questions/{question.pk}/"
            body["display_set"] = f"{origin}{_PATH}display-sets/{display_set}/"
        name = "create" if earlier is None else "partial_update"
        call = Call(
            state=state,
            user=user,
            method="POST" if earlier is None else "PATCH",
            origin=origin,
            path=f"{_PATH}answers/",
            query=[],
            content_type="application/json",
            raw=json.dumps(body).encode(),
            began=state.clock.now(),
            params={} if earlier is None else {"pk": earlier.pk},
        )
        try:
            HANDLERS[f"reader_studies_answers_{name}"](call)
        except ApiError as error:
            refused[question.pk] = " ".join(_texts(error.body))
    return refused


EMPTY: Mapping[str, Any] = {"TEXT": "", "MCHO": []}


def parse_answer(question: Question, form: Mapping[str, Sequence[str]]) -> Any:
    """Return the answer of a form in the form of the API; the text itself if it is not of the type."""
    given = form.get(question.pk, [])
    kind = question.answer_type
    if kind == "MCHO":
        return [int(one) if one.isdecimal() else one for one in given]
    text = given[0] if given else ""
    if kind == "TEXT":
        return text.replace("\r\n", "\n")
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return text


def _texts(body: Any) -> list[str]:
    """Return the texts of the body of an error."""
    if is_object(body):
        return [text for each in body.values() for text in _texts(each)]
    if is_array(body):
        return [text for each in body for text in _texts(each)]
    return [str(body)]
