"""Pulling reader studies with answers, and the jobs of an algorithm."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import diff, pull, read_manifest, save_answers, verify
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, unique
from tests.support.pull import contents, copy_image, from_storage, image_of, mask_of

QUESTIONS = (
    {"question_text": "What?", "answer_type": "Text"},
    {"question_text": "Which?", "answer_type": "Choice", "options": ["left", "right"]},
    {"question_text": "Which ones?", "answer_type": "Multiple choice", "options": ["a", "b", "c"]},
    {"question_text": "Where?", "answer_type": "Mask", "required": False},
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder to pull into."""
    return tmp_path / "home"


# ---------------------------------------------------------------- reader studies


@pytest.fixture
def study(sandbox: Sandbox, client: Client, tmp_path: Path) -> str:
    """Return a study of two display sets, with an answer to each question for the first of them."""
    number = sandbox.add_socket(unique("number"), "Float")
    slug = sandbox.add_reader_study(unique("study"), questions=QUESTIONS, readers=["sandbox"])
    sets = [
        client.add_case_to_reader_study(
            reader_study_slug=slug,
            title=title,
            order=order,
            values=[SocketValueSpec(number, value=order)],
        )
        for title, order in (("second", 20), ("first", 10))
    ]
    questions = {
        question.question_text: question
        for question in client.reader_studies.detail(slug=slug).questions
    }
    options = {
        question: [option.id for option in questions[question].options] for question in questions
    }
    given = {
        "What?": "Größe; 3 mm,\nleft",
        "Which?": options["Which?"][1],
        "Which ones?": [options["Which ones?"][0], options["Which ones?"][2]],
        "Where?": None,
    }
    answers = {
        text: client.reader_studies.answers.create(
            question=questions[text].pk,
            display_set=sets[0].pk,
            answer=answer,
            last_edit_duration="PT5S",
        )
        for text, answer in given.items()
    }
    with mask_of(tmp_path).open("rb") as mask:
        upload = client.uploads.upload_fileobj(fileobj=mask, filename="mask.mha")
    client.raw_image_upload_sessions.create(uploads=[upload.api_url], answer=answers["Where?"].pk)
    sandbox.wait_idle(DEADLINE)
    return slug


def test_study_comes_home_with_its_answers(client: Client, study: str, home: Path) -> None:
    """Display sets are pulled in their order, and answers as CSV and JSON Lines with their masks."""
    report = pull(client, f"study:{study}", home)
    assert (report.cases, report.answers, report.failed) == (2, 4, [])
    rows = read_manifest(report.manifest).rows
    assert [(row.title, row.order) for row in rows] == [("first", 10), ("second", 20)]
    lines = [json.loads(line) for line in (home / "answers.jsonl").read_text().splitlines()]
    answers = {line["question"]: line for line in lines}
    assert answers.keys() == {question["question_text"] for question in QUESTIONS}
    for question in QUESTIONS:
        answer = answers[question["question_text"]]
        assert answer["answer_type"] == question["answer_type"]
        assert (answer["creator"], answer["is_ground_truth"], answer["score"]) == (
            "sandbox",
            False,
            None,
        )
        assert (answer["display_set"], answer["display_set_pk"]) == (
            "second",
            rows[1].notes["gc:pk"],
        )
        assert answer["last_edit_duration"] == answer["total_edit_duration"] == "00:00:05"
        assert answer["created"]
    assert answers["What?"]["answer"] == "Größe; 3 mm,\nleft"
    assert answers["Which?"]["answer_text"] == "right"
    assert answers["Which ones?"]["answer_text"] == "a; c"
    ((mask, sha256),) = answers["Where?"]["files"].items()
    assert mask.startswith(f"answers/{answers['Where?']['pk']}/")
    assert contents(home)[mask] == sha256
    with (home / "answers.csv").open(newline="", encoding="utf-8-sig") as table:
        records = {record["question"]: record for record in csv.DictReader(table)}
    assert records["What?"]["answer"] == answers["What?"]["answer"]
    assert records["Which?"]["answer_text"] == "right"
    assert records["Where?"]["files"] == mask
    assert verify(home) == []


