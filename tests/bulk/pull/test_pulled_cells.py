"""A manifest that a pull wrote uploads no files that its server could choose."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import PulledFolderError, Row, pull, push, read_manifest, write_manifest
from gcapi.bulk._pull.case_folders import INDEX
from gcapi_sandbox import Sandbox
from tests.support.data import unique
from tests.support.pull import Sockets, image_of


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """Return a file outside the pulled folder."""
    return image_of(tmp_path, "secret.mha")


@pytest.fixture
def pulled(sandbox: Sandbox, client: Client, secret: Path, home: Path) -> tuple[Path, str]:
    """Return the manifest of a pulled case with a String that is the path of a file, and the String's socket."""
    text = sandbox.add_socket(unique("note"), "String")
    archive = sandbox.add_archive(unique("archive"))
    values = [SocketValueSpec(text, value=str(secret))]
    client.add_case_to_archive(archive_slug=archive, values=values, title="case")
    return pull(client, f"archive:{archive}", home).manifest, text


def test_a_text_does_not_become_a_file(tmp_path: Path, pulled: tuple[Path, str]) -> None:
    """A server that shows a String when a case is pulled, and an Image when it is pushed, gets no file."""
    manifest, text = pulled
    with Sandbox(tmp_path / "sandbox") as other:
        slug = other.add_socket("Other", "Image", slug=text)
        archive = other.add_archive(unique("archive"))
        with Client(other.token, other.base_url) as client:
            report = push(client, manifest, f"archive:{archive}", journal=tmp_path / "journal")
        assert slug == text
        assert "pulled from a socket of kind string, and it is Image now" in str(report.failed[0])
        assert not [one for one in other.requests if one.method != "GET"]


@pytest.mark.parametrize("mark", ["notes", "index"])
@pytest.mark.parametrize("way", ["absolute", "../", "a list", "a glob"])
def test_files_outside_the_folder_are_refused(
    sandbox: Sandbox,
    client: Client,
    sockets: Sockets,
    secret: Path,
    pulled: tuple[Path, str],
    mark: str,
    way: str,
) -> None:
    """No cell of a pulled manifest leads out of its folder, as long as its notes or the index beside it are there."""
    manifest, _ = pulled
    (row,) = read_manifest(manifest).rows
    cell = {
        "absolute": str(secret),
        "../": f"../{secret.name}",
        "a list": json.dumps([f"../{secret.name}"]),
        "a glob": "../*.mha",
    }[way]
    notes = row.notes if mark == "notes" else {}
    write_manifest(manifest, [replace(row, cells={sockets.image: cell}, notes=notes)])
    if mark == "notes":
        (manifest.parent / INDEX).unlink()
    sandbox.requests.clear()
    archive = sandbox.add_archive(unique("archive"))
    journal = manifest.with_suffix(".db")
    report = push(client, manifest, f"archive:{archive}", journal=journal)
    assert "secret.mha is outside the pulled folder" in str(report.failed[0])
    assert not [one for one in sandbox.requests if one.method != "GET"]


def test_a_manifest_of_a_person_names_any_file(
    sandbox: Sandbox, client: Client, sockets: Sockets, secret: Path, tmp_path: Path
) -> None:
    """A manifest that a person wrote may name files outside its folder."""
    (tmp_path / "tables").mkdir()
    manifest = tmp_path / "tables" / "manifest.csv"
    write_manifest(manifest, [Row(0, "case", cells={sockets.image: str(secret)})])
    archive = sandbox.add_archive(unique("archive"))
    assert push(client, manifest, f"archive:{archive}", journal=tmp_path / "journal").is_complete


def test_damaged_kinds_are_named(
    sandbox: Sandbox, client: Client, pulled: tuple[Path, str], home: Path
) -> None:
    """Kinds that a program damaged are an error that names the manifest."""
    manifest, _ = pulled
    (row,) = read_manifest(manifest).rows
    write_manifest(manifest, [replace(row, notes={**row.notes, "gc:kinds": '{"a": '})])
    archive = sandbox.add_archive(unique("archive"))
    with pytest.raises(PulledFolderError, match=r"manifest\.csv is damaged"):
        push(client, manifest, f"archive:{archive}", journal=home / "journal")
