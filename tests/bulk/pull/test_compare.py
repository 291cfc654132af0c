"""Comparing a pulled folder with its manifest, and the manifest with the server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import ManifestError, diff, pull, read_manifest, verify, write_manifest
from gcapi.bulk.manifest import Row
from gcapi.exceptions import UnsafeName
from gcapi_sandbox import Sandbox
from tests.support.data import unique
from tests.support.folders import write_tree
from tests.support.pull import (
    Sockets,
    add_archive,
    archive_items,
    contents,
    many_cases,
)


@pytest.fixture
def archive(sandbox: Sandbox, client: Client, sockets: Sockets, tmp_path: Path) -> str:
    """Return an archive of three cases that is already pulled."""
    (tmp_path / "sources").mkdir()
    slug = add_archive(sandbox, client, many_cases(tmp_path / "sources", sockets, 3))
    pull(client, f"archive:{slug}", tmp_path / "home")
    return slug


@pytest.fixture
def home(archive: str, tmp_path: Path) -> Path:
    """Return the pulled folder."""
    assert archive
    return tmp_path / "home"


def test_verify_names_each_file_that_is_not_as_it_was(sandbox: Sandbox, home: Path) -> None:
    """`verify` lists missing, changed and unexpected files of any size, and sends nothing."""
    paths = sorted(contents(home))
    (home / paths[0]).unlink()
    content = (home / paths[1]).read_bytes()
    (home / paths[1]).write_bytes(content[:-1] + b"?")
    (home / paths[2]).write_bytes(content + b"\n")
    (home / "case-0" / "notes.txt").write_text("mine")
    (home / "notes.txt").write_text("mine")
    sandbox.requests.clear()
    assert [(one.kind, one.subject) for one in verify(home)] == [
        ("missing", paths[0]),
        ("changed", paths[1]),
        ("changed", paths[2]),
        ("unexpected", "case-0/notes.txt"),
        ("unexpected", "notes.txt"),
    ]
    assert str(verify(home)[0]) == f"missing: {paths[0]}: the file does not exist"
    assert len(sandbox.requests) == 0


def test_verify_works_where_the_folder_was_moved(home: Path, tmp_path: Path) -> None:
    """`verify` needs only the manifest: the folder may be moved and its index removed."""
    moved = home.rename(tmp_path / "moved")
    (moved / ".gcapi-pull.jsonl").unlink()
    assert verify(moved) == []


def test_a_manifest_leads_nowhere_else(home: Path, tmp_path: Path) -> None:
    """A path outside the folder is refused, not read."""
    (tmp_path / "secret").write_text("x")
    write_manifest(
        home / "manifest.csv", [Row(2, "a", None, {"b": "../secret"}, {"sha256:b": "0" * 64})]
    )
    with pytest.raises(UnsafeName):
        verify(home)


@pytest.mark.parametrize("content", [None, b"", b"\xff", b'title\n"a'])
def test_without_a_manifest(home: Path, content: bytes | None) -> None:
    """A missing or invalid manifest is an error."""
    (home / "manifest.csv").unlink()
    if content is not None:
        (home / "manifest.csv").write_bytes(content)
    with pytest.raises((FileNotFoundError, ManifestError)):
        verify(home)


def test_diff_names_what_is_not_the_same_on_the_server(
    sandbox: Sandbox, client: Client, sockets: Sockets, archive: str, home: Path
) -> None:
    """`diff` lists new, removed and changed cases, values and titles, and downloads nothing."""
    assert diff(client, home) == []
    items = archive_items(client, archive)
    other = client.archives.detail(slug=sandbox.add_archive(unique("other")))
    client.archive_items.partial_update(items["case-0"].pk, archive=other.api_url)
    client.update_archive_item(
        archive_item_pk=items["case-1"].pk,
        title="renamed",
        values=[
            SocketValueSpec(sockets.number, value=77.0),
            SocketValueSpec(sockets.text, value="new"),
        ],
    )
    (kept,) = [value for value in items["case-2"].values if value.interface.slug == sockets.number]
    client.archive_items.update(
        items["case-2"].pk,
        title="case-2",
        values=[{"interface": sockets.number, "value": kept.value}],
    )
    client.add_case_to_archive(archive_slug=archive, title="added", values=[])
    sandbox.requests.clear()
    found = {(one.kind, one.subject) for one in diff(client, home)}
    assert found == {
        ("only here", "case-0"),
        ("changed", "case-1"),
        ("changed", f"case-1: {sockets.number}"),
        ("only there", f"case-1: {sockets.text}"),
        ("only here", f"case-2: {sockets.table}"),
        ("only there", "added"),
    }
    assert all("/media/" not in one.path for one in sandbox.requests)
    assert [one.method for one in sandbox.requests if one.method != "GET"] == []


def test_diff_tells_of_a_manifest_that_was_edited(
    client: Client, sockets: Sockets, home: Path
) -> None:
    """`diff` lists values, titles and rows that were changed in the manifest."""
    rows = {row.title: row for row in read_manifest(home / "manifest.csv").rows}
    edited = replace(rows["case-0"], cells={**rows["case-0"].cells, sockets.number: "7.5"})
    renamed = replace(rows["case-1"], title="other")
    write_manifest(home / "manifest.csv", [edited, renamed])
    assert {(one.kind, one.subject) for one in diff(client, home)} == {
        ("changed", f"case-0: {sockets.number}"),
        ("changed", "other"),
        ("only there", "case-2"),
    }


def test_diff_of_an_archive_that_was_empty(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """`diff` finds the source of an empty archive in the index."""
    slug = sandbox.add_archive(unique("empty"))
    report = pull(client, f"archive:{slug}", tmp_path / "home")
    assert (report.cases, read_manifest(report.manifest).rows, diff(client, tmp_path / "home")) == (
        0,
        (),
        [],
    )
    client.add_case_to_archive(archive_slug=slug, title="added", values=[])
    assert [(one.kind, one.subject) for one in diff(client, tmp_path / "home")] == [
        ("only there", "added")
    ]


def test_litter_of_systems_is_not_unexpected(
    client: Client, archive: str, home: Path, tmp_path: Path
) -> None:
    """`verify` does not report `.DS_Store` and its like, and a folder with nothing else can be pulled into."""
    litter = (".DS_Store", "case-0/._x", "case-0/@eaDir/x", "case-1/Thumbs.db", ".git/objects/ab")
    write_tree(home, dict.fromkeys(litter, "x"))
    assert verify(home) == []
    fresh = write_tree(tmp_path / "fresh", {".DS_Store": "x", "desktop.ini": "x"})
    assert pull(client, f"archive:{archive}", fresh).cases == 3
    with pytest.raises(FileExistsError):
        pull(client, f"archive:{archive}", fresh, existing="error")
