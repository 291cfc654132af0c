"""A summary of the answers to each question: counts, means, missing cells and agreement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import combinations
from typing import TYPE_CHECKING, Any

from gcapi._util.json_types import is_array
from gcapi.resources._answer_rows import AnswerRow, question_text

if TYPE_CHECKING:
    from gcapi import models

_PAIR = 2


@dataclass(frozen=True)
class Agreement:
    """The agreement of the readers on a question.

    Attributes:
        cases: The number of cases that all readers answered, which alone are compared.
        percent: The percentage of equal answers among all pairs of readers; `None` without such a case.
        kappa: Cohen's kappa of two readers, Fleiss' kappa of more; `None` if it is undefined.
        method: The name of the kappa; empty for none.
        note: Why there is no kappa; empty if there is one.
    """

    cases: int
    percent: float | None = None
    kappa: float | None = None
    method: str = ""
    note: str = ""


@dataclass(frozen=True)
class QuestionSummary:
    """The summary of one question; correct answers do not count.

    Attributes:
        question: The text of the question.
        question_pk: The pk of the question.
        answer_type: The type of its answers.
        answers: The number of answers that are not empty.
        counts: The number of answers with each option, in the order of the options; empty for other questions.
        mean: The mean of numbers; `None` for other questions.
        std: Their standard deviation; `None` for fewer than two.
        missing: The number of cases without an answer, by reader.
        agreement: The agreement of the readers; `None` for fewer than two, and for texts and annotations.
    """

    question: str
    question_pk: str
    answer_type: str
    answers: int
    counts: Mapping[str, int]
    mean: float | None
    std: float | None
    missing: Mapping[str, int]
    agreement: Agreement | None


def summarize(
    questions: Sequence[models.Question], cases: Mapping[str, str], answers: Iterable[AnswerRow]
) -> list[QuestionSummary]:
    """Return the summary of each question.

    Args:
        questions: The questions.
        cases: The titles of the display sets, by their pks.
        answers: The rows of the answers.
    """
    rows = [row for row in answers if not row["is_ground_truth"]]
    readers = sorted({row["creator"] for row in rows})
    given: dict[str, dict[tuple[str, str], Any]] = {one.pk: {} for one in questions}
    for row in rows:
        if row["question_pk"] in given and row["answer"] not in (None, "", []):
            given[row["question_pk"]][row["display_set_pk"], row["creator"]] = row
    return [_question_summary(one, cases, given[one.pk], readers) for one in questions]


def _question_summary(
    question: models.Question,
    cases: Mapping[str, str],
    given: Mapping[tuple[str, str], Any],
    readers: Sequence[str],
) -> QuestionSummary:
    import statistics  # it would slow down the import of gcapi

    counted = Counter(reader for _, reader in given)
    numbers = [row["answer"] for row in given.values() if question.answer_type == "Number"]
    return QuestionSummary(
        question=question_text(question),
        question_pk=question.pk,
        answer_type=question.answer_type,
        answers=len(given),
        counts=_counts(question, [row["answer"] for row in given.values()]),
        mean=statistics.fmean(numbers) if numbers else None,
        std=statistics.stdev(numbers) if len(numbers) > 1 else None,
        missing={reader: len(cases) - counted[reader] for reader in readers},
        agreement=_agreement(question, cases, given, readers),
    )


def _counts(question: models.Question, answers: Sequence[Any]) -> dict[str, int]:
    if question.answer_type == "Bool":
        return {"true": answers.count(True), "false": answers.count(False)}
    if not question.options:
        return {}
    chosen = Counter(
        one for answer in answers for one in (set(answer) if is_array(answer) else {answer})
    )
    return {str(option.title): chosen[option.id] for option in question.options}


def _agreement(
    question: models.Question,
    cases: Mapping[str, str],
    given: Mapping[tuple[str, str], Any],
    readers: Sequence[str],
) -> Agreement | None:
    is_nominal = bool(question.options) or question.answer_type == "Bool"
    if len(readers) < _PAIR or not (is_nominal or question.answer_type == "Number"):
        return None
    ratings = [
        [_as_category(given[case, reader]["answer"]) for reader in readers]
        for case in cases
        if all((case, reader) in given for reader in readers)
    ]
    if not ratings:
        return Agreement(0, note="no case has answers of all readers")
    pairs = [one == other for case in ratings for one, other in combinations(case, _PAIR)]
    percent = 100 * sum(pairs) / len(pairs)
    if not is_nominal:
        return Agreement(len(ratings), percent, note="kappa is for options, not for numbers")
    categories = sorted({one for case in ratings for one in case})
    if len(categories) == 1:
        return Agreement(len(ratings), percent, note="all answers are equal")
    try:
        inter_rater: Any = import_module("statsmodels.stats.inter_rater")
    except ModuleNotFoundError:
        note = "kappa needs statsmodels: pip install 'gcapi[agreement]'"
        return Agreement(len(ratings), percent, note=note)
    codes = [[categories.index(one) for one in case] for case in ratings]
    if len(readers) == _PAIR:
        square = [
            [codes.count([one, other]) for other in range(len(categories))]
            for one in range(len(categories))
        ]
        kappa, method = inter_rater.cohens_kappa(square, return_results=False), "Cohen"
    else:
        counts, _ = inter_rater.aggregate_raters(codes, n_cat=len(categories))
        kappa, method = inter_rater.fleiss_kappa(counts), "Fleiss"
    return Agreement(len(ratings), percent, float(kappa), method)


def _as_category(answer: Any) -> str:
    # The order of several chosen options has no meaning.
    return repr(sorted(set(answer))) if is_array(answer) else repr(answer)
