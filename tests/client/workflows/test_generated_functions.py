"""Functions of the generated package, called with `client.raw`."""

from __future__ import annotations

import pytest

from gcapi import Client
from gcapi.exceptions import UnsupportedVersionError
from gcapi.retries import SelectiveBackoffStrategy
from gcapi_sandbox import Sandbox
from grand_challenge_api.api.archives import archives_items_create, archives_list
from grand_challenge_api.models import ArchiveItemPostRequest
from tests.support.servers.loopback import Answer, Loopback, connect, in_turn


def test_generated_functions_use_the_client(sandbox: Sandbox, client: Client) -> None:
    """Generated functions use the client's token, base URL and version check."""
    slug = sandbox.add_archive("By generated functions")
    sandbox.requests.clear()
    answer = archives_list.sync_detailed(client=client.raw, slug=slug)
    assert answer.status_code == 200
    assert answer.parsed is not None
    assert [archive.title for archive in answer.parsed.results] == ["By generated functions"]
    seen = [(one.path.rpartition("v1/")[2], one.authorization) for one in sandbox.requests]
    assert seen == [("gcapi/", ""), ("archives/", "Bearer")]


def test_generated_writes(sandbox: Sandbox, client: Client) -> None:
    """Generated writes take request models."""
    archive = client.archives.detail(slug=sandbox.add_archive("Generated writes"))
    body = ArchiveItemPostRequest(archive=archive.api_url, title="generated")
    made = archives_items_create.sync(client=client.raw, body=body)
    assert made is not None
    assert client.archive_items.detail(pk=made.pk).title == "generated"


def test_generated_functions_leave_errors_to_the_caller(client: Client) -> None:
    """Generated functions return error statuses instead of raising."""
    answer = archives_list.sync_detailed(client=client.raw, offset=-1)
    assert answer.status_code == 200
    raw = client.raw.get_httpx_client().request("GET", "/api/v1/no/such/page/")
    assert raw.status_code == 404


def test_generated_functions_use_the_retries() -> None:
    """Generated functions retry transient responses."""
    page = {"count": 0, "next": None, "previous": None, "results": []}
    answers = [Answer(status=503)] * 3 + [Answer(body=page)]
    retries = SelectiveBackoffStrategy(0.0, 8)
    with Loopback(in_turn(*answers)) as server, connect(server, retry_strategy=retries) as client:
        assert archives_list.sync(client=client.raw).count == 0  # type: ignore[union-attr]
    assert len(server.seen) == 4


def test_generated_functions_check_the_version() -> None:
    """Generated functions fail if the server does not support this version."""
    version = {"latest_version": "99.0", "lowest_supported_version": "99.0"}
    server = Loopback(in_turn(Answer(body=version)), with_version=False)
    with server, connect(server) as client, pytest.raises(UnsupportedVersionError):
        archives_list.sync(client=client.raw)
    assert [seen.path for seen in server.seen] == ["/api/v1/gcapi/"]
