"""The check of a manifest: all problems at once, and the same that a push finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi import Client
from gcapi.bulk import (
    Row,
    check_manifest,
    plan_push,
    push,
    write_manifest,
)
from gcapi.exceptions import FileWarning
from gcapi.progress import ProgressEvent
from gcapi_sandbox import Sandbox
from tests.support.data import BINARY_FILES, found, nothing_written, unique, written


def test_a_check_reports_all_problems(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Each invalid cell is reported with its line, its column and what to do; the valid ones are counted."""
    score, scan, table = (
        sandbox.add_socket(unique("score"), "Float"),
        sandbox.add_socket(unique("scan")),
        sandbox.add_socket(unique("table"), "CSV file"),
    )
    archive = sandbox.add_archive(unique("archive"))
    (tmp_path / "empty").mkdir()
    written(tmp_path / "not.mha", "")
    written(tmp_path / "good.csv", "a;b")
    long_name = f"{'n' * 125}.csv"
    written(tmp_path / long_name, "x")
    rows = [
        Row(0, "good", None, {score: "1.5", table: "good.csv"}),
        Row(0, "good", None, {score: "1"}),
        Row(0, "t" * 256, None, {score: "high"}),
        Row(0, "4", None, {score: '"text"', table: "missing.csv"}),
        Row(0, "5", None, {score: "NaN", table: "*.tsv"}),
        Row(0, "6", None, {scan: "not.mha", table: long_name}),
        Row(0, "7", None, {scan: "empty", f"{score}x": "1"}),
        Row(0, "8"),
        Row(0, "9", -1, {table: "good.csv;not.mha"}),
    ]
    path = tmp_path / "m.csv"
    write_manifest(path, rows)

    report = check_manifest(client, path, f"archive:{archive}")

    reported = {(each.line, each.column): each.what for each in report.problems}
    assert "Did you mean" in reported[0, f"{score}x"]
    assert reported[3, "title"] == "line 2 has the title 'good' already"
    assert reported[4, "title"].startswith("The title has 256 characters")
    assert "'high' is not a number" in reported[4, score]
    assert "must be a number" in reported[4, score]
    assert "NaN is not a finite number" in reported[4, score]
    assert "cannot be read: No such file" in reported[5, table]
    assert reported[6, table] == "no file matches '*.tsv'"
    assert reported[7, scan] == f"{tmp_path / 'not.mha'}: the file is empty"
    assert "has 129 characters" in reported[7, table]
    assert reported[8, scan] == "the directory 'empty' has no files"
    assert reported[9, ""] == "the row has no values"
    assert [each.line for each in report.warnings] == [9]
    assert reported[10, "order"] == "order=-1 must be from 0 to 2147483647"
    assert reported[10, table] == "2 files are given for a CSV file"
    assert len(reported) == len(report.problems) == 12
    assert all(each.fix for each in report.problems)
    planned = plan_push(client, path, f"archive:{archive}", journal=tmp_path / "j")
    pushed = push(client, path, f"archive:{archive}", journal=tmp_path / "j")
    for notes in (
        {each.row.line: each.note for each in planned},
        {each.row.line: " ".join(str(each.error).split()) for each in pushed.failed},
    ):
        told = [(each, notes[each.line or 8]) for each in report.errors if not each.lines]
        assert len(told) > 5
        assert [each for each, note in told if each.what not in note or each.fix not in note] == []
    assert (report.rows, report.files, report.bytes) == (9, 1, 3)
    assert report.requests == 9 * 2 + 4


