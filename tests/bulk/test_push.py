"""Pushing manifests: what is created, what is left alone, and what a second run does."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import (
    JournalError,
    PushProgress,
    Row,
    plan_push,
    push,
    write_manifest,
)
from gcapi.exceptions import ImportFailed, ObjectNotFound, ProgressWarning
from gcapi_sandbox import Rule, Sandbox
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    add_collection,
    content_of,
    found,
    noise,
    nothing_written,
    series,
    unique,
    value_of,
    written,
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
    content,
    make_sockets,
    parts_sent,
    pushed,
    read_csv,
    start_push,
    target,
    told,
    write_cases,
)

COMPLETION = ("*/complete-multipart-upload/",)
JOBS = ("*/algorithms/jobs/",)


@pytest.fixture(params=["archive", "reader study"])
def collection(request: pytest.FixtureRequest, sandbox: Sandbox, client: Client) -> CaseCollection:
    """Return an archive, and then a reader study."""
    return add_collection(sandbox, client, request.param)


@pytest.fixture
def archive(sandbox: Sandbox, client: Client) -> CaseCollection:
    """Return an archive."""
    return add_collection(sandbox, client, "archive")


@pytest.fixture
def sockets(sandbox: Sandbox) -> Sockets:
    """Add the sockets of a case of one value and one file."""
    return make_sockets(sandbox)


# ---------------------------------------------------------------- once, and again


def test_every_row_becomes_a_case(
    collection: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """Each row becomes one case with its values; a second run lists the titles and writes nothing."""
    manifest = write_cases(tmp_path, sockets, 5)
    events: list[PushProgress] = []

    report = pushed(collection, manifest, progress=events.append, wait=True, timeout=DEADLINE)

    assert told(report) == (5, 0, 0, 0)
    assert report.is_complete
    assert [(each.how, each.ended, each.total) for each in events] == [
        ("done", number, 5) for number in range(1, 6)
    ]
    check_cases(collection, sockets, 5)
    with nothing_written(collection.sandbox):
        again = pushed(collection, manifest, wait=True)
    assert told(again) == (0, 5, 0, 0)
    assert len(collection.sandbox.requests) <= 3


def test_the_order_of_display_sets(
    sandbox: Sandbox, client: Client, sockets: Sockets, tmp_path: Path
) -> None:
    """Each display set has the order of its row."""
    collection = add_collection(sandbox, client, "reader study")
    path = tmp_path / "m.jsonl"
    orders = {"c": 30, "a": 10, "b": 20}
    write_manifest(
        path, [Row(0, title, order, {sockets.value: [1]}) for title, order in orders.items()]
    )

    assert told(pushed(collection, path)) == (3, 0, 0, 0)

    assert [(case.title, case.order) for case in collection.all()] == [
        ("a", 10),
        ("b", 20),
        ("c", 30),
    ]


def test_a_row_without_a_title_is_known_by_its_fingerprint(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """A row without a title gets a generated one, by which a run with another journal finds its case."""
    manifest = write_cases(tmp_path, sockets, 3, titled=False)
    assert told(pushed(archive, manifest)) == (3, 0, 0, 0)
    archive.sandbox.wait_idle(DEADLINE)
    titles = {case.title for case in archive.all()}
    assert len(titles) == 3
    assert all(title.startswith("gcapi-") and len(title) == 22 for title in titles)

    manifest.with_suffix(".db").unlink()
    with nothing_written(archive.sandbox):
        assert told(pushed(archive, manifest)) == (0, 3, 0, 0)


def test_rows_that_fail_come_back_as_a_manifest(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """Rows that fail do not stop the others, are written to a manifest with the reasons, and succeed once corrected."""
    manifest = write_cases(tmp_path, sockets, 4)
    rows = manifest.read_text().replace("1.csv", "later.csv").replace("case 00003", "case 00002")
    manifest.write_text(rows)

    report = pushed(archive, manifest)

    assert told(report) == (2, 0, 2, 0)
    path = report.failed_manifest()
    assert path == tmp_path / "manifest.failed.csv"
    first, second = read_csv(path)
    assert "cannot be read: No such file" in first["gc:error"]
    assert second["gc:error"].startswith("line 4 has the title 'case 00002' already")
    assert first[sockets.file] == "later.csv"

    written(tmp_path / "later.csv", content(1))
    path.write_text(path.read_text().replace("case 00002", "case 00003"))
    assert told(pushed(archive, path)) == (2, 0, 0, 0)
    check_cases(archive, sockets, 4)


def test_a_dry_run_tells_and_writes_nothing(
    collection: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """A dry run reports what would happen to each row, with files and bytes, and writes nothing to the server."""
    manifest = write_cases(tmp_path, sockets, 4)
    number = SocketValueSpec(sockets.value, value={"case": 1})
    collection.add(number, title="case 00001")
    collection.filled(
        collection.add(number, SocketValueSpec(sockets.file, value="x"), title="case 00002").pk
    )
    (tmp_path / "3.csv").unlink()

    with nothing_written(collection.sandbox):
        plan = plan_push(collection.client, manifest, target(collection), journal=tmp_path / "j")

    assert [(row.what, row.files, row.size) for row in plan] == [
        ("make", 1, len(content(0))),
        ("take", 1, len(content(1))),
        ("nothing", 0, 0),
        ("fail", 0, 0),
    ]
    assert "cannot be read: No such file" in plan[3].note


# ---------------------------------------------------------------- cases that are there


def test_cases_that_are_there(collection: CaseCollection, sockets: Sockets, tmp_path: Path) -> None:
    """`skip` keeps complete cases and fills missing values, `error` fails the row, and `update` changes the case."""
    manifest = write_cases(tmp_path, sockets, 2)
    other = SocketValueSpec(sockets.value, value="other")
    collection.filled(
        collection.add(other, SocketValueSpec(sockets.file, value="x"), title="case 00000").pk
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
    assert [value_of(case, sockets.value).value for case in (first, second)] == ["other"] * 2
    assert content_of(collection.client, value_of(first, sockets.file)) == b"x"
    assert content_of(collection.client, value_of(second, sockets.file)) == content(1)

    manifest.with_suffix(".db").unlink()
    assert told(pushed(collection, manifest, existing="update")) == (2, 0, 0, 0)
    check_cases(collection, sockets, 2)


def test_a_changed_file_is_told_and_can_be_brought_up(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """A row whose file changed after it was pushed is skipped with a note, or pushed again with `update`."""
    manifest = write_cases(tmp_path, sockets, 2)
    pushed(archive, manifest, wait=True, timeout=DEADLINE)
    written(tmp_path / "1.csv", "changed")

    with nothing_written(archive.sandbox):
        report = pushed(archive, manifest)
    assert [each.note for each in report.skipped if "changed" in each.note] == [
        "its values, files or order have changed since it was pushed; existing='update' brings the case up to date"
    ]

    assert told(pushed(archive, manifest, existing="update")) == (1, 1, 0, 0)
    archive.sandbox.wait_idle(DEADLINE)
    (case,) = [case for case in archive.all() if case.title == "case 00001"]
    assert content_of(archive.client, value_of(case, sockets.file)) == b"changed"


def test_a_value_that_is_changed_back_is_sent(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """A row that returns to an earlier value is pushed again."""
    manifest = tmp_path / "m.jsonl"
    for value in (1, 2, 1):
        write_manifest(manifest, [Row(0, "case", None, {sockets.value: value})])
        assert told(pushed(archive, manifest, existing="update")) == (1, 0, 0, 0)
        (case,) = archive.all()
        assert value_of(case, sockets.value).value == value


def test_a_wrong_policy_is_refused(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """An unknown policy for existing cases is refused before anything is read."""
    with pytest.raises(ValueError, match="'error', 'skip' or 'update'"):
        pushed(archive, write_cases(tmp_path, sockets, 1), existing="overwrite")


def test_no_target_is_told_with_near_names(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """A target that does not exist ends the push at once."""
    manifest = write_cases(tmp_path, sockets, 1)
    with pytest.raises(ObjectNotFound, match="Did you mean"):
        push(archive.client, manifest, f"archive:{archive.slug}x", journal=tmp_path / "j")


# ---------------------------------------------------------------- what is uploaded already


def test_what_is_uploaded_is_not_sent_again(
    collection: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """Uploads of a run that could not create its cases are used by the next run, which sends no bytes."""
    manifest = write_cases(tmp_path, sockets, 3)
    with faulty(collection.sandbox, *in_turn("POST", CREATION, *[REFUSED] * 3)) as client:
        assert told(pushed(collection, manifest, client=client)) == (0, 0, 3, 0)
        collection.sandbox.requests.clear()
        assert told(pushed(collection, manifest, client=client)) == (3, 0, 0, 0)

    assert parts_sent(collection.sandbox) == {}
    assert found(collection.sandbox, "POST", "/uploads/$") == []
    check_cases(collection, sockets, 3)


def test_uploads_that_are_gone_are_made_anew(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """An upload that was used elsewhere is replaced, and the others are used."""
    manifest = write_cases(tmp_path, sockets, 2)
    with faulty(archive.sandbox, *in_turn("POST", CREATION, *[REFUSED] * 2)) as client:
        pushed(archive, manifest, client=client)
        use_up_one(archive)
        archive.sandbox.requests.clear()
        assert told(pushed(archive, manifest, client=client)) == (2, 0, 0, 0)

    assert len(parts_sent(archive.sandbox)) == 1
    check_cases(archive, sockets, 2)


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
    archive: CaseCollection, tmp_path: Path
) -> None:
    """Files of two de-identifications are never mixed: an incomplete series is uploaded again as a whole."""
    slug = archive.sandbox.add_socket(unique("dicom"), "DICOM Image Set")
    (tmp_path / "ct").mkdir()
    series(tmp_path / "ct")
    manifest = tmp_path / "m.csv"
    write_manifest(manifest, [Row(0, "CT", None, {slug: "ct"})])
    with faulty(archive.sandbox, *in_turn("PATCH", COMPLETION, REFUSED)) as client:
        assert told(pushed(archive, manifest, client=client)) == (0, 0, 1, 0)
        report = pushed(archive, manifest, client=client, wait=True, timeout=DEADLINE)

    assert told(report) == (1, 0, 0, 0)
    assert report.is_complete
    (case,) = archive.all()
    image = archive.client.images.detail(api_url=value_of(case, slug).image)
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
    sockets: Sockets,
    tmp_path: Path,
    method: str,
    paths: tuple[str, ...],
    failure: Rule,
) -> None:
    """Whichever response is lost, every case exists once and is complete after this run or the next."""
    manifest = write_cases(tmp_path, sockets, 2)
    with faulty(collection.sandbox, *in_turn(method, paths, failure)) as client:
        pushed(collection, manifest, client=client)
        report = pushed(collection, manifest, client=client)
        assert sum(collection.sandbox.struck) == 1
    assert told(report)[2:] == (0, 0)
    check_cases(collection, sockets, 2)


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


# ---------------------------------------------------------------- waiting


def test_an_import_that_fails_is_told_beside_the_file(
    archive: CaseCollection, tmp_path: Path
) -> None:
    """A failed import is reported with the local file and the server's reason; with a good file, a re-run succeeds."""
    slug = archive.sandbox.add_socket(unique("image"))
    written(tmp_path / "broken.mha", "no image at all")
    written(tmp_path / "readme.txt", "text")
    for name in ("good", "two", "part"):
        noise(tmp_path / f"{name}.mha")
    cells = {
        "broken": "broken.mha",
        "two": "two.mha;good.mha",
        "part": "part.mha;readme.txt",
        "good": "good.mha",
    }
    manifest = tmp_path / "m.csv"
    write_manifest(manifest, [Row(0, name, None, {slug: cell}) for name, cell in cells.items()])

    pushed(archive, manifest, inspect="off")
    archive.sandbox.wait_idle(
        DEADLINE
    )  # an import that ended before anyone waited is explained too
    report = pushed(archive, manifest, wait=True, timeout=DEADLINE, inspect="off")

    notes = {each.row.title: each.note for each in report.skipped}
    assert notes.keys() == {"good", "part"}
    assert "1 file could not be imported (part.mha, readme.txt)" in notes["part"]
    failures = {each.row.title: each for each in report.failed}
    assert all(isinstance(each.error, ImportFailed) for each in failures.values())
    for title, file, words in (
        ("broken", "broken.mha", "1 file could not be imported"),
        ("two", "two.mha, good.mha", "should result in a single image"),
    ):
        assert file in str(failures[title])
        assert words in str(failures[title])

    noise(tmp_path / "broken.mha")
    write_manifest(manifest, [Row(0, "broken", None, {slug: "broken.mha"})])
    assert told(pushed(archive, manifest, wait=True, timeout=DEADLINE)) == (1, 0, 0, 0)
    assert {case.title for case in archive.all() if case.values} == {"good", "part", "broken"}


