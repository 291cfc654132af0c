"""Pushing manifests: what is created, what a second run does, and what is waited for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import (
    PushProgress,
    Row,
    plan_push,
    push,
    write_manifest,
)
from gcapi.exceptions import ImportFailed, ProgressWarning
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    add_collection,
    found,
    noise,
    nothing_written,
    unique,
    written,
)
from tests.support.push import (
    Sockets,
    check_cases,
    content,
    pushed,
    read_csv,
    target,
    told,
    write_cases,
)

# ---------------------------------------------------------------- once, and again


def test_every_row_becomes_a_case(
    collection: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """Each row becomes one case with its values; a second run lists the titles and writes nothing."""
    manifest = write_cases(tmp_path, push_sockets, 5)
    events: list[PushProgress] = []

    report = pushed(collection, manifest, progress=events.append, wait=True, timeout=DEADLINE)

    assert told(report) == (5, 0, 0, 0)
    assert report.is_complete
    assert [(each.how, each.ended, each.total) for each in events] == [
        ("done", number, 5) for number in range(1, 6)
    ]
    check_cases(collection, push_sockets, 5)
    with nothing_written(collection.sandbox):
        again = pushed(collection, manifest, wait=True)
    assert told(again) == (0, 5, 0, 0)
    assert len(collection.sandbox.requests) <= 3


def test_the_order_of_display_sets(
    sandbox: Sandbox, client: Client, push_sockets: Sockets, tmp_path: Path
) -> None:
    """Each display set has the order of its row."""
    collection = add_collection(sandbox, client, "reader study")
    path = tmp_path / "m.jsonl"
    orders = {"c": 30, "a": 10, "b": 20}
    write_manifest(
        path, [Row(0, title, order, {push_sockets.value: [1]}) for title, order in orders.items()]
    )

    assert told(pushed(collection, path)) == (3, 0, 0, 0)

    assert [(case.title, case.order) for case in collection.all()] == [
        ("a", 10),
        ("b", 20),
        ("c", 30),
    ]


def test_a_row_without_a_title_is_known_by_its_fingerprint(
    empty_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """A row without a title gets a generated one, by which a run with another journal finds its case."""
    manifest = write_cases(tmp_path, push_sockets, 3, titled=False)
    assert told(pushed(empty_archive, manifest)) == (3, 0, 0, 0)
    empty_archive.sandbox.wait_idle(DEADLINE)
    titles = {case.title for case in empty_archive.all()}
    assert len(titles) == 3
    assert all(title.startswith("gcapi-") and len(title) == 22 for title in titles)

    manifest.with_suffix(".db").unlink()
    with nothing_written(empty_archive.sandbox):
        assert told(pushed(empty_archive, manifest)) == (0, 3, 0, 0)


def test_rows_that_fail_come_back_as_a_manifest(
    empty_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """Rows that fail do not stop the others, are written to a manifest with the reasons, and succeed once corrected."""
    manifest = write_cases(tmp_path, push_sockets, 4)
    rows = manifest.read_text().replace("1.csv", "later.csv").replace("case 00003", "case 00002")
    manifest.write_text(rows)

    report = pushed(empty_archive, manifest)

    assert told(report) == (2, 0, 2, 0)
    path = report.failed_manifest()
    assert path == tmp_path / "manifest.failed.csv"
    first, second = read_csv(path)
    assert "cannot be read: No such file" in first["gc:error"]
    assert second["gc:error"].startswith("line 4 has the title 'case 00002' already")
    assert first[push_sockets.file] == "later.csv"

    written(tmp_path / "later.csv", content(1))
    path.write_text(path.read_text().replace("case 00002", "case 00003"))
    assert told(pushed(empty_archive, path)) == (2, 0, 0, 0)
    check_cases(empty_archive, push_sockets, 4)


def test_a_dry_run_tells_and_writes_nothing(
    collection: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """A dry run reports what would happen to each row, with files and bytes, and writes nothing to the server."""
    manifest = write_cases(tmp_path, push_sockets, 4)
    number = SocketValueSpec(push_sockets.value, value={"case": 1})
    collection.add(number, title="case 00001")
    collection.filled(
        collection.add(number, SocketValueSpec(push_sockets.file, value="x"), title="case 00002").pk
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


# ---------------------------------------------------------------- waiting


def test_an_import_that_fails_is_told_beside_the_file(
    empty_archive: CaseCollection, tmp_path: Path
) -> None:
    """A failed import is reported with the local file and the server's reason; with a good file, a re-run succeeds."""
    slug = empty_archive.sandbox.add_socket(unique("image"))
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

    pushed(empty_archive, manifest, inspect="off")
    empty_archive.sandbox.wait_idle(
        DEADLINE
    )  # an import that ended before anyone waited is explained too
    report = pushed(empty_archive, manifest, wait=True, timeout=DEADLINE, inspect="off")

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
    assert told(pushed(empty_archive, manifest, wait=True, timeout=DEADLINE)) == (1, 0, 0, 0)
    assert {case.title for case in empty_archive.all() if case.values} == {"good", "part", "broken"}


def test_what_has_not_come_in_time_is_told(empty_archive: CaseCollection, tmp_path: Path) -> None:
    """Rows whose values were not imported in time are reported as waiting, and are complete in a later run."""
    slug = empty_archive.sandbox.add_socket(unique("image"))
    noise(tmp_path / "a.mha")
    manifest = tmp_path / "m.csv"
    write_manifest(manifest, [Row(0, "a", None, {slug: "a.mha"})])
    with empty_archive.sandbox.hold_background():
        report = pushed(empty_archive, manifest, wait=True, timeout=0.3)
    assert (report.done, report.is_complete) == ([], False)
    assert "a.mha" in str(report.waiting[0])
    assert told(pushed(empty_archive, manifest, wait=True, timeout=DEADLINE)) == (0, 1, 0, 0)


# ---------------------------------------------------------------- jobs


def test_every_row_becomes_a_job(
    sandbox: Sandbox, client: Client, push_sockets: Sockets, tmp_path: Path
) -> None:
    """Each row becomes one job that is waited for; a second run starts none."""
    given, output = push_sockets.value, sandbox.add_socket(unique("output"), "Anything")

    def run(inputs: Path, outputs: Path) -> None:
        case = json.loads((inputs / f"{given}.json").read_text())["case"]
        if case == 1:
            raise ValueError(case)
        (outputs / f"{output}.json").write_text(json.dumps(case))

    interfaces = [([push_sockets.value, push_sockets.file], [output])]
    algorithm = sandbox.add_algorithm(unique("algorithm"), interfaces=interfaces, run=run)
    manifest = write_cases(tmp_path, push_sockets, 3)
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
    collection: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """A progress listener that fails causes one warning, and all rows are pushed."""

    def listen(_: PushProgress) -> None:
        raise ZeroDivisionError

    with pytest.warns(ProgressWarning, match="ZeroDivisionError") as caught:
        report = pushed(collection, write_cases(tmp_path, push_sockets, 3), progress=listen)
    assert (len(caught), told(report)) == (1, (3, 0, 0, 0))