def test_a_check_knows_an_algorithm(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Rows that match no interface are reported, and so is a missing target."""
    one, two = (sandbox.add_socket(unique("in"), "Float") for _ in range(2))
    algorithm = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([one, two], [])], run="math:sqrt"
    )
    write_manifest(tmp_path / "m.csv", [Row(0, "", None, {one: "1"})])

    (problem,) = check_manifest(client, tmp_path / "m.csv", f"algorithm:{algorithm}").problems
    assert (problem.line, f"missing: {two}" in problem.what) == (2, True)

    (problem,) = check_manifest(client, tmp_path / "m.csv", f"algorithm:{algorithm}x").problems
    assert (problem.line, "Did you mean" in problem.what) == (0, True)


@pytest.mark.parametrize(
    ("title", "order", "values", "words"),
    [
        ("t" * 256, None, {}, "has 256 characters"),
        ("a", 2**31, {}, "must be from 0 to 2147483647"),
        ("b", None, {"number": '"text"'}, "must be a number"),
        ("c", None, {"table": "missing.csv"}, "No such file or directory"),
        ("d", None, {"number": "1", "none": "2"}, "There is no socket"),
        (
            "f",
            None,
            {"scan": "empty.mha"},
            "empty.mha: the file is empty. Copy or export it again.",
        ),
        ("g", None, {"table": "image.csv"}, "it begins like PNG"),
        ("h", None, {"points": "half.json"}, "it is not valid JSON"),
        ("i", None, {"scan": "many"}, "the row has 2002 files, and the server accepts 2001"),
    ],
)
def test_check_dry_run_and_push_agree(
    sandbox: Sandbox,
    client: Client,
    tmp_path: Path,
    title: str,
    order: int | None,
    values: dict[str, str],
    words: str,
) -> None:
    """Check, dry run and push refuse the same rows with the same messages, and nothing is written."""
    slugs = {
        "number": sandbox.add_socket(unique("number"), "Float"),
        "table": sandbox.add_socket(unique("table"), "CSV file"),
        "points": sandbox.add_socket(unique("points"), "Multiple points"),
        "scan": sandbox.add_socket(unique("scan")),
        "none": unique("none"),
    }
    written(tmp_path / "empty.mha", "")
    written(tmp_path / "image.csv", BINARY_FILES["Thumbnail png"])
    written(tmp_path / "half.json", "[1,")
    if "many" in values.values():
        (tmp_path / "many").mkdir()
        for number in range(2002):
            written(tmp_path / "many" / f"{number}.dat", "a part of a slide")
    study = f"study:{sandbox.add_reader_study(unique('study'))}"
    cells = {slugs[name]: cell for name, cell in values.items()} or {slugs["number"]: "1"}
    path, journal = tmp_path / "m.csv", tmp_path / "journal"
    write_manifest(path, [Row(0, title, order, cells)])

    (problem,) = check_manifest(client, path, study).problems
    (planned,) = plan_push(client, path, study, journal=journal)
    with nothing_written(sandbox):
        (failure,) = push(client, path, study, journal=journal).failed

    assert words in f"{problem}"
    assert (planned.what, words in planned.note) == ("fail", True)
    assert words in str(failure.error)


def test_findings_in_files_are_the_users_decision(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """With inspect="warn", check, dry run and push report errors as warnings; with "off", they do not look."""
    table = sandbox.add_socket(unique("table"), "CSV file")
    written(tmp_path / "a.csv", b"a\0b")
    path, journal = tmp_path / "m.csv", tmp_path / "journal"
    write_manifest(path, [Row(0, "a", None, {table: "a.csv"})])
    archive = f"archive:{sandbox.add_archive(unique('archive'))}"
    words = "the content is not that of a CSV file"

    report = check_manifest(client, path, archive, inspect="warn")
    assert (report.is_good, len(report.errors)) == (True, 0)
    assert [words in each.what for each in report.warnings] == [True]
    assert str(report.warnings[0]).startswith("warning: line 2, ")
    with pytest.warns(FileWarning, match=f"line 2 .a.: Socket .*{words}") as planned:
        assert plan_push(client, path, archive, journal=journal, inspect="warn")[0].what == "make"
    assert not check_manifest(client, path, archive, inspect="off").problems
    assert plan_push(client, path, archive, journal=journal, inspect="off")[0].what == "make"

    with pytest.warns(FileWarning, match=words) as pushed:
        assert push(client, path, archive, journal=journal, inspect="warn").is_complete
    # They point at the lines above.
    assert [each.filename for each in (*planned, *pushed)] == [__file__] * 2

    for call in (check_manifest, plan_push, push):
        with pytest.raises(ValueError, match="inspect='never' must be 'error'"):
            call(client, path, archive, inspect="never")


def test_check_reports_progress(sandbox: Sandbox, tmp_path: Path) -> None:
    """The listener of the client hears of each row that was checked."""
    number = sandbox.add_socket(unique("number"), "Float")
    write_manifest(tmp_path / "m.csv", [Row(0, f"{n}", None, {number: "1"}) for n in range(3)])
    events: list[ProgressEvent] = []
    with Client(sandbox.token, sandbox.base_url, progress=events.append) as client:
        check_manifest(client, tmp_path / "m.csv", None)
    assert [(event.phase, event.name, event.done, event.total) for event in events] == [
        ("check", "m.csv", done, 3) for done in range(4)
    ]


def test_dry_run_knows_the_interfaces(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Inputs that match no interface fail in a check, in a dry run and in a push."""
    one, two = (sandbox.add_socket(unique("in"), "Float") for _ in range(2))
    algorithm = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([one, two], [])], run="math:sqrt"
    )
    path, journal = tmp_path / "m.csv", tmp_path / "journal"
    write_manifest(path, [Row(0, "", None, {one: "1"})])

    (problem,) = check_manifest(client, path, f"algorithm:{algorithm}").problems
    (planned,) = plan_push(client, path, f"algorithm:{algorithm}", journal=journal)
    with nothing_written(sandbox):
        (failure,) = push(client, path, f"algorithm:{algorithm}", journal=journal).failed

    for words in (problem.what, planned.note, str(failure.error)):
        assert f"missing: {two}" in words
    assert planned.what == "fail"


def test_misspelt_column_is_looked_up_once(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """A column whose socket does not exist costs the same requests for many rows as for one."""
    slug = unique("none")
    target = f"archive:{sandbox.add_archive(unique('archive'))}"
    for count in (1, 20):
        path = tmp_path / f"{count}.csv"
        write_manifest(path, [Row(0, f"case {row}", None, {slug: "1"}) for row in range(count)])
        sandbox.requests.clear()
        report = push(client, path, target, journal=tmp_path / f"journal-{count}", workers=1)
        assert len(report.failed) == count
        assert len(found(sandbox, "GET", "/interfaces/$")) == 2