def test_what_has_not_come_in_time_is_told(archive: CaseCollection, tmp_path: Path) -> None:
    """Rows whose values were not imported in time are reported as waiting, and are complete in a later run."""
    slug = archive.sandbox.add_socket(unique("image"))
    noise(tmp_path / "a.mha")
    manifest = tmp_path / "m.csv"
    write_manifest(manifest, [Row(0, "a", None, {slug: "a.mha"})])
    with archive.sandbox.hold_background():
        report = pushed(archive, manifest, wait=True, timeout=0.3)
    assert (report.done, report.is_complete) == ([], False)
    assert "a.mha" in str(report.waiting[0])
    assert told(pushed(archive, manifest, wait=True, timeout=DEADLINE)) == (0, 1, 0, 0)


# ---------------------------------------------------------------- jobs


def test_every_row_becomes_a_job(
    sandbox: Sandbox, client: Client, sockets: Sockets, tmp_path: Path
) -> None:
    """Each row becomes one job that is waited for; a second run starts none."""
    output = sandbox.add_socket(unique("output"), "Anything")

    def run(inputs: Path, outputs: Path) -> None:
        case = json.loads((inputs / f"{sockets.value}.json").read_text())["case"]
        if case == 1:
            raise ValueError(case)
        (outputs / f"{output}.json").write_text(json.dumps(case))

    interfaces = [([sockets.value, sockets.file], [output])]
    algorithm = sandbox.add_algorithm(unique("algorithm"), interfaces=interfaces, run=run)
    manifest = write_cases(tmp_path, sockets, 3)
    options: Any = {"journal": tmp_path / "j", "wait": True, "timeout": DEADLINE}

    report = push(client, manifest, f"algorithm:{algorithm}", **options)

    assert told(report) == (2, 0, 1, 0)
    assert "ended as 'Failed'" in str(report.failed[0])
    results = {
        value_of_output.value
        for each in report.done
        for value_of_output in client.algorithm_jobs.detail(pk=each.pk).outputs
    }
    assert results == {0, 2}
    sandbox.requests.clear()
    again = push(client, manifest, f"algorithm:{algorithm}", **options)
    assert told(again) == (0, 2, 1, 0)
    assert found(sandbox, "POST", "/algorithms/jobs/$") == []


