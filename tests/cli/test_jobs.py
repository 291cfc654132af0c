"""Jobs from the command line: start, wait, list, download."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Sandbox
from tests.support.api_objects import JOB, PK
from tests.support.data import DEADLINE, noise, nothing_written, unique, written
from tests.support.programs.cli_program import Program
from tests.support.servers.loopback import TOKEN, Answer, Loopback, in_turn


def double(inputs: Path, outputs: Path) -> None:
    """Double a number; fail for a negative one."""
    (source,) = inputs.glob("number*.json")
    number = json.loads(source.read_text())
    if number < 0:
        raise ValueError("negative")
    (outputs / f"doubled{source.stem.removeprefix('number')}.json").write_text(
        json.dumps(2 * number)
    )


class Doubler:
    """An algorithm that doubles numbers, with its sockets."""

    def __init__(self, sandbox: Sandbox, client: Client) -> None:
        word = unique("")
        self.number = sandbox.add_socket(f"Number{word}", "Float")
        self.doubled = sandbox.add_socket(f"Doubled{word}", "Float")
        self.slug = sandbox.add_algorithm(
            unique("doubler"), interfaces=[([self.number], [self.doubled])], run=double
        )
        self._client = client

    def start(self, number: float) -> str:
        """Start a job and return its pk."""
        inputs = [SocketValueSpec(self.number, value=number)]
        return self._client.start_algorithm_job(algorithm_slug=self.slug, inputs=inputs).pk


@pytest.fixture
def doubler(sandbox: Sandbox, client: Client) -> Doubler:
    """Return an algorithm."""
    return Doubler(sandbox, client)


def test_run_brings_the_outputs_home(ready: Program, doubler: Doubler, tmp_path: Path) -> None:
    """`run --output` starts a job, waits for it and prints the paths of its outputs."""
    out = tmp_path / "out"
    run = ready("run", doubler.slug, "-i", f"{doubler.number}=21", "-o", out, "--json")
    assert run.code == 0
    (path,) = run.json["files"][doubler.doubled]
    assert Path(path).parent == out
    assert json.loads(Path(path).read_text()) == 42
    assert run.json["pk"] in run.err
    again = ready("run", doubler.slug, "-i", f"{doubler.number}=4", "-o", out)
    assert again.code == 4
    assert "already exists" in again.err
    told = ready(
        "run", doubler.slug, "-i", f"{doubler.number}=5", "-o", out, "--existing", "overwrite", "-q"
    )
    assert (told.code, told.out, told.err) == (0, f"{doubler.doubled}\t{path}\n", "")


def test_run_and_come_back_later(ready: Program, doubler: Doubler, tmp_path: Path) -> None:
    """`run` alone starts a job, `jobs wait` waits for it, and `jobs pull` downloads its outputs."""
    started = ready("run", doubler.slug, "-i", f"{doubler.number}=1.5", "--json").json
    waited = ready("jobs", "wait", started["pk"], "--json")
    assert [line["status"] for line in waited.lines] == ["Succeeded"]
    pulled = ready("jobs", "pull", started["pk"], "-o", tmp_path, "--json")
    (path,) = pulled.lines[0]["files"][doubler.doubled]
    assert Path(path).parent == tmp_path / started["pk"]
    assert json.loads(Path(path).read_text()) == 3.0
    shown = ready("jobs", "show", started["pk"]).out
    assert f"  {doubler.doubled} = 3.0\n" in shown


def test_run_waits_without_fetching(ready: Program, doubler: Doubler) -> None:
    """`run --wait` shows the finished job."""
    job = ready("run", doubler.slug, "-i", f"{doubler.number}=2", "--wait", "--json").json
    assert job["status"] == "Succeeded"
    assert job["outputs"][0]["value"] == 4


def test_files_are_inputs(ready: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """The input of an image or File socket is a path, that of a String plain text."""
    image = sandbox.add_socket(unique("Scan"), "Image")
    notes = sandbox.add_socket(unique("Notes"), "Anything", store_in_database=False)
    name = sandbox.add_socket(unique("Name"), "String")
    score = sandbox.add_socket(unique("Score"), "Float")

    def run(inputs: Path, outputs: Path) -> None:
        said = {
            json.loads(path.read_text()) for path in inputs.glob("*name*.json") if path.is_file()
        }
        has_image = any((inputs / "images").rglob("*.mha"))
        (outputs / f"{score}.json").write_text(
            "1.0" if said == {"Größe 3"} and has_image else "0.0"
        )

    slug = sandbox.add_algorithm(
        unique("reader"), interfaces=[([image, notes, name], [score])], run=run
    )
    path = noise(tmp_path / "scan.mha")
    written(tmp_path / "notes.json", '{"a": 1}')
    job = ready(
        "run", slug, "--wait", "--json",
        "-i", f"{image}={path}", "-i", f"{notes}={tmp_path / 'notes.json'}", "-i", f"{name}=Größe 3",
    )  # fmt: skip
    assert job.code == 0
    assert job.json["outputs"][0]["value"] == 1.0


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("{number}=two", 4, "is not a number"),
        ("{number}", 2, "SOCKET=VALUE"),
        ("no-such-socket=1", 3, "no-such-socket"),
        ("{doubled}=1", 4, "interface"),
    ],
)
def test_wrong_inputs(ready: Program, doubler: Doubler, text: str, code: int, words: str) -> None:
    """An invalid input is an error, and no job is started."""
    text = text.format(number=doubler.number, doubled=doubler.doubled)
    run = ready("run", doubler.slug, "-i", text)
    assert (run.code, run.out) == (code, "")
    assert words in run.err
    assert ready("jobs", "list", "--algorithm", doubler.slug).out == ""


def test_inputs_are_inspected(ready: Program, sandbox: Sandbox, tmp_path: Path) -> None:
    """`run` refuses a file of another format before it sends anything, and `--no-inspect` sends it."""
    table, same = (sandbox.add_socket(unique("table"), "CSV file") for _ in range(2))
    algorithm = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([table], [same])], run="math:sqrt"
    )
    line = ("run", algorithm, "-i", f"{table}={written(tmp_path / 'a.csv', b'PK' + bytes(9))}")
    with nothing_written(sandbox):
        refused = ready(*line)
    assert refused.code == 4
    assert "a.csv: the content is not that of a CSV file. " in refused.err
    assert ready(*line, "--no-inspect").code == 0


def test_some_jobs_fail(ready: Program, doubler: Doubler, tmp_path: Path) -> None:
    """If some jobs fail, the others are downloaded and the exit code is 6; a single job has its own exit code."""
    good, bad = doubler.start(1), doubler.start(-1)
    waited = ready("jobs", "wait", bad, good, "--json")
    assert waited.code == 6
    assert [line["pk"] for line in waited.lines] == [good]
    pulled = ready("jobs", "pull", good, bad, "-o", tmp_path)
    assert pulled.code == 6
    assert f"Job {bad} ended as 'Failed'" in pulled.err
    assert [path.name for path in tmp_path.iterdir()] == [good]
    assert ready("jobs", "wait", bad).code == 1
    missing = "00000000-0000-0000-0000-000000000000"
    assert ready("jobs", "wait", missing, missing).code == 3


def test_jobs_that_go_on(ready: Program, sandbox: Sandbox, doubler: Doubler) -> None:
    """A timeout is 5, with the command to continue waiting; an unfinished job is not downloaded."""
    with sandbox.hold_background():
        pk = doubler.start(3)
        waited = ready("jobs", "wait", pk, "--timeout", "0.1")
        pulled = ready("jobs", "pull", pk)
    for run in (waited, pulled):
        assert (run.code, run.out) == (5, "")
        assert f"gcapi jobs wait {pk}" in run.err


def test_jobs_are_filtered(ready: Program, doubler: Doubler) -> None:
    """Jobs are filtered by algorithm and status."""
    pks = {doubler.start(number) for number in (1, -1)}
    for pk in pks:
        ready("jobs", "wait", pk)
    listed = ready("jobs", "list", "--algorithm", doubler.slug, "--json").lines
    assert {job["pk"] for job in listed} == pks
    failed = ready("jobs", "list", "--algorithm", doubler.slug, "--status", "failed").out
    assert failed.count("\n") == 1
    assert "\tFailed\t" in failed
    assert ready("jobs", "list", "--algorithm", "no-such-algorithm").code == 3


def test_uploads_are_taken_up_again(ready: Program, client: Client, tmp_path: Path) -> None:
    """`uploads resume` completes an upload."""
    path = written(tmp_path / "a.bin", b"some bytes")
    upload = client.uploads.create(filename="a.bin")
    run = ready("uploads", "resume", upload.pk, path, "--json")
    assert (run.code, run.json["status"]) == (0, "Completed")
    assert ready("uploads", "resume", upload.pk, written(tmp_path / "b.bin", b"other")).code == 4
    other = client.uploads.create(filename="gone.bin")
    assert ready("uploads", "resume", other.pk, tmp_path / "gone.bin").code == 4
    third = client.uploads.create(filename="third.bin")
    unfinished = ready("uploads", "list", "--unfinished", "--json").lines
    assert {other.pk, third.pk} <= {one["pk"] for one in unfinished}
    assert upload.pk not in {one["pk"] for one in unfinished}
    assert (
        ready("uploads", "abort").code == ready("uploads", "abort", "x", "--unfinished").code == 2
    )
    assert ready("uploads", "abort", "--unfinished", "--until", "1 hour ago").code == 0
    assert client.uploads.detail(pk=other.pk).status == "Initialized"
    one = ready("uploads", "abort", other.pk, upload.pk)
    assert (one.code, client.uploads.detail(pk=other.pk).status) == (6, "Aborted")
    assert ready("uploads", "abort", "--unfinished").code == 0
    assert client.uploads.detail(pk=third.pk).status == "Aborted"
    assert ready("uploads", "resume", "00000000-0000-0000-0000-000000000000", path).code == 3


def test_outputs_are_traced_to_the_names_of_inputs(
    ready: Program, sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """`jobs pull` shows the names that the images and files of the inputs had, beside the paths of the outputs."""
    sockets = [sandbox.add_socket(unique("scan")), sandbox.add_socket(unique("n"), "Float")]

    def run(_: Path, outputs: Path) -> None:
        (outputs / f"{sockets[1]}.json").write_text("1.5")

    slug = sandbox.add_algorithm(unique("copy"), interfaces=[(sockets, sockets[1:])], run=run)
    image = noise(tmp_path / "patient-7.mha", 16)
    job = client.start_algorithm_job(
        algorithm_slug=slug,
        inputs=[SocketValueSpec(sockets[0], file=image), SocketValueSpec(sockets[1], value=2.5)],
    )
    client.wait_for_job(job, timeout=DEADLINE)
    pulled = ready("jobs", "pull", job.pk, "-o", tmp_path, "--json")
    assert pulled.lines[0]["inputs"] == {sockets[0]: "patient-7.mha", sockets[1]: 2.5}
    table = ready("jobs", "pull", job.pk, "-o", tmp_path, "--existing", "skip").out
    assert f"{sockets[0]}=patient-7.mha" in table


def test_pull_writes_nothing_for_a_job_named_like_a_path(
    gcapi: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`jobs pull` of a job that a server names `../escaped` fails, and writes nothing."""
    job = JOB | {"pk": "../escaped", "status": "Succeeded"}
    with Loopback(in_turn(Answer(body=job))) as server:
        monkeypatch.setenv("GCAPI_BASE_URL", server.base_url)
        monkeypatch.setenv("GRAND_CHALLENGE_AUTHORIZATION", TOKEN)
        pulled = gcapi("jobs", "pull", PK, "-o", tmp_path / "out")
    assert pulled.code != 0
    assert "is not a primary key" in pulled.err
    assert list(tmp_path.rglob("*escaped*")) == []
