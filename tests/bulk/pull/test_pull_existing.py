"""Pulling into a folder that is not empty: each state of a file meets each policy."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import Difference, pull, read_manifest, verify
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, unique
from tests.support.pull import (
    Sockets,
    add_archive,
    archive_items,
    change_number,
    contents,
    from_storage,
    image_of,
)


@pytest.mark.parametrize("existing", ["skip", "verify"])
def test_again_moves_no_file(
    sandbox: Sandbox, client: Client, archive: str, home: Path, existing: str
) -> None:
    """A second pull downloads nothing; with "skip" it only lists the cases."""
    pull(client, f"archive:{archive}", home)
    before = contents(home), (home / "manifest.csv").read_bytes()
    sandbox.requests.clear()
    report = pull(client, f"archive:{archive}", home, existing=existing)
    assert (report.cases, report.fetched, report.files, report.size) == (4, 0, 0, 0)
    assert (contents(home), (home / "manifest.csv").read_bytes()) == before
    if existing == "skip":
        assert from_storage(sandbox) == 0
        assert [one.path for one in sandbox.requests if "archives/items" not in one.path] == [
            "/api/v1/archives/"
        ]


def test_everything_is_fetched_again(client: Client, small: str, home: Path) -> None:
    """With "overwrite", all files are downloaded again."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    for path in before:
        (home / path).write_text("changed")
    report = pull(client, f"archive:{small}", home, existing="overwrite")
    assert (report.files, contents(home), verify(home)) == (4, before, [])


def test_a_case_keeps_its_folder(client: Client, sockets: Sockets, small: str, home: Path) -> None:
    """A case keeps its folder if it is renamed, or if another case gets the same title."""
    pull(client, f"archive:{small}", home)
    client.update_archive_item(
        archive_item_pk=archive_items(client, small)["case-0"].pk, values=[], title="renamed"
    )
    added = client.add_case_to_archive(
        archive_slug=small,
        title="CASE-1",
        values=[SocketValueSpec(sockets.number, value=0.1)],
    )
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert (report.cases, report.fetched) == (3, 1)
    folders = {path.name for path in home.iterdir() if path.is_dir()}
    assert folders == {"case-0", "case-1", f"CASE-1-{added.pk}"}
    assert {row.title for row in read_manifest(report.manifest).rows} == {
        "renamed",
        "case-1",
        "CASE-1",
    }


def test_a_folder_that_holds_something_is_refused(
    sandbox: Sandbox, client: Client, archive: str, home: Path
) -> None:
    """By default, a folder that is not empty is refused before anything is sent or written."""
    home.mkdir()
    (home / "notes.txt").write_text("precious")
    sandbox.requests.clear()
    with pytest.raises(FileExistsError, match="not empty"):
        pull(client, f"archive:{archive}", home)
    assert len(sandbox.requests) == 0
    assert [path.name for path in home.iterdir()] == ["notes.txt"]


