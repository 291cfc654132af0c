"""The guess of a manifest from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi.bulk import (
    ManifestError,
    guess_manifest,
)
from gcapi_sandbox import Sandbox
from tests.support.audit import recorded_events
from tests.support.data import unique, written

#: The audit events of listing a directory.
LISTINGS = {"os.listdir", "os.scandir"}


def without_lines(rows: Any) -> list[Any]:
    """Return the content of rows without their line numbers."""
    return [(row.title, row.order, dict(row.cells), dict(row.notes)) for row in rows]


def test_subfolders_are_cases(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Each subfolder is a row with its series as a folder, its image, and a file named after a socket's slug."""
    score = sandbox.add_socket(unique("score"), "Float")
    for case in ("a", "b"):
        folder = tmp_path / case
        (folder / "ct").mkdir(parents=True)
        for name in ("1.dcm", "2.dcm"):
            written(folder / "ct" / name, "x")
        written(folder / "scan.mhd", "x")
        written(folder / "scan.zraw", "x")
        written(folder / ".DS_Store", "x")
        written(folder / f"{score}.json", "1")

    manifest = guess_manifest(tmp_path, client)

    assert [row.title for row in manifest.rows] == ["a", "b"]
    cells = manifest.rows[0].cells
    assert cells[score] == f"a/{score}.json"
    assert sorted(set(cells.values()) - {cells[score]}) == ["a/ct", "a/scan.mhd;a/scan.zraw"]


def test_files_of_one_name_are_a_case(tmp_path: Path) -> None:
    """Without subfolders, files that differ only in their suffix are one row; its second image gets a number."""
    for name in ("p1.nii.gz", "p1.json", "p2.nii.gz", "p2.mha", "manifest.csv"):
        written(tmp_path / name, "x")

    manifest = guess_manifest(tmp_path)

    assert without_lines(manifest.rows) == [
        ("p1", None, {"json": "p1.json", "image": "p1.nii.gz"}, {}),
        ("p2", None, {"image": "p2.mha", "image-2": "p2.nii.gz"}, {}),
    ]
    (tmp_path / "none").mkdir()
    with pytest.raises(ManifestError, match="there are no files"):
        guess_manifest(tmp_path / "none")


def test_folders_are_listed_once_per_case_at_most(tmp_path: Path) -> None:
    """The number of directory listings does not grow with the number of files in a folder."""
    counts = []
    for pairs in (5, 200):
        folder = tmp_path / str(pairs) / "case"
        folder.mkdir(parents=True)
        for index in range(pairs):
            (folder / f"{index:04}.mhd").touch()
            (folder / f"{index:04}.raw").touch()
        with recorded_events() as events:
            (row,) = guess_manifest(folder.parent).rows
        assert len(row.cells) == pairs
        counts.append([event for event, _ in events if event in LISTINGS])
    assert counts[0] == counts[1]
    assert 0 < len(counts[0]) < 10
