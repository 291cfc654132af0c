"""Pushing again after a refusal or a lost response: nothing is sent or made twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi.bulk import (
    Row,
    push,
    write_manifest,
)
from gcapi_sandbox import Rule, Sandbox
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    add_collection,
    found,
    series,
    unique,
    value_of,
)
from tests.support.lost_responses import (
    ACTED_CUT,
    CHANGE,
    CREATION,
    CUT,
    REFUSED,
    faulty,
    in_turn,
)
from tests.support.push import (
    Sockets,
    check_cases,
    parts_sent,
    pushed,
    told,
    write_cases,
)

COMPLETION = ("*/complete-multipart-upload/",)
JOBS = ("*/algorithms/jobs/",)


# ---------------------------------------------------------------- what is uploaded already


def test_what_is_uploaded_is_not_sent_again(
    collection: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """Uploads of a run that could not create its cases are used by the next run, which sends no bytes."""
    manifest = write_cases(tmp_path, push_sockets, 3)
    with faulty(collection.sandbox, *in_turn("POST", CREATION, *[REFUSED] * 3)) as client:
        assert told(pushed(collection, manifest, client=client)) == (0, 0, 3, 0)
        collection.sandbox.requests.clear()
        assert told(pushed(collection, manifest, client=client)) == (3, 0, 0, 0)

    assert parts_sent(collection.sandbox) == {}
    assert found(collection.sandbox, "POST", "/uploads/$") == []
    check_cases(collection, push_sockets, 3)


def test_uploads_that_are_gone_are_made_anew(
    empty_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """An upload that was used elsewhere is replaced, and the others are used."""
    manifest = write_cases(tmp_path, push_sockets, 2)
    with faulty(empty_archive.sandbox, *in_turn("POST", CREATION, *[REFUSED] * 2)) as client:
        pushed(empty_archive, manifest, client=client)
        use_up_one(empty_archive)
        empty_archive.sandbox.requests.clear()
        assert told(pushed(empty_archive, manifest, client=client)) == (2, 0, 0, 0)

    assert len(parts_sent(empty_archive.sandbox)) == 1
    check_cases(empty_archive, push_sockets, 2)


def use_up_one(collection: CaseCollection) -> None:
    """Use one of the uploads for another case."""
    upload, *_ = [
        each for each in collection.client.uploads.iterate_all() if each.filename == "1.csv"
    ]
    slug = collection.sandbox.add_socket(unique("other"), "CSV file")
    other = add_collection(collection.sandbox, collection.client, "archive").add()
    values = [{"interface": slug, "user_upload": upload.api_url}]
    collection.client.archive_items.partial_update(other.pk, values=values)
    collection.sandbox.wait_idle(DEADLINE)


def test_an_image_set_that_is_there_in_part_is_uploaded_as_a_whole(
    empty_archive: CaseCollection, tmp_path: Path
) -> None:
    """Files of two de-identifications are never mixed: an incomplete series is uploaded again as a whole."""
    slug = empty_archive.sandbox.add_socket(unique("dicom"), "DICOM Image Set")
    (tmp_path / "ct").mkdir()
    series(tmp_path / "ct")
    manifest = tmp_path / "m.csv"
    write_manifest(manifest, [Row(0, "CT", None, {slug: "ct"})])
    with faulty(empty_archive.sandbox, *in_turn("PATCH", COMPLETION, REFUSED)) as client:
        assert told(pushed(empty_archive, manifest, client=client)) == (0, 0, 1, 0)
        report = pushed(empty_archive, manifest, client=client, wait=True, timeout=DEADLINE)

    assert told(report) == (1, 0, 0, 0)
    assert report.is_complete
    (case,) = empty_archive.all()
    image = empty_archive.client.images.detail(api_url=value_of(case, slug).image)
    assert (image.name, bool(image.dicom_image_set)) == ("CT", True)


# ---------------------------------------------------------------- lost answers


@pytest.mark.parametrize(
    ("method", "paths", "failure"),
    [
        ("POST", CREATION, ACTED_CUT),
        ("POST", CREATION, CUT),
        ("PATCH", CHANGE, ACTED_CUT),
        ("PATCH", CHANGE, CUT),
        ("POST", ("*/uploads/",), CUT),
        ("PATCH", COMPLETION, ACTED_CUT),
    ],
    ids=["created", "not created", "filled", "not filled", "upload", "completed"],
)
def test_a_lost_answer_makes_nothing_twice(
    collection: CaseCollection,
    push_sockets: Sockets,
    tmp_path: Path,
    method: str,
    paths: tuple[str, ...],
    failure: Rule,
) -> None:
    """Whichever response is lost, every case exists once and is complete after this run or the next."""
    manifest = write_cases(tmp_path, push_sockets, 2)
    with faulty(collection.sandbox, *in_turn(method, paths, failure)) as client:
        pushed(collection, manifest, client=client)
        report = pushed(collection, manifest, client=client)
        assert sum(collection.sandbox.struck) == 1
    assert told(report)[2:] == (0, 0)
    check_cases(collection, push_sockets, 2)


def test_a_job_that_nobody_can_tell_about_is_reported(sandbox: Sandbox, tmp_path: Path) -> None:
    """A job whose request may have been carried out is looked for by every run, and not requested again."""
    value = sandbox.add_socket(unique("value"), "Anything")
    algorithm = sandbox.add_algorithm(unique("a"), interfaces=[([value], [])], run=lambda *_: None)
    manifest, journal = tmp_path / "m.jsonl", tmp_path / "j"
    write_manifest(manifest, [Row(0, "", None, {value: {"number": 1}})])
    # Three reads before the start; then each of two runs looks once.
    looks = in_turn("GET", JOBS, REFUSED, REFUSED, skip=3)
    with faulty(sandbox, *in_turn("POST", JOBS, ACTED_CUT), *looks) as cut:
        for _ in range(2):
            report = push(cut, manifest, f"algorithm:{algorithm}", journal=journal)
            assert told(report) == (0, 0, 0, 1)
            assert "was lost" in str(report.ambiguous[0])
        assert told(push(cut, manifest, f"algorithm:{algorithm}", journal=journal)) == (0, 1, 0, 0)
    assert len(found(sandbox, "POST", "/algorithms/jobs/$")) == 1
