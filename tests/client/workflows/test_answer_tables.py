"""The answers of a reader study as tables, data frames and summaries."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import download_masks
from gcapi.resources.answer_table import AnswerTable
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, unique
from tests.support.pull import mask_of

POINT = {"type": "Point", "point": [1.5, 2, 3], "version": {"major": 1, "minor": 0}}
LINES = {
    "type": "Multiple distance measurements",
    "lines": [{"start": [1, 2, 3], "end": [4, 5, 6]}] * 2,
    "version": {"major": 1, "minor": 0},
}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"question_text": "Introduction", "answer_type": "Heading"},
    {"question_text": "Size < 3 mm?", "answer_type": "Bool"},
    {"question_text": "Side", "answer_type": "Choice", "options": ["left", "right"]},
    {
        "question_text": "Signs",
        "answer_type": "Multiple choice",
        "options": ["a", "b", "c"],
        "required": False,
    },
    {"question_text": "Score", "answer_type": "Number", "required": False},
    {"question_text": "Remark", "answer_type": "Text"},
    {"question_text": "Center", "answer_type": "Point"},
    {"question_text": "Lengths", "answer_type": "Multiple distance measurements"},
    {"question_text": "Lesion", "answer_type": "Mask", "required": False},
)


@dataclass(frozen=True)
class Study:
    """A reader study of two cases with answers of two readers.

    Attributes:
        slug: The slug.
        cases: The pks of the display sets, by title.
    """

    slug: str
    cases: dict[str, str]


def _give(client: Client, study: Study, case: str, **answers: Any) -> dict[str, str]:
    """Store answers by the first word of their question, with options by their titles, and return their pks."""
    pks = {}
    for question in client.reader_studies.detail(slug=study.slug).questions:
        word = question.question_text.split()[0]
        if word not in answers:
            continue
        options = {option.title: option.id for option in question.options}
        given = answers[word]
        if options:
            given = [options[one] for one in given] if isinstance(given, list) else options[given]
        made = client.reader_studies.answers.create(
            question=question.pk,
            display_set=study.cases[case],
            answer=given,
            last_edit_duration="PT65S",
        )
        pks[word] = made.pk
    return pks


@pytest.fixture(scope="module")
def study(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Return a study with answers of the editor, who reads too, and of another reader."""
    token = sandbox.add_user("other")
    slug = sandbox.add_reader_study(
        unique("study"), questions=QUESTIONS, readers=["sandbox", "other"]
    )
    number = sandbox.add_socket(unique("number"), "Float")
    with (
        Client(sandbox.token, sandbox.base_url) as client,
        Client(token, sandbox.base_url) as other,
    ):
        cases = {
            title: client.add_case_to_reader_study(
                reader_study_slug=slug, title=title, values=[SocketValueSpec(number, value=1.0)]
            ).pk
            for title in ("Größe, 1", "=two")
        }
        study = Study(slug, cases)
        pks = _give(
            client, study, "Größe, 1",
            Size=True, Side="right", Signs=["c", "a"], Score=3, Remark="none; that I see",
            Center=POINT, Lengths=LINES, Lesion=None,
        )  # fmt: skip
        _give(client, study, "=two", Side="left", Signs=[], Score=None)
        _give(other, study, "Größe, 1", Size=False, Side="right", Signs=["a", "c"], Score=4)
        _give(other, study, "=two", Side="right", Remark="=1+1")
        folder = tmp_path_factory.mktemp("mask")
        with mask_of(folder).open("rb") as mask:
            upload = client.uploads.upload_fileobj(fileobj=mask, filename="mask.mha")
        client.raw_image_upload_sessions.create(uploads=[upload.api_url], answer=pks["Lesion"])
        sandbox.wait_idle(DEADLINE)
    sandbox.add_ground_truth(cases["Größe, 1"], {"Size < 3 mm?": True})
    return study


@pytest.fixture
def table(client: Client, study: Study) -> AnswerTable:
    """Return the table of all answers."""
    return client.reader_studies.answers_table(study.slug)


def test_answers_are_rows_in_words_and_as_data(
    sandbox: Sandbox, client: Client, study: Study
) -> None:
    """Each answer is a row with its case, reader and ground truth, and no image is requested."""
    sandbox.requests.clear()
    table = client.reader_studies.answers_table(study.slug)
    assert not any("images" in one.path or one.origin == "storage" for one in sandbox.requests)
    assert len(table.rows) == 8 + 3 + 4 + 2 + 1
    found = {
        row["question"].split()[0]: row
        for row in table.rows
        if (row["display_set"], row["creator"], row["is_ground_truth"])
        == ("Größe, 1", "sandbox", False)
    }
    words = {word: row["answer_text"] for word, row in found.items()}
    assert words == {
        "Size": "true", "Side": "right", "Signs": "a; c", "Score": "3",
        "Remark": "none; that I see", "Center": "", "Lengths": "", "Lesion": "",
    }  # fmt: skip
    assert found["Size"]["question"] == "Size < 3 mm?"
    assert (found["Size"]["answer"], found["Size"]["ground_truth"]) == (True, True)
    assert (found["Side"]["ground_truth"], found["Center"]["answer"]) == (None, POINT)
    assert found["Side"]["last_edit_duration"] == "00:01:05"


