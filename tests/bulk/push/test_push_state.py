"""Journals, failed manifests and jobs that an earlier push left in a state of their own."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi.bulk import JournalError, Manifest, Row, push, write_manifest
from gcapi.bulk.pushing import JobExistsError
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, add_collection, unique
from tests.support.programs.cli_program import VARIABLE, Program
from tests.support.push import Sockets, told, write_cases


@pytest.fixture
def algorithm(sandbox: Sandbox, push_sockets: Sockets) -> str:
    """Return the target of an algorithm."""
    interfaces: Any = [([push_sockets.value, push_sockets.file], [])]
    run = {"interfaces": interfaces, "run": lambda *_: None}
    return f"algorithm:{sandbox.add_algorithm(unique('algorithm'), **run)}"


def test_jobs_without_a_journal_are_started_again_only_if_wanted(
    sandbox: Sandbox, client: Client, algorithm: str, push_sockets: Sockets, tmp_path: Path
) -> None:
    """With another journal, a push stops before it starts a job of equal inputs, unless `again` is true."""
    manifest = write_cases(tmp_path, push_sockets, 2)
    push(client, manifest, algorithm, journal=tmp_path / "first")
    sandbox.wait_idle(20)
    sandbox.requests.clear()
    with pytest.raises(JobExistsError, match=r"has the same values and file names.*again=True"):
        push(client, manifest, algorithm, journal=tmp_path / "second")
    assert not [one for one in sandbox.requests if one.method != "GET"]
    assert told(push(client, manifest, algorithm, journal=tmp_path / "first")) == (0, 2, 0, 0)
    report = push(client, manifest, algorithm, journal=tmp_path / "second", again=True)
    assert told(report) == (2, 0, 0, 0)


def test_jobs_of_other_inputs_do_not_stop_a_push(
    sandbox: Sandbox, client: Client, algorithm: str, push_sockets: Sockets, tmp_path: Path
) -> None:
    """Rows whose inputs no recent job has are started with any journal."""
    manifest = write_cases(tmp_path, push_sockets, 1)
    push(client, manifest, algorithm, journal=tmp_path / "first")
    sandbox.wait_idle(20)
    cells = {push_sockets.value: '{"case": 7}', push_sockets.file: "0.csv"}
    write_manifest(manifest, [Row(0, "", None, cells)])
    assert told(push(client, manifest, algorithm, journal=tmp_path / "second")) == (1, 0, 0, 0)


@pytest.mark.parametrize("damage", ["pages", "state", "format"])
def test_a_damaged_journal_is_named(
    sandbox: Sandbox, client: Client, push_sockets: Sockets, tmp_path: Path, damage: str
) -> None:
    """Garbled pages, an unknown state and another format are errors of the journal, with what to do."""
    manifest = write_cases(tmp_path, push_sockets, 3)
    target = f"archive:{add_collection(sandbox, client, 'archive').slug}"
    journal = tmp_path / "journal"
    push(client, manifest, target, journal=journal)
    if damage == "pages":
        content = bytearray(journal.read_bytes())
        content[4096:] = bytes(byte ^ 0x5A for byte in content[4096:])
        journal.write_bytes(content)
    else:
        change = {
            "state": "UPDATE rows SET state = 'odd'",
            "format": "UPDATE facts SET value = '0' WHERE name = 'format'",
        }[damage]
        connection = sqlite3.connect(journal)
        connection.execute(change)
        connection.commit()
        connection.close()
    words = "of format 0" if damage == "format" else "is damaged"
    with pytest.raises(JournalError, match=words) as refused:
        push(client, manifest, target, journal=journal)
    assert str(journal) in str(refused.value)


def test_rows_that_are_in_no_file(
    sandbox: Sandbox, client: Client, push_sockets: Sockets, tmp_path: Path
) -> None:
    """Rows without lines of their own are told apart: equal titles are refused, and all imports are waited for."""
    write_cases(tmp_path, push_sockets, 2)
    files = {"a": "0.csv", "b": "1.csv"}
    rows = [Row(0, title, None, {push_sockets.file: file}) for title, file in files.items()]
    manifest = Manifest((*rows, Row(0, "a", None, {push_sockets.value: "1"})), tmp_path)
    target = f"archive:{add_collection(sandbox, client, 'archive').slug}"
    journal = tmp_path / "journal"
    report = push(client, manifest, target, journal=journal, wait=True, timeout=DEADLINE)
    assert told(report) == (2, 0, 1, 0)
    assert "has the title 'a' already" in str(report.failed[0])
    assert push(client, manifest, target, journal=journal).pending == 0


def test_what_was_done_is_told_where_nothing_can_be_written(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sandbox: Sandbox,
    client: Client,
    push_sockets: Sockets,
    tmp_path: Path,
) -> None:
    """Rows that failed go to the state directory if the manifest's folder refuses the file, after the report."""
    monkeypatch.setenv("GCAPI_BASE_URL", sandbox.base_url)
    monkeypatch.setenv(VARIABLE, sandbox.token)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    manifest = write_cases(tmp_path, push_sockets, 2)
    (tmp_path / "1.csv").unlink()
    (tmp_path / "manifest.failed.csv").mkdir()  # the superuser can write into a read-only folder
    collection = add_collection(sandbox, client, "archive")
    run = Program(capsys)("push", manifest, f"archive:{collection.slug}")
    assert run.code == 6
    assert "done" in run.out
    failed = tmp_path / "state" / "gcapi" / "failed" / "manifest.failed.csv"
    assert str(failed) in run.err
    assert "line 3 (case 00001)" in run.err
    assert failed.is_file()
