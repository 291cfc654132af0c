"""The generated client: connections, headers and timeouts."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from tests.support.loopback import Answer, Loopback, in_turn

from grand_challenge_api import AuthenticatedClient, Client
from grand_challenge_api.api.gcapi import gcapi_retrieve
from grand_challenge_api.client import DEFAULT_TIMEOUT



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
        assert client.get_httpx_client().timeout == DEFAULT_TIMEOUT
    assert None not in DEFAULT_TIMEOUT.as_dict().values()


def test_sends_the_token(server: Loopback) -> None:
    """A request carries the token, and the response is parsed."""
    with AuthenticatedClient(server.origin, "s3cret") as client:
        answer = gcapi_retrieve.sync_detailed(client=client)
    assert (answer.status_code, answer.parsed.latest_version) == (200, "1.0.0")
    assert server.seen[-1].header("Authorization") == "Bearer s3cret"


def test_sends_the_token_through_a_given_client(server: Loopback) -> None:
    """A request through a given httpx client carries the token and its own headers."""
    with httpx.Client(headers={"X-Own": "1"}) as own:
        client = AuthenticatedClient(server.origin, "s3cret").set_httpx_client(own)
        assert gcapi_retrieve.sync(client=client).latest_version == "1.0.0"
    assert server.seen[-1].header("Authorization") == "Bearer s3cret"
    assert server.seen[-1].header("X-Own") == "1"


def test_derived_clients_leave_the_first_alone(server: Loopback) -> None:
    """A derived client shares the connections of the first, but not its own headers, cookies and timeout."""
    with Client(server.origin, headers={"X-First": "1"}) as client:
        derived = client.with_headers({"X-More": "2"}).with_cookies({"a": "b"})
        derived = derived.with_timeout(httpx.Timeout(5))
        gcapi_retrieve.sync(client=derived)
        assert (server.seen[-1].header("X-First"), server.seen[-1].header("X-More")) == ("1", "2")
        assert server.seen[-1].header("Cookie") == "a=b"
        assert derived.get_httpx_client() is client.get_httpx_client()
        gcapi_retrieve.sync(client=client)
        assert server.seen[-1].header("X-More") == server.seen[-1].header("Cookie") == ""
        assert client.get_httpx_client().timeout == DEFAULT_TIMEOUT


def test_derived_timeout_overrides() -> None:
    """The timeout of a derived client overrides that of the connection."""
    client = Client("https://gc.localhost")
    assert "timeout" not in client._with_own_settings({"url": "/"})
    quick = client.with_timeout(httpx.Timeout(5)).with_headers({})
    assert quick._with_own_settings({"url": "/"})["timeout"] == httpx.Timeout(5)


def test_asyncio_functions(server: Loopback) -> None:
    """The asyncio functions send the token and parse the response."""

    async def ask() -> str:
        async with AuthenticatedClient(server.origin, "s3cret") as client:
            return (await gcapi_retrieve.asyncio(client=client)).latest_version

    assert asyncio.run(ask()) == "1.0.0"
    assert server.seen[-1].header("Authorization") == "Bearer s3cret"
