"""Answers of readers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Answer, DisplaySet, Question, ReaderStudy, User, now
from gcapi_sandbox._http.errors import Forbidden, Json, ServerError, refused
from gcapi_sandbox._http.fields import duration, hyperlink, nullable, number
from gcapi_sandbox._http.handlers import Call, Reply, operation
from gcapi_sandbox._http.pagination import Filter, paginate, related, truth
from gcapi_sandbox._socket_kinds.answer_types import answer_json, check_answer

if TYPE_CHECKING:
    from gcapi_sandbox._database.store import Rows

_FILTERS = (
    Filter("creator", "creator IN (SELECT pk FROM User WHERE username = ?)"),
    related(
        "question__reader_study",
        ReaderStudy,
        "question IN (SELECT pk FROM Question WHERE reader_study = ?)",
    ),
    related("display_set", DisplaySet, "display_set = ?"),
    Filter("is_ground_truth", "is_ground_truth = ?", truth),
)


def _clock(seconds: float | None) -> str | None:
    """Write seconds as `HH:MM:SS[.ffffff]`, after days if there are any."""
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
        "api_url": call.link(f"reader-studies/answers/{answer.pk}/"),
        "created": answer.created,
        "creator": call.store.get(User, answer.creator).username,
        "display_set": call.link(f"reader-studies/display-sets/{answer.display_set}/"),
        "pk": answer.pk,
        "question": call.link(f"reader-studies/questions/{answer.question}/"),
        "modified": answer.modified,
        "answer_image": call.link(f"cases/images/{image}/") if image else None,
        "last_edit_duration": _clock(answer.last_edit_duration),
        "total_edit_duration": _clock(answer.total_edit_duration),
        "is_ground_truth": answer.is_ground_truth,
        "score": answer.score,
    }


def _answers(call: Call) -> Rows[Answer]:
    return call.visible(Answer).sorted("created, rowid")


@operation("reader_studies_answers_list")
def list_answers(call: Call) -> Reply:
    """List the caller's answers and those of studies that the caller edits."""
    return paginate(call, _answers(call), _render, *_FILTERS)


@operation("reader_studies_answers_mine_retrieve")
def list_own_answers(call: Call) -> Reply:
    """List the caller's own answers, ground truth left out."""
    mine = _answers(call).narrow("creator = ? AND NOT is_ground_truth", call.user_id)
    return paginate(call, mine, _render, *_FILTERS)


@operation("reader_studies_answers_retrieve")
def retrieve_answer(call: Call) -> Reply:
    """Show one answer."""
    return Reply(200, _render(call, call.lookup(Answer)))


@operation("reader_studies_answers_create")
def create_answer(call: Call) -> Reply:
    """Answer a question about a display set, once."""
    fields = call.fields
    questions = hyperlink(call.visible(Question), "reader-studies/questions")
    display_sets = hyperlink(call.visible(DisplaySet), "reader-studies/display-sets")
    question = fields.require("question", questions)
    display_set = fields.take("display_set", display_sets, None)
    content = fields.take("answer", answer_json, None)
    seconds = fields.take("last_edit_duration", nullable(duration), None)
    score = fields.take("score", nullable(number), None)
    fields.check()
    if display_set is None:
        raise ServerError
    _check_place(call, question, display_set)
    check_answer(question, content)
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


def _check_place(call: Call, question: Question, display_set: DisplaySet) -> None:
    if display_set.reader_study != question.reader_study:
        raise refused(f"Display set {display_set.pk} does not belong to this reader study.")
    where = "question = ? AND creator = ? AND display_set = ? AND NOT is_ground_truth"
    if call.store.rows(Answer, where, question.pk, call.user_id, display_set.pk):
        username = call.user.username if call.user else ""
        raise refused(f"User {username} has already answered this question for this display set.")


_MODIFIABLE = {"answer", "last_edit_duration"}
_WRITABLE = {"answer", "last_edit_duration", "question", "display_set"}


@operation("reader_studies_answers_partial_update")
@operation("reader_studies_answers_update")
def update_answer(call: Call) -> Reply:
    """Change an answer's content; PUT also sends what may not change, so it never succeeds."""
    answer = call.lookup(Answer)
    if answer.creator != call.user_id or answer.is_ground_truth:
        raise Forbidden
    question = call.store.get(Question, answer.question)
    fields = call.fields
    if not fields.partial:
        fields.require("question", str)
    content = fields.take("answer", answer_json, None)
    seconds = fields.take("last_edit_duration", nullable(duration), None)
    answer.score = fields.take("score", nullable(number), answer.score)
    fields.check()
    if not call.store.get(ReaderStudy, question.reader_study).allow_answer_modification:
        raise refused("This reader study does not allow answer modification.")
    if call.body.keys() & _WRITABLE - _MODIFIABLE:
        raise refused("Only the answer and last_edit_duration field can be modified.")
    check_answer(question, content)
    answer.answer, answer.modified = content, now()
    _add_duration(answer, seconds)
    call.store.save(answer)
    return Reply(200, _render(call, answer))


def _add_duration(answer: Answer, seconds: float | None) -> None:
    """Add the time of an edit; one edit without makes the total unknown for good."""
    known = seconds is not None and answer.total_edit_duration is not None
    answer.last_edit_duration = seconds
    answer.total_edit_duration = (
        (answer.total_edit_duration or 0.0) + (seconds or 0.0) if known else None
    )
