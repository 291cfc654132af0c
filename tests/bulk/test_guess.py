"""The guess of a manifest from a folder: columns, targets, and the account of every file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import GuessedManifest, ManifestError, TargetError, guess_manifest
from gcapi.bulk.cells import spec_of_cell
from gcapi.exceptions import ObjectNotFound
from gcapi.models import ComponentInterface
from gcapi_sandbox import Sandbox
from tests.support.audit import recorded_events
from tests.support.data import CaseCollection, add_collection, noise, unique, written
from tests.support.folders import dicom, folder_of_ordinary_user, metaimage, write_tree

#: The audit events of listing a directory and of opening a file.
READS = {"os.listdir", "os.scandir", "open"}


def left_out(guessed: GuessedManifest) -> dict[str, str]:
    """Return why each file is left out."""
    return {entry.path: entry.reason for entry in guessed.left_out}


def files_in_rows(guessed: GuessedManifest) -> set[str]:
    """Return the files that the cells of all rows name."""
    socket = ComponentInterface.from_dict(
        {"pk": 1, "slug": "x", "kind": "Image", "super_kind": "Image", "title": "x"}
        | {"default_value": None, "description": "", "look_up_table": None}
        | {"overlay_segments": None, "relative_path": "x"}
    )
    return {
        path.relative_to(guessed.folder).as_posix()
        for row in guessed.rows
        for cell in row.cells.values()
        for path in spec_of_cell(socket, cell, guessed.folder, "x").paths
    }


# ---------------------------------------------------------------- sockets


def test_columns_are_sockets_by_names(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Files go to the sockets that they, their folders or their labels are called like."""
    ct = sandbox.add_socket(unique("ct"), "DICOM Image Set")
    scan, mask = sandbox.add_socket(unique("scan")), sandbox.add_socket(unique("mask"))
    score = sandbox.add_socket(unique("score"), "Float")
    for case in ("a", "b"):
        names = {f"{ct}/1": dicom(), f"{ct}/2": dicom(), f"{score}.json": "1"}
        images = {f"{scan}.mha": metaimage(), f"{case}_{mask}.mha": metaimage()}
        write_tree(tmp_path / case, {**names, **images})

    manifest = guess_manifest(tmp_path, client)

    assert [row.title for row in manifest.rows] == ["a", "b"]
    assert manifest.rows[0].cells == {
        ct: f"a/{ct}",
        scan: f"a/{scan}.mha",
        mask: f"a/a_{mask}.mha",
        score: f"a/{score}.json",
    }


