"""`pull`, `verify` and `diff` from the command line."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Sandbox
from tests.support.data import add_collection
from tests.support.programs.cli_program import Program
from tests.support.pull import Sockets, add_archive, add_sockets, many_cases


@pytest.fixture
def sockets(sandbox: Sandbox) -> Sockets:
    """Return a socket of each kind."""
    return add_sockets(sandbox)


@pytest.fixture
def archive(sandbox: Sandbox, client: Client, sockets: Sockets, tmp_path: Path) -> str:
    """Return the slug of an archive of three cases."""
    source = tmp_path / "source"
    source.mkdir()
    return add_archive(sandbox, client, many_cases(source, sockets, 3))


def test_pull_verify_and_diff(ready: Program, archive: str, tmp_path: Path) -> None:
    """A pulled archive is complete, and equals its manifest and the server."""
    folder = tmp_path / "here"
    run = ready("pull", f"archive:{archive}", folder, "--json")
    assert run.code == 0
    assert (run.json["cases"], run.json["files"], run.json["failed"]) == (3, 6, [])
    assert Path(run.json["manifest"]).is_file()
    assert "cases: 3 of 3" in run.err
    for command in ("verify", "diff"):
        same = ready(command, folder)
        assert (same.code, same.out, same.err) == (0, "", "No differences.\n")


def test_pulls_go_on(ready: Program, archive: str, tmp_path: Path) -> None:
    """The same command resumes, and a folder of something else is 4, unless --existing is given."""
    folder = tmp_path / "here"
    assert ready("pull", f"archive:{archive}", folder, "-q").err == ""
    again = ready("pull", f"archive:{archive}", folder, "--json")
    assert (again.code, again.json["cases"], again.json["files"]) == (0, 3, 0)
    (folder / ".gcapi-pull.jsonl").unlink()
    refused = ready("pull", f"archive:{archive}", folder)
    assert (refused.code, refused.out) == (4, "")
    assert "pass --existing skip or --existing verify" in refused.err
    again = ready("pull", f"archive:{archive}", folder, "--existing", "verify", "--json")
    assert (again.code, again.json["cases"], again.json["files"]) == (0, 3, 0)


def test_dry_runs_and_selections(
    ready: Program, sockets: Sockets, archive: str, tmp_path: Path
) -> None:
    """--dry-run shows what the selected cases and sockets come to, and writes nothing."""
    folder = tmp_path / "here"
    arguments = ("pull", f"archive:{archive}", folder, "--include", "case-[01]")
    arguments = (*arguments, "--exclude", "case-0", "--only", sockets.number)
    planned = ready(*arguments, "--dry-run")
    assert (planned.code, planned.out) == (0, "pull\t1\tcase-1\tcase-1\t\n")
    assert "1 case, 0 of them complete; 1 value to download." in planned.err
    assert not folder.exists()
    run = ready(*arguments, "--json")
    assert (run.code, run.json["cases"], run.json["files"]) == (0, 1, 1)
    nothing = ready("pull", f"archive:{archive}", folder, "--include", "cas-1")
    assert nothing.code == 0
    assert "'cas-1' matches nothing" in nothing.err
    assert "has no such cases; there is nothing to download." in nothing.err


def test_what_differs_is_listed(
    ready: Program, client: Client, sockets: Sockets, archive: str, tmp_path: Path
) -> None:
    """`verify` lists a changed file and `diff` a new case, with exit code 6."""
    folder = tmp_path / "here"
    ready("pull", f"archive:{archive}", folder)
    victim = next((folder / "case-1").rglob("*.csv"))
    victim.write_text("other")
    values = [SocketValueSpec(sockets.number, value=7.0)]
    client.add_case_to_archive(archive_slug=archive, values=values, title="new")
    verified, differs = ready("verify", folder, "--json"), ready("diff", folder)
    assert (verified.code, differs.code) == (6, 6)
    (difference,) = verified.lines
    assert difference["kind"] == "changed"
    assert difference["subject"] == victim.relative_to(folder).as_posix()
    assert differs.out == "only there\tnew\tthis case was not pulled\n"


def test_some_cases_fail(ready: Program, archive: str, tmp_path: Path) -> None:
    """A case that fails is named by its title, and the exit code is 6."""
    folder = tmp_path / "here"
    (folder / "case-1").mkdir(parents=True)
    blocked = folder / "case-1"
    blocked.rmdir()
    blocked.write_text("a file where a folder has to be")
    run = ready("pull", f"archive:{archive}", folder, "--existing", "skip", "--json")
    assert run.code == 6
    assert [failure["title"] for failure in run.json["failed"]] == ["case-1"]
    assert "gcapi: case-1: " in run.err


@pytest.mark.parametrize(
    ("source", "code"), [("archive", 4), ("archive:no-such-archive", 3), ("place:x", 4)]
)
def test_sources_that_are_none(ready: Program, tmp_path: Path, source: str, code: int) -> None:
    """An invalid or missing source is an error, and nothing is written."""
    run = ready("pull", source, tmp_path / "here")
    assert (run.code, run.out) == (code, "")
    assert not (tmp_path / "here").exists()


def test_folders_without_a_manifest(ready: Program, tmp_path: Path) -> None:
    """A folder without a manifest is invalid input for `verify` and `diff`."""
    for command in ("verify", "diff"):
        run = ready(command, tmp_path)
        assert (run.code, run.out) == (4, "")
        assert "manifest.csv" in run.err


def test_pull_on_a_cluster(gcapi: Program, archive: str, cluster: str, tmp_path: Path) -> None:
    """With --dask, the workers download, with the token from the file that `login` wrote."""
    run = gcapi("pull", f"archive:{archive}", tmp_path / "here", "--dask", cluster, "--json")
    assert (run.code, run.json["cases"]) == (0, 3)
    assert gcapi("verify", tmp_path / "here").code == 0


def test_clusters_that_are_none(ready: Program, archive: str, tmp_path: Path) -> None:
    """An address without a Dask scheduler is an error, and nothing is written."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    run = ready.apart(
        "pull", f"archive:{archive}", tmp_path / "here", "--dask", address,
        DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT="1s",
    )  # fmt: skip
    assert run.code == 2
    assert f"no Dask scheduler at {address}" in run.err
    assert not (tmp_path / "here").exists()


def test_a_table_that_cannot_be_written_hides_nothing(
    ready: Program,
    sandbox: Sandbox,
    client: Client,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If something is in the manifest's place, the report appears, and the manifest is in the state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    archive = add_collection(sandbox, client, "archive")
    archive.add(title="case")
    home = tmp_path / "home"
    (home / "manifest.csv" / "x").mkdir(parents=True)

    run = ready("pull", f"archive:{archive.slug}", home, "--existing", "verify", "--json")

    assert (run.code, run.json["cases"]) == (6, 1)
    (manifest,) = (tmp_path / "state").rglob("manifest.csv")
    assert run.json["manifest"] == str(manifest)
    assert "unwritten: manifest.csv" in run.json["remarks"][0]
