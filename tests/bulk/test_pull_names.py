"""The names by which a person traces a pulled file."""

from __future__ import annotations

from pathlib import Path

from gcapi import Client
from gcapi.bulk import diff, pull, read_manifest, verify
from tests.support.data import volume
from tests.support.pull import Sockets


def test_a_manifest_has_the_names_of_images_and_uploads(
    client: Client, sockets: Sockets, archive: str, home: Path
) -> None:
    """Beside its pk, each image has its own name, and each file the name of its upload."""
    pull(client, f"archive:{archive}", home)
    for _ in range(2):
        notes = {row.title: row.notes for row in read_manifest(home / "manifest.csv").rows}
        assert notes["DICOM"][f"name:{sockets.dicom}"] == "A series"
        assert notes["DICOM"][f"name:{sockets.table}"] == "a_b.csv"
        assert notes["Gr\u00f6\u00dfe \u2265 3 mm, left"][f"name:{sockets.image}"] == volume().name
        assert not any(f"name:{sockets.text}" in row for row in notes.values())
        pull(client, f"archive:{archive}", home)
    assert (verify(home), diff(client, home)) == ([], [])
