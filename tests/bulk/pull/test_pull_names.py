"""The names by which a person traces a pulled file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import diff, plan_pull, pull, push, read_manifest, verify
from gcapi.bulk.pulling import Names
from gcapi_sandbox import Sandbox
from tests.support.data import unique, volume
from tests.support.pull import Sockets, add_archive, image_of


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


EXPECTED: dict[Names, tuple[str, list[str]]] = {
    "title": ("Same", ["image/Same.mha", "first.csv", "second.csv"]),
    "pk": ("{pk}", ["image/{image}.mha", "first.csv", "second.csv"]),
    "original": ("Same", ["image/scan.mha", "a_b.csv", "a_b-second.csv"]),
}


@pytest.mark.parametrize("names", EXPECTED)
def test_names_of_folders_and_files(
    sandbox: Sandbox, client: Client, tmp_path: Path, home: Path, names: Names
) -> None:
    """Files are named as wanted, name clashes are told, and resuming, verifying and pushing again work."""
    tag = unique("names")
    slugs = [f"{tag}-{name}" for name in ("image", "first", "second")]
    for slug, kind in zip(slugs, ("Image", "CSV file", "CSV file"), strict=True):
        sandbox.add_socket(slug, kind)
    table = tmp_path / "a b.csv"
    table.write_text("a;b\n")
    image = shutil.copy(image_of(tmp_path), tmp_path / "scan.mha")
    values = [SocketValueSpec(slugs[0], file=image)] + [
        SocketValueSpec(slug, file=table) for slug in slugs[1:]
    ]
    archive = add_archive(sandbox, client, {"Same": values, "same ": values[1:]})
    folder, files = EXPECTED[names]

    planned = {
        case.title: case.folder
        for case in plan_pull(client, f"archive:{archive}", home, names=names)
    }
    report = pull(client, f"archive:{archive}", home, names=names)
    rows = {row.title: row for row in read_manifest(home / "manifest.csv").rows}
    row = rows["Same"]
    cells = [str(row.cells[slug]) for slug in slugs]
    pk = str(row.notes["gc:pk"])
    stem = Path(cells[0]).stem
    assert cells[0].split("/")[0] == planned["Same"]
    assert planned["Same"] in {folder.format(pk=pk), f"{folder}-{pk}"}
    shown = [cell.split("/", 1)[1].replace(f"{tag}-", "").replace("images/", "") for cell in cells]
    assert shown == [name.format(image=stem) for name in files]
    told = sorted(remark.what for remark in report.remarks if remark.kind == "renamed")
    assert len(told) == {"title": 2, "pk": 0, "original": 4}[names]

    assert (verify(home), diff(client, home)) == ([], [])
    for existing in ("resume", "verify"):
        again = pull(client, f"archive:{archive}", home, existing=existing, names=names)
        assert (again.files, again.failed) == (0, [])
    assert pull(client, f"archive:{archive}", home).files == 0
    other: Names = "pk" if names == "title" else "title"
    with pytest.raises(FileExistsError, match="keeps them"):
        pull(client, f"archive:{archive}", home, names=other)
    pushed = push(client, home / "manifest.csv", f"archive:{sandbox.add_archive(unique('copy'))}")
    assert len(pushed.done) == 2
