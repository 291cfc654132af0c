"""What is printed: for people in terminals, for pipes and for programs."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import pytest

from gcapi import Client
from gcapi._util.messages import printable
from gcapi.cli.bulk_options import case_counter
from gcapi.cli.output import cell_text, table_lines
from gcapi_sandbox import Sandbox
from tests.support.cli_program import DEADLINE, VARIABLE, Program, command_line
from tests.support.data import unique
from tests.support.loopback import TOKEN, Answer, Loopback

#: What a terminal obeys: an escape sequence, its one-character form, a bell, and writing from right to left.
HOSTILE = "a\x1b[31mred\x1b[0m\x9b31m\x07\u202eb\nc\td"


@dataclass(frozen=True)
class Counted:
    """How far something has come."""

    ended: int
    total: int


def archives(*titles: str) -> Loopback:
    """Give a server with archives of some titles."""
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
    """Return what the program writes to a terminal of some width."""
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
    """In a terminal a list is a table with a header, and no line is wider than it."""
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
    """Where it is piped, each object is a line of tab-separated cells, without a header and with nothing cut."""
    long = "A title that is longer than a terminal. " * 10
    with archives("Short", long) as server:
        run = gcapi("archives", "list", "--base-url", server.base_url, "--token", TOKEN)
    assert run.out == f"archive-0\tShort\narchive-1\t{long.strip()}\n"


def test_titles_control_no_terminal(gcapi: Program) -> None:
    """Characters that a terminal obeys are not printed, in tables, objects and JSON."""
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
    """A console whose encoding lacks a character gets an escape for it, and JSON stays JSON."""
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
    """Columns line up beside characters that are two columns wide, or none."""
    rows = [["大き", "x"], ["é́", "y"], ["abcd", "z"]]
    assert list(table_lines(rows, ["a", "b"], 80)) == ["A     B", "大き  x", "é́     y", "abcd  z"]
    assert list(table_lines(rows, ["a", "b"], 4))[1] == "大…"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), ("a\r\nb", "a b"), (7, "7"), (["ü"], '["ü"]'), ({"a": 1}, '{"a": 1}')],
)
def test_cells_are_one_line(value: Any, text: str) -> None:
    """Whatever a value is, it is one line."""
    assert cell_text(value) == text


def test_warnings_are_talk(gcapi: Program) -> None:
    """What the library warns of is a note on standard error in one line, and -q leaves it out."""
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


def test_cases_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """The last count is printed as soon as all cases have ended; nothing is if the call fails first, or with -q."""
    with case_counter("cases", quiet=False) as show:
        assert show is not None
        show(Counted(1, 2))
        show(Counted(2, 2))
        assert capsys.readouterr().err == "cases: 2 of 2\n"
    with pytest.raises(ZeroDivisionError), case_counter("cases", quiet=False):
        raise ZeroDivisionError
    with case_counter("cases", quiet=True) as show:
        assert show is None
    assert capsys.readouterr().err == ""


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


# ---------------------------------------------------------------- real lists


def test_lists_and_shows_agree(ready: Program, sandbox: Sandbox, client: Client) -> None:
    """What a list shows can be shown by itself, by its slug, its pk and its address, with the same content."""
    slugs = {
        "archives": sandbox.add_archive(unique("archive")),
        "studies": sandbox.add_reader_study(unique("study")),
        "sockets": sandbox.add_socket(unique("socket"), "Float"),
    }
    listed = {kind: ready(kind, "list", "--json").lines for kind in slugs}
    for kind, slug in slugs.items():
        by_slug = ready(kind, "show", slug, "--json").json
        assert by_slug in listed[kind]
        assert ready(kind, "show", str(by_slug["pk"]), "--json").json == by_slug
        assert f"title: {by_slug['title']}" in ready(kind, "show", slug).out
    address = client.archives.detail(slug=slugs["archives"]).api_url
    assert ready("archives", "show", address, "--json").json["api_url"] == address
    page = client.archives.detail(api_url=address).url
    assert ready("archives", "show", page, "--json").json["url"] == page


def test_limits_of_lists(ready: Program, sandbox: Sandbox) -> None:
    """`--limit` shows so many and asks the server for no more."""
    for _ in range(3):
        sandbox.add_archive(unique("archive"))
    sandbox.requests.clear()
    assert len(ready("archives", "list", "-n", "2", "--json").lines) == 2
    (request,) = [one for one in sandbox.requests if one.path.endswith("/archives/")]
    assert parse_qs(request.query)["limit"] == ["2"]


def test_algorithms_show_what_they_take(ready: Program, sandbox: Sandbox) -> None:
    """An algorithm's interfaces are written as inputs and outputs, which is what `run` needs."""
    age, size, score = (
        sandbox.add_socket(unique(name), "Float") for name in ("age", "size", "score")
    )
    slug = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([age, size], [score])], run=lambda *_: None
    )
    assert f"  {age}, {size} -> {score}\n" in ready("algorithms", "show", slug).out


