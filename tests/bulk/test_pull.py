"""Whole archives brought home: everything there, once, whole, and again without moving a byte.

Longer than 500 lines, since each state of a folder meets each policy here; what is peculiar to sources, stores,
executors and kills has modules of its own.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import Difference, PullProgress, TargetError, diff, pull, read_manifest, verify
from gcapi.exceptions import AuthenticationError, ObjectNotFound, UnsafeName
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, unique
from tests.support.loopback import NO_TLS, Answer, Seen
from tests.support.pull import (
    Sockets,
    add_archive,
    add_sockets,
    archive_items,
    contents,
    from_storage,
    image_of,
    leftovers,
    many_cases,
    real_cases,
)
from tests.support.relay import relay


@pytest.fixture(scope="module")
def sockets(sandbox: Sandbox) -> Sockets:
    """Give a socket of each sort."""
    return add_sockets(sandbox)


@pytest.fixture(scope="module")
def archive(sandbox: Sandbox, sockets: Sockets, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give an archive of real cases, which no test changes."""
    with Client(sandbox.token, sandbox.base_url) as client:
        cases = real_cases(sockets, tmp_path_factory.mktemp("cases"))
        return add_archive(sandbox, client, cases)


@pytest.fixture
def small(sandbox: Sandbox, client: Client, sockets: Sockets, tmp_path: Path) -> str:
    """Give an archive of two small cases of the test's own."""
    (tmp_path / "sources").mkdir()
    return add_archive(sandbox, client, many_cases(tmp_path / "sources", sockets, 2))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Give a folder to pull into."""
    return tmp_path / "home"


def change_number(client: Client, sockets: Sockets, slug: str, title: str, number: float) -> None:
    """Give a case another number."""
    client.update_archive_item(
        archive_item_pk=archive_items(client, slug)[title].pk,
        values=[SocketValueSpec(sockets.number, value=number)],
    )


# ---------------------------------------------------------------- what comes, and where it lies


def test_archive_comes_home_with_its_manifest(
    client: Client, sockets: Sockets, archive: str, home: Path
) -> None:
    """Each value lies where its socket says in a folder called as its case, and the manifest says what and whence."""
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


@pytest.mark.parametrize("existing", ["skip", "verify"])
def test_again_moves_no_file(
    sandbox: Sandbox, client: Client, archive: str, home: Path, existing: str
) -> None:
    """Pulled again, what is there is not fetched; to skip it, the cases are listed and nothing else is asked."""
    pull(client, f"archive:{archive}", home)
    before = contents(home), (home / "manifest.csv").read_bytes()
    sandbox.requests.clear()
    report = pull(client, f"archive:{archive}", home, existing=existing)
    assert (report.cases, report.fetched, report.files, report.size) == (4, 0, 0, 0)
    assert (contents(home), (home / "manifest.csv").read_bytes()) == before
    if existing == "skip":
        assert from_storage(sandbox) == 0
        assert [one.path for one in sandbox.requests if "archives/items" not in one.path] == [
            "/api/v1/archives/"
        ]


def test_everything_is_fetched_again(client: Client, small: str, home: Path) -> None:
    """With "overwrite" what is there is replaced, changed or not."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    for path in before:
        (home / path).write_text("changed")
    report = pull(client, f"archive:{small}", home, existing="overwrite")
    assert (report.files, contents(home), verify(home)) == (4, before, [])


def test_titles_of_any_kind_stay_in_the_folder(
    sandbox: Sandbox, client: Client, sockets: Sockets, home: Path
) -> None:
    """Titles that are no folder names, or one on some systems, make folders beside each other, always the same."""
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


def test_a_case_keeps_its_folder(client: Client, sockets: Sockets, small: str, home: Path) -> None:
    """A case that is renamed, or whose name another one now shares, stays where it is."""
    pull(client, f"archive:{small}", home)
    client.update_archive_item(
        archive_item_pk=archive_items(client, small)["case-0"].pk, values=[], title="renamed"
    )
    added = client.add_case_to_archive(
        archive_slug=small,
        title="CASE-1",
        values=[SocketValueSpec(sockets.number, value=0.1)],
    )
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert (report.cases, report.fetched) == (3, 1)
    folders = {path.name for path in home.iterdir() if path.is_dir()}
    assert folders == {"case-0", "case-1", f"CASE-1-{added.pk}"}
    assert {row.title for row in read_manifest(report.manifest).rows} == {
        "renamed",
        "case-1",
        "CASE-1",
    }


# ---------------------------------------------------------------- what is there already


def test_a_folder_that_holds_something_is_refused(
    sandbox: Sandbox, client: Client, archive: str, home: Path
) -> None:
    """By default nothing is sent or written where anything is there."""
    home.mkdir()
    (home / "notes.txt").write_text("precious")
    sandbox.requests.clear()
    with pytest.raises(FileExistsError, match="not empty"):
        pull(client, f"archive:{archive}", home)
    assert len(sandbox.requests) == 0
    assert [path.name for path in home.iterdir()] == ["notes.txt"]


