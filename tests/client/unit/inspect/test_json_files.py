"""The check of JSON files before they are uploaded: its result, its cost and its bound."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gcapi._inspect import json_files
from gcapi._inspect.inspector import inspect_files
from gcapi.findings import Finding
from tests.support.audit import recorded_events
from tests.support.socket_kinds import VERSION
from tests.support.specs import make_socket

POINTS = {"type": "Multiple points", "version": VERSION, "points": [{"point": [1, 2, 3]}]}


def inspect(path: Path, kind: str = "Multiple points") -> list[str]:
    """Return what is wrong with a JSON file."""
    findings = inspect_files([path], make_socket("File", kind))
    assert findings == [Finding("error", each.what, "Correct the file", path) for each in findings]
    return [each.what for each in findings]


def test_unchanged_file_is_parsed_once(tmp_path: Path) -> None:
    """However often a valid file is inspected (check, dry run, push), its content is read once."""
    path = tmp_path / "points.json"
    path.write_text(json.dumps(POINTS))
    with recorded_events() as events:
        assert [inspect(path) for _ in range(3)] == [[]] * 3
    # Its beginning is read before it is parsed.
    assert [arguments[0] for event, arguments in events if event == "open"] == [str(path)] * 2


def test_changed_file_is_parsed_again(tmp_path: Path) -> None:
    """A file that was replaced after it was checked is checked again."""
    path = tmp_path / "points.json"
    path.write_text(json.dumps(POINTS))
    assert not inspect(path)
    path.write_text("[1, 2]")
    assert inspect(path) == ["the value must be an object, not [1, 2]"]


def test_change_that_keeps_length_and_time_is_noticed(tmp_path: Path) -> None:
    """A file that was replaced by one of the same length and modification time is checked again."""
    path = tmp_path / "value.json"
    path.write_text("12345")
    status = path.stat()
    assert not inspect(path, "Integer")
    wait_for_the_clock(path)
    path.write_text("false")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert inspect(path, "Integer") == ["the value must be a whole number, not false"]


def wait_for_the_clock(path: Path) -> None:
    """Wait until the file system gives new files another time than this one has."""
    probe = path.with_name("probe")
    for _ in range(100_000):
        probe.write_text("")
        if probe.stat().st_ctime_ns > path.stat().st_ctime_ns:
            return


def test_invalid_file_stays_invalid_and_can_be_corrected(tmp_path: Path) -> None:
    """A refusal is repeated, for another kind too, until the file is corrected."""
    path = tmp_path / "value.json"
    path.write_text("true ")
    status = path.stat()
    for kind in ("Integer", "Float", "Integer"):
        assert len(inspect(path, kind)) == 1
    assert not inspect(path, "Bool")
    path.write_text("12345")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert not inspect(path, "Integer")


def test_long_file_is_checked_at_its_ends_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound, a file that was cut off is still found, and its content is left to the server."""
    monkeypatch.setattr(json_files, "MAX_CHECKED_BYTES", 10_000)
    path = tmp_path / "points.json"
    content = "\ufeff \n" + json.dumps({"points": ["no point"] * 5_000}) + "\r\n"
    path.write_text(content, "utf-8")
    assert not inspect(path)
    for wrong in (content[:-20], content[5:], " " * 20_000, "1" * 20_000):
        path.write_text(wrong, "utf-8")
        (what,) = inspect(path)
        assert what.startswith("it is not valid JSON: it begins with")


def test_bound_covers_files_of_everyday_work() -> None:
    """Files of up to 64 MiB are checked in full, as the documentation says."""
    assert json_files.MAX_CHECKED_BYTES == 64 * 2**20


WRONG = """
from gcapi._inspect.socket_kinds import shape_problems
print(*shape_problems("Polygon", {"z": 1, "y": 2}), sep=chr(10))
"""


def test_first_problem_does_not_depend_on_the_hash_seed() -> None:
    """In every process, a wrong value is reported with the same problem first."""
    reported = {
        subprocess.run(
            [sys.executable, "-c", WRONG],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in range(6)
    }
    assert len(reported) == 1
    assert reported.pop().splitlines()[:2] == [
        "the value lacks 'type'",
        "the value lacks 'version'",
    ]
