"""`list` and `show` of all kinds of objects."""

from __future__ import annotations

from urllib.parse import parse_qs

from gcapi import Client
from gcapi_sandbox import Sandbox
from tests.support.data import unique
from tests.support.programs.cli_program import Program


def test_lists_and_shows_agree(ready: Program, sandbox: Sandbox, client: Client) -> None:
    """An object of a list can be shown by its slug, pk and URL, with the same content."""
    slugs = {
        "archives": sandbox.add_archive(unique("archive")),
        "studies": sandbox.add_reader_study(unique("study")),
        "sockets": sandbox.add_socket(unique("socket"), "Float"),
    }
    listed = {kind: ready(kind, "list", "--json").lines for kind in slugs}
    for kind, slug in slugs.items():
        by_slug = ready(kind, "show", slug, "--json").json
        assert by_slug in listed[kind]
        assert ready(kind, "show", str(by_slug["pk"]), "--json").json == by_slug
        assert f"title: {by_slug['title']}" in ready(kind, "show", slug).out
    address = client.archives.detail(slug=slugs["archives"]).api_url
    assert ready("archives", "show", address, "--json").json["api_url"] == address
    page = client.archives.detail(api_url=address).url
    assert ready("archives", "show", page, "--json").json["url"] == page


def test_limits_of_lists(ready: Program, sandbox: Sandbox) -> None:
    """`--limit` limits what is shown and what the server is asked for."""
    for _ in range(3):
        sandbox.add_archive(unique("archive"))
    sandbox.requests.clear()
    assert len(ready("archives", "list", "-n", "2", "--json").lines) == 2
    (request,) = [one for one in sandbox.requests if one.path.endswith("/archives/")]
    assert parse_qs(request.query)["limit"] == ["2"]


def test_algorithms_show_what_they_take(ready: Program, sandbox: Sandbox) -> None:
    """The interfaces of an algorithm are shown as inputs and outputs."""
    age, size, score = (
        sandbox.add_socket(unique(name), "Float") for name in ("age", "size", "score")
    )
    slug = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([age, size], [score])], run=lambda *_: None
    )
    assert f"  {age}, {size} -> {score}\n" in ready("algorithms", "show", slug).out


def test_images_are_filtered(ready: Program, sandbox: Sandbox) -> None:
    """Images are filtered by archive, and by a date in any notation."""
    archive = sandbox.add_archive(unique("archive"))
    sandbox.requests.clear()
    run = ready(
        "images", "list", "--archive", archive, "--study-date", "1 July 2026", "--name", "CT 1"
    )
    assert (run.code, run.out) == (0, "")
    (request,) = [one for one in sandbox.requests if one.path.endswith("/cases/images/")]
    query = parse_qs(request.query)
    assert [query["study_date"], query["name"]] == [["2026-07-01"], ["CT 1"]]
    assert ready("images", "list", "--archive", "no-such-archive").code == 3


def test_uploads_are_filtered_by_date(ready: Program, client: Client) -> None:
    """Uploads are filtered by time and status, on this machine because the server has no such filter."""
    pk = client.uploads.create(filename="a.txt").pk
    for arguments, is_there in (
        (["--since", "yesterday"], True),
        (["--until", "yesterday"], False),
        (["--since", "1 minute ago", "--status", "initialized"], True),
        (["--status", "Completed"], False),
    ):
        found = [line["pk"] for line in ready("uploads", "list", "--json", *arguments).lines]
        assert (pk in found) is is_there, arguments
    assert ready("uploads", "list", "--since", "sometime").code == 2