def test_a_folder_of_something_else_is_refused(
    client: Client, small: str, archive: str, home: Path
) -> None:
    """Two archives do not mix in a folder."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    with pytest.raises(FileExistsError, match=f"archive:{small}"):
        pull(client, f"archive:{archive}", home, existing="verify")
    assert contents(home) == before


@pytest.mark.parametrize("existing", ["skip", "verify"])
def test_a_file_that_was_changed_here(
    client: Client, small: str, home: Path, existing: str
) -> None:
    """A file that was changed is told and left with "skip", and fetched again with "verify", however it was changed."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    paths = [path for path in before if path.endswith(".csv")]
    longer, same = (home / path for path in paths)
    longer.write_text("changed")
    status = same.stat()
    same.write_bytes(b"?" + same.read_bytes()[1:])
    if existing == "verify":  # nothing but its content tells
        os.utime(same, ns=(status.st_atime_ns, status.st_mtime_ns))
    report = pull(client, f"archive:{small}", home, existing=existing)
    if existing == "skip":
        assert {(one.kind, one.subject) for one in report.remarks} == {
            ("changed", path) for path in paths
        }
        assert {(one.kind, one.subject) for one in verify(home)} == {
            ("changed", path) for path in paths
        }
    else:
        assert (report.files, report.remarks) == (2, [])
        assert (contents(home), verify(home)) == (before, [])


@pytest.mark.parametrize("existing", ["skip", "verify"])
def test_a_file_that_is_gone_is_fetched(
    client: Client, small: str, home: Path, existing: str
) -> None:
    """What is missing comes back, and nothing else is fetched."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    (home / next(iter(before))).unlink()
    report = pull(client, f"archive:{small}", home, existing=existing)
    assert (report.files, contents(home), verify(home)) == (1, before, [])


def test_a_value_that_was_replaced_on_the_server(
    client: Client, sockets: Sockets, small: str, home: Path
) -> None:
    """A value that is another one on the server now is told with "skip", and fetched with "verify"."""
    pull(client, f"archive:{small}", home)
    change_number(client, sockets, small, "case-1", 99.5)
    skipped = pull(client, f"archive:{small}", home, existing="skip")
    assert [(one.kind, one.subject) for one in skipped.remarks] == [
        ("changed", f"case-1: {sockets.number}")
    ]
    assert (skipped.files, verify(home)) == (0, [])
    assert number_of(home, sockets, "case-1") == 1.0
    verified = pull(client, f"archive:{small}", home, existing="verify")
    assert (verified.files, verified.remarks, verify(home)) == (1, [], [])
    assert number_of(home, sockets, "case-1") == 99.5


def number_of(home: Path, sockets: Sockets, title: str) -> float:
    """Return the number of a case, as the manifest and its file have it."""
    row = next(row for row in read_manifest(home / "manifest.csv").rows if row.title == title)
    number: float = json.loads(row.cells[sockets.number])
    assert number == json.loads((home / title / f"{sockets.number}.json").read_text())
    return number


def test_an_image_that_was_replaced_leaves_no_old_file(
    sandbox: Sandbox, client: Client, sockets: Sockets, home: Path, tmp_path: Path
) -> None:
    """The file of an image that was replaced goes once the new one is there."""
    images = [image_of(tmp_path, name) for name in ("a.mha", "b.mha")]
    specs = [[SocketValueSpec(sockets.image, file=image)] for image in images]
    slug = add_archive(sandbox, client, {"case": specs[0]})
    pull(client, f"archive:{slug}", home)
    (old,) = contents(home)
    pk = archive_items(client, slug)["case"].pk
    client.update_archive_item(archive_item_pk=pk, values=specs[1])
    sandbox.wait_idle(DEADLINE)
    pull(client, f"archive:{slug}", home, existing="verify")
    (new,) = contents(home)
    assert (new != old, verify(home)) == (True, [])


def test_a_value_that_came_later_is_fetched(
    client: Client, sockets: Sockets, small: str, home: Path
) -> None:
    """With "skip" what the server has more than before comes, and only that."""
    pull(client, f"archive:{small}", home)
    client.update_archive_item(
        archive_item_pk=archive_items(client, small)["case-0"].pk,
        values=[SocketValueSpec(sockets.text, value="later")],
    )
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert (report.files, report.remarks, verify(home)) == (1, [], [])


@pytest.mark.parametrize("existing", ["skip", "verify"])
def test_without_the_ledger(client: Client, archive: str, home: Path, existing: str) -> None:
    """Where nothing is recorded, files are read again, and with "verify" held against the store, and not fetched."""
    pull(client, f"archive:{archive}", home)
    before = contents(home), (home / "manifest.csv").read_bytes()
    (home / ".gcapi-pull.jsonl").unlink()
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
    """A file that no run recorded, and that is not the server's, fails its case with "skip", and is left as it is."""
    pull(client, f"archive:{small}", home)
    (home / ".gcapi-pull.jsonl").unlink()
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
    """A file of no bytes is held against the store as any other."""
    empty = tmp_path / "empty.csv"
    empty.touch()
    slug = add_archive(sandbox, client, {"case": [SocketValueSpec(sockets.table, file=empty)]})
    assert pull(client, f"archive:{slug}", home).files == 1
    (home / ".gcapi-pull.jsonl").unlink()
    assert pull(client, f"archive:{slug}", home, existing="verify").files == 0
    (home / next(iter(contents(home)))).write_text("x")
    assert pull(client, f"archive:{slug}", home, existing="verify").files == 1
    assert verify(home) == []


