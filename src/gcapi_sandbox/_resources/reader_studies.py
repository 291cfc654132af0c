"""Reader studies, their questions, and their ground truth."""

from __future__ import annotations

import html
import re
import uuid
from decimal import Decimal
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Answer, Question, ReaderStudy, Socket
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import NotFoundError, ServerError
from gcapi_sandbox._http.filters import SLUG, related
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._socket_kinds.answer_types import ANSWER_TYPES_BY_CODE
from gcapi_sandbox._socket_values.rendering import render_socket
from gcapi_sandbox._util.json_types import is_array

if TYPE_CHECKING:
    from gcapi_sandbox._database.store import Rows
    from gcapi_sandbox._util.json_types import Json

_GROUND_TRUTH = (
    "is_ground_truth = 1 AND question IN (SELECT pk FROM Question WHERE reader_study = ?)"
)


def safe_text(text: str) -> str:
    """Return text without tags and with special characters escaped, as in the `_safe` fields."""
    return html.escape(html.unescape(re.sub(r"<[^>]*>", "", text)), quote=False)


def ground_truth(call: Call, study: ReaderStudy) -> Rows[Answer]:
    """Return the ground truth of a study."""
    return call.store.rows(Answer, _GROUND_TRUTH, study.pk)


def questions_of(call: Call, study: str) -> Rows[Question]:
    """Return the questions of a study in order."""
    return call.store.rows(Question, "reader_study = ?", study, order='"order", created')


# Fields of a study that are not columns of its record.
STUDY_DEFAULTS: dict[str, Json] = {
    "help_text": "",
    "instant_verification": False,
    "enable_autosaving": False,
    "allow_case_navigation": False,
    "allow_show_all_annotations": False,
    "roll_over_answers_for_n_cases": 0,
    "end_of_study_text_safe": "",
}


def _render(call: Call, study: ReaderStudy) -> Json:
    shown: dict[str, Json] = {
        **STUDY_DEFAULTS,
        **study.extra,
        "api_url": call.api_url(f"reader-studies/{study.pk}/"),
        "url": call.site_url(f"reader-studies/{study.slug}/"),
        "slug": study.slug,
        "logo": call.site_url(f"media/logos/reader-study/{study.slug}.png"),
        "description": study.description,
        "pk": study.pk,
        "questions": [_render_question(call, one) for one in questions_of(call, study.pk)],
        "title": study.title,
        "is_educational": study.is_educational,
        "has_ground_truth": bool(ground_truth(call, study)),
        "allow_answer_modification": study.allow_answer_modification,
    }
    for name in ("help_text", "title"):
        shown[name] = shown[f"{name}_safe"] = safe_text(shown[name])
    return shown


_QUESTION_DEFAULTS: dict[str, Json] = {
    "form_direction": "Horizontal",
    "help_text": "",
    "image_port": "",
    "default_annotation_color": "",
    "overlay_segments": [],
    "look_up_table": None,
    "widget": "",
    "answer_min_value": None,
    "answer_max_value": None,
    "answer_step_size": None,
    "answer_min_length": None,
    "answer_max_length": None,
    "answer_match_pattern": "",
    "empty_answer_confirmation": False,
    "empty_answer_confirmation_label": "",
    "interactive_algorithms": [],
    "algorithms": [],
}


def _render_question(call: Call, question: Question) -> dict[str, Json]:
    """Return the JSON of a question, in which the texts equal their `_safe` fields."""
    socket = call.store.get(Socket, question.interface) if question.interface else None
    shown: dict[str, Json] = {
        **_QUESTION_DEFAULTS,
        **question.extra,
        "answer_type": ANSWER_TYPES_BY_CODE[question.answer_type].label,
        "api_url": call.api_url(f"reader-studies/questions/{question.pk}/"),
        "pk": question.pk,
        "question_text": question.question_text,
        "reader_study": call.api_url(f"reader-studies/{question.reader_study}/"),
        "required": question.required,
        "options": question.options,
        "interface": render_socket(socket) if socket else None,
    }
    if shown["answer_step_size"] is not None:
        shown["answer_step_size"] = f"{Decimal(str(shown['answer_step_size'])):.3f}"
    for name in ("help_text", "question_text", "empty_answer_confirmation_label"):
        shown[name] = shown[f"{name}_safe"] = safe_text(shown[name])
    return shown


register_reads("reader_studies", ReaderStudy, _render, SLUG)


register_reads(
    "reader_studies_questions",
    Question,
    _render_question,
    related("reader_study", ReaderStudy, "reader_study = ?"),
    order='"order", created',
)


@operation("reader_studies_ground_truth_retrieve")
def retrieve_ground_truth(call: Call) -> Reply:
    """Return the ground truth of a display set of an educational study."""
    study = call.lookup(ReaderStudy)
    truth = ground_truth(call, study)
    if not (study.is_educational and truth):
        raise NotFoundError
    try:
        display_set = str(uuid.UUID(call.params["case_pk"]))
    except ValueError:
        raise ServerError from None
    found = truth.narrow("display_set = ?", display_set)
    return Reply(200, {answer.question: _render_truth(call, answer) for answer in found})


def _render_truth(call: Call, answer: Answer) -> Json:
    question = call.store.get(Question, answer.question)
    titles = {option["id"]: option["title"] for option in question.options}
    given = answer.answer
    chosen = given if is_array(given) else [given]
    words = [titles.get(one, str(one)) if titles else str(one) for one in chosen]
    return {
        "answer": given,
        "answer_text": ", ".join(words),
        "question_text": safe_text(question.question_text),
        "options": {str(pk): title for pk, title in titles.items()},
        "explanation": answer.explanation,
    }