@pytest.mark.parametrize("kind", ["archive", "study"])
def test_columns_are_those_of_the_target(
    kind: str, sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """The sockets that the cases of a target have come first; columns that no case has are called guesses."""
    used, table = sandbox.add_socket(unique("used")), sandbox.add_socket(unique("t"), "CSV file")
    sandbox.add_socket(unique("other"))
    target: CaseCollection = add_collection(sandbox, client, kind)
    target.filled(target.add(SocketValueSpec(used, file=noise(tmp_path / "there.mha", 8))).pk)
    folder = write_tree(
        tmp_path / "cases", {"p1.mha": metaimage(), f"p1/{table}.csv": "a", "p1/x.mha": metaimage()}
    )
    (folder / "p1.mha").unlink()

    guessed = guess_manifest(folder, client, f"{kind}:{target.slug}")

    (row,) = guessed.rows
    assert row.cells == {used: "p1/x.mha", table: f"p1/{table}.csv"}
    assert guessed.guessed == {table: "no case has it yet, and the name fits"}


def test_what_no_input_takes_is_left_out(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Only the inputs of an algorithm are columns, and other kinds of files are left out."""
    scan, mask = sandbox.add_socket(unique("scan")), sandbox.add_socket(unique("mask"))
    slug = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([scan], [mask])], run=lambda *_: None
    )
    write_tree(tmp_path, {"p1.mha": metaimage(), "p1.pdf": "%PDF-1.7"})
    guessed = guess_manifest(tmp_path, client, f"algorithm:{slug}")
    assert [dict(row.cells) for row in guessed.rows] == [{scan: "p1.mha"}]
    assert left_out(guessed) == {"p1.pdf": "no socket takes a pdf file"}
    assert guessed.guessed == {}


def test_targets_that_cannot_be_used_are_refused(client: Client, tmp_path: Path) -> None:
    """A target that is unknown, of no known form, or cannot be asked is an error, not ignored."""
    write_tree(tmp_path, {"p1.mha": metaimage()})
    with pytest.raises(TargetError, match="Pass a client, or no target"):
        guess_manifest(tmp_path, None, "archive:a")
    with pytest.raises(TargetError, match="is not a target"):
        guess_manifest(tmp_path, client, "challenge:a")
    for target in ("archive:no-such", "study:no-such", "algorithm:no-such"):
        with pytest.raises(ObjectNotFound):
            guess_manifest(tmp_path, client, target)


# ---------------------------------------------------------------- every file


def test_every_file_is_accounted_for(tmp_path: Path) -> None:
    """In a messy folder, each file is in a row or is left out with a reason, and only one of them."""
    outside = write_tree(tmp_path / "outside", {"scan.mha": metaimage()})
    root = write_tree(
        tmp_path / "root",
        {
            **{f"p{number}/scan.mha": metaimage() for number in range(3)},
            **{f"p4/{name}": dicom() for name in ("1.2.3", "1.2.4")},
            **dict.fromkeys((".git/objects/ab", "p1/@eaDir/x", "._p1", "p2/Thumbs.db"), "x"),
            "loose.mha": metaimage(),
            "loose.txt": "x",
            "notes.pdf": "%PDF-1.7",
            "manifest.csv": "title",
            "docs/a.csv": "x",
        },
    )
    (root / "linked").symlink_to(outside)
    (root / "loop").symlink_to(".")
    (root / "p4" / "1.2.5").symlink_to("/no/such/file")
    os.mkfifo(root / "p1" / "pipe.mha")

    guessed = guess_manifest(root)

    assert [row.title for row in guessed.rows] == ["loose", "linked", "p0", "p1", "p2", "p4"]
    assert files_in_rows(guessed) == {
        "linked/scan.mha",
        "loose.mha",
        *(f"p{number}/scan.mha" for number in range(3)),
        # The folder is the value, so that a push says that a file of it cannot be read.
        *(f"p4/1.2.{number}" for number in (3, 4, 5)),
    }
    litter = "it is hidden, or made by a system or a program"
    assert left_out(guessed) == {
        ".git": litter,
        "._p1": litter,
        "p1/@eaDir": litter,
        "p2/Thumbs.db": litter,
        "docs/a.csv": "its folder has no image, and others have",
        "loop": "it links to a folder that is listed already",
        "loose.txt": "no kind of socket takes it",
        "manifest.csv": "it is a manifest",
        "notes.pdf": "there is no image or case of its name",
        "p1/pipe.mha": "it is not a regular file",
        "p4/1.2.5": "it cannot be read: it is a link to /no/such/file, which does not exist",
    }
    assert {entry.path for entry in guessed.left_out if entry.is_litter} == {
        path for path, reason in left_out(guessed).items() if reason == litter
    }


def test_what_cannot_be_read_is_left_out_by_name() -> None:
    """A folder that cannot be listed and a file that cannot be opened do not stop the others."""
    with folder_of_ordinary_user() as folder:
        names = ("p1/a.mha", "p2/a.mha", "p3/a.mha")
        write_tree(folder, dict.fromkeys(names, metaimage()))
        (folder / "p1").chmod(0)
        (folder / "p2" / "a.mha").chmod(0)
        guessed = guess_manifest(folder)
        (folder / "p1").chmod(0o700)
    assert [row.title for row in guessed.rows] == ["p3"]
    reason = "it cannot be read: Permission denied"
    assert left_out(guessed) == {"p1": reason, "p2/a.mha": reason}


def test_names_that_are_not_utf8_are_reported(tmp_path: Path) -> None:
    """Names of other encodings are escaped in the report, and do not stop the other cases."""
    write_tree(tmp_path, {"p1.mha": metaimage(), "p2/1": dicom()})
    image = metaimage().encode()
    for name in (b"caf\xe9.mha", b"b\xfc/scan.mha", b"p2/\xff"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.parent.mkdir(exist_ok=True)
        written(path, dicom() if name.startswith(b"p2") else image)

    guessed = guess_manifest(tmp_path)

    # The files of a series are renamed before they are sent, so its folder can be named.
    assert [dict(row.cells) for row in guessed.rows] == [{"image": "p1.mha"}, {"dicom": "p2"}]
    reason = "its name is not UTF-8: rename it"
    assert left_out(guessed) == {r"b\xfc/scan.mha": reason, r"caf\xe9.mha": reason}


def test_nothing_to_guess(tmp_path: Path) -> None:
    """A folder without a case is an error, which says what was left out."""
    with pytest.raises(ManifestError, match="there are no files"):
        guess_manifest(tmp_path)
    written(tmp_path / "notes.txt", "x")
    with pytest.raises(ManifestError, match=r"left out: notes\.txt \(no kind of socket takes it\)"):
        guess_manifest(tmp_path)


@pytest.mark.parametrize("name", ["  ", "slice%q.raw 1 2 1", "slice%d.raw 1 999999999999 1"])
def test_header_with_wrong_data_files(tmp_path: Path, name: str) -> None:
    """A header whose data files cannot be found is an image, so that its check says what is wrong with it."""
    write_tree(tmp_path, {"a.mhd": metaimage(name)})
    assert [row.cells for row in guess_manifest(tmp_path).rows] == [{"image": "a.mhd"}]


def test_each_file_is_read_once(tmp_path: Path) -> None:
    """The number of reads grows in proportion to the number of pairs of header and data in a folder."""
    counts = []
    for pairs in (5, 50):
        folder = tmp_path / str(pairs)
        for index in range(pairs):
            names = (f"{index:04}.mhd", f"{index:04}.raw")
            write_tree(folder, {names[0]: metaimage(names[1]), names[1]: "abcd"})
        with recorded_events() as events:
            assert len(guess_manifest(folder).rows) == pairs
        counts.append(len([event for event, _ in events if event in READS]))
    assert counts[1] - counts[0] == 2 * 45
