"""The output in terminals, in pipes and as JSON."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from typing import Any

import pytest

from gcapi import models
from gcapi._util.messages import printable
from gcapi.cli.commands.objects import ARCHIVES, STUDIES
from gcapi.cli.output import cell_text, print_table, table_lines
from tests.support.programs.cli_program import DEADLINE, VARIABLE, Program, command_line
from tests.support.servers.loopback import TOKEN, Answer, Loopback

#: What a terminal obeys: an escape sequence, its one-character form, a bell, and writing from right to left.
HOSTILE = "a\x1b[31mred\x1b[0m\x9b31m\x07\u202eb\nc\td"


def archives(*titles: str) -> Loopback:
    """Return a server with archives of these titles."""
    results = [
        {
            "pk": f"00000000-0000-0000-0000-{number:012}",
            "title": title,
            "logo": "",
            "description": "",
            "api_url": "http://127.0.0.1/",
            "url": f"http://127.0.0.1/archives/archive-{number}/",
        }
        for number, title in enumerate(titles)
    ]
    page = {"count": len(results), "next": None, "previous": None, "results": results}
    return Loopback(lambda _: Answer(body=page))


def in_terminal(*arguments: str, columns: int) -> str:
    """Return the output of the program in a terminal."""
    import pty

    master, slave = pty.openpty()
    process = subprocess.Popen(
        command_line(*arguments),
        env={**os.environ, "COLUMNS": str(columns), "PYTHONIOENCODING": "utf-8"},
        stdout=slave,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    os.close(slave)
    written = b""
    try:
        while chunk := os.read(master, 65536):
            written += chunk
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(master)
    assert process.wait(DEADLINE) == 0
    return written.decode().replace("\r\n", "\n")


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such terminals")
@pytest.mark.parametrize("columns", [20, 40, 200])
def test_tables_fit_the_terminal(columns: int) -> None:
    """In a terminal, a list is a table with a header, and no line is wider than the terminal."""
    long = "A title that is much longer than narrow terminals are wide, " * 2
    with archives("Short", long) as server:
        shown = in_terminal(
            "archives", "list", "--base-url", server.base_url, "--token", TOKEN, columns=columns
        )
    header, first, second = shown.splitlines()
    assert header.split() == ["SLUG", "TITLE"]
    assert first.split() == ["archive-0", "Short"]
    assert len(second) <= columns
    assert second.endswith("…") == (columns < 130)


def test_piped_lists_are_whole(gcapi: Program) -> None:
    """In a pipe, each object is an uncut line of tab-separated cells, without a header."""
    long = "A title that is longer than a terminal. " * 10
    with archives("Short", long) as server:
        run = gcapi("archives", "list", "--base-url", server.base_url, "--token", TOKEN)
    assert run.out == f"archive-0\tShort\narchive-1\t{long.strip()}\n"


def test_titles_control_no_terminal(gcapi: Program) -> None:
    """Terminal control characters are not printed in tables, objects and JSON."""
    with archives(HOSTILE) as server:
        where = ("--base-url", server.base_url, "--token", TOKEN)
        table = gcapi("archives", "list", *where)
        lines = gcapi("archives", "list", "--json", *where)
        raw = gcapi("api", "GET", "archives/", *where)
    for run in (table, lines, raw):
        assert run.code == 0
        assert all(character.isprintable() or character in "\n\t" for character in run.out)
    assert table.out == "archive-0\ta�[31mred�[0m�31m��b c d\n"
    assert lines.lines[0]["title"] == HOSTILE
    assert raw.json["results"][0]["title"] == HOSTILE


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_console_takes_any_title(encoding: str) -> None:
    """A character that the console's encoding lacks is escaped, and JSON stays valid."""
    title = "Größe 大きさ 🫁"
    variables = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0", VARIABLE: TOKEN}
    with archives(title) as server:
        where = ("archives", "list", "--base-url", server.base_url)
        run = subprocess.run(
            command_line(*where), env={**os.environ, **variables}, capture_output=True, check=True
        )
        shown = subprocess.run(
            command_line(*where, "--json"),
            env={**os.environ, **variables},
            capture_output=True,
            check=True,
        )
    expected = title.encode(encoding, "backslashreplace").decode(encoding)
    assert run.stdout.decode(encoding).splitlines() == [f"archive-0\t{expected}"]
    assert json.loads(shown.stdout)["title"] == title


