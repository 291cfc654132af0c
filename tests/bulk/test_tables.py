"""Tables as spreadsheet programs write them: dialects of CSV, workbooks, and text that could be a formula."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from gcapi.bulk import ManifestError, Row, read_manifest, write_manifest
from gcapi.bulk.cells import parse_value
from gcapi.bulk.manifest import parse_manifest
from tests.support.spreadsheets.make_spreadsheets import FOLDER, ROWS

EXPECTED = [("ä", {"scan": "a.mha", "x": '["b", 1]'}), ("y", {"scan": "c;d"})]
COMMAS = 'title,scan,x\nä,a.mha,"[""b"", 1]"\ny,c;d,\n'
SEMICOLONS = 'title;scan;x\nä;a.mha;"[""b"", 1]"\ny;"c;d";\n'
TABS = 'title\tscan\tx\nä\ta.mha\t"[""b"", 1]"\ny\tc;d\t\n'


def cells_of(path: Path) -> list[tuple[str, Any]]:
    """Return the titles and the cells of a manifest."""
    return [(row.title, dict(row.cells)) for row in read_manifest(path).rows]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.csv", COMMAS.encode()),
        ("m.csv", COMMAS.encode("utf-8-sig")),
        ("m.csv", COMMAS.replace("\n", "\r\n").encode()),
        ("m.csv", COMMAS.replace("\n", "\r").encode()),
        ("m.CSV", SEMICOLONS.encode()),
        (
            "m.csv",
            SEMICOLONS.replace("\n", ";;;\r\n").encode("utf-8-sig") + b";;;;;\r\n\r\n ; \r\n",
        ),
        ("m.csv", TABS.encode()),
        ("m.csv", TABS.encode("utf-16")),
        ("m.csv", b"\xfe\xff" + TABS.encode("utf-16-be")),
        ("m.tsv", TABS.encode()),
        ("m.csv", b"sep=;\r\n" + SEMICOLONS.encode()),
        ("m.csv", f'"sep=,",,\r\n{COMMAS}'.encode("utf-8-sig")),
        ("m.csv", b"SEP=|\n" + SEMICOLONS.replace(";", "|").replace("c|d", "c;d").encode()),
    ],
)
def test_dialects_of_csv_are_read_alike(tmp_path: Path, name: str, content: bytes) -> None:
    """Separators, encodings, line ends, trailing separators and empty rows do not change what is read."""
    path = tmp_path / name
    path.write_bytes(content)
    assert cells_of(path) == EXPECTED


@pytest.mark.parametrize(
    "name",
    [
        "libreoffice-commas.csv",
        "libreoffice-semicolons.csv",
        "libreoffice-tabs.csv",
        "libreoffice.xlsx",
        "libreoffice-from-csv.xlsx",
    ],
)
def test_files_of_libreoffice_are_read_unchanged(name: str) -> None:
    """Our tables, opened and saved by LibreOffice in any form, give back each title and text."""
    if name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    assert cells_of(FOLDER / name) == ROWS


def test_formulas_of_libreoffice_are_read_by_their_values() -> None:
    """A workbook of formulas that LibreOffice calculated is read by its values; its hidden first sheet is ignored."""
    pytest.importorskip("openpyxl")
    assert cells_of(FOLDER / "libreoffice-formulas.xlsx") == [
        ("one", {"flag": "TRUE", "number": "0.1", "text": "2024-05-01"}),
        ("one more", {"flag": "FALSE", "number": "0.3", "text": "2024-05-01"}),
    ]


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("title", {"title"}),
        ("title,a:b;c", {"title", "a:b;c"}),
        ("note: one, two;scan", {"note: one, two", "scan"}),
        ("title\tsome name, with comma:x", {"title", "some name, with comma:x"}),
    ],
)
def test_header_decides_the_separator(tmp_path: Path, header: str, columns: set[str]) -> None:
    """The separator is the one that makes names of columns of all parts of the header."""
    path = tmp_path / "m.csv"
    path.write_text(f"{header}\n")
    assert set(read_manifest(path).origin.columns) == columns


@pytest.mark.parametrize("header", ["title;a,b", "title:x,a;b:c", "a\tb;c"])
def test_ambiguous_separator_is_one_problem(tmp_path: Path, header: str) -> None:
    """A header that two separators could divide is refused once, with a remedy."""
    path = tmp_path / "m.csv"
    path.write_text(f"{header}\n1,2\n3\n")
    with pytest.raises(
        ManifestError, match=r"may be separated by .* Write a line such as sep=;"
    ) as e:
        read_manifest(path)
    assert len(e.value.problems) == 1
    path.write_text(f"sep=;\n{header}\n1;2\n")
    assert parse_manifest(path)[1] == []


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le"])
def test_other_encodings_are_refused(tmp_path: Path, encoding: str) -> None:
    """A table in another encoding is refused with how to save it; its text is not guessed."""
    path = tmp_path / "m.csv"
    path.write_bytes("title,scan\nüß,a\n".encode(encoding))
    if encoding == "latin-1":
        with pytest.raises(ManifestError, match=r"not UTF-8 text .* choose 'CSV UTF-8'"):
            read_manifest(path)
    else:
        with pytest.raises(ManifestError):
            read_manifest(path)


def test_lines_are_those_of_the_file(tmp_path: Path) -> None:
    """Lines are counted with the line of the separator, empty rows and line ends in cells."""
    path = tmp_path / "m.csv"
    path.write_bytes(b'sep=;\r\ntitle;scan\r\n;\r\n"a\r\nb";x\r\nc;y\r\n')
    assert [row.line for row in read_manifest(path).rows] == [4, 6]


@pytest.mark.parametrize(
    ("kind", "text", "commas", "value"),
    [
        *(("Bool", text, False, True) for text in ("TRUE", "True", "true", " TRUE ")),
        *(("Bool", text, False, False) for text in ("FALSE", "False", "false")),
        ("Anything", "TRUE", False, True),
        ("Anything", '"TRUE"', False, "TRUE"),
        ("String", "TRUE", True, "TRUE"),
        ("String", "1,5", True, "1,5"),
        ("String", "2024-05-01", True, "2024-05-01"),
        ("Choice", "1.0", True, "1.0"),
        ("Float", "1,5", True, 1.5),
        ("Float", "-0,25", True, -0.25),
        ("Float", "1,5E-3", True, 0.0015),
        ("Float", "1.5", True, 1.5),
        ("Integer", "3.0", False, 3),
        ("Integer", "3,0", True, 3),
        ("Integer", "12345678901234567890", False, 12345678901234567890),
        ("Integer", 3.0, False, 3),
        ("Multiple choice", '["a", "b"]', True, ["a", "b"]),
    ],
)
def test_kind_of_the_socket_decides_the_value(
    kind: str, text: Any, commas: bool, value: Any
) -> None:
    """A cell becomes the value that its socket's kind takes, of the right type."""
    found = parse_value(kind, text, has_decimal_commas=commas)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("kind", "text", "commas"),
    [
        *(("Bool", text, True) for text in ("WAHR", "tRUE", "yes", "VRAI")),
        ("Float", "1,5", False),
        ("Float", "1.234,5", True),
        ("Anything", "1,5", True),
        ("Anything", "2024-05-01", True),
    ],
)
def test_other_texts_are_refused(kind: str, text: str, commas: bool) -> None:
    """Words of other languages, decimal commas elsewhere and dates are not guessed."""
    with pytest.raises(ValueError, match="line 1"):
        parse_value(kind, text, has_decimal_commas=commas)