def test_images_are_filtered(ready: Program, sandbox: Sandbox) -> None:
    """Images are those of an archive, and a date may be written as people do."""
    archive = sandbox.add_archive(unique("archive"))
    sandbox.requests.clear()
    run = ready(
        "images", "list", "--archive", archive, "--study-date", "1 July 2026", "--name", "CT 1"
    )
    assert (run.code, run.out) == (0, "")
    (request,) = [one for one in sandbox.requests if one.path.endswith("/cases/images/")]
    query = parse_qs(request.query)
    assert [query["study_date"], query["name"]] == [["2026-07-01"], ["CT 1"]]
    assert ready("images", "list", "--archive", "no-such-archive").code == 3


def test_uploads_are_filtered_by_date(ready: Program, client: Client) -> None:
    """Uploads are those of a time and a state, looked through here since the server has no such filter."""
    pk = client.uploads.create(filename="a.txt").pk
    for arguments, is_there in (
        (["--since", "yesterday"], True),
        (["--until", "yesterday"], False),
        (["--since", "1 minute ago", "--status", "initialized"], True),
        (["--status", "Completed"], False),
    ):
        found = [line["pk"] for line in ready("uploads", "list", "--json", *arguments).lines]
        assert (pk in found) is is_there, arguments
    assert ready("uploads", "list", "--since", "sometime").code == 2


# ---------------------------------------------------------------- any call


def test_any_call(ready: Program, client: Client) -> None:
    """`api` sends fields as parameters of a GET and as the body of a POST, and prints the answer."""
    made = ready("api", "post", "uploads/", "-f", "filename=b.txt").json
    assert client.uploads.detail(pk=made["pk"]).filename == "b.txt"
    shown = ready("api", "GET", made["api_url"]).json
    assert shown["pk"] == made["pk"]
    client.uploads.create(filename="c.txt")
    assert len(ready("api", "GET", "uploads/?limit=1").json["results"]) == 1
    assert len(ready("api", "GET", "uploads/?limit=1", "-f", "limit=2").json["results"]) == 2
    path = f"uploads/{made['pk']}/{made['s3_upload_id']}/generate-presigned-urls/"
    signed = ready("api", "PATCH", path, "--data", '{"part_numbers": [1]}').json
    assert list(signed["presigned_urls"]) == ["1"]
    from_stdin = ready("api", "PATCH", path, "--data", "@-", stdin='{"part_numbers": [2]}')
    assert list(from_stdin.json["presigned_urls"]) == ["2"]


def test_any_list_to_its_end(gcapi: Program) -> None:
    """`--paginate` reads page after page, and gives an object a line."""

    def page(seen: Any) -> Answer:
        offset = int(seen.path.partition("offset=")[2].partition("&")[0])
        results = [{"number": number} for number in range(offset, min(offset + 2, 5))]
        return Answer(body={"count": 5, "next": None, "previous": None, "results": results})

    with Loopback(page) as server:
        run = gcapi(
            "api",
            "GET",
            "things/",
            "--paginate",
            "-f",
            "a=1",
            "--base-url",
            server.base_url,
            "--token",
            TOKEN,
        )
    assert [line["number"] for line in run.lines] == [0, 1, 2, 3, 4]
    assert all("a=1" in seen.path for seen in server.seen)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["GET", "archives/", "--data", "{}"], 2),
        (["POST", "uploads/", "--paginate"], 2),
        (["GET", "archives/", "-f", "slug"], 2),
        (["POST", "uploads/", "--data", "{filename}"], 4),
        (["POST", "uploads/", "--data", "@no-such-file.json"], 4),
        (["GET", "profiles/users/self/", "--paginate"], 4),
        (["GET", "https://example.com/api/v1/archives/"], 2),
    ],
)
def test_calls_that_cannot_be(ready: Program, arguments: list[str], code: int) -> None:
    """What is no call is refused before anything is sent; another host sees nothing."""
    run = ready("api", *arguments)
    assert (run.code, run.out) == (code, "")


def test_other_answers_come_as_they_are() -> None:
    """What is no JSON is written as it came."""
    with Loopback(
        lambda _: Answer(body=b"a,b\n1,\xff\n", headers={"Content-Type": "text/csv"})
    ) as server:
        run = subprocess.run(
            command_line("api", "GET", "x/", "--base-url", server.base_url, "--token", TOKEN),
            capture_output=True,
            check=True,
        )
    assert run.stdout == b"a,b\n1,\xff\n"
