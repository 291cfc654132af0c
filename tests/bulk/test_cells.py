"""The files that the cells of a manifest name."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi.bulk import Row, check_manifest, plan_push, push
from gcapi.bulk.cells import CellError, spec_of_cell
from gcapi.bulk.manifest import Manifest
from gcapi.exceptions import SpecFileError
from gcapi.models import ComponentInterface
from gcapi_sandbox import Sandbox
from tests.support.data import nothing_written, series, unique
from tests.support.folders import folder_of_ordinary_user, metaimage, write_tree


def image_socket() -> ComponentInterface:
    """Return a socket for images, which no server knows."""
    return ComponentInterface.from_dict(
        {"pk": 1, "slug": "scan", "kind": "Image", "super_kind": "Image", "title": "scan"}
        | {"default_value": None, "description": "", "look_up_table": None}
        | {"overlay_segments": None, "relative_path": "images/scan"}
    )


def files_of(cell: Any, folder: Path) -> list[str]:
    """Return the relative paths of the files that a cell names."""
    paths = spec_of_cell(image_socket(), cell, folder, "name").paths
    return [path.relative_to(folder).as_posix() for path in paths]


LITTER = (".DS_Store", "._1.mha", "Thumbs.db", "desktop.ini", ".git/objects/ab", "@eaDir/x")


@pytest.mark.parametrize(
    ("cell", "files"),
    [
        ("a", ["a/1.mha", "a/2.mha"]),
        ("a/*", ["a/1.mha", "a/2.mha"]),
        ("**/*", ["a/1.mha", "a/2.mha", "a/b/3.mha"]),
        ("*/b;a/1.mha", ["a/b/3.mha", "a/1.mha"]),
        ("a/Thumbs.db", ["a/Thumbs.db"]),
        ("a/Thumbs.*", []),
        ("a/.git/objects/*", ["a/.git/objects/ab"]),
    ],
)
def test_litter_is_no_part_of_an_image(cell: str, files: list[str], tmp_path: Path) -> None:
    """Folders and globs leave out what systems and programs leave behind, unless the cell names it."""
    tree = {f"a/{name}": "x" for name in ("1.mha", "2.mha", "b/3.mha", *LITTER)}
    write_tree(tmp_path, tree)
    if files:
        cell = cell.replace("*/b", "a/b")
        assert files_of(cell, tmp_path) == files
    else:
        with pytest.raises(ValueError, match="no file matches"):
            files_of(cell, tmp_path)


@pytest.mark.parametrize("cell", ["ct", "ct/*", "**/*.dcm", "ct/slice-0.dcm;ct/broken.dcm"])
@pytest.mark.parametrize("kind", ["DICOM Image Set", "Image"])
def test_a_broken_link_stops_the_row(
    cell: str, kind: str, sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """A broken link in a folder, a glob or a list is an error of check, dry run and push, and nothing is sent."""
    socket, archive = sandbox.add_socket(unique("ct"), kind), sandbox.add_archive(unique("archive"))
    (tmp_path / "ct").mkdir()
    series(tmp_path / "ct", 2)
    (tmp_path / "ct" / "broken.dcm").symlink_to("moved.dcm")
    manifest = Manifest((Row(2, "case", cells={socket: cell}),), tmp_path)
    words = "broken.dcm cannot be read: it is a link to moved.dcm, which does not exist"

    with nothing_written(sandbox):
        (problem,) = check_manifest(client, manifest, f"archive:{archive}").problems
        (planned,) = plan_push(client, manifest, f"archive:{archive}")
        report = push(client, manifest, f"archive:{archive}", journal=tmp_path / "journal")

    assert words in str(problem)
    assert words in str(planned.note)
    assert words in str(report.failed[0].error)


@pytest.mark.parametrize("cell", ["closed", "*/1.mha", "**/*.mha", "open;closed"])
def test_a_folder_that_cannot_be_listed_is_an_error(cell: str) -> None:
    """A folder that a cell names, or that a glob would skip, is named in an error."""
    with folder_of_ordinary_user() as folder:
        write_tree(folder, {"open/1.mha": metaimage(), "closed/1.mha": metaimage()})
        (folder / "closed").chmod(0)
        with pytest.raises(SpecFileError, match=r"closed/? cannot be read: Permission denied"):
            files_of(cell, folder)


def test_pipes_are_not_skipped(tmp_path: Path) -> None:
    """A pipe in a folder is among its files, so that it is reported rather than skipped or waited for."""
    write_tree(tmp_path, {"a/1.mha": metaimage()})
    os.mkfifo(tmp_path / "a" / "2.mha")
    assert files_of("a", tmp_path) == ["a/1.mha", "a/2.mha"]


def test_further_files_of_a_series_are_a_warning(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """A subfolder with files of the same series is a warning; one with another series, or named too, is not."""
    socket = sandbox.add_socket(unique("ct"), "DICOM Image Set")
    for name, uid in (("ct", "1.2.3"), ("ct/more/deep", "1.2.3"), ("ct/other", "1.2.4")):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        series(tmp_path / name, 2, SeriesInstanceUID=uid)

    def warnings_of(cell: str) -> list[str]:
        manifest = Manifest((Row(2, "case", cells={socket: cell}),), tmp_path)
        problems = check_manifest(client, manifest, None).problems
        return [str(each) for each in problems if "further files" in str(each)]

    (warning,) = warnings_of("ct")
    assert f"{tmp_path / 'ct' / 'more' / 'deep'}: it has 2 further files of the series" in warning
    assert warnings_of("ct;ct/more/deep") == []


@pytest.mark.parametrize("cell", ["Müller/é.mha", "Müller", "Mü*/*.mha"])
def test_paths_match_files_in_any_unicode_form(cell: str, tmp_path: Path) -> None:
    """A path in NFC finds files that a Mac wrote in NFD, and the other way round."""
    for written, given in (("NFD", "NFC"), ("NFC", "NFD")):
        write_tree(tmp_path / written, {unicodedata.normalize(written, "Müller/é.mha"): "x"})
        (found,) = files_of(unicodedata.normalize(given, cell), tmp_path / written)
        assert found == unicodedata.normalize(written, "Müller/é.mha")


@pytest.mark.skipif(os.sep != "/", reason="backslashes separate folders there")
@pytest.mark.parametrize("cell", ["a\\1.mha", "a\\*.mha"])
def test_backslashes_get_a_hint(cell: str, tmp_path: Path) -> None:
    """A path of Windows is refused with the path as it has to be; a file whose name has a backslash is found."""
    write_tree(tmp_path, {"a/1.mha": "x"})
    with pytest.raises(
        CellError, match=re.escape("Separate folders with /: " + cell.replace("\\", "/"))
    ):
        files_of(cell, tmp_path)
    write_tree(tmp_path, {cell: "x"})
    assert files_of(cell, tmp_path) == [cell]
