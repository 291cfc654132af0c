"""Journals: one push at a time, of one target, and what to do if a journal cannot be written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi.bulk import JournalError, PushProgress, plan_push, push
from gcapi.bulk._push.journal_errors import explain_journal_error
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, CaseCollection, add_collection, unique
from tests.support.push import PROGRAM, Sockets, make_sockets, pushed, target, write_cases

ROWS = 30
#: Runs a program whose files cannot grow beyond a size, as on a full disk.
LIMITED = """
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("kind", ["archive", "algorithm"])
def test_a_full_disk_is_named_and_nothing_is_lost(
    sandbox: Sandbox, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """If the journal cannot grow, the push stops and says so; with space again, every row is created once."""
    sockets = make_sockets(sandbox)
    manifest = write_cases(tmp_path, sockets, ROWS)
    collection = add_collection(sandbox, client, "archive")
    slug = collection.slug
    if kind == "algorithm":
        monkeypatch.setattr(sandbox.limits, "credits", 10**6)
        monkeypatch.setattr(sandbox.limits, "active_jobs_per_user", 10**6)
        interfaces: Any = [([sockets.value, sockets.file], [])]
        slug = sandbox.add_algorithm(
            unique("algorithm"), interfaces=interfaces, run=lambda *_: None
        )
    journal = tmp_path / "journal"

    command = [sys.executable, "-c", LIMITED, str(PROGRAM), sandbox.base_url, str(manifest)]
    options = json.dumps({"patience": 20.0, "workers": 4})
    run = subprocess.run(
        [*command, f"{kind}:{slug}", str(journal), options],
        env={**os.environ, "GRAND_CHALLENGE_AUTHORIZATION": sandbox.token},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert run.returncode == 1
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith(f"gcapi.bulk.journal.JournalError: The journal {journal} cannot be")
    assert "MiB free" in last
    assert "run the same command again" in last
    report = push(client, manifest, f"{kind}:{slug}", journal=journal)
    assert report.is_complete
    if kind == "archive":
        assert sorted(case.title for case in collection.all()) == [
            f"case {n:05}" for n in range(ROWS)
        ]
    else:
        pk = client.algorithms.detail(slug=slug).pk
        assert client.algorithm_jobs.count({"algorithm_image__algorithm": pk}) == ROWS


def test_a_journal_that_cannot_be_opened_is_named(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """A directory, a file below a file and a missing device are errors that name the journal."""
    manifest = write_cases(tmp_path, make_sockets(sandbox), 1)
    target = f"archive:{add_collection(sandbox, client, 'archive').slug}"
    for journal in (tmp_path, manifest / "journal"):
        with pytest.raises(JournalError, match="cannot be used") as refused:
            plan_push(client, manifest, target, journal=journal)
        assert str(journal) in str(refused.value)


def test_a_full_disk_that_is_gone_is_told_without_its_free_space(tmp_path: Path) -> None:
    """If the free space cannot be found out, the message says what to do all the same."""
    message = explain_journal_error(
        tmp_path / "gone" / "journal", OSError(errno.ENOSPC, "No space left")
    )
    assert "cannot be written ([Errno 28] No space left). Make room" in message


def test_one_push_of_a_manifest_at_a_time(
    empty_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """A second push to the same target is refused while the first has the journal open."""
    manifest = write_cases(tmp_path, push_sockets, 1)
    refusals = []

    def second(_: PushProgress) -> None:
        with pytest.raises(JournalError, match="Another push to this target") as refused:
            pushed(empty_archive, manifest)
        refusals.append(refused)

    pushed(empty_archive, manifest, progress=second)
    assert len(refusals) == 1


def test_a_journal_is_of_one_target_and_holds_no_token(
    empty_archive: CaseCollection,
    push_sockets: Sockets,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The default journal is in the state directory and named after its target; that of another target is refused."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    manifest = write_cases(tmp_path, push_sockets, 1)
    report = push(empty_archive.client, manifest, target(empty_archive))

    (path,) = (tmp_path / "state").rglob("*.sqlite3")
    assert report.journal == path
    assert path.name.startswith(f"archive-{empty_archive.slug}-")
    assert all(
        empty_archive.sandbox.token.encode() not in each.read_bytes()
        for each in path.parent.iterdir()
    )
    other = empty_archive.sandbox.add_archive(unique("other"))
    with pytest.raises(JournalError, match="Choose another file"):
        push(empty_archive.client, manifest, f"archive:{other}", journal=path)
    path.write_bytes(b"no database" * 100)
    with pytest.raises(JournalError, match="is not a journal, or is damaged"):
        push(empty_archive.client, manifest, target(empty_archive))
