"""The answers of a reader study as a table: one row for each answer, or one for each case and reader."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gcapi._api.dataframes import dataframe
from gcapi._util.json_types import is_array, is_object
from gcapi.resources._answer_rows import COLUMNS, AnswerRow, AnswerRows, question_text
from gcapi.resources.answer_summary import QuestionSummary, summarize

if TYPE_CHECKING:
    from gcapi import models

#: The columns of a table with a row for each case and reader, before those of the questions.
READING_COLUMNS = ("display_set", "display_set_pk", "creator", "is_ground_truth")
_CATEGORIES = frozenset({"question", "answer_type", "display_set", "creator"})
#: Numbers in annotations that are no measurements.
_NO_MEASUREMENTS = frozenset({"version"})
#: The annotations that have the same numbers in every answer.
_FIXED_SIZE = frozenset(
    {
        "2D bounding box",
        "Distance measurement",
        "Point",
        "Angle",
        "Ellipse",
        "Three-point angle",
    }
)
#: The parts of a polygon and of a line; those of other annotations are their only array.
_PARTS = ("path_points", "path_point_lists")
#: The types of answers that are numbers or booleans, while a choice is the number of an option.
_DATA = frozenset({"Number", "Bool"})
_AXES = "xyz"


@dataclass(frozen=True)
class AnswerTable:
    """The answers of a reader study, in memory.

    Attributes:
        questions: The questions of the study that can be answered, in its order.
        titles: The titles of its display sets, by their pks, in its order.
        rows: One row for each answer, with the keys `columns`.
        masks: The API URL of the image of each answer that is a mask, by the answer's pk.
    """

    questions: tuple[models.Question, ...]
    titles: Mapping[str, str]
    rows: list[AnswerRow]
    masks: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return COLUMNS

    def wide(self) -> tuple[tuple[str, ...], list[AnswerRow]]:
        """Return the columns and rows of a table with a row for each case and reader, and a column for each question.

        Answers are in words; annotations are JSON values, followed by columns of their numbers, or of their count if
        there can be several. Correct answers have a row of their own, with ``is_ground_truth``.
        """
        names = self.question_columns()
        rows: dict[tuple[Any, ...], AnswerRow] = {}
        for answer in self.rows:
            key = tuple(answer[name] for name in READING_COLUMNS)
            row = rows.setdefault(key, dict(zip(READING_COLUMNS, key, strict=True)))
            name = names.get(answer["question_pk"])
            if name is not None:
                row.update(_question_cells(name, answer))
        order = {pk: number for number, pk in enumerate(self.titles)}
        made = sorted(
            rows.values(),
            key=lambda row: (
                order.get(row["display_set_pk"], len(order)),
                row["is_ground_truth"],
                row["creator"],
            ),
        )
        used = {name for row in made for name in row}
        columns = [
            column
            for name in names.values()
            for column in (name, *sorted(one for one in used if one.startswith(f"{name}: ")))
        ]
        # A question may begin with the text of another one.
        return (*READING_COLUMNS, *dict.fromkeys(columns)), made

    def summary(self) -> list[QuestionSummary]:
        """Return counts, means, missing cells and agreement for each question; kappa needs the extra `agreement`."""
        return summarize(self.questions, self.titles, self.rows)

    def to_dataframe(self, *, wide: bool = False) -> Any:
        """Return a `pandas.DataFrame` with a row for each answer, or for each case and reader.

        Times are UTC, pks are text, and the words of choices and everything that has few values are categories.

        Args:
            wide: Whether to return the table that `wide` describes.

        Raises:
            MissingExtra: pandas is not installed.
        """
        if not wide:
            return dataframe(self.rows, COLUMNS, _CATEGORIES)
        columns, rows = self.wide()
        names = self.question_columns()
        choices = {names[one.pk] for one in self.questions if one.options}
        return dataframe(rows, columns, choices | _CATEGORIES, times=())

    def question_columns(self) -> dict[str, str]:
        """Return a distinct column name for each question, by its pk: its text, with a number if it is not unique."""
        names: dict[str, str] = {}
        for question in self.questions:
            text = name = question_text(question)
            number = 1
            while name in names.values() or name in READING_COLUMNS:
                number += 1
                name = f"{text} ({number})"
            names[question.pk] = name
        return names


def _question_cells(name: str, row: AnswerRow) -> Iterator[tuple[str, Any]]:
    """Yield the cells of an answer in a row for a case and reader."""
    answer = row["answer"]
    if row["answer_type"] == "Mask":
        yield name, ";".join(row["files"])
        return
    if not is_object(answer):
        yield name, answer if row["answer_type"] in _DATA else row["answer_text"]
        return
    yield name, answer
    if answer.get("type") in _FIXED_SIZE:
        for path, number in _numbers((), answer):
            if path[0] not in _NO_MEASUREMENTS:
                yield f"{name}: {' '.join(path)}", number
    else:
        parts = (answer.get(key) for key in (*_PARTS, *answer))
        yield f"{name}: count", next((len(one) for one in parts if is_array(one)), 0)


def _numbers(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], int | float]]:
    """Yield the numbers in a JSON value with their paths; of three numbers in a row, as x, y and z."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value
    elif is_object(value):
        for key, inner in value.items():
            yield from _numbers((*path, key), inner)
    elif is_array(value):
        is_point = len(value) in {2, 3} and all(isinstance(one, int | float) for one in value)
        for index, inner in enumerate(value):
            yield from _numbers((*path, _AXES[index] if is_point else str(index + 1)), inner)


def answer_table(
    study: models.ReaderStudy, titles: Mapping[str, str], answers: Iterable[Mapping[str, Any]]
) -> AnswerTable:
    """Return the table of answers.

    Args:
        study: The reader study.
        titles: The titles of its display sets, by their pks, in its order.
        answers: The answers in the API's JSON.
    """
    maker = AnswerRows({question.pk: question for question in study.questions}, titles)
    given: Sequence[Mapping[str, Any]] = list(answers)
    for answer in given:
        maker.note_ground_truth(answer)
    rows = [maker.row(answer, {}) for answer in given]
    images = {answer["pk"]: answer["answer_image"] for answer in given if answer["answer_image"]}
    questions = [one for one in study.questions if one.answer_type != "Heading"]
    return AnswerTable(tuple(questions), titles, rows, images)
