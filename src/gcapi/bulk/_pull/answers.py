"""The answers of a reader study, as CSV and JSON Lines with the texts of questions and the titles of cases."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from gcapi import models
from gcapi._http.urls import last_segment
from gcapi._transfer.atomic_file import AtomicFile
from gcapi._util.json_types import is_array
from gcapi.bulk._pull.case_folders import ANSWERS, ANSWERS_CSV, ANSWERS_JSONL
from gcapi.bulk._pull.json_lines import invalid_file, read_json_lines
from gcapi.bulk._pull.remote_cases import RemoteCase, RemoteValue

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
#: The query parameter that selects the answers of one reader study; you see your own, or all if you edit the study.
STUDY_PARAMETER: Final = "question__reader_study"
#: What stands for a socket in the masks of answers.
MASK_SOCKET: Final = "answer"
_CHOICE_TYPES = frozenset({"Choice", "Multiple choice"})


def row_of_answer(
    answer: Mapping[str, Any],
    questions: Mapping[str, models.Question],
    titles: Mapping[str, str],
    files: Mapping[str, str],
) -> dict[str, Any]:
    """Return the row of an answer.

    Args:
        answer: The answer in the API's JSON.
        questions: The questions of the reader study, by their pks.
        titles: The titles of its display sets, by their pks.
        files: The SHA-256 of each file of its mask, by path.
    """
    question_pk = last_segment(answer["question"])
    display_set_pk = last_segment(answer.get("display_set"))
    question = questions.get(question_pk)
    added: dict[str, Any] = {
        "question": question.question_text_safe if question else "",
        "question_pk": question_pk,
        "answer_type": question.answer_type if question else "",
        "display_set": titles.get(display_set_pk, ""),
        "display_set_pk": display_set_pk,
        "answer_text": _chosen_options(question, answer.get("answer")),
        "files": files,
    }
    return {name: added.get(name, answer.get(name)) for name in COLUMNS}


def _chosen_options(question: models.Question | None, answer: Any) -> str:
    """Return the titles of the chosen options; empty for other types of answers."""
    if question is None or question.answer_type not in _CHOICE_TYPES:
        return ""
    titles = {option.id: option.title for option in question.options}
    chosen = answer if is_array(answer) else [answer]
    return "; ".join(str(titles[one]) for one in chosen if one in titles)


def mask_of(answer: Mapping[str, Any]) -> RemoteCase | None:
    """Return the mask of an answer as a case to pull; `None` if the answer has none."""
    image = answer.get("answer_image")
    if not image:
        return None
    # In the index the pk of a mask is the path of its folder.
    key = f"{ANSWERS}/{answer['pk']}"
    value = RemoteValue("answer", MASK_SOCKET, last_segment(image), "", {"image": image})
    api_url = str(answer.get("api_url") or "")
    return RemoteCase(kind="answer", pk=key, api_url=api_url, values=(value,))


def is_mask(key: str) -> bool:
    """Return whether a key of the index is that of a mask."""
    return key.startswith(f"{ANSWERS}/")


def write_answers(folder: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows to both files, each atomically."""
    with (
        _atomic_writer(folder / ANSWERS_JSONL) as write_json,
        _atomic_writer(folder / ANSWERS_CSV) as write_csv,
    ):
        write_csv(_csv_line(COLUMNS))
        for row in rows:
            write_json(json.dumps(row, ensure_ascii=False) + "\n")
            write_csv(_csv_line([_csv_cell(name, row[name]) for name in COLUMNS]))


def read_answer_files(folder: Path) -> list[dict[str, str]]:
    """Return the SHA-256 of the files of each answer in a folder, by path; nothing if it has no reader study.

    Raises:
        PulledFolderError: The answers are damaged.
    """
    path = folder / ANSWERS_JSONL
    try:
        return [answer["files"] for answer in read_json_lines(path)] if path.is_file() else []
    except KeyError as error:
        raise invalid_file(path) from error


def _csv_cell(name: str, value: Any) -> str:
    if name == "files":
        return ";".join(value)
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _csv_line(cells: Iterable[str]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


@contextmanager
def _atomic_writer(target: Path) -> Generator[Callable[[str], None]]:
    """Yield a function that appends text to a file, which replaces the target when the block ends."""
    file = AtomicFile(target, overwrite=True)
    offset = 0

    def write(text: str) -> None:
        nonlocal offset
        data = text.encode()
        file.write(offset, memoryview(data))
        offset += len(data)

    try:
        yield write
        file.publish()
    finally:
        file.discard()
