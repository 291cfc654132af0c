"""Pulling an archive into an empty folder: the files, the manifest, the report, and cases that fail."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import PullProgress, TargetError, diff, pull, read_manifest, verify
from gcapi.exceptions import AuthenticationError, ObjectNotFound, ProgressWarning, UnsafeName
from gcapi_sandbox import Rule, Sandbox
from tests.support.data import DEADLINE, unique, written
from tests.support.lost_responses import REFUSED, always, faulty, in_turn
from tests.support.pull import (
    Sockets,
    add_archive,
    archive_items,
    contents,
    leftovers,
)

#: The paths of files, as the API redirects them to the store.
MEDIA = ("/media/*",)


def test_archive_comes_home_with_its_manifest(
    client: Client, sockets: Sockets, archive: str, home: Path
) -> None:
    """Each value is at its socket's relative path in the folder of its case, and the manifest describes it."""
    report = pull(client, f"archive:{archive}", home)
    assert (report.cases, report.fetched, report.failed, report.remarks) == (4, 3, [], [])
    assert report.files == len(contents(home)) == 9
    assert report.size == sum((home / path).stat().st_size for path in contents(home))
    items = archive_items(client, archive)
    rows = {row.title: row for row in read_manifest(report.manifest).rows}
    assert rows.keys() == items.keys()
    for title, row in rows.items():
        assert row.notes["gc:pk"] == items[title].pk
        assert client(url=row.notes["gc:api_url"])["title"] == title
        assert row.notes["gc:source"] == f"archive:{archive}"
    first, dicom, values = rows["Größe ≥ 3 mm, left"], rows["DICOM"], rows["Values"]
    assert first.cells[sockets.text] == "Größe: 7"
    assert json.loads(first.cells[sockets.number]) == 1.25
    assert first.cells[sockets.image].startswith(f"{first.title}/images/{sockets.image}/")
    assert contents(home)[first.cells[sockets.image]] == first.notes[f"sha256:{sockets.image}"]
    assert dicom.cells[sockets.dicom] == f"DICOM/images/{sockets.dicom}"
    assert len(list((home / dicom.cells[sockets.dicom]).glob("*.dcm"))) == 3
    assert (home / dicom.cells[sockets.table]).read_text() == "a;b\n1;ü\n"
    assert json.loads(values.cells[sockets.anything]) == {"nested": [1, None, "ü"]}
    assert json.loads((home / values.cells[sockets.boxes]).read_text()) == [{"corner": [1, 2]}]
    assert verify(home) == []


def test_titles_of_any_kind_stay_in_the_folder(
    sandbox: Sandbox, client: Client, sockets: Sockets, home: Path
) -> None:
    """Titles that are not valid or not distinct as names get distinct folders, the same in each pull."""
    slug = sandbox.add_archive(unique("titles"))
    titles = [
        "../../up",
        "a/b",
        "A:B",
        "CON",
        "nul.txt",
        "x" * 255,
        "manifest.csv",
        ".hidden",
        "[a];b",
        "",
        "",
    ]
    for title in titles:
        client.add_case_to_archive(
            archive_slug=slug,
            title=title,
            values=[SocketValueSpec(sockets.number, value=len(title) + 0.5)],
        )
    report = pull(client, f"archive:{slug}", home)
    assert report.failed == []
    folders = {path.name for path in home.iterdir() if path.is_dir()}
    assert {path.name for path in home.parent.iterdir()} == {"home"}
    assert len({name.casefold() for name in folders}) == len(titles)
    assert {"_CON", "_nul.txt", "hidden", "_a__b", "x" * 80, "_.._up"} <= folders
    assert verify(home) == []
    assert sorted(row.title for row in read_manifest(report.manifest).rows) == sorted(titles)
    again = pull(client, f"archive:{slug}", home, existing="skip")
    assert (again.files, {path.name for path in home.iterdir() if path.is_dir()}) == (0, folders)


# ---------------------------------------------------------------- what goes wrong


def test_a_case_that_fails_does_not_stop_the_others(
    sandbox: Sandbox, client: Client, small: str, home: Path
) -> None:
    """A case that fails is reported; the others are pulled and in the manifest."""
    refused = archive_items(client, small)["case-0"]
    (file,) = [value.file for value in refused.values if value.file]
    with faulty(sandbox, *always("GET", (urlsplit(file).path,), REFUSED)) as hindered:
        report = pull(hindered, f"archive:{small}", home)
    assert [(one.pk, one.title) for one in report.failed] == [(refused.pk, "case-0")]
    assert (report.cases, [row.title for row in read_manifest(report.manifest).rows]) == (
        1,
        ["case-1"],
    )
    assert leftovers(home) == []


def test_a_value_that_is_replaced_while_it_is_pulled(
    sandbox: Sandbox, client: Client, sockets: Sockets, small: str, home: Path, tmp_path: Path
) -> None:
    """If a file has gone since the cases were listed, its case is reloaded."""
    table = tmp_path / "new.csv"
    table.write_text("new")
    case = archive_items(client, small)["case-0"]

    def replace_file(*_: object) -> None:
        client.update_archive_item(
            archive_item_pk=case.pk, values=[SocketValueSpec(sockets.table, file=table)]
        )
        sandbox.wait_idle(DEADLINE)

    with faulty(
        sandbox, *in_turn("GET", MEDIA, Rule(origin="api")), on_strike=replace_file
    ) as reader:
        report = pull(reader, f"archive:{small}", home, workers=1)
    assert (report.cases, report.failed, verify(home)) == (2, [], [])
    assert (home / "case-0" / f"{sockets.table}.csv").read_text() == "new"