def test_study_again_moves_no_file_and_brings_new_answers(
    sandbox: Sandbox, client: Client, study: str, home: Path
) -> None:
    """A second pull downloads no masks and updates the answers, whose number `diff` compares."""
    pull(client, f"study:{study}", home)
    assert diff(client, home) == []
    found = client.reader_studies.detail(slug=study)
    sets = {row.title: row.notes["gc:pk"] for row in read_manifest(home / "manifest.csv").rows}
    client.reader_studies.answers.create(
        question=found.questions[0].pk, display_set=sets["first"], answer="new"
    )
    assert [(one.kind, one.subject) for one in diff(client, home)] == [("changed", "answers.jsonl")]
    sandbox.requests.clear()
    report = pull(client, f"study:{study}", home, existing="skip")
    assert (report.answers, report.files, from_storage(sandbox)) == (5, 0, 0)
    assert (diff(client, home), verify(home)) == ([], [])


def test_an_answer_too_long_for_a_workbook_is_cut_there(
    client: Client, study: str, home: Path
) -> None:
    """The cell says that it was cut and where the whole answer is, in a pull and in a table of answers."""
    openpyxl: Any = pytest.importorskip("openpyxl")
    found = client.reader_studies.detail(slug=study)
    sets = client.reader_studies.display_sets.iterate_all({"reader_study": found.pk})
    first = next(each for each in sets if each.title == "first")
    client.reader_studies.answers.create(
        question=found.questions[0].pk, display_set=first.pk, answer="x" * 40_000
    )
    report = pull(client, f"study:{study}", home, table_format="xlsx")
    assert (report.failed, report.manifest.name) == ([], "manifest.xlsx")
    tables = {home / "answers.xlsx": "see answers.jsonl"}
    table = client.reader_studies.answers_table(study)
    other = home.with_suffix(".xlsx")
    save_answers(other, table.columns, table.rows, "xlsx")
    tables[other] = "use another format"
    for path, remedy in tables.items():
        rows = openpyxl.load_workbook(path).active.values
        (cell,) = {cell for row in rows for cell in row if str(cell).startswith("xxx")}
        assert len(cell) < 32_767
        assert cell.endswith(f"x … [the first 32,500 of 40,000 characters; {remedy}]")
    assert "x" * 40_000 in (home / "answers.jsonl").read_text()


def test_a_mask_that_was_changed_is_found(client: Client, study: str, home: Path) -> None:
    """The masks of answers are verified."""
    pull(client, f"study:{study}", home)
    (mask,) = (home / "answers").rglob("*.mha")
    mask.write_text("changed")
    assert [(one.kind, one.subject) for one in verify(home)] == [
        ("changed", mask.relative_to(home).as_posix())
    ]
    assert pull(client, f"study:{study}", home, existing="verify").files == 1
    assert verify(home) == []


# ---------------------------------------------------------------- jobs


def test_jobs_come_home(sandbox: Sandbox, client: Client, tmp_path: Path, home: Path) -> None:
    """Inputs and outputs of a job have folders of their own; its row has its status and algorithm image."""
    image = sandbox.add_socket("Scan", relative_path="images/scan")
    number = sandbox.add_socket("Number", "Float", relative_path="number.json")
    sockets = [image, number]
    slug = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[(sockets, sockets)], run=copy_image
    )
    source = image_of(tmp_path)
    jobs = {
        value: client.start_algorithm_job(
            algorithm_slug=slug,
            inputs=[SocketValueSpec(image, file=source), SocketValueSpec(number, value=value)],
        )
        for value in (1.5, -1.0)
    }
    sandbox.wait_idle(DEADLINE)
    report = pull(client, f"algorithm:{slug}", home)
    assert (report.cases, report.failed) == (2, [])
    rows = {row.notes["gc:pk"]: row for row in read_manifest(report.manifest).rows}
    good, bad = rows[jobs[1.5].pk], rows[jobs[-1.0].pk]
    assert (good.notes["gc:status"], bad.notes["gc:status"]) == ("Succeeded", "Failed")
    job = client.algorithm_jobs.detail(pk=jobs[1.5].pk)
    assert good.notes["gc:algorithm_image"] == job.algorithm_image
    assert json.loads(good.cells[number]) == 1.5
    assert good.cells[image].startswith(f"{job.pk}/input/images/scan/")
    outputs = json.loads(good.notes["gc:outputs"])
    assert json.loads(outputs[number]) == 2.5
    assert outputs[image].startswith(f"{job.pk}/output/images/scan/")
    assert outputs[image] in contents(home)
    assert "gc:outputs" not in bad.notes
    assert (verify(home), diff(client, home)) == ([], [])
    (home / outputs[image]).unlink()
    assert [(one.kind, one.subject) for one in verify(home)] == [("missing", outputs[image])]