# ---------------------------------------------------------------- text that could be a formula

TEXTS = [
    *("=1+1", "+1", "-a", "@x", "\tx", "\rx", "\nx", "'=1", "''=1", "'", "'a", "-", "-1,5", "-5"),
    *("=", "- item", "＝1", "-1.5e-7", "'-5", "a=b", '="a"', "=1;2"),
]


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_no_cell_can_be_a_formula(tmp_path: Path, suffix: str) -> None:
    """No cell of a written table begins like a formula, except for numbers, and each text is read back unchanged."""
    path = tmp_path / f"m.{suffix}"
    rows = [Row(0, "", None, {"scan": text}, {f"{text}:x": text}) for text in TEXTS]
    write_manifest(path, rows)

    text = path.read_bytes().decode("utf-8-sig")
    cells = [
        cell
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=",\t"[suffix == "tsv"])
        for cell in row
    ]
    assert {cell for cell in cells if cell[:1] in set("=+-@\t\r\n＝")} == {"-5", "-1.5e-7"}
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    read = read_manifest(path).rows
    assert [row.cells["scan"] for row in read] == TEXTS
    assert [row.notes for row in read] == [row.notes for row in rows]


# ---------------------------------------------------------------- workbooks


def workbook(path: Path, *sheets: tuple[str, list[list[Any]]], hidden: str = "") -> Path:
    """Write a workbook of several sheets with openpyxl."""
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        sheet.sheet_state = "hidden" if title == hidden else "visible"
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_cells_of_a_workbook_are_read_as_a_person_sees_them(tmp_path: Path) -> None:
    """Numbers keep their digits, booleans are TRUE and FALSE, dates are ISO 8601, and empty rows are skipped."""
    values = [17, 0.1, 1e-7, 2.0, True, date(2024, 5, 1), datetime(2024, 5, 1, 12, 30), "01"]  # noqa: DTZ001
    header = ["title", *(f"c{index}" for index in range(len(values))), None]
    path = workbook(tmp_path / "m.xlsx", ("Cases", [header, [], [5, *values, None, None], [" "]]))

    (row,) = read_manifest(path).rows

    assert (row.title, row.line) == ("5", 3)
    texts = ["17", "0.1", "1e-07", "2", "TRUE", "2024-05-01", "2024-05-01T12:30:00", "01"]
    assert list(row.cells.values()) == texts