def test_wide_characters_are_counted_as_terminals_do() -> None:
    """Columns line up if characters are two columns wide, or none."""
    rows = [["大き", "x"], ["é́", "y"], ["abcd", "z"]]
    assert list(table_lines(rows, ["a", "b"], 80)) == ["A     B", "大き  x", "é́     y", "abcd  z"]
    assert list(table_lines(rows, ["a", "b"], 4))[1] == "大…"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("a\r\nb", "a b"), (7, "7"), (["ü"], '["ü"]'), ({"a": 1}, '{"a": 1}')],
)
def test_cells_are_one_line(value: Any, text: str) -> None:
    """A cell is one line for any value."""
    assert cell_text(value) == text


def test_warnings_are_talk(gcapi: Program) -> None:
    """A warning of the library is a line on standard error, and -q hides it."""
    newer = {"latest_version": "999.0", "lowest_supported_version": "0.1"}
    page = {"count": 0, "next": None, "previous": None, "results": []}
    with Loopback(
        lambda seen: Answer(body=newer if seen.path.endswith("/gcapi/") else page),
        with_version=False,
    ) as server:
        line = ("archives", "list", "--base-url", server.base_url, "--token", TOKEN)
        told, quiet = gcapi(*line), gcapi(*line, "-q")
    assert told.err.startswith("gcapi: note: This is gcapi ")
    assert told.err.count("\n") == 1
    assert (quiet.code, quiet.err) == (0, "")


def test_long_values_take_linear_time() -> None:
    """A table of cells of a million characters, of any kind, is cut to the terminal without looking at all of them."""
    cells = ["x" * 10**6, "大" * 10**6, "e\u0301" * 10**6]
    lines = list(table_lines([[text, text] for text in cells] * 50, ["a", "b"], 80))
    assert lines[1:4] == [
        "x" * 39 + "…  " + "x" * 37 + "…",
        "大" * 19 + "…   " + "大" * 18 + "…",
        "e\u0301" * 39 + "…  " + "e\u0301" * 37 + "…",
    ]
    assert printable("\x1b" + cells[0]) == "�" + cells[0]
    assert cell_text(cells[0] + "\n" + cells[1]) == f"{cells[0]} {cells[1]}"


def test_fields_that_the_server_did_not_send_are_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """A table has an empty cell for a missing field, and shows the title of a study without its deprecated field."""
    archives = [models.Archive.from_dict({"url": "https://gc.localhost/archives/a/"})]
    print_table(archives, ARCHIVES.columns)
    print_table(
        [models.ReaderStudy.from_dict({"slug": "s", "title_safe": "A &amp; B"})], STUDIES.columns
    )
    assert capsys.readouterr().out == "a\t\ns\tA & B\n"


def test_lists_can_be_csv(gcapi: Program) -> None:
    """With `--csv`, a list is CSV that Excel opens: a byte order mark, a header, and no cell that is a formula."""
    with archives("=1+1", 'a "b", ü\nc', "-5") as server:
        run = gcapi("archives", "list", "--csv", "--base-url", server.base_url, "--token", TOKEN)
    assert (run.code, run.out.startswith("\ufeff")) == (0, True)
    rows = list(csv.DictReader(io.StringIO(run.out.removeprefix("\ufeff"), newline="")))
    assert [row["title"] for row in rows] == ["'=1+1", 'a "b", ü\nc', "-5"]
    assert [row["slug"] for row in rows] == ["archive-0", "archive-1", "archive-2"]
    assert gcapi("archives", "list", "--csv", "--json", "--token", TOKEN).code == 2
