"""Commands on a server that does not send fields that its schema requires."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Sandbox
from grand_challenge_api.base import AbsentFieldError
from tests.support.programs.cli_program import Program
from tests.support.servers.loopback import Answer, Loopback, Seen, connect
from tests.support.servers.relay import relay

ABSENT = {"title", "slug", "pk"}
ERROR = (
    "The server sent this Archive without the field 'pk', which its schema requires. Compare the schemas with"
    " client.check_schema()."
)


def without_fields(seen: Seen, answer: Answer) -> Answer:
    """Return an answer about archives without some of their fields, and others as they are."""
    if not seen.path.startswith("/api/v1/archives/") or "/items/" in seen.path:
        return answer
    body = json.loads(answer.content())
    archives = body.get("results", [body])
    for archive in archives:
        for name in ABSENT & archive.keys():
            del archive[name]
    return Answer(answer.status, body)


@pytest.fixture(scope="module")
def incomplete(sandbox: Sandbox) -> Iterator[Loopback]:
    """Serve a sandbox, with archives that lack fields."""
    sandbox.add_archive("My Archive")
    sandbox.add_socket("Lung Volume", "Float", store_in_database=True)
    with relay(sandbox, without_fields) as server:
        yield server


@pytest.fixture
def client_of_incomplete(incomplete: Loopback, sandbox: Sandbox) -> Iterator[Client]:
    """Connect to the incomplete server."""
    with connect(incomplete, token=sandbox.token) as connected:
        yield connected


@pytest.mark.parametrize(
    "arguments",
    [
        ("images", "list", "--archive", "my-archive"),
        ("manifest", "check", "manifest.csv", "archive:my-archive"),
        ("push", "manifest.csv", "archive:my-archive", "--dry-run"),
        ("push", "manifest.csv", "archive:my-archive"),
        ("pull", "archive:my-archive", "pulled"),
    ],
    ids=" ".join,
)
def test_commands_name_the_field_and_the_remedy(
    arguments: tuple[str, ...],
    ready: Program,
    incomplete: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command that needs the field fails with one line that names it and what to do, and changes nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GCAPI_BASE_URL", incomplete.base_url)
    Path("manifest.csv").write_text("title,lung-volume\nA case,2.5\n")
    incomplete.seen.clear()
    run = ready(*arguments)
    assert run.code == 1
    assert run.err == (
        f"gcapi: {ERROR} On the command line: gcapi doctor. A newer release of gcapi may know this server:"
        " pip install --upgrade gcapi\n"
    )
    assert {seen.method for seen in incomplete.seen} == {"GET"}


def test_commands_show_the_other_fields(
    ready: Program, incomplete: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that only show objects leave out the fields that are absent."""
    monkeypatch.setenv("GCAPI_BASE_URL", incomplete.base_url)
    assert ready("archives", "list").out == "my-archive\t\n"
    (listed,) = ready("archives", "list", "--json").lines
    assert listed == ready("archives", "show", "my-archive", "--json").json
    assert listed.keys() == {"api_url", "description", "logo", "url"}


def test_calls_of_the_library_name_the_field(client_of_incomplete: Client) -> None:
    """Reading the field and calls that need it raise an `AttributeError` with the same text; others succeed."""
    (archive,) = client_of_incomplete.archives.iterate_all()
    assert archive == client_of_incomplete.archives.detail(slug="my-archive")
    with pytest.raises(AttributeError) as read:
        archive.pk  # noqa: B018
    assert (type(read.value), str(read.value)) == (AbsentFieldError, ERROR)
    with pytest.raises(AttributeError, match=r"Archive without the field 'pk'.*check_schema\(\)"):
        client_of_incomplete.add_case_to_archive(
            archive_slug="my-archive", values=[SocketValueSpec("lung-volume", value=2.5)]
        )
    assert client_of_incomplete.archive_items.count() == 0
