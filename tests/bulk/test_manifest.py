"""Manifests: three forms that say the same, everything that is wrong at once, and a guess to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi.bulk import (
    ManifestError,
    Row,
    Target,
    TargetError,
    check_manifest,
    guess_manifest,
    read_manifest,
    write_manifest,
)
from gcapi.bulk.cells import parse_value, value_cell
from gcapi_sandbox import Sandbox
from tests.support.data import unique, written

ROWS = [
    Row(2, 'with; all, "signs"', 10, {"scan": "a.mha;b.mha", "title": "7"}, {"gc:pk": "1"}),
    Row(3, "ü\nnext line", None, {"scan": "c"}, {}),
    Row(4, "", 0, {"title": '{"a": [1.5, null]}'}, {"sha256:scan": '{"x": "y"}'}),
]


def without_lines(rows: Any) -> list[Any]:
    """Return what rows say, wherever it stands."""
    return [(row.title, row.order, dict(row.cells), dict(row.notes)) for row in rows]


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".ndjson", ".parquet"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    """Titles, orders, cells and notes survive each form, sockets called like a column of the manifest included."""
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"manifest{suffix}"
    write_manifest(path, ROWS)

    manifest = read_manifest(path)

    assert without_lines(manifest.rows) == without_lines(ROWS)
    assert (manifest.folder, manifest.path) == (tmp_path, path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_lists_and_values_need_no_text_in_json_lines(tmp_path: Path) -> None:
    """In JSON Lines a cell may be any JSON; null and the empty text are cells that are not there."""
    path = written(
        tmp_path / "m.jsonl",
        '{"title": 17, "scan": ["a", "b"], "x": {"deep": 1}, "y": null, "z": ""}\n\n{"title": "t"}',
    )
    first, second = read_manifest(path).rows
    assert (first.title, first.cells) == ("17", {"scan": ["a", "b"], "x": {"deep": 1}})
    assert (second.line, second.title) == (3, "t")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("m.csv", "title,a,a\nx,1,2\n", [(1, "a", "the column is there more than once")]),
        ("m.csv", "title;scan\nx;y\n", [(1, "", "the columns are separated by semicolons")]),
        (
            "m.csv",
            "title,order\nx,1.5,more\ny,one\n",
            [
                (2, "", "the row has 3 cells, and there are 2 columns"),
                (2, "order", "'1.5' is no whole number"),
                (3, "order", "'one' is no whole number"),
            ],
        ),
        ("m.csv", "", [(1, "", "there are no columns")]),
        (
            "m.jsonl",
            '{"a": NaN}\n[1]\n{"title": [1]}',
            [
                (1, "", "it is not valid JSON: JSON has no NaN"),
                (2, "", "it is no JSON object"),
                (3, "title", "[1] is no text"),
            ],
        ),
    ],
)
def test_a_broken_table_is_told_as_a_whole(
    tmp_path: Path, name: str, text: str, expected: list[tuple[int, str, str]]
) -> None:
    """Everything that keeps a file from being read as a manifest is told at once, with its line and column."""
    path = written(tmp_path / name, text)
    with pytest.raises(ManifestError) as refused:
        read_manifest(path)
    problems = refused.value.problems
    assert [(each.line, each.column, each.what) for each in problems] == expected
    assert all(str(each) in str(refused.value) and each.fix for each in problems)


@pytest.mark.parametrize("name", ["m.xlsx", "m"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    """A file of another suffix is refused with the suffixes that there are."""
    with pytest.raises(ManifestError, match=r"\.csv, \.jsonl, \.ndjson, \.parquet"):
        read_manifest(written(tmp_path / name, "title\n"))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("String", text) for text in ("plain", "", '"', '"quoted"', "[1]", " ", "null")),
        *(("Anything", value) for value in ("text", "", [1, None], {"a": "b"}, 1.5, True)),
        ("Float", 0.1),
        ("Bool", False),
    ],
)
def test_the_cell_of_a_value_is_read_back_as_the_value(kind: str, value: Any) -> None:
    """Whatever a value is, the cell that is written for it says the same and is not empty."""
    cell = value_cell(kind, value)
    assert cell
    assert parse_value(kind, cell) == value


@pytest.mark.parametrize("text", ["archive", "archive:", "archive:a b", "x:slug", "study:a/b", ""])
def test_a_target_has_three_forms(text: str) -> None:
    """Whatever else is written is refused with the three forms; what is right is printed as it was written."""
    with pytest.raises(TargetError, match="archive:SLUG, study:SLUG or algorithm:SLUG"):
        Target.parse(text)
    assert str(Target.parse("study:a-b_1")) == "study:a-b_1"


# ---------------------------------------------------------------- check


def test_a_check_tells_everything_at_once(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Every wrong cell is told with its line, its column and what to do; good ones are counted."""
    score, scan, table = (
        sandbox.add_socket(unique("score"), "Float"),
        sandbox.add_socket(unique("scan")),
        sandbox.add_socket(unique("table"), "CSV file"),
    )
    archive = sandbox.add_archive(unique("archive"))
    (tmp_path / "empty").mkdir()
    written(tmp_path / "not.mha", "no image")
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

    told = {(each.line, each.column): each.what for each in report.problems}
    assert "Did you mean" in told[0, f"{score}x"]
    assert told[3, "title"] == "line 2 has the title 'good' already"
    assert told[4, "title"].startswith("the title has 256 characters")
    assert "'high' is no JSON" in told[4, score]
    assert "must be a number" in told[5, score]
    assert "cannot be read: No such file" in told[5, table]
    assert "JSON has no NaN" in told[6, score]
    assert told[6, table] == "nothing fits '*.tsv'"
    assert "does not begin like one" in told[7, scan]
    assert "has 129 characters" in told[7, table]
    assert told[8, scan] == "the directory 'empty' has no files"
    assert told[9, ""] == "the row has no values"
    assert told[10, "order"] == "the order -1 is not from 0 to 2147483647"
    assert told[10, table] == "2 files are given for a CSV file"
    assert len(told) == len(report.problems) == 14
    assert all(each.fix for each in report.problems)
    assert (report.rows, report.files, report.bytes) == (9, 2, 11)
    assert report.requests == 9 * 2 + 2 * 4


