"""Answers to the questions of reader studies."""

from __future__ import annotations

from datetime import timedelta

from gcapi_sandbox._database.records import Answer, DisplaySet, Question, ReaderStudy, User
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import ForbiddenError, ServerError, non_field_error
from gcapi_sandbox._http.fields import (
    FieldError,
    duration,
    json_value,
    nullable,
    number,
    url_related,
)
from gcapi_sandbox._http.filters import Filter, boolean_or_none, related
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.pagination import paginate
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._socket_kinds.answer_types import answer_problem, matches_any_type
from gcapi_sandbox._util.json_types import Json, is_object

_FILTERS = (
    Filter("creator", "creator IN (SELECT pk FROM User WHERE username = ?)"),
    related(
        "question__reader_study",
        ReaderStudy,
        "question IN (SELECT pk FROM Question WHERE reader_study = ?)",
    ),
    related("display_set", DisplaySet, "display_set = ?"),
    Filter("is_ground_truth", "is_ground_truth = ?", boolean_or_none),
)


def _clock_duration(seconds: float | None) -> str | None:
    """Return seconds in the form `[D ]HH:MM:SS[.ffffff]`."""
    if seconds is None:
        return None
    span = timedelta(seconds=seconds)
    minutes, rest = divmod(span.seconds, 60)
    days = f"{span.days} " if span.days else ""
    fraction = f".{span.microseconds:06}" if span.microseconds else ""
    return f"{days}{minutes // 60:02}:{minutes % 60:02}:{rest:02}{fraction}"


def _render(call: Call, answer: Answer) -> Json:
    image = answer.answer_image
    return {
        "answer": answer.answer,
        "api_url": call.api_url(f"reader-studies/answers/{answer.pk}/"),
        "created": answer.created,
        "creator": call.store.get(User, answer.creator).username,
        "display_set": call.api_url(f"reader-studies/display-sets/{answer.display_set}/"),
        "pk": answer.pk,
        "question": call.api_url(f"reader-studies/questions/{answer.question}/"),
        "modified": answer.modified,
        "answer_image": call.api_url(f"cases/images/{image}/") if image else None,
        "last_edit_duration": _clock_duration(answer.last_edit_duration),
        "total_edit_duration": _clock_duration(answer.total_edit_duration),
        "is_ground_truth": answer.is_ground_truth,
        "score": answer.score,
    }


register_reads("reader_studies_answers", Answer, _render, *_FILTERS)


@operation("reader_studies_answers_mine_retrieve")
def list_own_answers(call: Call) -> Reply:
    """List the caller's own answers without ground truth."""
    rows = call.visible(Answer).sorted("created, rowid")
    own = rows.narrow("creator = ? AND NOT is_ground_truth", call.user_id)
    return paginate(call, own, _render, *_FILTERS)


@operation("reader_studies_answers_create")
def create_answer(call: Call) -> Reply:
    """Create the answer of a reader to a question about a display set."""
    fields = call.fields
    questions = url_related(call.visible(Question), "reader-studies/questions")
    display_sets = url_related(call.visible(DisplaySet), "reader-studies/display-sets")
    question = fields.require("question", questions)
    display_set = fields.optional("display_set", display_sets, None)
    content = fields.optional("answer", _answer_json, None)
    seconds = fields.optional("last_edit_duration", nullable(duration), None)
    score = fields.optional("score", nullable(number), None)
    fields.check()
    if display_set is None:
        raise ServerError
    _check_display_set(call, question, display_set)
    _check_answer(question, content)
    answer = Answer(
        creator=call.user_id,
        question=question.pk,
        display_set=display_set.pk,
        answer=content,
        last_edit_duration=seconds,
        total_edit_duration=seconds,
        score=score,
    )
    return Reply(201, _render(call, call.store.add(answer)))


def _check_display_set(call: Call, question: Question, display_set: DisplaySet) -> None:
    if display_set.reader_study != question.reader_study:
        raise non_field_error(f"Display set {display_set.pk} does not belong to this reader study.")
    where = "question = ? AND creator = ? AND display_set = ? AND NOT is_ground_truth"
    if call.store.rows(Answer, where, question.pk, call.user_id, display_set.pk):
        username = call.user.username if call.user else ""
        raise non_field_error(
            f"User {username} has already answered this question for this display set."
        )


def _answer_json(data: Json) -> Json:
    """Accept JSON that can be an answer to some question."""
    json_value(data)
    if is_object(data) and not matches_any_type(data):
        raise FieldError("JSON does not fulfill schema: instance is not valid for any answer type")
    return data


def _check_answer(question: Question, content: Json) -> None:
    if problem := answer_problem(question, content):
        raise non_field_error(problem)


_MODIFIABLE = {"answer", "last_edit_duration"}
_WRITABLE = {"answer", "last_edit_duration", "question", "display_set"}


@operation("reader_studies_answers_partial_update")
@operation("reader_studies_answers_update")
def update_answer(call: Call) -> Reply:
    """Change the content of an answer; PUT always fails, as it sends fields that cannot change."""
    answer = call.lookup(Answer)
    if answer.creator != call.user_id or answer.is_ground_truth:
        raise ForbiddenError
    question = call.store.get(Question, answer.question)
    fields = call.fields
    if not fields.partial:
        fields.require("question", str)
    content = fields.optional("answer", _answer_json, None)
    seconds = fields.optional("last_edit_duration", nullable(duration), None)
    answer.score = fields.optional("score", nullable(number), answer.score)
    fields.check()
    if not call.store.get(ReaderStudy, question.reader_study).allow_answer_modification:
        raise non_field_error("This reader study does not allow answer modification.")
    if call.body.keys() & _WRITABLE - _MODIFIABLE:
        raise non_field_error("Only the answer and last_edit_duration field can be modified.")
    _check_answer(question, content)
    answer.answer, answer.modified = content, call.state.clock.text()
    _add_duration(answer, seconds)
    call.store.save(answer)
    return Reply(200, _render(call, answer))


def _add_duration(answer: Answer, seconds: float | None) -> None:
    """Add the duration of an edit; a missing duration makes the total unknown."""
    known = seconds is not None and answer.total_edit_duration is not None
    answer.last_edit_duration = seconds
    answer.total_edit_duration = (
        (answer.total_edit_duration or 0.0) + (seconds or 0.0) if known else None
    )
