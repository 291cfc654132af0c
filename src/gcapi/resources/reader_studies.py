"""Reader studies, their questions, answers and display sets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gcapi._api.lost_writes import RecoveryPolicy, is_refusal_with
from gcapi._api.operations import plain
from gcapi._api.resource_mixins import CreateMixin, PartialUpdateMixin, ReadMixin, UpdateMixin
from gcapi._http.urls import is_pk, last_segment, same_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gcapi import models
    from gcapi._api.operations import Calls

#: Fields of an answer that refer to other objects, and the paths of those.
_ANSWER_REFERENCES = {
    "question": "reader-studies/questions/",
    "display_set": "reader-studies/display-sets/",
}


class MyAnswers(ReadMixin["models.Answer"]):
    """Your own answers, without ground truth."""

    list_operation = "reader_studies.reader_studies_answers_mine_retrieve"
    detail_operation = "reader_studies.reader_studies_answers_retrieve"


class Answers(
    ReadMixin["models.Answer"], CreateMixin["models.Answer"], PartialUpdateMixin["models.Answer"]
):
    """Answers to the questions of reader studies."""

    list_operation = "reader_studies.reader_studies_answers_list"
    detail_operation = "reader_studies.reader_studies_answers_retrieve"
    create_operation = "reader_studies.reader_studies_answers_create"
    partial_update_operation = "reader_studies.reader_studies_answers_partial_update"

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.mine: MyAnswers = MyAnswers(calls)
        self._recovery = RecoveryPolicy(calls.settings.timeout)

    def create(self, **fields: Any) -> models.Answer:
        """Store an answer, exactly once.

        The request is retried if its response is lost: the server accepts one answer per reader, question and display
        set, so its refusal of a second one confirms that the first is stored.

        Args:
            fields: ``question`` and ``display_set`` (API URLs or primary keys), ``answer``, and optionally
                ``last_edit_duration``.
        """
        for name, path in _ANSWER_REFERENCES.items():
            if is_pk(fields.get(name)):
                fields[name] = self._calls.settings.api_url(f"{path}{fields[name]}/")
        return self._recovery.write_once(
            partial(super().create, **fields),
            partial(self._find_stored, plain(fields)),
            "The response to storing an answer was lost; the answer may or may not be stored. Look for it in"
            " client.reader_studies.answers.mine before you send it again.",
        )

    def _find_stored(self, body: Mapping[str, Any], refusal: Exception) -> models.Answer | None:
        """Return our own answer to a question for a display set, if it equals the one that was sent."""
        if not is_refusal_with(refusal, "has already answered"):
            return None
        display_set = last_segment(body.get("display_set"))
        for answer in self.mine.iterate_all({"display_set": display_set}):
            if same_path(answer.question, body["question"]) and answer.answer == body.get("answer"):
                return answer
        return None


class Questions(ReadMixin["models.Question"]):
    """The questions of reader studies."""

    list_operation = "reader_studies.reader_studies_questions_list"
    detail_operation = "reader_studies.reader_studies_questions_retrieve"


class DisplaySets(
    ReadMixin["models.DisplaySet"],
    CreateMixin["models.DisplaySetPost"],
    UpdateMixin["models.DisplaySetPost"],
):
    """Display sets: the cases of a reader study."""

    list_operation = "reader_studies.reader_studies_display_sets_list"
    detail_operation = "reader_studies.reader_studies_display_sets_retrieve"
    create_operation = "reader_studies.reader_studies_display_sets_create"
    update_operation = "reader_studies.reader_studies_display_sets_update"
    partial_update_operation = "reader_studies.reader_studies_display_sets_partial_update"


class ReaderStudies(ReadMixin["models.ReaderStudy"]):
    """Reader studies: cases that readers assess."""

    list_operation = "reader_studies.reader_studies_list"
    detail_operation = "reader_studies.reader_studies_retrieve"

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.answers: Answers = Answers(calls)
        self.questions: Questions = Questions(calls)
        self.display_sets: DisplaySets = DisplaySets(calls)

    def ground_truth(self, pk: str, case_pk: str) -> dict[str, Any]:
        """Get the ground truth of one display set of an educational study, keyed by the questions' primary keys.

        Args:
            pk: The primary key of the reader study.
            case_pk: The primary key of the display set.
        """
        return plain(
            self._calls.operation(
                "reader_studies.reader_studies_ground_truth_retrieve", pk, case_pk
            )
        )
