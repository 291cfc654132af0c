"""A loop over cases that dies at any moment and is run again: every case once, and complete."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import IncompleteCase, PermissionDenied, SpecError
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    add_collection,
    content_of,
    found,
    nothing_written,
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

KINDS = ["archive", "reader study"]
COUNT = 4

#: The loop that everybody has, as a program of its own.
LOOP = """
import sys
from pathlib import Path
from gcapi import Client, SocketValueSpec

base_url, token, parent, slug, number, table, folder = sys.argv[1:]
with Client(token=token, base_url=base_url) as client:
    for path in sorted(Path(folder).iterdir()):
        values = [SocketValueSpec(number, value=path.stem), SocketValueSpec(table, file=path)]
        if parent == "archive":
            client.add_case_to_archive(archive_slug=slug, values=values, title=path.stem, existing="skip")
        else:
            client.add_case_to_reader_study(
                reader_study_slug=slug, values=values, title=path.stem, order=int(path.stem[-1]) + 1, existing="skip"
            )
"""


@pytest.fixture(scope="module")
def number(sandbox: Sandbox) -> str:
    """Add a socket whose values are available at once."""
    return sandbox.add_socket(unique("number"), "Anything")


@pytest.fixture(scope="module")
def table(sandbox: Sandbox) -> str:
    """Add a socket whose values are imported in the background."""
    return sandbox.add_socket(unique("table"), "CSV file")


@pytest.mark.skipif(os.name != "posix", reason="SIGKILL")
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize(("method", "paths"), [("POST", CREATION), ("PATCH", CHANGE)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_that_was_killed_is_run_again(
    sandbox: Sandbox,
    number: str,
    table: str,
    tmp_path: Path,
    kind: str,
    method: str,
    paths: tuple[str, ...],
    done: bool,
) -> None:
    """If a program is killed while it creates or fills a case, running it again completes every case, once."""
    for index in range(COUNT):
        written(tmp_path / f"P-{index}.csv", f"{index};ü")

    def kill(*_: object) -> None:
        victim.kill()
        victim.wait()

    # The first case passes, and the second is the end.
    deadly = in_turn(method, paths, ACTED_CUT if done else CUT, skip=1)
    with faulty(sandbox, *deadly, on_strike=kill) as client:
        collection = add_collection(sandbox, client, kind)
        arguments = [
            str(client.base_url),
            sandbox.token,
            kind,
            collection.slug,
            number,
            table,
            str(tmp_path),
        ]
        command = [sys.executable, "-W", "error", "-c", LOOP, *arguments]
        victim = subprocess.Popen(command)
        assert victim.wait(DEADLINE) == -signal.SIGKILL
        sandbox.wait_idle()
        assert len(collection.all()) == (1 if (method, done) == ("POST", False) else 2)

        subprocess.run(command, check=True, timeout=DEADLINE)

        sandbox.wait_idle()
        cases = sorted(collection.all(), key=lambda case: case.title)
        assert [case.title for case in cases] == [f"P-{index}" for index in range(COUNT)]
        assert [value_of(case, number).value for case in cases] == [
            f"P-{index}" for index in range(COUNT)
        ]
        assert [content_of(client, value_of(case, table)) for case in cases] == [
            f"{index};ü".encode() for index in range(COUNT)
        ]
        if kind == "reader study":
            assert [case.order for case in cases] == [1, 2, 3, 4]


def test_skip_returns_a_complete_case_without_an_upload(
    collection: CaseCollection, sandbox: Sandbox, number: str, table: str, tmp_path: Path
) -> None:
    """A complete case is returned in the form of a write's response, and nothing is written."""
    specs = [
        SocketValueSpec(number, value=1),
        SocketValueSpec(table, file=written(tmp_path / "t.csv", "a")),
    ]
    first = collection.filled(collection.add(*specs, title="P-0001").pk)
    other = [SocketValueSpec(number, value=2), specs[1]]
    with nothing_written(sandbox):
        again = collection.add(*other, title=" P-0001 ", existing="skip")
    assert (again.pk, again.title) == (first.pk, "P-0001")
    assert {value.interface: value.value for value in again.values} == {number: 1, table: None}


def test_skip_does_not_send_again_what_still_waits(
    collection: CaseCollection, sandbox: Sandbox, table: str, tmp_path: Path
) -> None:
    """A value that this client has uploaded counts as present before the server has imported it."""
    spec = SocketValueSpec(table, file=written(tmp_path / "t.csv", "a"))
    with sandbox.hold_background():
        first = collection.add(spec, title="P-0001")
        with nothing_written(sandbox):
            again = collection.add(spec, title="P-0001", existing="skip")
    assert again.pk == first.pk


def test_skip_fills_what_is_missing(
    collection: CaseCollection, sandbox: Sandbox, number: str, table: str, tmp_path: Path
) -> None:
    """Only the missing value of a case is uploaded, and its other values stay."""
    first = collection.add(SocketValueSpec(number, value=1), title="P-0001")
    other = CaseCollection(collection.client, sandbox, collection.slug, collection.is_archive)
    specs = [
        SocketValueSpec(number, value=2),
        SocketValueSpec(table, file=written(tmp_path / "t.csv", "a")),
    ]
    made = other.add(*specs, title="P-0001", existing="skip")
    case = collection.filled(made.pk)
    assert (made.pk, len(collection.all())) == (first.pk, 1)
    assert value_of(case, number).value == 1
    assert content_of(collection.client, value_of(case, table)) == b"a"


