"""Reader studies, their questions, answers and display sets."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Unpack, overload

from gcapi._api.lost_writes import RecoveryPolicy, is_refusal_with
from gcapi._api.operations import Lazy, plain
from gcapi._api.resource_mixins import PageModel, ReadMixin, SlugMixin
from gcapi._api.titles import title_of
from gcapi._http.urls import is_pk, last_segment, same_path
from grand_challenge_api import api

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gcapi import models
    from gcapi._api.operations import Calls
    from gcapi.resources.answer_table import AnswerTable
    from grand_challenge_api.api.reader_studies import (
        reader_studies_answers_create,
        reader_studies_answers_list,
        reader_studies_answers_mine_retrieve,
        reader_studies_answers_partial_update,
        reader_studies_display_sets_create,
        reader_studies_display_sets_list,
        reader_studies_display_sets_partial_update,
        reader_studies_display_sets_update,
        reader_studies_list,
        reader_studies_questions_list,
    )

#: The query parameter that selects the answers of one reader study; you see your own, or all if you edit the study.
STUDY_PARAMETER: Final = "question__reader_study"
#: Fields of an answer that refer to other objects, and the paths of those.
_ANSWER_REFERENCES = {
    "question": "reader-studies/questions/",
    "display_set": "reader-studies/display-sets/",
}


class MyAnswers(ReadMixin["models.Answer", "reader_studies_answers_mine_retrieve.Query"]):
    """Your own answers, without ground truth."""

    list_operation: Lazy[PageModel[models.Answer]] = Lazy(
        lambda: api.reader_studies_answers_mine_retrieve
    )
    detail_operation: Lazy[models.Answer] = Lazy(lambda: api.reader_studies_answers_retrieve)

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.Answer: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.Answer: ...

    @overload
    def detail(
        self, **filters: Unpack[reader_studies_answers_mine_retrieve.Query]
    ) -> models.Answer: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.Answer:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)


class Answers(ReadMixin["models.Answer", "reader_studies_answers_list.Query"]):
    """Answers to the questions of reader studies."""

    list_operation: Lazy[PageModel[models.Answer]] = Lazy(lambda: api.reader_studies_answers_list)
    detail_operation: Lazy[models.Answer] = Lazy(lambda: api.reader_studies_answers_retrieve)

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.Answer: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.Answer: ...

    @overload
    def detail(self, **filters: Unpack[reader_studies_answers_list.Query]) -> models.Answer: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.Answer:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.mine: MyAnswers = MyAnswers(calls)
        self._recovery = RecoveryPolicy(calls.settings.timeout)

    def create(self, **fields: Unpack[reader_studies_answers_create.Body]) -> models.Answer:
        """Store an answer, exactly once.

        The request is retried if its response is lost: the server accepts one answer per reader, question and display
        set, so its refusal of a second one confirms that the first is stored.

        Args:
            fields: ``question`` and ``display_set`` (API URLs or primary keys), ``answer``, and optionally
                ``last_edit_duration``.
        """
        body: dict[str, Any] = plain(fields)
        for name, path in _ANSWER_REFERENCES.items():
            if is_pk(body.get(name)):
                body[name] = self._calls.settings.api_url(f"{path}{body[name]}/")
        return self._recovery.write_once(
            partial(self._calls.call, api.reader_studies_answers_create, body=body),
            partial(self._find_stored, body),
            "The response to storing an answer was lost; the answer may or may not be stored. Look for it in"
            " client.reader_studies.answers.mine before you send it again.",
        )

    def partial_update(
        self, pk: str, **fields: Unpack[reader_studies_answers_partial_update.Body]
    ) -> models.Answer:
        """Change the given fields of an answer, and no others."""
        return self._calls.call(api.reader_studies_answers_partial_update, pk, body=fields)

    def _find_stored(self, body: Mapping[str, Any], refusal: Exception) -> models.Answer | None:
        """Return our own answer to a question for a display set, if it equals the one that was sent."""
        if not is_refusal_with(refusal, "has already answered"):
            return None
        display_set = last_segment(body.get("display_set"))
        for answer in self.mine.iterate_all({"display_set": display_set}):
            if same_path(answer.question, body["question"]) and answer.answer == body.get("answer"):
                return answer
        return None


class Questions(ReadMixin["models.Question", "reader_studies_questions_list.Query"]):
    """The questions of reader studies."""

    list_operation: Lazy[PageModel[models.Question]] = Lazy(
        lambda: api.reader_studies_questions_list
    )
    detail_operation: Lazy[models.Question] = Lazy(lambda: api.reader_studies_questions_retrieve)

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.Question: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.Question: ...

    @overload
    def detail(self, **filters: Unpack[reader_studies_questions_list.Query]) -> models.Question: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.Question:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)


class DisplaySets(ReadMixin["models.DisplaySet", "reader_studies_display_sets_list.Query"]):
    """Display sets: the cases of a reader study."""

    list_operation: Lazy[PageModel[models.DisplaySet]] = Lazy(
        lambda: api.reader_studies_display_sets_list
    )
    detail_operation: Lazy[models.DisplaySet] = Lazy(
        lambda: api.reader_studies_display_sets_retrieve
    )

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.DisplaySet: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.DisplaySet: ...

    @overload
    def detail(
        self, **filters: Unpack[reader_studies_display_sets_list.Query]
    ) -> models.DisplaySet: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.DisplaySet:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)

    def create(
        self, **fields: Unpack[reader_studies_display_sets_create.Body]
    ) -> models.DisplaySetPost:
        """Create a display set without values; `update` and `partial_update` add them."""
        return self._calls.call(api.reader_studies_display_sets_create, body=fields)

    def partial_update(
        self, pk: str, **fields: Unpack[reader_studies_display_sets_partial_update.Body]
    ) -> models.DisplaySetPost:
        """Change the given fields of a display set, and no others."""
        return self._calls.call(api.reader_studies_display_sets_partial_update, pk, body=fields)

    def update(
        self, pk: str, **fields: Unpack[reader_studies_display_sets_update.Body]
    ) -> models.DisplaySetPost:
        """Replace a display set; every socket that is missing from `values` loses its value."""
        return self._calls.call(api.reader_studies_display_sets_update, pk, body=fields)


class ReaderStudies(SlugMixin["models.ReaderStudy", "reader_studies_list.Query"]):
    """Reader studies: cases that readers assess."""

    list_operation: Lazy[PageModel[models.ReaderStudy]] = Lazy(lambda: api.reader_studies_list)
    detail_operation: Lazy[models.ReaderStudy] = Lazy(lambda: api.reader_studies_retrieve)

    def __init__(self, calls: Calls) -> None:
        super().__init__(calls)
        self.answers: Answers = Answers(calls)
        self.questions: Questions = Questions(calls)
        self.display_sets: DisplaySets = DisplaySets(calls)

    def answers_table(self, slug: str) -> AnswerTable:
        """Get all answers of a reader study that you can see as a table, without downloading an image.

        Editors see all answers, readers see their own. Correct answers that you can see are rows, with
        ``is_ground_truth``, and columns of the other answers to the same question and display set.

        Args:
            slug: The slug of the reader study.

        Returns:
            The table. Its `rows` are dicts, one for each answer; `wide()` and `to_dataframe()` have other forms.

        Raises:
            ObjectNotFound: The study does not exist, or you have no access.
        """
        from gcapi.resources.answer_table import answer_table

        study = self.detail(slug=slug)
        titles = {
            case.pk: title_of(case)
            for case in self.display_sets.iterate_all({"reader_study": study.pk})
        }
        answers = self.answers.iterate_all({STUDY_PARAMETER: study.pk})
        return answer_table(study, titles, (answer.to_dict() for answer in answers))

    def ground_truth(self, pk: str, case_pk: str) -> dict[str, Any]:
        """Get the ground truth of one display set of an educational study, keyed by the questions' primary keys.

        Args:
            pk: The primary key of the reader study.
            case_pk: The primary key of the display set.
        """
        answers = self._calls.call(api.reader_studies_ground_truth_retrieve, pk, case_pk)
        return {question: plain(answer) for question, answer in answers.items()}
