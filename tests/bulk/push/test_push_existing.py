"""Pushing to cases that exist: they are left alone, filled in, changed or refused, and a wrong target or policy is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi import SocketValueSpec
from gcapi.bulk import (
    Row,
    push,
    write_manifest,
)
from gcapi.exceptions import ObjectNotFound
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    content_of,
    nothing_written,
    value_of,
    written,
)
from tests.support.push import (
    Sockets,
    check_cases,
    content,
    pushed,
    told,
    write_cases,
)


def test_cases_that_are_there(
    collection: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """`skip` keeps complete cases and fills missing values, `error` fails the row, and `update` changes the case."""
    manifest = write_cases(tmp_path, push_sockets, 2)
    other = SocketValueSpec(push_sockets.value, value="other")
    collection.filled(
        collection.add(other, SocketValueSpec(push_sockets.file, value="x"), title="case 00000").pk
    )
    collection.add(other, title="case 00001")

    with nothing_written(collection.sandbox):
        report = pushed(collection, manifest, existing="error")
    assert told(report) == (0, 0, 2, 0)

    report = pushed(collection, manifest, existing="skip")
    assert told(report) == (1, 1, 0, 0)
    assert report.done[0].note == "it was there already; what it lacked was filled in"
    collection.sandbox.wait_idle(DEADLINE)
    first, second = sorted(collection.all(), key=lambda case: case.title)
    assert [value_of(case, push_sockets.value).value for case in (first, second)] == ["other"] * 2
    assert content_of(collection.client, value_of(first, push_sockets.file)) == b"x"
    assert content_of(collection.client, value_of(second, push_sockets.file)) == content(1)

    manifest.with_suffix(".db").unlink()
    assert told(pushed(collection, manifest, existing="update")) == (2, 0, 0, 0)
    check_cases(collection, push_sockets, 2)


def test_a_changed_file_is_told_and_can_be_brought_up(
    empty_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """A row whose file changed after it was pushed is skipped with a note, or pushed again with `update`."""
    manifest = write_cases(tmp_path, push_sockets, 2)
    pushed(empty_archive, manifest, wait=True, timeout=DEADLINE)
    written(tmp_path / "1.csv", "changed")

    with nothing_written(empty_archive.sandbox):
        report = pushed(empty_archive, manifest)
    assert [each.note for each in report.skipped if "changed" in each.note] == [
        "its values, files or order have changed since it was pushed; existing='update' brings the case up to date"
    ]

    assert told(pushed(empty_archive, manifest, existing="update")) == (1, 1, 0, 0)
    empty_archive.sandbox.wait_idle(DEADLINE)
    (case,) = [case for case in empty_archive.all() if case.title == "case 00001"]
    assert content_of(empty_archive.client, value_of(case, push_sockets.file)) == b"changed"


def test_a_value_that_is_changed_back_is_sent(
    empty_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """A row that returns to an earlier value is pushed again."""
    manifest = tmp_path / "m.jsonl"
    for value in (1, 2, 1):
        write_manifest(manifest, [Row(0, "case", None, {push_sockets.value: value})])
        assert told(pushed(empty_archive, manifest, existing="update")) == (1, 0, 0, 0)
        (case,) = empty_archive.all()
        assert value_of(case, push_sockets.value).value == value


def test_a_wrong_policy_is_refused(
    empty_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """An unknown policy for existing cases is refused before anything is read."""
    with pytest.raises(ValueError, match="'error', 'skip' or 'update'"):
        pushed(empty_archive, write_cases(tmp_path, push_sockets, 1), existing="overwrite")


def test_no_target_is_told_with_near_names(
    empty_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """A target that does not exist ends the push at once."""
    manifest = write_cases(tmp_path, push_sockets, 1)
    with pytest.raises(ObjectNotFound, match="Did you mean"):
        push(
            empty_archive.client, manifest, f"archive:{empty_archive.slug}x", journal=tmp_path / "j"
        )
