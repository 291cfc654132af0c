"""The generated client: connections, headers and timeouts."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from tests.support.servers.loopback import Answer, Loopback, in_turn

from grand_challenge_api import AuthenticatedClient, Client
from grand_challenge_api.api.gcapi import gcapi_retrieve


@pytest.fixture
def server() -> Iterator[Loopback]:
    """Serve the versions."""
    body = {"latest_version": "1.0.0", "lowest_supported_version": "0.9.0"}
    with Loopback(in_turn(Answer(body=body)), with_version=False) as serving:
        yield serving


def test_repr_shows_no_secret() -> None:
    """The representation shows no token, header or cookie."""
    client = AuthenticatedClient("https://gc.localhost", "s3cret", cookies={"sessionid": "s3cret"})
    derived = client.with_headers({"Authorization": "s3cret"})
    assert "s3cret" not in f"{client!r}{derived!r}{client}"
    assert "https://gc.localhost" in repr(client)


def test_timeout_by_default() -> None:
    """A client has a timeout by default."""
    with Client("https://gc.localhost") as client:
        assert None not in client.get_httpx_client().timeout.as_dict().values()


def test_sends_the_token(server: Loopback) -> None:
    """A request carries the token, and the response is parsed."""
    with AuthenticatedClient(server.origin, "s3cret") as client:
        answer = gcapi_retrieve.sync_detailed(client=client)
    assert (answer.status_code, answer.parsed.latest_version) == (200, "1.0.0")
    assert server.seen[-1].header("Authorization") == "Bearer s3cret"


def test_derived_clients_have_their_own_settings(server: Loopback) -> None:
    """A derived client sends its own headers and cookies beside those of the first."""
    client = AuthenticatedClient(server.origin, "s3cret", headers={"X-First": "1"})
    derived = client.with_headers({"X-More": "2"}).with_cookies({"a": "b"})
    with derived.with_timeout(httpx.Timeout(5)) as derived:
        gcapi_retrieve.sync(client=derived)
        assert derived.get_httpx_client().timeout == httpx.Timeout(5)
    sent = [server.seen[-1].header(name) for name in ("X-First", "X-More", "Cookie")]
    assert sent == ["1", "2", "a=b"]
    assert server.seen[-1].header("Authorization") == "Bearer s3cret"


def test_asyncio_functions(server: Loopback) -> None:
    """The asyncio functions send the token and parse the response."""

    async def ask() -> str:
        async with AuthenticatedClient(server.origin, "s3cret") as client:
            return (await gcapi_retrieve.asyncio(client=client)).latest_version

    assert asyncio.run(ask()) == "1.0.0"
    assert server.seen[-1].header("Authorization") == "Bearer s3cret"
