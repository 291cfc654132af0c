"""The seed file: its contents, when it applies, and its errors."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gcapi_sandbox import Sandbox
from tests.support.servers.raw_http import Web, image_bytes

TOKENS = {"sandbox": "1a" * 32, "reader": "b2" * 20}
SEED = f"""
users:
  - {{name: sandbox, token: {TOKENS["sandbox"]}}}
  - {{name: reader, token: {TOKENS["reader"]}}}
limits: {{credits: 40}}
sockets:
  - title: Scan
  - {{title: Age, kind: Integer}}
  - {{title: Table, kind: CSV file}}
  - {{title: Mean, kind: Float, schema: {{minimum: 0}}}}
archives:
  - title: Cases
    items:
      - title: first
        values:
          scan: {{files: [images/scan.mha]}}
          age: {{value: 43}}
          table: {{files: [table.csv]}}
      - title: empty
reader_studies:
  - title: Study
    readers: [reader]
    is_educational: true
    questions:
      - {{question_text: How old?, answer_type: Number}}
      - question_text: Which?
        answer_type: Choice
        options: [no, {{title: yes, default: true}}]
        extra: {{help_text: Look.}}
    display_sets:
      - values: {{scan: {{files: [images/scan.mha]}}}}
        ground_truth: {{How old?: 43}}
algorithms:
  - title: Doubler
    run: doubling:run
    interfaces: [{{inputs: [age], outputs: [mean]}}]
  - title: Shell
    run: [{sys.executable}, double.py, "{{input}}", "{{output}}"]
    time_limit: 60
    interfaces: [{{inputs: [age], outputs: [mean]}}]
"""
PROGRAM = """
import json, sys
from pathlib import Path
def run(inputs, outputs):
    (outputs / "mean.json").write_text(str(2 * json.loads((inputs / "age.json").read_text())))
