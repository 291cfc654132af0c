"""What the generated client does on the wire, and what it does not show."""

import asyncio
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import httpx
import pytest
from tests.support.generated import Recorder

from grand_challenge_api import AuthenticatedClient, Client
from grand_challenge_api.api.gcapi import gcapi_retrieve
from grand_challenge_api.client import DEFAULT_TIMEOUT

VERSIONS = b'{"latest_version": "1.0.0", "lowest_supported_version": "0.9.0"}'


class Versions(Recorder):
    """Answers with the versions."""

    body = VERSIONS


@pytest.fixture
def server() -> Iterator[str]:
    """Serve the versions on loopback; yield the address."""
    Versions.seen = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Versions) as serving:
        thread = threading.Thread(target=serving.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def headers_sent() -> dict[str, str]:
    """Return the headers of the last request."""
    return Versions.seen[-1][1]


def test_repr_shows_no_secret() -> None:
    """Neither the token nor any header or cookie is in the representation."""
    client = AuthenticatedClient("https://gc.localhost", "s3cret", cookies={"sessionid": "s3cret"})
    derived = client.with_headers({"Authorization": "s3cret"})
    assert "s3cret" not in f"{client!r}{derived!r}{client}"
    assert "https://gc.localhost" in repr(client)


def test_waits_are_limited_by_default() -> None:
    """Without a timeout of its own, a client does not wait for ever."""
    with Client("https://gc.localhost") as client:
        assert client.get_httpx_client().timeout == DEFAULT_TIMEOUT
    assert None not in DEFAULT_TIMEOUT.as_dict().values()


def test_sends_the_token(server: str) -> None:
    """A request carries the token, and the answer is parsed."""
    with AuthenticatedClient(server, "s3cret") as client:
        answer = gcapi_retrieve.sync_detailed(client=client)
    assert (answer.status_code, answer.parsed.latest_version) == (200, "1.0.0")
    assert headers_sent()["authorization"] == "Bearer s3cret"


def test_sends_the_token_through_a_given_client(server: str) -> None:
    """A connection that was set from outside loses neither the token nor the address."""
    with httpx.Client(headers={"X-Own": "1"}) as own:
        client = AuthenticatedClient(server, "s3cret").set_httpx_client(own)
        assert gcapi_retrieve.sync(client=client).latest_version == "1.0.0"
    assert headers_sent()["authorization"] == "Bearer s3cret"
    assert headers_sent()["x-own"] == "1"


def test_derived_clients_leave_the_first_alone(server: str) -> None:
    """A client with more headers, cookies or another timeout shares the connections, not the changes."""
    with Client(server, headers={"X-First": "1"}) as client:
        derived = client.with_headers({"X-More": "2"}).with_cookies({"a": "b"})
        derived = derived.with_timeout(httpx.Timeout(5))
        gcapi_retrieve.sync(client=derived)
        assert (headers_sent()["x-first"], headers_sent()["x-more"]) == ("1", "2")
        assert headers_sent()["cookie"] == "a=b"
        assert derived.get_httpx_client() is client.get_httpx_client()
        gcapi_retrieve.sync(client=client)
        assert not {"x-more", "cookie"} & headers_sent().keys()
        assert client.get_httpx_client().timeout == DEFAULT_TIMEOUT


def test_a_derived_timeout_counts() -> None:
    """The timeout of a derived client is used, although the connection has another."""
    client = Client("https://gc.localhost")
    assert "timeout" not in client._with_own_settings({"url": "/"})
    quick = client.with_timeout(httpx.Timeout(5)).with_headers({})
    assert quick._with_own_settings({"url": "/"})["timeout"] == httpx.Timeout(5)


def test_works_without_blocking(server: str) -> None:
    """The asyncio functions do the same."""

    async def ask() -> str:
        async with AuthenticatedClient(server, "s3cret") as client:
            return (await gcapi_retrieve.asyncio(client=client)).latest_version

    assert asyncio.run(ask()) == "1.0.0"
    assert headers_sent()["authorization"] == "Bearer s3cret"