def test_a_folder_of_something_else_is_refused(
    client: Client, small: str, archive: str, home: Path
) -> None:
    """A folder of another source is refused."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    with pytest.raises(FileExistsError, match=f"archive:{small}"):
        pull(client, f"archive:{archive}", home, existing="verify")
    assert contents(home) == before


@pytest.mark.parametrize("existing", ["skip", "verify"])
def test_a_file_that_was_changed_here(
    client: Client, small: str, home: Path, existing: str
) -> None:
    """A changed file is a remark and left with "skip", and downloaded again with "verify"."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    paths = [path for path in before if path.endswith(".csv")]
    longer, same = (home / path for path in paths)
    longer.write_text("changed")
    status = same.stat()
    same.write_bytes(b"?" + same.read_bytes()[1:])
    if existing == "verify":  # nothing but its content tells
        os.utime(same, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = pull(client, f"archive:{small}", home, existing=existing)
    if existing == "skip":
        assert {(one.kind, one.subject) for one in report.remarks} == {
            ("changed", path) for path in paths
        }
        assert {(one.kind, one.subject) for one in verify(home)} == {
            ("changed", path) for path in paths
        }
    else:
        assert (report.files, report.remarks) == (2, [])
        assert (contents(home), verify(home)) == (before, [])


@pytest.mark.parametrize("existing", ["skip", "verify"])
def test_a_file_that_is_gone_is_fetched(
    client: Client, small: str, home: Path, existing: str
) -> None:
    """A missing file is downloaded again, and no other."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    (home / next(iter(before))).unlink()
    report = pull(client, f"archive:{small}", home, existing=existing)
    assert (report.files, contents(home), verify(home)) == (1, before, [])


def test_a_value_that_was_replaced_on_the_server(
    client: Client, sockets: Sockets, small: str, home: Path
) -> None:
    """A value that was replaced on the server is a remark with "skip", and downloaded with "verify"."""
    pull(client, f"archive:{small}", home)
    change_number(client, sockets, small, "case-1", 99.5)
    skipped = pull(client, f"archive:{small}", home, existing="skip")
    assert [(one.kind, one.subject) for one in skipped.remarks] == [
        ("changed", f"case-1: {sockets.number}")
    ]
    assert (skipped.files, verify(home)) == (0, [])
    assert number_of(home, sockets, "case-1") == 1.0
    verified = pull(client, f"archive:{small}", home, existing="verify")
    assert (verified.files, verified.remarks, verify(home)) == (1, [], [])
    assert number_of(home, sockets, "case-1") == 99.5


def number_of(home: Path, sockets: Sockets, title: str) -> float:
    """Return the number of a case, which its manifest and its file agree on."""
    row = next(row for row in read_manifest(home / "manifest.csv").rows if row.title == title)
    number: float = json.loads(row.cells[sockets.number])
    assert number == json.loads((home / title / f"{sockets.number}.json").read_text())
    return number


def test_an_image_that_was_replaced_leaves_no_old_file(
    sandbox: Sandbox, client: Client, sockets: Sockets, home: Path, tmp_path: Path
) -> None:
    """The file of a replaced image is removed when the new one is complete."""
    images = [image_of(tmp_path, name) for name in ("a.mha", "b.mha")]
    specs = [[SocketValueSpec(sockets.image, file=image)] for image in images]
    slug = add_archive(sandbox, client, {"case": specs[0]})
    pull(client, f"archive:{slug}", home)
    (old,) = contents(home)
    pk = archive_items(client, slug)["case"].pk
    client.update_archive_item(archive_item_pk=pk, values=specs[1])
    sandbox.wait_idle(DEADLINE)
    pull(client, f"archive:{slug}", home, existing="verify")
    (new,) = contents(home)
    assert (new != old, verify(home)) == (True, [])


def test_a_value_that_came_later_is_fetched(
    client: Client, sockets: Sockets, small: str, home: Path
) -> None:
    """With "skip", a new value is downloaded, and nothing else."""
    pull(client, f"archive:{small}", home)
    client.update_archive_item(
        archive_item_pk=archive_items(client, small)["case-0"].pk,
        values=[SocketValueSpec(sockets.text, value="later")],
    )
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert (report.files, report.remarks, verify(home)) == (1, [], [])


def test_cases_that_the_server_no_longer_has(
    sandbox: Sandbox, client: Client, small: str, home: Path
) -> None:
    """A case that the server no longer has is a remark and not in the manifest; its files stay."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    other = client.archives.detail(slug=sandbox.add_archive(unique("other")))
    pk = archive_items(client, small)["case-0"].pk
    client.archive_items.partial_update(pk, archive=other.api_url)
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert report.remarks == [
        Difference(
            "only here", "case-0", "the server no longer has this case; its files are still here"
        )
    ]
    assert contents(home) == before
    assert {one.kind for one in verify(home)} == {"unexpected"}
