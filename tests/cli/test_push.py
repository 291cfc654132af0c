"""`manifest` and `push` from the command line."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from gcapi import Client
from gcapi.bulk import Row, write_input_workbook
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, noise, unique, written
from tests.support.programs.cli_program import Program, command_line
from tests.support.servers.loopback import TOKEN


@dataclass(frozen=True)
class Cases:
    """Cases on disk, and their target.

    Attributes:
        folder: Where they are.
        manifest: What they are.
        scan: An image socket.
        score: A Float socket.
        archive: The slug of an archive.
    """

    folder: Path
    manifest: Path
    scan: str
    score: str
    archive: str

    def write(self, *rows: tuple[str, str, str]) -> None:
        """Write the manifest: a title, a scan and a score in each row."""
        with self.manifest.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("title", self.scan, self.score), *rows])

    def titles(self, client: Client) -> list[str]:
        """Return the titles that the archive has."""
        pk = client.archives.detail(slug=self.archive).pk
        return sorted(item.title for item in client.archive_items.iterate_all({"archive": pk}))


@pytest.fixture
def cases(sandbox: Sandbox, tmp_path: Path) -> Cases:
    """Return two valid cases."""
    folder = tmp_path / "cases"
    folder.mkdir()
    for name in "ab":
        noise(folder / f"{name}.mha", 16)
    made = Cases(
        folder,
        folder / "manifest.csv",
        sandbox.add_socket(unique("scan")),
        sandbox.add_socket(unique("score"), "Float"),
        sandbox.add_archive(unique("archive")),
    )
    made.write(("one", "a.mha", "1.5"), ("two", "b.mha", "2"))
    return made


def test_push_and_push_again(ready: Program, client: Client, cases: Cases) -> None:
    """A push creates the cases of a manifest once: a second run has nothing to do."""
    line = (
        "push",
        cases.manifest,
        f"archive:{cases.archive}",
        "--wait",
        "--timeout",
        str(DEADLINE),
    )
    first, second = ready(*line, "--json"), ready(*line, "--json")
    assert (first.code, second.code) == (0, 0)
    assert [row["title"] for row in first.json["done"]] == ["one", "two"]
    assert first.json["failed"] == first.json["waiting"] == []
    assert len(second.json["skipped"]) == 2
    assert first.json["journal"] == second.json["journal"]
    assert Path(first.json["journal"]).is_file()
    assert cases.titles(client) == ["one", "two"]
    assert "rows: 2 of 2" in first.err
    assert ready(*line, "-q").err == ""


def test_dry_runs_do_nothing(ready: Program, client: Client, cases: Cases) -> None:
    """`--dry-run` shows the plan for each row, and changes nothing."""
    cases.write(("one", "a.mha", "1.5"), ("two", "gone.mha", "2"))
    run = ready("push", cases.manifest, f"archive:{cases.archive}", "--dry-run", "--json")
    assert [(row["line"], row["what"], row["files"]) for row in run.lines] == [
        (2, "make", 1),
        (3, "fail", 0),
    ]
    assert run.code == 4
    assert cases.titles(client) == []


def test_rows_that_fail_come_back(ready: Program, client: Client, cases: Cases) -> None:
    """A row that fails does not stop the others: it is named, and written to a manifest; the exit code is 6."""
    cases.write(("one", "a.mha", "1.5"), ("two", "gone.mha", "2"))
    target = f"archive:{cases.archive}"
    run = ready("push", cases.manifest, target, "--json")
    assert run.code == 6
    assert [row["title"] for row in run.json["failed"]] == ["two"]
    assert "gcapi: line 3 (two): " in run.err
    assert cases.titles(client) == ["one"]
    noise(cases.folder / "gone.mha", 16)
    again = ready("push", run.json["failed_manifest"], target)
    assert again.code == 0
    assert cases.titles(client) == ["one", "two"]


def test_rows_that_all_fail_in_one_way(ready: Program, cases: Cases) -> None:
    """If every row fails in the same way, the exit code is that of the error."""
    cases.write(("one", "gone.mha", "1.5"), ("two", "gone.mha", "2"))
    assert ready("push", cases.manifest, f"archive:{cases.archive}").code == 4


@pytest.mark.skipif(os.name != "posix", reason="other systems have no signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.usefixtures("ready")
def test_interrupted_pushes_go_on(
    gcapi: Program, sandbox: Sandbox, client: Client, cases: Cases, name: str
) -> None:
    """Ctrl-C, or a signal to end, ends a push and says how to resume it, which creates nothing twice."""
    number = getattr(signal, name)
    line = ("push", cases.manifest, f"archive:{cases.archive}", "--wait")
    with sandbox.hold_background():
        process = subprocess.Popen(
            command_line(*line), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        while "rows: 2 of 2" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(number)
        out, err = process.communicate(timeout=DEADLINE)
    assert (process.returncode, out) == (128 + number, "")
    assert err.splitlines() == [
        "gcapi: interrupted. Every step is noted. Run the same command again to continue."
    ]
    assert gcapi(*line).code == 0
    assert cases.titles(client) == ["one", "two"]


def test_rows_that_are_late(ready: Program, sandbox: Sandbox, cases: Cases) -> None:
    """A timeout of the import is 5, and the same command continues waiting."""
    line = ("push", cases.manifest, f"archive:{cases.archive}", "--wait", "--timeout")
    with sandbox.hold_background():
        late = ready(*line, "0.1", "--json")
    assert late.code == 5
    assert len(late.json["waiting"]) == 2
    assert late.json["failed_manifest"] is None
    assert ready(*line, str(DEADLINE)).code == 0


@pytest.mark.parametrize(
    ("manifest", "target", "code"),
    [
        ("manifest.csv", "archive:no-such-archive", 3),
        ("manifest.csv", "somewhere", 4),
        ("gone.csv", "archive:x", 4),
        ("broken.csv", "archive:x", 4),
    ],
)
def test_pushes_that_cannot_be(
    ready: Program, cases: Cases, manifest: str, target: str, code: int
) -> None:
    """An invalid target or manifest is an error before anything is sent."""
    written(cases.folder / "broken.csv", 'title,title\n"one')
    run = ready("push", cases.folder / manifest, target)
    assert (run.code, run.out) == (code, "")
    assert run.err.startswith("gcapi: ")


def test_algorithms_take_manifests(ready: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """A push to an algorithm starts a job for each row."""
    number = sandbox.add_socket(unique("number"), "Float")
    same = sandbox.add_socket(unique("same"), "Float")

    def run(inputs: Path, outputs: Path) -> None:
        (source,) = inputs.glob(f"{number}.json")
        (outputs / f"{same}.json").write_text(source.read_text())

    slug = sandbox.add_algorithm(unique("copier"), interfaces=[([number], [same])], run=run)
    manifest = written(
        tmp_path / "jobs.jsonl", "".join(f'{{"{number}": {n}}}\n' for n in (1, 2, 3))
    )
    pushed = ready("push", manifest, f"algorithm:{slug}", "--wait", "--json")
    assert pushed.code == 0
    pks = {row["pk"] for row in pushed.json["done"]}
    listed = ready("jobs", "list", "--algorithm", slug, "--status", "Succeeded", "--json").lines
    assert {job["pk"] for job in listed} == pks
    assert len(pks) == 3


def test_push_from_a_cluster(gcapi: Program, client: Client, cases: Cases, cluster: str) -> None:
    """With --dask, the workers upload, with the token from the file that `login` wrote."""
    run = gcapi("push", cases.manifest, f"archive:{cases.archive}", "--dask", cluster)
    assert run.code == 0
    assert cases.titles(client) == ["one", "two"]


# ---------------------------------------------------------------- manifests


def test_check_says_everything_at_once(ready: Program, cases: Cases) -> None:
    """`manifest check` lists all problems with line, column and advice; the exit code is 4."""
    cases.write(("one", "gone.mha", "1.5"), ("one", "b.mha", "two"))
    found = ready("manifest", "check", cases.manifest, f"archive:{cases.archive}", "--json")
    assert found.code == 4
    places = {(problem["line"], problem["column"]) for problem in found.json["problems"]}
    assert {(2, cases.scan), (3, cases.score)} <= places
    assert any(column == "title" for _, column in places)
    assert all(problem["what"] and problem["fix"] for problem in found.json["problems"])
    told = ready("manifest", "check", cases.manifest)
    assert told.code == 4
    assert "line 2, " in told.out
    assert f"errors: {len(found.json['problems'])}\nwarnings: 0\n" in told.out


def test_check_writes_a_page(ready: Program, cases: Cases, tmp_path: Path) -> None:
    """`manifest check --report` writes a page with the findings, and never over a file that is not HTML."""
    written(cases.folder / "b.mha", "")
    page = tmp_path / "cases.html"
    found = ready("manifest", "check", cases.manifest, "--report", page)
    assert (found.code, f"{page} shows the cases" in " ".join(found.err.split())) == (4, True)
    assert "b.mha: the file is empty" in page.read_text("utf-8")
    before = cases.manifest.read_bytes()
    refused = ready("manifest", "check", cases.manifest, "--report", cases.manifest)
    assert (refused.code, "that ends in .html" in " ".join(refused.err.split())) == (4, True)
    assert cases.manifest.read_bytes() == before
    failed = ready("manifest", "check", cases.manifest, "--report", cases.manifest / "a.html")
    assert failed.code != 0
    assert "Traceback" not in failed.err


def test_files_are_inspected_before_they_are_sent(
    ready: Program, client: Client, cases: Cases
) -> None:
    """`check`, `push --dry-run` and `push` refuse an empty image in the same words; `--no-inspect` sends it."""
    written(cases.folder / "b.mha", "")
    target = f"archive:{cases.archive}"
    words = "b.mha: the file is empty. Copy or export it again."
    runs = [
        ready("manifest", "check", cases.manifest, target),
        ready("push", cases.manifest, target, "--dry-run"),
        ready("push", cases.manifest, target),
    ]
    assert [run.code for run in runs] == [4, 4, 6]
    assert all(words in " ".join((run.out + run.err).split()) for run in runs)
    assert cases.titles(client) == ["one"]

    assert "warning: line 3, " in ready("manifest", "check", cases.manifest, "--inspect=warn").out
    warned = ready("push", cases.manifest, target, "--dry-run", "--inspect", "warn")
    assert (warned.code, words in warned.err) == (0, True)
    assert ready("manifest", "check", cases.manifest, "--no-inspect", "--deep").code == 0
    sent = ready("push", cases.manifest, target, "--no-inspect", "--json")
    assert (sent.code, sent.err.count("is empty")) == (0, 0)
    assert cases.titles(client) == ["one", "two"]


def test_push_says_what_is_pending(ready: Program, sandbox: Sandbox, cases: Cases) -> None:
    """Without --wait, a push ends with the number of rows whose images may still be imported, and how to look."""
    line = ("push", cases.manifest, f"archive:{cases.archive}")
    with sandbox.hold_background():
        first = ready(*line)
    assert "The server may still import files of 2 rows" in " ".join(first.err.split())
    assert ready(*line, "--json").json["pending"] == 2
    waited = ready(*line, "--wait", "--json")
    assert (waited.code, waited.json["pending"]) == (0, 0)
    assert "may still import" not in ready(*line).err


def test_check_counts(ready: Program, sandbox: Sandbox, cases: Cases) -> None:
    """A valid manifest is 0, with its numbers of rows and files; nothing is sent."""
    sandbox.requests.clear()
    good = ready("manifest", "check", cases.manifest, f"archive:{cases.archive}", "--json")
    size = sum(path.stat().st_size for path in cases.folder.glob("*.mha"))
    assert (good.code, good.json["problems"]) == (0, [])
    assert [good.json[name] for name in ("rows", "files", "bytes")] == [2, 2, size]
    assert {one.method for one in sandbox.requests} == {"GET"}
    assert "errors: 0\n" in ready("manifest", "check", cases.manifest).out


def test_init_guesses(gcapi: Program, tmp_path: Path) -> None:
    """`manifest init` writes a manifest, with --offline without a server, and overwrites one only with --force."""
    for name in ("one", "two"):
        noise(tmp_path / f"{name}.mha", 16)
    made = gcapi("manifest", "init", tmp_path, "--offline", "--json")
    assert made.code == 0
    assert (made.json["rows"], made.json["columns"]) == (2, ["image"])
    with (tmp_path / "manifest.csv").open(newline="", encoding="utf-8-sig") as file:
        assert [row["title"] for row in csv.DictReader(file)] == ["one", "two"]
    again = gcapi("manifest", "init", tmp_path, "--offline")
    assert again.code == 4
    assert "--force" in again.err
    assert gcapi("manifest", "init", tmp_path, "--offline", "--force").code == 0
    lines = gcapi("manifest", "init", tmp_path, "--offline", "--format", "jsonl", "--json").json
    rows = [json.loads(line) for line in Path(lines["manifest"]).read_text().splitlines()]
    assert [row["image"] for row in rows] == ["one.mha", "two.mha"]


def test_init_knows_sockets(ready: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """With --target, the columns are the inputs of an algorithm."""
    scan = sandbox.add_socket(unique("scan"))
    mask = sandbox.add_socket(unique("mask"))
    slug = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([scan], [mask])], run=lambda *_: None
    )
    noise(tmp_path / "one.mha", 16)
    made = ready("manifest", "init", tmp_path, "--target", f"algorithm:{slug}", "--json")
    assert made.json["columns"] == [scan]
    assert ready("manifest", "check", tmp_path / "manifest.csv", f"algorithm:{slug}").code == 0


def test_init_accounts_for_every_file(gcapi: Program, tmp_path: Path) -> None:
    """`manifest init` prints what is in no row and which columns are guesses, and refuses options that conflict."""
    noise(tmp_path / "one.mha", 16)
    for number in range(25):
        (tmp_path / f"{number:02}.txt").touch()
    for name in (".DS_Store", "notes.pdf", os.fsdecode(b"\xff.mha")):
        (tmp_path / name).write_bytes((tmp_path / "one.mha").read_bytes())
    (tmp_path / "notes.pdf").write_text("%PDF-1.7")
    made = gcapi("manifest", "init", tmp_path, "--offline")
    assert (made.code, "rows: 1\n" in made.out) == (0, True)
    for line in (
        "left out: notes.pdf (there is no image or case of its name)",
        "left out: 19.txt (no kind of socket takes it)",
        "left out: 5 more (no kind of socket takes it); --json lists them",
        r"left out: \xff.mha (its name is not UTF-8: rename it)",
        "left out: 1 hidden or of a system or program: .DS_Store",
        "guessed: image (not a socket: rename it to one)",
    ):
        assert line in made.err.splitlines()
    listed = gcapi("manifest", "init", tmp_path, "--offline", "--force", "--json").json
    assert len(listed["left_out"]) == 29  # the manifest is one of them
    both = gcapi("manifest", "init", tmp_path, "--offline", "--force", "--target", "archive:a")
    assert (both.code, "--target needs the server" in both.err) == (4, True)


def test_nothing_to_guess(gcapi: Program, tmp_path: Path) -> None:
    """An empty folder is an error, a missing one a usage error."""
    assert gcapi("manifest", "init", tmp_path, "--offline").code == 4
    assert gcapi("manifest", "init", tmp_path / "gone", "--offline").code == 2
    assert gcapi("manifest", "check", tmp_path / "gone.csv", "--token", TOKEN).code == 4


def test_workbooks_help_people(ready: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """`manifest init --xlsx` writes drop-downs, comments and explanations, and `check --xlsx` marks wrong cells."""
    openpyxl = pytest.importorskip("openpyxl")
    scan, flag = sandbox.add_socket(unique("scan")), sandbox.add_socket(unique("flag"), "Bool")
    slug = sandbox.add_algorithm(unique("algorithm"), interfaces=[([scan], [])], run="math:sqrt")
    noise(tmp_path / "one.mha", 16)
    made = ready("manifest", "init", tmp_path, "--target", f"algorithm:{slug}", "--xlsx", "--json")
    assert (made.code, made.json["columns"]) == (0, [scan])
    path, marked = tmp_path / "manifest.xlsx", tmp_path / "marked.xlsx"
    book = openpyxl.load_workbook(path)
    assert "Image" in book["Cases"]["B1"].comment.text
    assert [cell.value for cell in book["Columns"]["A"]] == ["column", "title", scan]

    write_input_workbook(path, [Row(0, "a\nb", cells={flag: "WAHR"})], {})
    assert openpyxl.load_workbook(path)["Cases"].row_dimensions[2].height == 30  # two lines
    checked = ready("manifest", "check", path, "--xlsx", marked)
    assert checked.code == 4
    assert "sheet 'Cases', cell B2" in checked.out
    cell = openpyxl.load_workbook(marked)["Cases"]["B2"]
    assert (cell.fill.fgColor.rgb, "Write TRUE or FALSE" in cell.comment.text) == ("00FFC7CE", True)
