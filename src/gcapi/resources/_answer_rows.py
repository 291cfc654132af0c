"""The rows of answers, one for each, shared by the table of a reader study and by pulled folders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import TYPE_CHECKING, Any

from gcapi._http.urls import last_segment
from gcapi._util.json_types import is_array, is_object

if TYPE_CHECKING:
    from gcapi import models

#: The columns of a table with a row for each answer.
COLUMNS = (
    "pk",
    "question",
    "question_pk",
    "answer_type",
    "display_set",
    "display_set_pk",
    "creator",
    "answer",
    "answer_text",
    "files",
    "created",
    "modified",
    "last_edit_duration",
    "total_edit_duration",
    "is_ground_truth",
    "score",
    "ground_truth",
    "ground_truth_text",
)

AnswerRow = dict[str, Any]


def question_text(question: models.Question) -> str:
    """Return the text of a question, without HTML entities."""
    return unescape(question.question_text_safe)


def words_of(question: models.Question | None, answer: Any) -> str:
    """Return an answer in words: titles of options, texts, numbers; empty for annotations and without an answer."""
    if answer is None or is_object(answer):
        return ""
    if question is not None and question.options:
        chosen = answer if is_array(answer) else [answer]
        # In the order of the options, so that equal answers have equal words.
        return "; ".join(str(option.title) for option in question.options if option.id in chosen)
    if isinstance(answer, bool):
        return "true" if answer else "false"
    return "" if is_array(answer) else str(answer)


@dataclass
class AnswerRows:
    """Makes the rows of answers.

    Attributes:
        questions: The questions of the reader study, by their pks.
        titles: The titles of its display sets, by their pks.
        ground_truth: The correct answers that were seen, by question and display set.
    """

    questions: Mapping[str, models.Question]
    titles: Mapping[str, str]
    ground_truth: dict[tuple[str, str], Any] = field(default_factory=dict[tuple[str, str], Any])

    def note_ground_truth(self, answer: Mapping[str, Any]) -> None:
        """Remember an answer if it is a correct one; call it for all answers before the first row is made."""
        if answer.get("is_ground_truth"):
            self.ground_truth[_subject_of(answer)] = answer.get("answer")

    def row(self, answer: Mapping[str, Any], files: Mapping[str, str]) -> AnswerRow:
        """Return the row of an answer.

        Args:
            answer: The answer in the API's JSON.
            files: The SHA-256 of each file of its mask, by path.
        """
        question_pk, display_set_pk = _subject_of(answer)
        question = self.questions.get(question_pk)
        truth = self.ground_truth.get((question_pk, display_set_pk))
        added: AnswerRow = {
            "question": question_text(question) if question else "",
            "question_pk": question_pk,
            "answer_type": question.answer_type if question else "",
            "display_set": self.titles.get(display_set_pk, ""),
            "display_set_pk": display_set_pk,
            "answer_text": words_of(question, answer.get("answer")),
            "files": files,
            "ground_truth": truth,
            "ground_truth_text": words_of(question, truth),
        }
        return {name: added.get(name, answer.get(name)) for name in COLUMNS}


def _subject_of(answer: Mapping[str, Any]) -> tuple[str, str]:
    return last_segment(answer["question"]), last_segment(answer.get("display_set"))
