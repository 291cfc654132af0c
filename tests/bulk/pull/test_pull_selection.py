"""Pulls that resume by default, that are limited to some cases and sockets, and that are planned only."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import PlannedCase, PulledFolderError, plan_pull, pull, read_manifest, verify
from gcapi_sandbox import Sandbox
from tests.support.pull import Sockets, change_number, contents, from_storage


def _plan(client: Client, source: str, home: Path, **options: object) -> list[tuple[str, str, int]]:
    planned: list[PlannedCase] = plan_pull(client, source, home, **options)
    return [(one.what, one.title, one.values) for one in planned]


def test_the_same_call_resumes(client: Client, sockets: Sockets, small: str, home: Path) -> None:
    """The same call again downloads only new cases and missing files."""
    source = f"archive:{small}"
    pull(client, source, home)
    before = contents(home)
    lost = next(iter(before))
    (home / lost).unlink()
    values = [SocketValueSpec(sockets.number, value=7.0)]
    client.add_case_to_archive(archive_slug=small, values=values, title="new")
    assert sorted(_plan(client, source, home)) == [
        ("finish", lost.partition("/")[0], 1),
        ("nothing", "case-1" if lost.startswith("case-0") else "case-0", 0),
        ("pull", "new", 1),
    ]
    report = pull(client, source, home)
    assert (report.cases, report.fetched, report.files) == (3, 2, 2)
    assert before.items() <= contents(home).items()
    assert sorted(_plan(client, source, home)) == [
        ("nothing", title, 0) for title in ("case-0", "case-1", "new")
    ]


def test_folders_of_something_else_are_refused(
    sandbox: Sandbox, client: Client, small: str, home: Path
) -> None:
    """A folder in which no pull began is refused, and stays as it is, also by a dry run."""
    home.mkdir()
    (home / "notes.txt").write_text("mine")
    for call in (pull, plan_pull):
        with pytest.raises(FileExistsError, match="no pull began there"):
            call(client, f"archive:{small}", home)
    assert [path.name for path in home.iterdir()] == ["notes.txt"]
    pull(client, f"archive:{small}", home, existing="skip")
    other = sandbox.add_archive("Another one")
    for call in (pull, plan_pull):
        with pytest.raises(FileExistsError, match=f"holds archive:{small}"):
            call(client, f"archive:{other}", home)


def test_a_second_pull_at_the_same_time_is_refused(client: Client, small: str, home: Path) -> None:
    """While a pull runs, another one into the same folder is refused and changes nothing."""
    refused: list[str] = []

    def pull_again(_: object) -> None:
        for call in (pull, plan_pull):
            with pytest.raises(PulledFolderError) as caught:
                call(client, f"archive:{small}", home)
            refused.append(str(caught.value))

    report = pull(client, f"archive:{small}", home, progress=pull_again)
    assert (report.cases, report.failed, verify(home)) == (2, [], [])
    assert len(refused) == 4
    assert all(f"Another pull into {home} is running" in message for message in refused)


def test_some_cases_and_sockets(client: Client, sockets: Sockets, small: str, home: Path) -> None:
    """Only selected cases and values are downloaded, and a later pull adds the others."""
    source = f"archive:{small}"
    selected = {"include": ["case-*", f"socket:{sockets.number}"], "exclude": ["case-1"]}
    assert _plan(client, source, home, **selected) == [("pull", "case-0", 1)]
    assert not home.exists()
    report = pull(client, source, home, **selected)
    assert (report.cases, report.files, report.unmatched) == (1, 1, [])
    (row,) = read_manifest(home / "manifest.csv").rows
    assert (row.title, [*row.cells]) == ("case-0", [sockets.number])
    assert verify(home) == []
    assert pull(client, source, home).files == 3
    assert [len(row.cells) for row in read_manifest(home / "manifest.csv").rows] == [2, 2]


def test_what_is_not_selected_stays(
    sandbox: Sandbox, client: Client, sockets: Sockets, small: str, home: Path
) -> None:
    """A limited pull keeps the files, the records and the rows of what an earlier pull downloaded."""
    source = f"archive:{small}"
    pull(client, source, home)
    before, manifest = contents(home), read_manifest(home / "manifest.csv")
    change_number(client, sockets, small, "case-0", 5.0)
    sandbox.requests.clear()
    report = pull(client, source, home, existing="verify", exclude=[f"socket:{sockets.number}"])
    assert (report.files, report.remarks, contents(home)) == (0, [], before)
    after = read_manifest(home / "manifest.csv")
    assert [row.cells for row in after.rows] == [row.cells for row in manifest.rows]
    assert verify(home) == []
    report = pull(client, source, home, include=["case-0"], existing="verify")
    assert (report.cases, report.files, from_storage(sandbox) > 0) == (1, 1, True)


def test_patterns_that_match_nothing_are_reported(client: Client, small: str, home: Path) -> None:
    """A misspelt title or socket is in the report, and downloads nothing."""
    include = ["case-0", "cas-1", "socket:no-such-socket"]
    report = pull(client, f"archive:{small}", home, include=include)
    assert (report.cases, report.files) == (1, 0)
    assert report.unmatched == ["cas-1", "socket:no-such-socket"]
