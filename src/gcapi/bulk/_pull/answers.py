"""The answers of a reader study: a table and JSON Lines, with what the questions and the cases are called."""

from __future__ import annotations

import csv
import io
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gcapi._http.urls import last_segment
from gcapi._transfer.atomic_file import AtomicFile
from gcapi._util.json_types import is_array
from gcapi.bulk._pull.folders import ANSWERS, ANSWERS_CSV, ANSWERS_JSONL
from gcapi.bulk._pull.listing import Case, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from gcapi import models
    from gcapi.bulk._pull.pull_index import CaseRecord
    from gcapi.client import Client

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
)
_CHOICE, _CHOICES = "Choice", "Multiple choice"


class Questions:
    """The questions of a reader study, and what its cases are called.

    Args:
        study: The reader study.
        titles: The titles of its display sets, by their pks.
    """

    def __init__(self, study: models.ReaderStudy, titles: Mapping[str, str]) -> None:
        self._questions = {question.pk: question for question in study.questions}
        self._titles = titles

    def row(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """Return an answer in words, as a row of the table has it; its files come later."""
        question_pk = last_segment(answer["question"])
        display_set_pk = last_segment(answer.get("display_set"))
        question = self._questions.get(question_pk)
        made: dict[str, Any] = {
            "question": question.question_text_safe if question else "",
            "question_pk": question_pk,
            "answer_type": question.answer_type if question else "",
            "display_set": self._titles.get(display_set_pk, ""),
            "display_set_pk": display_set_pk,
            "answer_text": _in_words(question, answer.get("answer")),
            "files": {},
        }
        return {name: made.get(name, answer.get(name)) for name in COLUMNS}


def iterate_answers(client: Client, study: models.ReaderStudy) -> Iterator[dict[str, Any]]:
    """Yield the answers that may be seen: one's own, and of an editor's study all of them."""
    for answer in client.reader_studies.answers.iterate_all(_of_study(study.pk)):
        yield answer.to_dict()


def count_answers(client: Client, pk: str) -> int:
    """Return how many answers of a study may be seen."""
    return client.reader_studies.answers.count(_of_study(pk))


def _of_study(pk: str) -> dict[str, str]:
    return {"question__reader_study": pk}


def mask_of(answer: Mapping[str, Any]) -> Case | None:
    """Return the mask that is an answer as something to be pulled; `None` where there is none."""
    image = answer.get("answer_image")
    if not image:
        return None
    pk = str(answer["pk"])
    value = Value("answer", "answer", last_segment(image), "", {"image": image})
    return Case("answer", mask_key(pk), "", None, str(answer.get("api_url") or ""), (value,))


def mask_key(pk: str) -> str:
    """Return the key of an answer's mask in the ledger, which is where it lies, too."""
    return f"{ANSWERS}/{pk}"


def is_mask(key: str) -> bool:
    """Tell whether a key of the ledger is that of a mask."""
    return key.startswith(f"{ANSWERS}/")


def files_of(record: CaseRecord | None) -> dict[str, str]:
    """Return the files of a mask and their SHA-256."""
    values = record.values if record else ()
    return {file.path: file.sha256 for value in values for file in value.files}


def write_answers(folder: Path, rows: Callable[[], Iterator[Mapping[str, Any]]]) -> None:
    """Write both files, each whole or not at all.

    Args:
        folder: Where to.
        rows: Gives the answers, once for each file.
    """
    with _written_whole(folder / ANSWERS_JSONL) as write:
        for row in rows():
            write(json.dumps(row, ensure_ascii=False) + "\n")
    with _written_whole(folder / ANSWERS_CSV) as write:
        write(_csv_line(COLUMNS))
        for row in rows():
            write(_csv_line([_cell(name, row[name]) for name in COLUMNS]))


def read_answers(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the answers that a folder holds; none where it holds no reader study."""
    path = folder / ANSWERS_JSONL
    if path.is_file():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)


def _in_words(question: models.Question | None, answer: Any) -> str:
    """Return the titles of the options that were chosen; empty for answers of other types."""
    if question is None or question.answer_type not in {_CHOICE, _CHOICES}:
        return ""
    titles = {option.id: option.title for option in question.options}
    chosen = answer if is_array(answer) else [answer]
    return "; ".join(str(titles[one]) for one in chosen if one in titles)


def _cell(name: str, value: Any) -> str:
    """Return what a CSV cell says: plain text for text, names of files, JSON for the rest."""
    if name == "files":
        return ";".join(value)
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _csv_line(cells: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


@contextmanager
def _written_whole(target: Path) -> Generator[Callable[[str], None]]:
    """Write a text of any length to a file that is whole or not there, in place of what was there."""
    partial = AtomicFile(target, overwrite=True)
    at = 0

    def write(text: str) -> None:
        nonlocal at
        data = text.encode()
        partial.write(at, memoryview(data))
        at += len(data)

    try:
        yield write
        partial.publish()
    finally:
        partial.discard()
