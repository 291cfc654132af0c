"""The index of a pulled folder: lost, damaged, or on a disk that cannot be written."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import PulledFolderError, pull, verify
from gcapi.bulk._pull.case_folders import INDEX
from gcapi.bulk._pull.json_lines import JsonLinesFile
from gcapi.cli.error_reports import exit_code_of
from gcapi.cli.exit_codes import TEMPORARY
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE
from tests.support.programs.cli_program import VARIABLE, Program
from tests.support.pull import (
    Sockets,
    add_archive,
    archive_items,
    change_number,
    contents,
)


@pytest.fixture
def ready(
    capsys: pytest.CaptureFixture[str], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> Program:
    """Return the program, set up for a user of the sandbox."""
    monkeypatch.setenv("GCAPI_BASE_URL", sandbox.base_url)
    monkeypatch.setenv(VARIABLE, sandbox.token)
    return Program(capsys)


@pytest.mark.parametrize("existing", ["skip", "verify"])
def test_without_an_index(client: Client, archive: str, home: Path, existing: str) -> None:
    """Without an index, files are compared with the store and not downloaded if they are equal."""
    pull(client, f"archive:{archive}", home)
    before = contents(home), (home / "manifest.csv").read_bytes()
    (home / INDEX).unlink()
    changed = next(home.rglob("*.mha"))
    kept = changed.read_bytes()
    if existing == "verify":
        changed.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    report = pull(client, f"archive:{archive}", home, existing=existing)
    assert report.files == (existing == "verify")
    assert (contents(home), (home / "manifest.csv").read_bytes()) == before


def test_a_file_that_nothing_is_recorded_of(
    sandbox: Sandbox, client: Client, sockets: Sockets, small: str, home: Path, tmp_path: Path
) -> None:
    """With "skip", a file without a record that differs from the server's fails its case, and is left unchanged."""
    pull(client, f"archive:{small}", home)
    (home / INDEX).unlink()
    table = tmp_path / "new.csv"
    table.write_text("new")
    client.update_archive_item(
        archive_item_pk=archive_items(client, small)["case-0"].pk,
        values=[SocketValueSpec(sockets.table, file=table)],
    )
    change_number(client, sockets, small, "case-1", 99.5)
    sandbox.wait_idle(DEADLINE)
    before = contents(home)
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert sorted(failure.title for failure in report.failed) == ["case-0", "case-1"]
    assert {type(failure.error) for failure in report.failed} == {FileExistsError}
    assert "case-0" in str(min(report.failed, key=str))
    assert contents(home) == before
    verified = pull(client, f"archive:{small}", home, existing="verify")
    assert (verified.files, verified.failed, verify(home)) == (2, [], [])


def test_an_empty_file_is_verified(
    sandbox: Sandbox, client: Client, sockets: Sockets, home: Path, tmp_path: Path
) -> None:
    """An empty file is verified like any other."""
    empty = tmp_path / "empty.csv"
    empty.touch()
    cases = {"case": [SocketValueSpec(sockets.table, file=empty)]}
    slug = add_archive(sandbox, client, cases, inspect="off")
    assert pull(client, f"archive:{slug}", home).files == 1
    (home / INDEX).unlink()
    assert pull(client, f"archive:{slug}", home, existing="verify").files == 0
    (home / next(iter(contents(home)))).write_text("x")
    assert pull(client, f"archive:{slug}", home, existing="verify").files == 1
    assert verify(home) == []


