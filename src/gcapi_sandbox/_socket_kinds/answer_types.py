"""The types of answers, and the rules for the answers to a question."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from gcapi_sandbox._socket_kinds.json_validation import schema_problem
from gcapi_sandbox._socket_kinds.kind_schemas import JSON_SCHEMAS, Schema
from gcapi_sandbox._socket_kinds.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._database.records import Question
    from gcapi_sandbox._util.json_types import Json

_INTEGERS: Schema = {"type": "array", "items": {"type": "integer"}}
_MASK: Schema = {
    "type": "object",
    "properties": {"upload_session_pk": {"type": "string"}},
    "required": ["upload_session_pk"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class AnswerType:
    """A type of answer; `empty` is the value of an unanswered question."""

    code: str
    label: str
    schema: Schema
    empty: Json = None

    def accepts(self, answer: Json) -> bool:
        """Return whether an answer matches the schema or is empty."""
        return answer == self.empty or schema_problem(answer, self.schema) is None


_ANNOTATIONS = tuple(
    AnswerType(kind.code, kind.label, JSON_SCHEMAS[kind.code])
    for kind in KINDS
    if JSON_SCHEMAS.get(kind.code, {}).get("properties", {}).get("type")
)

ANSWER_TYPES = (
    AnswerType("TEXT", "Text", {"type": "string"}, empty=""),
    AnswerType("BOOL", "Bool", {"type": "boolean"}),
    AnswerType("NUMB", "Number", {"type": "number"}),
    AnswerType("HEAD", "Heading", {}),
    AnswerType("CHOI", "Choice", {"type": "integer"}),
    AnswerType("MCHO", "Multiple choice", _INTEGERS, empty=[]),
    AnswerType("MASK", "Mask", _MASK),
    *_ANNOTATIONS,
)
ANSWER_TYPES_BY_CODE = {kind.code: kind for kind in ANSWER_TYPES}
ANSWER_TYPES_BY_LABEL = {kind.label: kind for kind in ANSWER_TYPES}


def matches_any_type(data: dict[str, Json]) -> bool:
    """Return whether an object is a valid answer to some question."""
    return any(kind.accepts(data) for kind in (*_ANNOTATIONS, ANSWER_TYPES_BY_CODE["MASK"]))


def answer_problem(question: Question, answer: Json) -> str | None:
    """Return why an answer is invalid for its question, in the server's words."""
    kind = ANSWER_TYPES_BY_CODE[question.answer_type]
    if kind.code == "HEAD":
        return "Headings are not answerable."
    if not kind.accepts(answer):
        return f"Your answer is not the correct type. {kind.label} expected, {type(answer)} found."
    if answer == kind.empty:
        return _empty_problem(question)
    check = _CHECKS.get(kind.code)
    return check(question, answer) if check else None


def _empty_problem(question: Question) -> str | None:
    if not question.required or question.answer_type == "MASK":
        return None
    if question.answer_type == "CHOI":
        return "Provided option is not valid for this question"
    return "Answer for required question cannot be empty"


def _choice_problem(question: Question, answer: Json) -> str | None:
    if answer in {option["id"] for option in question.options}:
        return None
    return "Provided option is not valid for this question"


def _choices_problem(question: Question, answer: Json) -> str | None:
    if set(answer) <= {option["id"] for option in question.options}:
        return None
    return "Provided options are not valid for this question"


def _number_problem(question: Question, answer: Json) -> str | None:
    minimum = question.extra.get("answer_min_value")
    maximum = question.extra.get("answer_max_value")
    step = question.extra.get("answer_step_size")
    if minimum is not None and answer < minimum:
        return f"Ensure this value is greater than or equal to {minimum}."
    if maximum is not None and answer > maximum:
        return f"Ensure this value is less than or equal to {maximum}."
    if step is not None and (Decimal(str(answer)) - (minimum or 0)) % Decimal(str(step)):
        return f"Ensure this value is a multiple of step size {Decimal(str(step)):.3f}."
    return None


def _text_problem(question: Question, answer: Json) -> str | None:
    minimum = question.extra.get("answer_min_length")
    maximum = question.extra.get("answer_max_length")
    pattern = question.extra.get("answer_match_pattern")
    has = f"characters (it has {len(answer)})."
    if minimum is not None and len(answer) < minimum:
        return f"Ensure this value has at least {minimum} {has}"
    if maximum is not None and len(answer) > maximum:
        return f"Ensure this value has at most {maximum} {has}"
    if pattern and not re.search(pattern, answer):
        return "Enter a valid answer that matches with the requested format"
    return None


_CHECKS: dict[str, Callable[[Question, Json], str | None]] = {
    "CHOI": _choice_problem,
    "MCHO": _choices_problem,
    "NUMB": _number_problem,
    "TEXT": _text_problem,
}
