"""What counts as an answer to a question of each type."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from gcapi_sandbox._http.errors import refused
from gcapi_sandbox._http.fields import FieldError, json_value
from gcapi_sandbox._http.json_types import is_object
from gcapi_sandbox._socket_kinds.json_schemas import problem
from gcapi_sandbox._socket_kinds.json_shapes import SHAPES, Schema
from gcapi_sandbox._socket_kinds.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._database.records import Question
    from gcapi_sandbox._http.errors import Json

_NUMBERS: Schema = {"type": "array", "items": {"type": "integer"}}
_MASK: Schema = {
    "type": "object",
    "properties": {"upload_session_pk": {"type": "string"}},
    "required": ["upload_session_pk"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class AnswerType:
    """A type of answer; `empty` is what stands for no answer."""

    code: str
    label: str
    schema: Schema
    empty: Json = None

    def accepts(self, answer: Json) -> bool:
        """Tell whether an answer has the right shape."""
        return answer == self.empty or problem(answer, self.schema) is None


_ANNOTATIONS = tuple(
    AnswerType(kind.code, kind.label, SHAPES[kind.code])
    for kind in KINDS
    if SHAPES.get(kind.code, {}).get("properties", {}).get("type")
)

ANSWER_TYPES = (
    AnswerType("TEXT", "Text", {"type": "string"}, empty=""),
    AnswerType("BOOL", "Bool", {"type": "boolean"}),
    AnswerType("NUMB", "Number", {"type": "number"}),
    AnswerType("HEAD", "Heading", {}),
    AnswerType("CHOI", "Choice", {"type": "integer"}),
    AnswerType("MCHO", "Multiple choice", _NUMBERS, empty=[]),
    AnswerType("MASK", "Mask", _MASK),
    *_ANNOTATIONS,
)
BY_CODE = {kind.code: kind for kind in ANSWER_TYPES}
BY_LABEL = {kind.label: kind for kind in ANSWER_TYPES}


def answer_json(data: Json) -> Json:
    """Accept what could be an answer to some question."""
    json_value(data)
    if is_object(data) and not any(kind.accepts(data) for kind in (*_ANNOTATIONS, BY_CODE["MASK"])):
        raise FieldError("JSON does not fulfill schema: instance is not valid for any answer type")
    return data


def check_answer(question: Question, answer: Json) -> None:
    """Refuse an answer that does not fit its question."""
    kind = BY_CODE[question.answer_type]
    if kind.code == "HEAD":
        raise refused("Headings are not answerable.")
    if not kind.accepts(answer):
        raise refused(
            f"Your answer is not the correct type. {kind.label} expected, {type(answer)} found."
        )
    if answer == kind.empty:
        _check_empty(question, kind)
    elif check := _CHECKS.get(kind.code):
        check(question, answer)


def _check_empty(question: Question, kind: AnswerType) -> None:
    if not question.required or kind.code == "MASK":
        return
    if kind.code == "CHOI":
        raise refused("Provided option is not valid for this question")
    raise refused("Answer for required question cannot be empty")


def _check_choice(question: Question, answer: Json) -> None:
    if answer not in {option["id"] for option in question.options}:
        raise refused("Provided option is not valid for this question")


def _check_choices(question: Question, answer: Json) -> None:
    if not set(answer) <= {option["id"] for option in question.options}:
        raise refused("Provided options are not valid for this question")


def _check_number(question: Question, answer: Json) -> None:
    least = question.extra.get("answer_min_value")
    most = question.extra.get("answer_max_value")
    step = question.extra.get("answer_step_size")
    if least is not None and answer < least:
        raise refused(f"Ensure this value is greater than or equal to {least}.")
    if most is not None and answer > most:
        raise refused(f"Ensure this value is less than or equal to {most}.")
    if step is not None and (Decimal(str(answer)) - (least or 0)) % Decimal(str(step)):
        raise refused(f"Ensure this value is a multiple of step size {Decimal(str(step)):.3f}.")


def _check_text(question: Question, answer: Json) -> None:
    least = question.extra.get("answer_min_length")
    most = question.extra.get("answer_max_length")
    pattern = question.extra.get("answer_match_pattern")
    has = f"characters (it has {len(answer)})."
    if least is not None and len(answer) < least:
        raise refused(f"Ensure this value has at least {least} {has}")
    if most is not None and len(answer) > most:
        raise refused(f"Ensure this value has at most {most} {has}")
    if pattern and not re.search(pattern, answer):
        raise refused("Enter a valid answer that matches with the requested format")


_CHECKS: dict[str, Callable[[Question, Json], None]] = {
    "CHOI": _check_choice,
    "MCHO": _check_choices,
    "NUMB": _check_number,
    "TEXT": _check_text,
}