def test_an_incomplete_last_line_is_ignored(client: Client, small: str, home: Path) -> None:
    """A line that a killed pull did not finish is removed, and its case is read again."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    index = home / INDEX
    index.write_bytes(index.read_bytes()[:-7])
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert (report.cases, report.files, contents(home), verify(home)) == (2, 0, before, [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"values"', b"values"),
        (b'"values":', b'"values":7,"other":'),
        (b'"mtime"', b'"time"'),
        (b'"folder"', b'"place"'),
        (b'"source"', b'"target"'),
        (b"{", b"\xff\x00["),
    ],
)
def test_a_damaged_index_is_named(
    client: Client, small: str, home: Path, old: bytes, new: bytes
) -> None:
    """A damaged index is an error that names the file and what restores it without a download."""
    pull(client, f"archive:{small}", home)
    index = home / INDEX
    good = index.read_bytes()
    index.write_bytes(good.replace(old, new, 1))
    with pytest.raises(PulledFolderError, match=r"gcapi-pull\.jsonl .*Move it away"):
        pull(client, f"archive:{small}", home, existing="skip")
    index.unlink()
    assert pull(client, f"archive:{small}", home, existing="verify").files == 0
    assert verify(home) == []


def test_a_directory_in_the_place_of_the_index(ready: Program, small: str, home: Path) -> None:
    """The command line names the file and what to do, and does not speak of a bug in gcapi."""
    (home / INDEX).mkdir(parents=True)
    run = ready("pull", f"archive:{small}", home, "--existing", "skip")
    assert (run.code, run.out) == (4, "")
    assert f"{home / INDEX} cannot be used: Is a directory. Move it away" in run.err
    assert "pull again" in run.err


def test_a_file_in_the_place_of_the_folder(client: Client, small: str, home: Path) -> None:
    """A folder that cannot be created is an error that names it."""
    home.write_text("")
    with pytest.raises(PulledFolderError, match=r"File exists|Not a directory"):
        pull(client, f"archive:{small}", home, existing="skip")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device here")
def test_a_full_disk_is_named() -> None:
    """A full disk is an error that names the file and says to free space, whether or not it is closed afterwards."""
    file = JsonLinesFile(Path("/dev/full"))
    with pytest.raises(PulledFolderError, match=r"/dev/full .*No space left on device\. Free some"):
        file.append({"pk": "1"})
    file.close()


@pytest.mark.skipif(
    os.name != "posix" or os.geteuid() == 0, reason="the superuser can write everywhere"
)
def test_a_read_only_index_is_named(client: Client, small: str, home: Path) -> None:
    """An index that cannot be written is named before anything is downloaded."""
    pull(client, f"archive:{small}", home)
    (home / INDEX).chmod(0o400)
    with pytest.raises(
        PulledFolderError, match=r"Permission denied\. Make it readable and writable"
    ):
        pull(client, f"archive:{small}", home, existing="skip")


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("manifest.csv", "sha256:", "sha256:no-such-"),
        ("manifest.csv", '"{""', '"{'),
        ("answers.jsonl", "", "{"),
        ("answers.jsonl", "", "{}\n"),
    ],
)
def test_damaged_notes_are_named(
    client: Client, small: str, home: Path, name: str, old: str, new: str
) -> None:
    """`verify` names a manifest or answers that it cannot understand, and what to do."""
    pull(client, f"archive:{small}", home)
    path = home / name
    text = path.read_text() if path.exists() else ""
    path.write_text(text.replace(old, new) if old else new)
    with pytest.raises(PulledFolderError, match=rf"{name} .*Move it away"):
        verify(home)


def test_an_index_of_another_format_is_named(client: Client, small: str, home: Path) -> None:
    """An index of another version of gcapi is an error that says so, and one without a format is read."""
    pull(client, f"archive:{small}", home)
    index = home / INDEX
    good = index.read_bytes()
    assert good.startswith(b'{"format":1,')
    index.write_bytes(good.replace(b'"format":1,', b'"format":2,', 1))
    with pytest.raises(PulledFolderError, match="another version of gcapi"):
        pull(client, f"archive:{small}", home, existing="skip")
    index.write_bytes(good.replace(b'"format":1,', b"", 1))
    assert pull(client, f"archive:{small}", home, existing="skip").files == 0


def test_a_full_disk_has_the_exit_code_of_a_passing_failure() -> None:
    """A full disk ends a command with exit code 5, whichever file it hit."""
    full = OSError(errno.ENOSPC, "No space left on device", "case.mha")
    error = PulledFolderError("The index cannot be written.")
    error.__cause__ = full
    assert {exit_code_of(full), exit_code_of(error)} == {TEMPORARY}