def test_skip_fills_a_case_that_was_left_incomplete(
    collection: CaseCollection, sandbox: Sandbox, number: str
) -> None:
    """An incomplete case is filled by the same call, including its order."""
    order = {} if collection.is_archive else {"order": 3}
    with faulty(sandbox, *in_turn("PATCH", CHANGE, REFUSED)) as client:
        hindered = CaseCollection(client, sandbox, collection.slug, collection.is_archive)
        with pytest.raises(IncompleteCase) as left:
            hindered.add(SocketValueSpec(number, value=1), title="P-0001", existing="skip", **order)
        assert isinstance(left.value.__cause__, PermissionDenied)
        made = hindered.add(
            SocketValueSpec(number, value=1), title="P-0001", existing="skip", **order
        )
    (case,) = collection.all()
    assert case.pk == made.pk == left.value.pk
    assert value_of(case, number).value == 1
    assert {name: getattr(case, name) for name in order} == order


def test_skip_puts_an_empty_case_in_its_place(sandbox: Sandbox, client: Client) -> None:
    """An empty display set with another order is moved, and not written again once it has its order."""
    collection = add_collection(sandbox, client, "reader study")
    collection.add(title="P-0001")
    collection.add(title="P-0001", order=3, existing="skip")
    with nothing_written(sandbox):
        collection.add(title="P-0001", order=3, existing="skip")
    assert [case.order for case in collection.all()] == [3]


def test_update_changes_the_values_of_a_case(
    collection: CaseCollection, sandbox: Sandbox, number: str, table: str, tmp_path: Path
) -> None:
    """An existing case gets the given values and keeps the others; a missing one is created."""
    first = collection.add(
        SocketValueSpec(number, value=1),
        SocketValueSpec(table, file=written(tmp_path / "t.csv", "a")),
        title="P-0001",
    )
    sandbox.wait_idle()
    made = [
        collection.add(SocketValueSpec(number, value=value), title=title, existing="update")
        for title, value in [("P-0001", 2), ("P-0002", 3)]
    ]
    cases = sorted(collection.all(), key=lambda case: case.title)
    assert [case.pk for case in cases] == [first.pk, made[1].pk] == [one.pk for one in made]
    assert [value_of(case, number).value for case in cases] == [2, 3]
    assert content_of(collection.client, value_of(cases[0], table)) == b"a"


def test_titles_are_listed_once_for_each_client(
    collection: CaseCollection, sandbox: Sandbox, number: str
) -> None:
    """A loop over many cases lists the parent once, and remembers the cases that it created."""
    listed = r"/archives/items/$" if collection.is_archive else r"/display-sets/$"
    sandbox.requests.clear()
    for _ in range(2):
        for index in range(5):
            collection.add(
                SocketValueSpec(number, value=index), title=f"P-{index}", existing="skip"
            )
    # Of display sets, the end of the list is found by their number.
    lists = found(sandbox, "GET", listed)
    assert len(lists) == 1
    assert len(found(sandbox, "POST", listed)) == len(collection.all()) == 5


@pytest.mark.parametrize("existing", ["skip", "update"])
def test_a_case_that_came_after_the_list_is_found(
    collection: CaseCollection, sandbox: Sandbox, number: str, existing: Any
) -> None:
    """A case that somebody else created after the titles were listed is used when its title is refused."""
    collection.add(SocketValueSpec(number, value=0), title="first", existing=existing)
    with Client(sandbox.token, sandbox.base_url) as somebody:
        theirs = CaseCollection(somebody, sandbox, collection.slug, collection.is_archive).add(
            SocketValueSpec(number, value=1), title="P-0001"
        )
    ours = collection.add(SocketValueSpec(number, value=2), title="P-0001", existing=existing)
    assert ours.pk == theirs.pk
    assert value_of(collection.cases.detail(pk=ours.pk), number).value == (
        1 if existing == "skip" else 2
    )
    assert len(collection.all()) == 2


@pytest.mark.parametrize("title", [None, "", "  "])
@pytest.mark.parametrize("existing", ["skip", "update"])
def test_a_case_without_a_title_cannot_be_found_again(
    collection: CaseCollection, sandbox: Sandbox, number: str, existing: Any, title: str | None
) -> None:
    """A policy for existing cases without a title is a ValueError, and nothing is sent."""
    sandbox.requests.clear()
    with pytest.raises(SpecError, match="needs a title") as refused:
        collection.add(SocketValueSpec(number, value=1), title=title, existing=existing)
    assert isinstance(refused.value, ValueError)
    assert len(sandbox.requests) == 0


@pytest.mark.parametrize("existing", ["overwrite", "", None, True])
def test_another_word_for_existing_is_refused(
    collection: CaseCollection, sandbox: Sandbox, existing: Any
) -> None:
    """Another value of `existing` is a ValueError that lists the valid ones, before anything is sent."""
    sandbox.requests.clear()
    with pytest.raises(ValueError, match="must be 'error', 'skip' or 'update'"):
        collection.add(title="P-0001", existing=existing)
    assert len(sandbox.requests) == 0