def test_a_check_knows_an_algorithm(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Rows that match no interface are told; so is a target that is not there."""
    one, two = (sandbox.add_socket(unique("in"), "Float") for _ in range(2))
    algorithm = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([one, two], [])], run="math:sqrt"
    )
    write_manifest(tmp_path / "m.csv", [Row(0, "", None, {one: "1"})])

    (problem,) = check_manifest(client, tmp_path / "m.csv", f"algorithm:{algorithm}").problems
    assert (problem.line, f"missing: {two}" in problem.what) == (2, True)

    (problem,) = check_manifest(client, tmp_path / "m.csv", f"algorithm:{algorithm}x").problems
    assert (problem.line, "Did you mean" in problem.what) == (0, True)


# ---------------------------------------------------------------- guess


def test_subfolders_are_cases(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Each subfolder is a row: its series as a folder, its image, and a file whose name is a socket's slug."""
    score = sandbox.add_socket(unique("score"), "Float")
    for case in ("a", "b"):
        folder = tmp_path / case
        (folder / "ct").mkdir(parents=True)
        for name in ("1.dcm", "2.dcm"):
            written(folder / "ct" / name, "x")
        written(folder / "scan.mhd", "x")
        written(folder / "scan.zraw", "x")
        written(folder / ".DS_Store", "x")
        written(folder / f"{score}.json", "1")

    manifest = guess_manifest(tmp_path, client)

    assert [row.title for row in manifest.rows] == ["a", "b"]
    cells = manifest.rows[0].cells
    assert cells[score] == f"a/{score}.json"
    assert sorted(set(cells.values()) - {cells[score]}) == ["a/ct", "a/scan.mhd;a/scan.zraw"]


def test_files_of_one_name_are_a_case(tmp_path: Path) -> None:
    """Without subfolders, files that differ in their suffix are a row; two images of it are told apart by number."""
    for name in ("p1.nii.gz", "p1.json", "p2.nii.gz", "p2.mha", "manifest.csv"):
        written(tmp_path / name, "x")

    manifest = guess_manifest(tmp_path)

    assert without_lines(manifest.rows) == [
        ("p1", None, {"json": "p1.json", "image": "p1.nii.gz"}, {}),
        ("p2", None, {"image": "p2.mha", "image-2": "p2.nii.gz"}, {}),
    ]
    (tmp_path / "none").mkdir()
    with pytest.raises(ManifestError, match="there are no files"):
        guess_manifest(tmp_path / "none")