def test_wide_tables_have_a_row_for_each_case_and_reader(table: AnswerTable) -> None:
    """Questions are columns, and annotations are JSON and numbers."""
    columns, rows = table.wide()
    assert [(row["display_set"], row["creator"], row["is_ground_truth"]) for row in rows] == [
        ("Größe, 1", "other", False),
        ("Größe, 1", "sandbox", False),
        ("Größe, 1", "sandbox", True),
        ("=two", "other", False),
        ("=two", "sandbox", False),
    ]
    assert columns[4:] == (
        "Size < 3 mm?", "Side", "Signs", "Score", "Remark",
        "Center", "Center: point x", "Center: point y", "Center: point z",
        "Lengths", "Lengths: count", "Lesion",
    )  # fmt: skip
    row = rows[1]
    assert (row["Side"], row["Center: point x"], row["Lengths: count"]) == ("right", 1.5, 2)
    assert (row["Center"], row["Score"], row["Size < 3 mm?"]) == (POINT, 3, True)


def test_readers_see_their_own_answers(sandbox: Sandbox, study: Study) -> None:
    """The table of a reader has no answers of others."""
    with Client(sandbox.add_user("other"), sandbox.base_url) as reader:
        table = reader.reader_studies.answers_table(study.slug)
    assert {row["creator"] for row in table.rows} == {"other"}


def test_masks_are_named_after_case_question_and_reader(
    client: Client, table: AnswerTable, tmp_path: Path
) -> None:
    """Masks are downloaded on request, and their rows name them."""
    download_masks(client, table, tmp_path / "masks")
    path = tmp_path / "masks" / "Größe, 1_Lesion_sandbox.mha"
    assert [*(tmp_path / "masks").iterdir()] == [path]
    assert [[*row["files"]] for row in table.rows if row["files"]] == [[str(path)]]


def test_data_frames_have_types(client: Client, study: Study, table: AnswerTable) -> None:
    """Times are UTC, choices are categories, pks are text, and numbers stay numbers."""
    pytest.importorskip("pandas")
    frame = table.to_dataframe()
    assert str(frame["created"].dtype).endswith("UTC]")
    assert frame["last_edit_duration"].dropna().iloc[0].total_seconds() == 65
    types = {name: str(frame[name].dtype) for name in ("pk", "creator", "is_ground_truth")}
    assert types == {"pk": "string", "creator": "category", "is_ground_truth": "boolean"}
    wide = table.to_dataframe(wide=True)
    assert str(wide["Side"].dtype) == "category"
    assert wide["Center: point x"].dtype == "Float64"
    assert (str(wide["Score"].dtype), str(wide["Size < 3 mm?"].dtype)) == ("Int64", "boolean")
    cases = client.reader_studies.display_sets.to_dataframe(
        {"reader_study": client.reader_studies.detail(slug=study.slug).pk}
    )
    assert [*cases["pk"]] == [*study.cases.values()]
    (number,) = (name for name in cases.columns if name.startswith("number"))
    assert str(cases[number].dtype) == "Float64"


def test_summaries_count_and_compare(table: AnswerTable) -> None:
    """A summary has counts by option, means, missing answers and the agreement of the readers."""
    found = {one.question.split()[0]: one for one in table.summary()}
    assert found["Side"].counts == {"left": 1, "right": 3}
    assert found["Signs"].counts == {"a": 2, "b": 0, "c": 2}
    assert (found["Size"].counts, found["Size"].answers) == ({"true": 1, "false": 1}, 2)
    assert found["Score"].mean == pytest.approx(3.5)
    assert found["Signs"].missing == {"other": 1, "sandbox": 1}
    assert found["Score"].missing == {"other": 1, "sandbox": 1}
    assert found["Remark"].agreement is None
    agreement = found["Side"].agreement
    assert agreement is not None
    assert (agreement.cases, agreement.percent) == (2, 50.0)
    signs = found["Signs"].agreement
    assert signs is not None
    assert (signs.cases, signs.percent, signs.note) == (1, 100.0, "all answers are equal")


def test_kappa_is_that_of_the_library(table: AnswerTable) -> None:
    """Two readers have Cohen's kappa, three have Fleiss' kappa."""
    pytest.importorskip("statsmodels")
    (side,) = (one for one in table.summary() if one.question == "Side")
    assert side.agreement is not None
    assert (side.agreement.method, side.agreement.kappa) == ("Cohen", pytest.approx(0.0))
    third = [
        dict(row, creator="third", pk=f"{row['pk']}-3")
        for row in table.rows
        if row["creator"] == "other"
    ]
    more = AnswerTable(table.questions, table.titles, [*table.rows, *third], {})
    (side,) = (one for one in more.summary() if one.question == "Side")
    assert side.agreement is not None
    assert (side.agreement.method, side.agreement.kappa) == ("Fleiss", pytest.approx(-0.2))
