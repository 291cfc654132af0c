"""`answers` from the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from gcapi import Client
from gcapi.bulk._tables.formats import read_table
from gcapi_sandbox import Sandbox
from tests.support.data import unique
from tests.support.programs.cli_program import Program


@pytest.fixture
def study(sandbox: Sandbox, client: Client) -> str:
    """Return a study of one case with two answers."""
    questions = (
        {"question_text": "Side", "answer_type": "Choice", "options": ["left", "right"]},
        {"question_text": "Remark", "answer_type": "Text"},
    )
    slug = sandbox.add_reader_study(unique("study"), questions=questions, readers=["sandbox"])
    case = client.add_case_to_reader_study(reader_study_slug=slug, title="one", values=[])
    side, remark = client.reader_studies.detail(slug=slug).questions
    for question, answer in ((side, side.options[1].id), (remark, "=n\u00f6, ok")):
        client.reader_studies.answers.create(
            question=question.pk, display_set=case.pk, answer=answer
        )
    return slug


def test_answers_are_printed_and_saved(ready: Program, study: str, tmp_path: Path) -> None:
    """Answers are a table on standard output, or a file in the format of its suffix."""
    shown = ready("answers", study)
    assert shown.code == 0
    assert shown.out.splitlines() == [
        "sandbox\tone\tSide\tright\t\t", "sandbox\tone\tRemark\t=n\u00f6, ok\t\t"
    ]  # fmt: skip
    wide = ready("answers", study, "--wide", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(wide.out.removeprefix("\ufeff")))
    assert (row["creator"], row["Side"], row["Remark"]) == ("sandbox", "right", "'=n\u00f6, ok")
    for suffix in ("csv", "tsv", "xlsx", "parquet", "jsonl"):
        path = tmp_path / f"answers.{suffix}"
        saved = ready("answers", study, "-o", path)
        assert (saved.code, saved.out, saved.err) == (0, "", f"{path}: 2 rows.\n")
    for suffix in ("csv", "tsv", "xlsx", "parquet"):
        saved_rows = [record for _, record in read_table(tmp_path / f"answers.{suffix}").records]
        assert [row["answer_text"] for row in saved_rows] == ["right", "=n\u00f6, ok"]
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [row["answer_text"] for row in rows] == ["right", "=n\u00f6, ok"]
    assert ready("answers", study, "-o", tmp_path / "answers.doc").code == 4


def test_summaries_are_printed(ready: Program, study: str) -> None:
    """--summary has a line for each question, and --json all its numbers."""
    lines = [line.split("\t") for line in ready("answers", study, "--summary").out.splitlines()]
    assert lines == [["Side", "1", "left: 0, right: 1", "", ""], ["Remark", "1", "", "", ""]]
    side, _ = ready("answers", study, "--summary", "--json").lines
    assert (side["counts"], side["missing"]) == ({"left": 0, "right": 1}, {"sandbox": 0})


def test_studies_without_answers(ready: Program, sandbox: Sandbox) -> None:
    """A study without answers is a success, and an unknown study is 3."""
    run = ready("answers", sandbox.add_reader_study(unique("study")))
    assert (run.code, run.out) == (0, "")
    assert "There are no answers" in run.err
    assert ready("answers", "no-such-study").code == 3
