"""Export the answers of a reader study as a table, and with --values the values of its display sets.

    python examples/export_reader_study.py my-study export/

It writes `export/answers.csv` with a row for each answer, in which questions and chosen options are text. Editors of
the study get all answers, readers their own.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from gcapi import Client
from gcapi.models import Question, ReaderStudy

COLUMNS = ("display set", "reader", "question", "answer", "ground truth", "created")


def in_words(question: Question, answer: Any) -> str:
    """Return an answer as text: the titles of chosen options, or JSON for anything that is not text."""
    titles = {option.id: option.title for option in question.options}
    if titles and isinstance(answer, list):
        chosen = cast("list[int]", answer)
        return "; ".join(titles[number] for number in chosen)
    if answer is None or isinstance(answer, str):
        return answer or ""
    return titles[answer] if titles else json.dumps(answer)


def rows(client: Client, study: ReaderStudy) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the table."""
    questions = {question.api_url: question for question in study.questions}
    shown = client.reader_studies.display_sets.iterate_all({"reader_study": study.pk})
    titles = {display_set.api_url: display_set.title or display_set.pk for display_set in shown}
    for answer in client.reader_studies.answers.iterate_all({"question__reader_study": study.pk}):
        question = questions[answer.question]
        yield (
            titles[answer.display_set] if answer.display_set else "",
            answer.creator,
            question.question_text_safe,
            in_words(question, answer.answer),
            answer.is_ground_truth,
            answer.created.isoformat(),
        )


def write_table(path: Path, table: Iterator[tuple[Any, ...]]) -> int:
    """Write the rows below a header, and return their number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for count, row in enumerate(table, start=1):  # noqa: B007 - the last is returned
            writer.writerow(row)
    return count


def download_values(client: Client, study: ReaderStudy, output: Path) -> None:
    """Download the values of each display set to a folder of its own, except existing files."""
    for display_set in client.reader_studies.display_sets.iterate_all({"reader_study": study.pk}):
        for value in display_set.values:
            client.download_socket_value(
                value, output_directory=output / display_set.pk, existing="skip"
            )


def main() -> int:
    """Export what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("study", help="slug of the reader study")
    parser.add_argument("output", type=Path)
    parser.add_argument("--values", action="store_true", help="download the display sets' values")
    options = parser.parse_args()
    with Client(progress=True) as client:
        study = client.reader_studies.detail(slug=options.study)
        count = write_table(options.output / "answers.csv", rows(client, study))
        if options.values:
            download_values(client, study, options.output / "values")
    print(f"{count} answers in {options.output / 'answers.csv'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
