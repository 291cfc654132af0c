"""Manifests: reading and writing in all formats, the values of cells, and targets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import ReferenceType, ref

import pytest

from gcapi.bulk import (
    ManifestError,
    Row,
    Target,
    TargetError,
    read_manifest,
    write_manifest,
)
from gcapi.bulk.cells import parse_value, value_cell
from tests.support.data import written

ROWS = [
    Row(2, 'with; all, "signs"', 10, {"scan": "a.mha;b.mha", "title": "7"}, {"gc:pk": "1"}),
    Row(3, "ü\nnext line", None, {"scan": "c"}, {}),
    Row(4, "", 0, {"title": '{"a": [1.5, null]}'}, {"sha256:scan": '{"x": "y"}'}),
    Row(5, "=1+1", None, {"scan": "\r\n\t", "note": "'=x"}, {"x:y": "-5"}),
    Row(6, "'", None, {"scan": "=cmd|' /C calc'!A0", "note": "''@"}, {"x:y": "-a"}),
    Row(7, "007", None, {"scan": "007", "note": "1.50"}, {"x:y": "0.30000000000000004"}),
    Row(8, "قضية", None, {"scan": "病例", "note": "_x000D_"}, {"x:y": "#N/A"}),
    Row(9, "TRUE", None, {"scan": "true", "note": "1e5"}, {"x:y": "12345678901234567890"}),
    Row(10, "+", None, {"scan": " padded ", "note": '"quoted"'}, {"x:y": "-0.5"}),
    Row(11, "7", None, {"scan": "7.0", "note": "-0"}, {"x:y": "\x1b\x7f\x85"}),
]


def without_lines(rows: Any) -> list[Any]:
    """Return the content of rows without their line numbers."""
    return [(row.title, row.order, dict(row.cells), dict(row.notes)) for row in rows]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".xlsx", ".jsonl", ".ndjson", ".parquet"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    """Titles, orders, cells and notes survive each format, also of sockets that are named like another column."""
    pytest.importorskip({".parquet": "pyarrow", ".xlsx": "openpyxl"}.get(suffix, "csv"))
    path = tmp_path / f"manifest{suffix}"
    write_manifest(path, ROWS)

    manifest = read_manifest(path)

    assert without_lines(manifest.rows) == without_lines(ROWS)
    assert (manifest.folder, manifest.path) == (tmp_path, path)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_lists_and_values_need_no_text_in_json_lines(tmp_path: Path) -> None:
    """A cell in JSON Lines can be any JSON value; null and the empty text count as missing."""
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
        ("m.csv", "title,a,a\nx,1,2\n", [(1, "a", "the column appears more than once")]),
        (
            "m.csv",
            "title;scan,note\n",
            [(1, "", "the columns may be separated by commas or semicolons")],
        ),
        (
            "m.csv",
            "title,order\nx,1.5,more\ny,one\n",
            [
                (2, "", "the row has 3 cells, and there are 2 columns"),
                (2, "order", "'1.5' is not a whole number"),
                (3, "order", "'one' is not a whole number"),
            ],
        ),
        ("m.csv", "", [(1, "", "there are no columns")]),
        (
            "m.jsonl",
            '{"a": NaN}\n[1]\n{"title": [1]}',
            [
                (1, "", "it is not valid JSON: NaN is not a finite number"),
                (2, "", "it is not a JSON object"),
                (3, "title", "[1] is not a text"),
            ],
        ),
    ],
)
def test_all_problems_of_a_table_are_reported(
    tmp_path: Path, name: str, text: str, expected: list[tuple[int, str, str]]
) -> None:
    """All problems of a table are reported at once, each with line and column."""
    path = written(tmp_path / name, text)
    with pytest.raises(ManifestError) as refused:
        read_manifest(path)
    problems = refused.value.problems
    assert [(each.line, each.column, each.what) for each in problems] == expected
    assert all(str(each) in str(refused.value) and each.fix for each in problems)


@pytest.mark.parametrize("name", ["m.xls", "m"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    """An unknown suffix is refused with the list of known ones."""
    with pytest.raises(ManifestError, match=r"\.csv, \.tsv, \.xlsx, \.jsonl, \.ndjson, \.parquet"):
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
    """The cell that is written for a value is not empty, and is read back as the same value."""
    cell = value_cell(kind, value)
    assert cell
    assert parse_value(kind, cell) == value


@pytest.mark.parametrize("text", ["archive", "archive:", "archive:a b", "x:slug", "study:a/b", ""])
def test_a_target_has_three_forms(text: str) -> None:
    """A target has one of three forms, and is printed as it was written."""
    with pytest.raises(TargetError, match="archive:SLUG, study:SLUG or algorithm:SLUG"):
        Target.parse(text)
    assert str(Target.parse("study:a-b_1")) == "study:a-b_1"


class CountedRows:
    """Rows that are made anew for each iteration, and how many of them there were at most at once."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.most = 0

    def __iter__(self) -> Iterator[Row]:
        made: list[ReferenceType[Row]] = []
        for number in range(self.count):
            row = Row(number, title=f"Case {number}", cells={"score": number})
            made.append(ref(row))
            yield row
            self.most = max(self.most, sum(each() is not None for each in made))


def test_rows_that_can_be_iterated_again_are_not_held(tmp_path: Path) -> None:
    """A manifest is written row by row, so that a large one takes little memory."""
    rows = CountedRows(200)
    write_manifest(tmp_path / "manifest.csv", rows)
    assert rows.most <= 2
    assert [row.title for row in read_manifest(tmp_path / "manifest.csv").rows] == [
        f"Case {number}" for number in range(200)
    ]
