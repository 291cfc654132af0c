"""The same rows again: touched, copied, moved or in another manifest, they are the same by their content."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi.bulk import Row, plan_push, push, read_manifest, write_manifest
from gcapi.exceptions import RepeatWarning
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, add_collection, unique
from tests.support.push import Sockets, make_sockets, told, write_cases

LATER = 2_000_000_000


@dataclass(frozen=True)
class Pushed:
    """Three rows without titles that were pushed once.

    Attributes:
        client: The client.
        sandbox: The sandbox.
        target: An archive or an algorithm.
        manifest: The manifest.
        sockets: The sockets of a row.
    """

    client: Client
    sandbox: Sandbox
    target: str
    manifest: Path
    sockets: Sockets


@pytest.fixture(params=["archive", "algorithm"])
def done(
    request: pytest.FixtureRequest,
    sandbox: Sandbox,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Pushed:
    """Push three rows without titles with the target's own journal."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sockets = make_sockets(sandbox)
    if request.param == "archive":
        target = f"archive:{add_collection(sandbox, client, 'archive').slug}"
    else:
        interfaces: Any = [([sockets.value, sockets.file], [])]
        run = {"interfaces": interfaces, "run": lambda *_: None}
        target = f"algorithm:{sandbox.add_algorithm(unique('algorithm'), **run)}"
    (tmp_path / "cases").mkdir()
    manifest = write_cases(tmp_path / "cases", sockets, 3, titled=False)
    assert told(push(client, manifest, target)) == (3, 0, 0, 0)
    sandbox.wait_idle(DEADLINE)
    return Pushed(client, sandbox, target, manifest, sockets)


def touch(manifest: Path) -> Path:
    """Give all files another time."""
    for path in manifest.parent.iterdir():
        os.utime(path, (LATER, LATER))
    return manifest


def rename(manifest: Path) -> Path:
    """Give the manifest another name, format and order."""
    target = manifest.with_name("renamed.tsv")
    write_manifest(target, reversed(read_manifest(manifest).rows))
    manifest.unlink()
    return target


def copy(manifest: Path) -> Path:
    """Copy the folder, without the times of the files."""
    folder = manifest.parent.with_name("copy")
    shutil.copytree(manifest.parent, folder, copy_function=shutil.copyfile)
    return folder / manifest.name


def mount_elsewhere(manifest: Path) -> Path:
    """Move the files, and name them by absolute paths in a manifest beside their folder."""
    folder = manifest.parent.rename(manifest.parent.with_name("mount"))
    rows = read_manifest(folder / manifest.name).rows
    target = folder.with_name("absolute.csv")
    moved = [
        replace(
            row,
            cells={
                slug: str(folder / cell) if cell.endswith(".csv") else cell
                for slug, cell in row.cells.items()
            },
        )
        for row in rows
    ]
    write_manifest(target, moved)
    return target


def test_the_same_content_is_not_pushed_again(done: Pushed) -> None:
    """Rows whose files were touched, copied or moved are done, in any manifest and at any address of the server."""
    manifest = done.manifest
    address = done.sandbox.base_url.replace("127.0.0.1", "localhost")
    with Client(token=done.sandbox.token, base_url=address) as client:
        for change in (touch, rename, copy, mount_elsewhere):
            manifest = change(manifest)
            done.sandbox.requests.clear()
            plan = plan_push(client, manifest, done.target)
            assert [(row.what, row.note[-14:]) for row in plan] == [
                ("nothing", "an earlier run")
            ] * 3, change
            assert told(push(client, manifest, done.target)) == (0, 3, 0, 0), change
            assert not [one for one in done.sandbox.requests if one.method != "GET"]


def test_changed_content_is_told_before_it_is_pushed_again(done: Pushed) -> None:
    """A file of the same length and other content makes another job or case; the dry run and a warning say so first."""
    path = done.manifest.parent / "1.csv"
    path.write_bytes(path.read_bytes().replace(b"1", b"7"))
    os.utime(path, (LATER, LATER))

    plan = plan_push(done.client, done.manifest, done.target)
    assert [row.what for row in plan] == ["nothing", "make", "nothing"]
    assert "have changed since" in plan[1].note
    with pytest.raises(RepeatWarning, match=r"^line 3: .* have changed since (job|case) "):
        push(done.client, done.manifest, done.target)
    with pytest.warns(RepeatWarning):
        assert told(push(done.client, done.manifest, done.target)) == (1, 2, 0, 0)
    assert told(push(done.client, done.manifest, done.target)) == (0, 3, 0, 0)


def test_rows_of_equal_content_are_counted(done: Pushed) -> None:
    """Two files of equal names and content in two folders are two rows, also after both were touched."""
    folder = done.manifest.parent
    rows: list[Row] = []
    for name in ("a", "b"):
        (folder / name).mkdir()
        shutil.copy(folder / "0.csv", folder / name / "same.csv")
        cells = {done.sockets.value: '"same"', done.sockets.file: f"{name}/same.csv"}
        rows.append(Row(0, "", None, cells))
    both = folder / "both.jsonl"
    write_manifest(both, rows[:1])
    assert told(push(done.client, both, done.target)) == (1, 0, 0, 0)
    write_manifest(both, rows)
    assert told(push(done.client, both, done.target)) == (1, 1, 0, 0)
    for row in rows:
        os.utime(folder / row.cells[done.sockets.file], (LATER, LATER))
    assert told(push(done.client, both, done.target)) == (0, 2, 0, 0)


@pytest.mark.parametrize("done", ["archive"], indirect=True)
def test_untitled_cases_are_found_without_a_journal(done: Pushed, tmp_path: Path) -> None:
    """The generated title is that of the content, so a touched row finds its case without its journal."""
    manifest = touch(done.manifest)
    report = push(done.client, manifest, done.target, journal=tmp_path / "other")
    assert told(report) == (0, 3, 0, 0)


@pytest.mark.parametrize("done", ["algorithm"], indirect=True)
def test_a_dry_run_tells_of_the_jobs_of_another_journal(done: Pushed, tmp_path: Path) -> None:
    """Rows because of which a push would stop are told one by one, and are planned with `again`."""
    other = {"journal": tmp_path / "other"}
    plan = plan_push(done.client, done.manifest, done.target, **other)
    assert [row.what for row in plan] == ["fail"] * 3
    assert all("has the same values and file names" in row.note for row in plan)
    plan = plan_push(done.client, done.manifest, done.target, **other, again=True)
    assert [row.what for row in plan] == ["make"] * 3