def test_what_was_written_to_the_ledger_last_may_be_torn(
    client: Client, small: str, home: Path
) -> None:
    """A line that a killed run did not finish is as if it had not been begun; any other damage is told."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    ledger = home / ".gcapi-pull.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-7])
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert (report.cases, report.files, contents(home), verify(home)) == (2, 0, before, [])
    ledger.write_bytes(ledger.read_bytes().replace(b'"values"', b"values", 1))
    with pytest.raises(FileExistsError, match="Remove it"):
        pull(client, f"archive:{small}", home, existing="skip")


# ---------------------------------------------------------------- what goes wrong


def test_a_case_that_fails_does_not_stop_the_others(
    sandbox: Sandbox, client: Client, small: str, home: Path
) -> None:
    """What cannot be fetched is reported, and comes with the next run; the rest is there and in the manifest."""
    refused = archive_items(client, small)["case-0"]
    (file,) = [value.file for value in refused.values if value.file]

    def fault(seen: Seen) -> Answer | None:
        return Answer(403, b"<html>no</html>") if seen.path in file else None

    with (
        relay(sandbox, fault) as server,
        Client(sandbox.token, server.base_url, verify=NO_TLS) as broken,
    ):
        report = pull(broken, f"archive:{small}", home)
    assert [(one.pk, one.title) for one in report.failed] == [(refused.pk, "case-0")]
    assert (report.cases, [row.title for row in read_manifest(report.manifest).rows]) == (
        1,
        ["case-1"],
    )
    assert leftovers(home) == []


def test_a_value_that_is_replaced_while_it_is_pulled(
    sandbox: Sandbox, client: Client, sockets: Sockets, small: str, home: Path, tmp_path: Path
) -> None:
    """A file that is gone since the cases were listed is looked for once more where it is now."""
    table = tmp_path / "new.csv"
    table.write_text("new")
    case = archive_items(client, small)["case-0"]
    listed = []

    def fault(seen: Seen) -> None:
        if "/media/" in seen.path and not listed:
            listed.append(seen)
            client.update_archive_item(
                archive_item_pk=case.pk, values=[SocketValueSpec(sockets.table, file=table)]
            )
            sandbox.wait_idle(DEADLINE)

    with (
        relay(sandbox, fault) as server,
        Client(sandbox.token, server.base_url, verify=NO_TLS) as through,
    ):
        report = pull(through, f"archive:{small}", home, workers=1)
    assert (report.cases, report.failed, verify(home)) == (2, [], [])
    assert (home / "case-0" / f"{sockets.table}.csv").read_text() == "new"


def test_hostile_paths_fail_their_cases(sandbox: Sandbox, client: Client, home: Path) -> None:
    """A socket whose path leads elsewhere, or to the file of another, fails its case, and nothing is written there."""
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


def test_what_the_listener_raises_ends_it(client: Client, small: str, home: Path) -> None:
    """A listener that raises, as Ctrl-C does, ends the pull; what was pulled is kept, and the next run goes on."""

    def interrupt(_: PullProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(client, f"archive:{small}", home, workers=1, progress=interrupt)
    assert not (home / "manifest.csv").exists()
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert (report.cases, report.failed, verify(home)) == (2, [], [])


def test_a_wrong_token_ends_it(sandbox: Sandbox, archive: str, home: Path) -> None:
    """What every case would fail of is raised."""
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
    """A source that does not exist is told, and nothing is made."""
    with pytest.raises(error):
        pull(client, source, home)
    assert not home.exists()


def test_progress(client: Client, small: str, home: Path) -> None:
    """A listener hears of each case that ended, how, and of how many there are."""
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


def test_cases_that_the_server_no_longer_has(
    sandbox: Sandbox, client: Client, small: str, home: Path
) -> None:
    """A case that was moved away is told, and leaves the manifest; its files stay."""
    pull(client, f"archive:{small}", home)
    before = contents(home)
    other = client.archives.detail(slug=sandbox.add_archive(unique("other")))
    pk = archive_items(client, small)["case-0"].pk
    client.archive_items.partial_update(pk, archive=other.api_url)
    report = pull(client, f"archive:{small}", home, existing="skip")
    assert report.remarks == [
        Difference(
            "only here", "case-0", "the server no longer has this case; its files are still here"
        )
    ]
    assert contents(home) == before
    assert {one.kind for one in verify(home)} == {"unexpected"}


def test_cells_that_csv_does_not_take(
    sandbox: Sandbox, client: Client, sockets: Sockets, home: Path
) -> None:
    """Where a value is longer than what reads CSV takes, the manifest is JSON Lines, and CSV again once it is not."""
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
