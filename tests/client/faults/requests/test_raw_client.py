"""`Client.raw`: the generated functions under the client's own TLS settings, timeout, origin check and retries."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gcapi import Client
from gcapi.exceptions import InvalidTarget
from gcapi.retries import BaseRetryStrategy
from grand_challenge_api.api.archives import archives_list
from tests.support.servers.loopback import (
    NO_RETRIES,
    TOKEN,
    Answer,
    Loopback,
    Seen,
    connect,
    in_turn,
)
from tests.support.servers.private_network import Authority

PAGE = Answer(body={"count": 7, "next": None, "previous": None, "results": []})


def ask(client: Client) -> Any:
    """Call a synchronous function."""
    return archives_list.sync_detailed(client=client.raw)


def ask_asynchronously(client: Client) -> Any:
    """Call an asyncio function."""
    return asyncio.run(archives_list.asyncio_detailed(client=client.raw))


def request(client: Client, url: str) -> httpx.Response:
    """Send a request with the HTTP client of the synchronous functions."""
    return client.raw.get_httpx_client().request("GET", url)


def request_asynchronously(client: Client, url: str) -> httpx.Response:
    """Send a request with the HTTP client of the asyncio functions."""

    async def send() -> httpx.Response:
        return await client.raw.get_async_httpx_client().request("GET", url)

    return asyncio.run(send())


both = pytest.mark.parametrize("call", [ask, ask_asynchronously])


@both
def test_private_authority_is_trusted(call: Callable[[Client], Any]) -> None:
    """A private certificate authority is trusted if the client trusts it, and refused otherwise."""
    authority = Authority()
    with Loopback(in_turn(PAGE), tls=authority.server_context()) as server:
        with connect(server, verify=authority.client_context()) as client:
            assert call(client).parsed.count == 7
        with (
            connect(
                server, verify=Authority().client_context(), retry_strategy=NO_RETRIES
            ) as client,
            pytest.raises(httpx.ConnectError, match="certificate"),
        ):
            call(client)
    [seen] = server.seen
    assert seen.header("Authorization") == f"Bearer {TOKEN}"


@both
def test_transient_responses_are_retried(call: Callable[[Client], Any]) -> None:
    """A 503 is retried as the client's own calls are."""
    with Loopback(in_turn(Answer(status=503), PAGE)) as server, connect(server) as client:
        assert call(client).parsed.count == 7
    assert len(server.seen) == 2


@pytest.mark.parametrize("send", [request, request_asynchronously])
def test_other_hosts_get_nothing(send: Callable[[Client, str], httpx.Response]) -> None:
    """Nothing is sent to another host."""
    with (
        Loopback(in_turn(PAGE)) as other,
        Loopback(in_turn(PAGE)) as server,
        connect(server) as client,
        pytest.raises(InvalidTarget),
    ):
        send(client, f"{other.origin}/api/v1/archives/")
    assert (other.seen, server.seen) == ([], [])


@both
def test_redirects_to_other_hosts_are_not_followed(call: Callable[[Client], Any]) -> None:
    """A redirect is returned instead of being followed with the token."""
    with Loopback(in_turn(PAGE)) as other:
        away = Answer(status=302, headers={"Location": f"{other.origin}/api/v1/archives/"})
        with Loopback(in_turn(away)) as server, connect(server) as client:
            assert call(client).status_code == 302
    assert other.seen == []


@both
def test_idle_servers_time_out(call: Callable[[Client], Any]) -> None:
    """The client's timeout ends the wait for an idle server."""
    release = threading.Event()

    def wait(_: Seen) -> Answer:
        release.wait(30)
        return PAGE

    with Loopback(wait) as server:
        with (
            connect(server, timeout=0.2, retry_strategy=NO_RETRIES) as client,
            pytest.raises(httpx.ReadTimeout),
        ):
            call(client)
        release.set()


