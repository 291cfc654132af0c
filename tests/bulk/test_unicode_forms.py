"""Names that look alike in two Unicode forms: titles on the server, and files on the disk."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from gcapi import Client
from gcapi.bulk import Row, check_manifest, diff, plan_push, pull, push, write_manifest
from gcapi.exceptions import FileWarning, SpecError
from gcapi_sandbox import Sandbox
from tests.support.data import CaseCollection, add_collection, nothing_written, unique
from tests.support.folders import write_tree
from tests.support.push import told

NFC, NFD = (unicodedata.normalize(form, "Müller é") for form in ("NFC", "NFD"))


def create(collection: CaseCollection, title: str) -> str:
    """Create a case with the bytes of a title, as another client could."""
    archive = collection.client.archives.detail(slug=collection.slug)
    created = collection.client.archive_items.create(archive=archive.api_url, title=title)
    return created.pk


def test_titles_are_compared_in_one_form(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """A title in NFD is stored in NFC, finds a case of either form, and is refused where both forms exist."""
    collection = add_collection(sandbox, client, "archive")
    stored = client.add_case_to_archive(archive_slug=collection.slug, title=NFD, values=[])
    assert stored.title == NFC
    client.update_archive_item(archive_item_pk=stored.pk, values=[], title="renamed")

    pk = create(collection, NFD)
    target, manifest = f"archive:{collection.slug}", tmp_path / "m.csv"
    write_manifest(manifest, [Row(0, NFD)])
    with nothing_written(sandbox):
        (planned,) = plan_push(client, manifest, target)
        assert told(push(client, manifest, target)) == (0, 1, 0, 0)
        found = client.add_case_to_archive(
            archive_slug=collection.slug, title=NFC, values=[], existing="skip"
        )
    assert (planned.what, found.pk) == ("nothing", pk)
    pull(client, target, tmp_path / "pulled")
    assert diff(client, tmp_path / "pulled") == []

    other = create(collection, NFC)
    with nothing_written(sandbox):
        report = push(client, manifest, target)
        with (
            Client(token=sandbox.token, base_url=sandbox.base_url) as fresh,
            pytest.raises(SpecError, match="in different Unicode forms") as refused,
        ):
            fresh.add_case_to_archive(
                archive_slug=collection.slug, title=NFC, values=[], existing="skip"
            )
    (failed,) = report.failed
    for message in (str(failed.error), str(refused.value)):
        assert pk in message
        assert other in message


def test_files_that_look_alike_are_reported(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """If both forms of a name exist, the one that is written is used, and check and push warn."""
    socket = sandbox.add_socket(unique("file"), "CSV file")
    target = f"archive:{sandbox.add_archive(unique('archive'))}"
    write_tree(tmp_path, {f"{NFC}.csv": "x", f"{NFD}.csv": "y"})
    manifest = tmp_path / "m.csv"
    write_manifest(manifest, [Row(0, "case", None, {socket: f"{NFD}.csv"})])

    (problem,) = check_manifest(client, manifest, target).problems
    assert (problem.level, problem.column) == ("warning", socket)
    assert "in different Unicode forms" in problem.what
    with pytest.warns(FileWarning, match="in different Unicode forms"):
        assert told(push(client, manifest, target)) == (1, 0, 0, 0)