def test_sheet_of_a_workbook_is_chosen(tmp_path: Path) -> None:
    """The first visible sheet is read, or the one that the path names; names may have dots."""
    sheets = [(name, [["title", "x"], [name, "1"]]) for name in ("Old", "New", "v1.2 #3")]
    path = workbook(tmp_path / "m.xlsx", *sheets, hidden="Old")
    assert read_manifest(path).rows[0].title == "New"
    named = read_manifest(Path(f"{path}#v1.2 #3"))
    assert (named.rows[0].title, named.path, named.folder) == ("v1.2 #3", path, tmp_path)
    assert read_manifest(Path(f"{path}#Old")).rows[0].title == "Old"
    with pytest.raises(ManifestError, match=r"no sheet 'Newer'. Name one of 'New', 'v1.2 #3'"):
        read_manifest(Path(f"{path}#Newer"))


NO_VALUE = "the formula has no value, because no spreadsheet program has calculated it"


def test_problems_of_a_workbook_name_the_cell(tmp_path: Path) -> None:
    """Errors and formulas without values are refused, with sheet and cell; formulas with values are read."""
    rows = [["title", "order", "x"], ["a", "first", "=1+1"], ["b", 1, "#N/A"], ["c", 2, "y", "z"]]
    path = workbook(tmp_path / "m.xlsx", ("My cases", rows))
    with pytest.raises(ManifestError) as refused:
        read_manifest(path)
    found = [(each.place, each.column, each.what) for each in refused.value.problems]
    assert found == [
        ("sheet 'My cases', cell C2", "x", NO_VALUE),
        ("sheet 'My cases', cell B2", "order", "'first' is not a whole number"),
        ("sheet 'My cases', cell C3", "x", "the cell has the error #N/A"),
        ("sheet 'My cases', row 4", "", "the row has 4 cells, and there are 3 columns"),
    ]
    assert str(refused.value.problems[1]).startswith("sheet 'My cases', cell B2, order: 'first'")


def test_broken_workbook_is_refused(tmp_path: Path) -> None:
    """A file that is not a workbook is refused, with what to do."""
    path = tmp_path / "m.xlsx"
    path.write_bytes(b"title,scan\n")
    with pytest.raises(ManifestError, match="not an Excel workbook"):
        read_manifest(path)


def test_formulas_are_read_by_their_values(tmp_path: Path) -> None:
    """The value that a spreadsheet program has calculated for a formula is read."""
    source = workbook(tmp_path / "a.xlsx", ("S", [["title", "x"], ["a", "=1+1"]]))
    path = tmp_path / "m.xlsx"
    with zipfile.ZipFile(source) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = content.replace(b"</f><v />", b"</f><v>2</v>").replace(
                    b"</f><v/>", b"</f><v>2</v>"
                )
            after.writestr(name, content)
    assert cells_of(path) == [("a", {"x": "2"})]