def test_hostile_paths_fail_their_cases(sandbox: Sandbox, client: Client, home: Path) -> None:
    """A socket with a path outside the folder, or that of another socket, fails its case, and nothing is written."""
    paths = {"up": ["../../up.json"], "clash": ["Clash.json", "clash.json"], "good": ["good.json"]}
    slug = sandbox.add_archive(unique("hostile"))
    for title, relative in paths.items():
        values = [
            SocketValueSpec(
                sandbox.add_socket(unique(title), "Float", relative_path=path), value=index
            )
            for index, path in enumerate(relative)
        ]
        client.add_case_to_archive(archive_slug=slug, title=title, values=values)
    report = pull(client, f"archive:{slug}", home)
    assert {failure.title for failure in report.failed} == {"up", "clash"}
    assert {type(failure.error) for failure in report.failed} == {UnsafeName}
    assert list(contents(home)) == ["good/good.json"]
    assert list(home.parent.rglob("up.json")) == []


def test_nothing_is_sent_after_a_pull(
    sandbox: Sandbox, client: Client, sockets: Sockets, home: Path, tmp_path: Path
) -> None:
    """When a pull is interrupted, the request that is being answered is its last, and its threads end."""
    files = [written(tmp_path / name, "[1]") for name in ("a.csv", "b.json")]
    values = [
        SocketValueSpec(socket, file=file)
        for socket, file in zip((sockets.table, sockets.boxes), files, strict=True)
    ]
    slug = add_archive(sandbox, client, {"nothing": [], "files": values})
    is_sent, may_answer = Event(), Event()

    def hold(*_: object) -> None:
        is_sent.set()
        may_answer.wait(DEADLINE)

    def interrupt(_: PullProgress) -> None:
        assert is_sent.wait(DEADLINE)
        raise KeyboardInterrupt

    options = {"timeout": DEADLINE, "max_concurrent_downloads": 1}
    with faulty(
        sandbox, *always("GET", MEDIA, Rule(origin="api")), on_strike=hold, **options
    ) as slow:
        with pytest.raises(KeyboardInterrupt):
            pull(slow, f"archive:{slug}", home, workers=2, progress=interrupt)
        may_answer.set()
        for thread in threading.enumerate():
            if thread.name.startswith("gcapi-"):
                thread.join(DEADLINE)
                assert not thread.is_alive()
        assert sandbox.struck == [1]


def test_what_the_listener_raises_ends_it(client: Client, small: str, home: Path) -> None:
    """Ctrl-C ends a pull; the complete cases are kept, and the next pull resumes."""

    def interrupt(_: PullProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(client, f"archive:{small}", home, workers=1, progress=interrupt)
    assert not (home / "manifest.csv").exists()
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert (report.cases, report.failed, verify(home)) == (2, [], [])


def test_a_wrong_token_ends_it(sandbox: Sandbox, archive: str, home: Path) -> None:
    """An error that concerns every case is raised."""
    with Client("0" * 64, sandbox.base_url) as client, pytest.raises(AuthenticationError):
        pull(client, f"archive:{archive}", home)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("archive:no-such", ObjectNotFound),
        ("nothing", TargetError),
        ("study:no-such", ObjectNotFound),
    ],
)
def test_what_is_not_there_leaves_no_folder(
    client: Client, home: Path, source: str, error: type[Exception]
) -> None:
    """A source that does not exist is an error, and no folder is created."""
    with pytest.raises(error):
        pull(client, source, home)
    assert not home.exists()


def test_progress(client: Client, small: str, home: Path) -> None:
    """The listener is called for each case that ends, with its outcome and the number of cases."""
    heard: list[PullProgress] = []
    pull(client, f"archive:{small}", home, progress=heard.append)
    next((home / "case-1").iterdir()).unlink()
    pull(client, f"archive:{small}", home, existing="skip", progress=heard.append)
    assert [(event.ended, event.total) for event in heard] == [(1, 2), (2, 2)] * 2
    assert sorted((event.title, event.how) for event in heard[:2]) == [
        ("case-0", "fetched"),
        ("case-1", "fetched"),
    ]
    assert sorted((event.title, event.how) for event in heard[2:]) == [
        ("case-0", "there"),
        ("case-1", "fetched"),
    ]


def test_cells_that_csv_does_not_take(
    sandbox: Sandbox, client: Client, sockets: Sockets, home: Path
) -> None:
    """With a value that is too long for Python's CSV reader, the manifest is JSON Lines, and without it CSV again."""
    slug = sandbox.add_archive(unique("long"))
    long = ["ü" * 70_000, "x" * 70_000]
    item = client.add_case_to_archive(
        archive_slug=slug, title="long", values=[SocketValueSpec(sockets.anything, value=long)]
    )
    report = pull(client, f"archive:{slug}", home)
    (row,) = read_manifest(report.manifest).rows
    assert json.loads(row.cells[sockets.anything]) == long
    assert (report.manifest.name, verify(home), diff(client, home)) == ("manifest.jsonl", [], [])
    client.update_archive_item(
        archive_item_pk=item.pk, values=[SocketValueSpec(sockets.anything, value=1)]
    )
    report = pull(client, f"archive:{slug}", home, existing="verify")
    assert (report.manifest.name, verify(home), diff(client, home)) == ("manifest.csv", [], [])


def test_failing_listener_harms_no_pull(client: Client, small: str, home: Path) -> None:
    """A progress listener that fails causes one warning, and the pull is complete."""

    def listen(_: PullProgress) -> None:
        raise ZeroDivisionError

    with pytest.warns(ProgressWarning, match="ZeroDivisionError") as caught:
        report = pull(client, f"archive:{small}", home, progress=listen)
    assert (len(caught), report.cases, report.failed) == (1, 2, [])
