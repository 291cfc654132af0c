"""`api` from the command line."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from gcapi import Client
from tests.support.programs.cli_program import Program, command_line
from tests.support.servers.loopback import TOKEN, Answer, Loopback


def test_any_call(ready: Program, client: Client) -> None:
    """`api` sends fields as parameters of a GET and as the body of a POST, and prints the response."""
    made = ready("api", "post", "uploads/", "-f", "filename=b.txt").json
    assert client.uploads.detail(pk=made["pk"]).filename == "b.txt"
    shown = ready("api", "GET", made["api_url"]).json
    assert shown["pk"] == made["pk"]
    client.uploads.create(filename="c.txt")
    assert len(ready("api", "GET", "uploads/?limit=1").json["results"]) == 1
    assert len(ready("api", "GET", "uploads/?limit=1", "-f", "limit=2").json["results"]) == 2
    path = f"uploads/{made['pk']}/{made['s3_upload_id']}/generate-presigned-urls/"
    signed = ready("api", "PATCH", path, "--data", '{"part_numbers": [1]}').json
    assert list(signed["presigned_urls"]) == ["1"]
    from_stdin = ready("api", "PATCH", path, "--data", "@-", stdin='{"part_numbers": [2]}')
    assert list(from_stdin.json["presigned_urls"]) == ["2"]


def test_any_list_to_its_end(gcapi: Program) -> None:
    """`--paginate` reads all pages, and prints an object per line."""

    def page(seen: Any) -> Answer:
        offset = int(seen.path.partition("offset=")[2].partition("&")[0])
        results = [{"number": number} for number in range(offset, min(offset + 2, 5))]
        return Answer(body={"count": 5, "next": None, "previous": None, "results": results})

    with Loopback(page) as server:
        run = gcapi(
            "api",
            "GET",
            "things/",
            "--paginate",
            "-f",
            "a=1",
            "--base-url",
            server.base_url,
            "--token",
            TOKEN,
        )
    assert [line["number"] for line in run.lines] == [0, 1, 2, 3, 4]
    assert all("a=1" in seen.path for seen in server.seen)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["GET", "archives/", "--data", "{}"], 2),
        (["POST", "uploads/", "--paginate"], 2),
        (["GET", "archives/", "-f", "slug"], 2),
        (["POST", "uploads/", "--data", "{filename}"], 4),
        (["POST", "uploads/", "--data", "@no-such-file.json"], 4),
        (["GET", "profiles/users/self/", "--paginate"], 4),
        (["GET", "https://example.com/api/v1/archives/"], 2),
    ],
)
def test_calls_that_cannot_be(ready: Program, arguments: list[str], code: int) -> None:
    """An invalid call is refused before anything is sent; another host gets nothing."""
    run = ready("api", *arguments)
    assert (run.code, run.out) == (code, "")


def test_other_answers_come_as_they_are() -> None:
    """A response that is not JSON is written unchanged."""
    with Loopback(
        lambda _: Answer(body=b"a,b\n1,\xff\n", headers={"Content-Type": "text/csv"})
    ) as server:
        run = subprocess.run(
            command_line("api", "GET", "x/", "--base-url", server.base_url, "--token", TOKEN),
            capture_output=True,
            check=True,
        )
    assert run.stdout == b"a,b\n1,\xff\n"