@both
def test_responses_are_decoded_and_cookies_dropped(call: Callable[[Client], Any]) -> None:
    """A compressed response is decoded once, and no cookie of it is kept."""
    headers = {
        "Content-Encoding": "gzip",
        "Content-Type": "application/json",
        "Set-Cookie": "sessionid=abc; Path=/",
    }
    packed = Answer(body=gzip.compress(json.dumps(PAGE.body).encode()), headers=headers)
    with Loopback(in_turn(packed)) as server, connect(server) as client:
        assert call(client).parsed.count == 7
        raw = client.raw
        archives_list.sync(client=raw)
        archives_list.sync(client=raw)
    assert [seen.header("Cookie") for seen in server.seen] == ["", "", ""]


@pytest.mark.parametrize("send", [request, request_asynchronously])
def test_request_of_a_response_has_no_token(send: Callable[[Client, str], httpx.Response]) -> None:
    """The request that a response refers to does not contain the token, though it was sent with it."""
    with Loopback(in_turn(PAGE)) as server, connect(server) as client:
        response = send(client, "/api/v1/archives/")
    assert "Authorization" not in response.request.headers
    [seen] = server.seen
    assert seen.header("Authorization").startswith("Bearer ")
    assert seen.header("User-Agent").startswith("gcapi/")
    assert seen.header("Accept") == "application/json"


def test_leaving_a_block_does_not_close_the_client() -> None:
    """After `with client.raw:`, the client and other generated functions still work."""
    with Loopback(in_turn(PAGE)) as server, connect(server) as client:
        with client.raw as raw:
            assert archives_list.sync(client=raw).count == 7  # type: ignore[union-attr]
        assert client.archives.count() == 7
        assert ask(client).parsed.count == 7
    assert len({seen.connection for seen in server.seen}) == 1


def test_leaving_an_asynchronous_block_does_not_close_the_client() -> None:
    """After `async with client.raw:`, the client and other generated functions still work."""

    async def ask_inside(client: Client) -> Any:
        async with client.raw as raw:
            return await archives_list.asyncio(client=raw)

    with Loopback(in_turn(PAGE)) as server, connect(server) as client:
        assert asyncio.run(ask_inside(client)).count == 7
        assert client.archives.count() == 7
        assert ask_asynchronously(client).parsed.count == 7


def test_derived_clients_keep_the_settings() -> None:
    """A derived client with headers or a timeout of its own still sends through the client."""
    with Loopback(in_turn(Answer(status=503), PAGE)) as server, connect(server) as client:
        derived = client.raw.with_headers({"X-Own": "1"}).with_timeout(httpx.Timeout(5))
        assert archives_list.sync(client=derived).count == 7  # type: ignore[union-attr]
    assert [seen.header("X-Own") for seen in server.seen] == ["1", "1"]


class RetryOnCue(BaseRetryStrategy):
    """A strategy that retries once the test lets it."""

    def __init__(self) -> None:
        self.asked, self.cue = threading.Event(), threading.Event()

    def __call__(self) -> BaseRetryStrategy:
        return self

    def get_delay(self, latest_response: httpx.Response) -> float:  # noqa: ARG002
        self.asked.set()
        self.cue.wait(10)
        return 0.0


def test_cancelled_tasks_send_nothing_more() -> None:
    """Cancelling a task ends the retries of its request."""
    strategy, again = RetryOnCue(), threading.Event()

    def busy(_: Seen) -> Answer:
        if strategy.asked.is_set():
            again.set()
        return Answer(status=503)

    async def cancel(client: Client) -> None:
        task = asyncio.create_task(archives_list.asyncio_detailed(client=client.raw))
        await asyncio.to_thread(strategy.asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Loopback(busy) as server, connect(server, retry_strategy=strategy) as client:
        asyncio.run(cancel(client))
        strategy.cue.set()
        assert not again.wait(0.3)


def test_many_tasks_share_the_client() -> None:
    """Many tasks at once share the client's connections."""

    async def ask_many(client: Client) -> list[Any]:
        async with client.raw as raw:
            tasks = (archives_list.asyncio(client=raw) for _ in range(50))
            return await asyncio.gather(*tasks)

    with (
        Loopback(in_turn(PAGE)) as server,
        connect(server, max_concurrent_uploads=2, max_concurrent_downloads=2) as client,
    ):
        assert {page.count for page in asyncio.run(ask_many(client))} == {7}
    # Two for each transfer, two more, and the one that asked for the version.
    assert server.connections <= 2 * 2 + 2 + 1