def test_failing_listener_harms_no_push(
    collection: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """A progress listener that fails causes one warning, and all rows are pushed."""

    def listen(_: PushProgress) -> None:
        raise ZeroDivisionError

    with pytest.warns(ProgressWarning, match="ZeroDivisionError") as caught:
        report = pushed(collection, write_cases(tmp_path, sockets, 3), progress=listen)
    assert (len(caught), told(report)) == (1, (3, 0, 0, 0))


# ---------------------------------------------------------------- the journal


def test_one_push_of_a_manifest_at_a_time(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """A second push to the same target is refused while the first has the journal open."""
    manifest = write_cases(tmp_path, sockets, 1)
    refusals = []

    def second(_: PushProgress) -> None:
        with pytest.raises(JournalError, match="Another push to this target") as refused:
            pushed(archive, manifest)
        refusals.append(refused)

    pushed(archive, manifest, progress=second)
    assert len(refusals) == 1


def test_a_journal_is_of_one_target_and_holds_no_token(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default journal is in the state directory and named after its target; that of another target is refused."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    manifest = write_cases(tmp_path, sockets, 1)
    report = push(archive.client, manifest, target(archive))

    (path,) = (tmp_path / "state").rglob("*.sqlite3")
    assert report.journal == path
    assert path.name.startswith(f"archive-{archive.slug}-")
    assert all(
        archive.sandbox.token.encode() not in each.read_bytes() for each in path.parent.iterdir()
    )
    other = archive.sandbox.add_archive(unique("other"))
    with pytest.raises(JournalError, match="Choose another file"):
        push(archive.client, manifest, f"archive:{other}", journal=path)
    path.write_bytes(b"no database" * 100)
    with pytest.raises(JournalError, match="is not a journal, or is damaged"):
        push(archive.client, manifest, target(archive))


def test_an_interrupted_push_says_how_to_go_on(
    archive: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """After Ctrl-C the program ends at once and says to run the same command again, which continues."""
    manifest = write_cases(tmp_path, sockets, 30)
    archive.sandbox.requests.clear()
    process = start_push(archive.sandbox, manifest, target(archive), tmp_path / "j")
    end = time.monotonic() + DEADLINE
    while not found(archive.sandbox, "PATCH", r"/archives/items/[^/]+/$"):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)

    assert "KeyboardInterrupt" in errors
    assert "Run the same command again" in errors
    report = push(archive.client, manifest, target(archive), journal=tmp_path / "j")
    assert told(report)[2:] == (0, 0)
    check_cases(archive, sockets, 30)
    assert max(parts_sent(archive.sandbox).values()) == 1