if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """Return a seed file and the files that it names."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "scan.mha").write_bytes(image_bytes())
    (tmp_path / "table.csv").write_text("a;b")
    for name in ("doubling.py", "double.py"):
        (tmp_path / name).write_text(PROGRAM)
    path = tmp_path / "seed.yaml"
    path.write_text(SEED)
    return path


def test_contents_are_created(seed: Path) -> None:
    """Users, limits, sockets, archives, reader studies and algorithms are created as described."""
    with Sandbox(seed=seed) as sandbox:
        assert (sandbox.token, sandbox.add_user("reader")) == tuple(TOKENS.values())
        assert sandbox.limits.credits == 40
        web, reader = Web(sandbox), Web(sandbox, TOKENS["reader"])
        sandbox.wait_idle()
        items = {one["title"]: one for one in web.get("archives/items/")["results"]}
        values = {one["interface"]["slug"]: one for one in items["first"]["values"]}
        assert values["age"]["value"] == 43
        assert web.get(values["scan"]["image"])["shape"] == [2, 3, 4]
        location = web.api.get(values["table"]["file"]).headers["Location"]
        assert web.storage.get(location).text == "a;b"
        assert items["empty"]["values"] == []
        (study,) = reader.get("reader-studies/")["results"]
        first, second = study["questions"]
        assert (first["answer_type"], second["help_text"]) == ("Number", "Look.")
        options = [(one["title"], one["default"]) for one in second["options"]]
        assert options == [("no", False), ("yes", True)]
        (shown,) = reader.get("reader-studies/display-sets/")["results"]
        truth = reader.get(f"reader-studies/{study['pk']}/ground-truth/{shown['pk']}/")
        assert truth[first["pk"]]["answer"] == 43
        for algorithm in web.get("algorithms/")["results"]:
            inputs = [{"interface": "age", "value": 21}]
            job = web.post(
                "algorithms/jobs/", {"algorithm": algorithm["api_url"], "inputs": inputs}
            )
            sandbox.wait_idle()
            done = web.get(f"algorithms/jobs/{job['pk']}/")
            assert (done["status"], done["outputs"][0]["value"]) == ("Succeeded", 42)
        assert web.get("uploads/")["count"] == 0
        web.close()
        reader.close()


def test_seed_applies_to_a_new_sandbox(seed: Path, tmp_path: Path) -> None:
    """At a later start nothing is created again, but the limits apply."""
    for credits_left in (40, 7):
        seed.write_text(SEED.replace("credits: 40", f"credits: {credits_left}"))
        with Sandbox(tmp_path / "data", seed=seed) as sandbox:
            web = Web(sandbox)
            assert web.get("archives/items/")["count"] == 2
            assert sandbox.limits.credits == credits_left
            web.close()


MISTAKES = [
    ("users: [", "line 1: "),
    ("sockets: []\nsockets: []", 'found duplicate key "sockets"'),
    ("[]", "must be a mapping, is []"),
    ("socket: []", "socket: is unknown; known are users, limits, sockets"),
    ("users: [{token: x}]", "users[0].name: is missing"),
    ("users: [{name: a, token: XYZ}]", "users[0]: a token must be 64 (or 40) lower-case"),
    ("limits: {patience: 1}", "limits: limits.patience is unknown; known are uploads_per_user"),
    ("sockets: [{title: A, kind: Picture}]", "sockets[0]: Unknown kind 'Picture'; known are"),
    ("sockets: [{title: A}, {title: A}]", "sockets[1]: A socket with the title 'A'"),
    ("archives: [{title: A, items: [{values: {x: {value: 1}}}]}]", "items[0].values.x: The socket"),
    (
        "archives: [{title: A, items: [{title: B}, {title: B}]}]",
        "archives[0]: more than one item has",
    ),
    ("archives: [{title: A, items: [{values: {x: {}}}]}]", "values.x: must have either a value"),
    ("archives: [{title: A, items: [{values: {x: {value: 2020-01-01}}}]}]", "x: is not JSON"),
    (
        "sockets: [{title: A}]\narchives: [{title: A, items: [{values: {a: {files: [x]}}}]}]",
        "archives[0].items[0].values.a: the file",
    ),
    (
        "sockets: [{title: A, kind: Bool}]\narchives: [{title: A, items: [{values: {a: {value: 5}}}]}]",
        "archives[0].items[0].values.a: JSON does not fulfill schema",
    ),
    (
        "reader_studies: [{title: A, questions: [{question_text: a, answer_type: Guess}]}]",
        "reader_studies[0]: Unknown answer type 'Guess'",
    ),
    ("algorithms: [{title: A, run: 5, interfaces: []}]", "algorithms[0].run: must be a string"),
    ("algorithms: [{title: A, run: 'json:none', interfaces: []}]", "no attribute 'none'"),
    (
        "algorithms: [{title: A, run: [no-such-program], interfaces: []}]",
        "'no-such-program' does not exist",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_errors_name_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    """An error names the file, the key path and the allowed values."""
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"wrong\.yaml: ") as caught:
        Sandbox(tmp_path / "data", seed=path).start()
    assert message in str(caught.value)


def test_invalid_seed_creates_nothing(seed: Path, tmp_path: Path) -> None:
    """An error at the end of the file leaves none of the contents before it, and no files."""
    seed.write_text(f"{SEED}  - {{title: A, run: [no-such-program], interfaces: []}}\n")
    with pytest.raises(ValueError, match="no-such-program"):
        Sandbox(tmp_path / "data", seed=seed).start()
    with Sandbox(tmp_path / "data") as sandbox:
        assert sandbox.is_new
        web = Web(sandbox)
        assert web.get("archives/")["count"] == web.get("uploads/")["count"] == 0
        assert [path for path in (tmp_path / "data" / "parts").rglob("*") if path.is_file()] == []
        web.close()


def test_command_line_reports_errors(tmp_path: Path) -> None:
    """The command exits with one line about an invalid seed file."""
    command = [sys.executable, "-m", "gcapi_sandbox", "--seed", str(tmp_path / "none.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{tmp_path / 'none.yaml'}: No such file or directory\n"


def test_documented_examples_run(tmp_path: Path) -> None:
    """The seed file and the Python code of the documentation work unchanged."""
    text = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text()
    (seed,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "documented.yaml").write_text(seed)
    (tmp_path / "ct.mha").write_bytes(image_bytes())
    (tmp_path / "doubler.py").write_text(PROGRAM)
    with Sandbox(seed=tmp_path / "documented.yaml") as sandbox:
        sandbox.wait_idle()
        web = Web(sandbox)
        (item,) = web.get("archives/items/")["results"]
        assert len(item["values"]) == 2
        web.close()
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert programs
    for program in programs:
        done = subprocess.run([sys.executable, "-W", "error", "-c", program], check=False)
        assert done.returncode == 0
