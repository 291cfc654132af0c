"""Clients in a hospital's network: proxies, and certificates of a private authority."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from gcapi import Client
from gcapi.exceptions import (
    ProxyRefusalError,
    UnreachableHostError,
)
from tests.support.api_objects import image_file
from tests.support.retried_calls import EMPTY
from tests.support.servers.loopback import NO_RETRIES, TOKEN, Answer, Loopback, Seen, in_turn
from tests.support.servers.private_network import API_HOST, STORE_HOST, Authority, Proxy

KEY = "X-Amz-Signature=s3cret"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own proxies and certificates out of these tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


class World:
    """An API and an object store over TLS, whose certificates a private authority made.

    Args:
        folder: Where the authority's certificate is, and where downloads go.
        store_authority: Who made the store's certificate; `None` for the same.
    """

    def __init__(self, folder: Path, store_authority: Authority | None = None) -> None:
        self.folder = folder
        self.authority = Authority()
        self.bundle = folder / "ca.pem"
        self.bundle.write_bytes(self.authority.pem)
        self.store = Loopback(
            in_turn(Answer(body=b"content")),
            tls=(store_authority or self.authority).server_context(),
        )
        self.api = Loopback(self._script, tls=self.authority.server_context())
        self.store_host = "localhost"

    def _script(self, seen: Seen) -> Answer:
        if not seen.path.startswith("/media/"):
            return EMPTY
        away = self.store.origin.replace("localhost", self.store_host)
        return Answer(status=302, headers={"Location": f"{away}/a.mha?{KEY}"})

    def visit(self, *, host: str = "localhost", **options: Any) -> None:
        """Call the API, and download a file from the store."""
        base_url = self.api.base_url.replace("localhost", host)
        with Client(TOKEN, base_url, retry_strategy=NO_RETRIES, **options) as client:
            client.archives.count()
            file = image_file(f"{base_url.partition('/api/')[0]}/media/a.mha")
            (path,) = client.images.download(
                files=[file], output_directory=self.folder, filename="a"
            )
            assert path.read_bytes() == b"content"

    def __enter__(self) -> Self:
        self.store.__enter__()
        self.api.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.api.__exit__(None, None, None)
        self.store.__exit__(None, None, None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give an API and a store over TLS."""
    with World(tmp_path) as running:
        yield running


# ---------------------------------------------------------------- proxies


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_proxy_serves_api_and_storage(
    world: World, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """With `HTTPS_PROXY`, all requests use the proxy, which sees neither the token nor presigned URLs."""
    with Proxy() as proxy:
        monkeypatch.setenv(variable, proxy.origin)
        world.store_host = STORE_HOST
        world.visit(host=API_HOST, verify=str(world.bundle))
        assert proxy.targets == {API_HOST, STORE_HOST}
        assert {seen.method for seen in proxy.seen} == {"CONNECT"}
        assert TOKEN not in repr(proxy.seen)
        assert "s3cret" not in repr(proxy.seen)
    assert {seen.header("Authorization") for seen in world.store.seen} == {""}


def test_no_proxy_goes_around_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`NO_PROXY` is honoured for the API and the store separately."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        world.store_host = STORE_HOST
        world.visit(verify=world.bundle)
        assert proxy.targets == {STORE_HOST}
        proxy.seen.clear()
        (world.folder / "a.mha").unlink()
        monkeypatch.setenv("NO_PROXY", "*")
        world.store_host = "localhost"
        world.visit(verify=world.bundle)
        assert proxy.seen == []


def test_password_of_a_proxy_goes_to_the_proxy_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials of a proxy are sent to the proxy only."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin.replace("//", "//me:w0rd@"))
        world.visit(verify=world.bundle)
        assert all(seen.header("Proxy-Authorization").startswith("Basic ") for seen in proxy.seen)
    behind = [*world.api.seen, *world.store.seen]
    assert {seen.header("Proxy-Authorization") for seen in behind} == {""}


def test_proxy_that_refuses_is_a_transport_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that refuses the tunnel raises httpx's error with the proxy's words."""
    with Proxy(refusal=Answer(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        with pytest.raises(httpx.ProxyError, match="407 Proxy Authentication Required") as caught:
            world.visit(verify=world.bundle)
    assert world.api.seen == []
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (ProxyRefusalError, str(caught.value))


def test_proxy_that_is_down_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a connection through a proxy names the host, its port and the proxy."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
    with pytest.raises(
        UnreachableHostError, match="could not be reached through the proxy"
    ) as caught:
        world.visit(verify=world.bundle)
    base = httpx.URL(world.api.base_url)
    assert (caught.value.host, caught.value.port) == (base.host, base.port)
    assert f"{base.host}:{base.port} could not be reached" in str(caught.value)
    assert caught.value.proxy == httpx.URL(proxy.origin).netloc.decode()
    assert f"the proxy {caught.value.proxy} (" in str(caught.value)


# ---------------------------------------------------------------- certificates


WAYS: dict[str, Callable[[World], Any]] = {
    "a path": lambda world: world.bundle,
    "a path as text": lambda world: str(world.bundle),
    "a context": lambda world: world.authority.client_context(),
    "no check": lambda _: False,
}


@pytest.mark.parametrize("way", WAYS)
def test_private_authority_is_trusted_where_it_is_given(world: World, way: str) -> None:
    """Every form of `verify` applies to the API and the store."""
    world.visit(verify=WAYS[way](world))
    assert world.api.seen
    assert world.store.seen


def test_authority_of_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`SSL_CERT_FILE` names the default bundle."""
    monkeypatch.setenv("SSL_CERT_FILE", str(world.bundle))
    world.visit()
    assert world.store.seen


def test_what_is_given_holds_rather_than_the_environment(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bundle in `verify` overrides `SSL_CERT_FILE`."""
    monkeypatch.setenv("SSL_CERT_FILE", str(world.bundle))
    other = tmp_path / "other.pem"
    other.write_bytes(Authority().pem)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        world.visit(verify=other)


def test_unknown_authorities_are_refused(world: World) -> None:
    """Nothing is sent to an API with an untrusted certificate."""
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        world.visit()
    assert world.api.seen == []


@pytest.mark.parametrize("context", [False, True])
def test_store_of_an_unknown_authority_is_refused(tmp_path: Path, context: bool) -> None:
    """Nothing is downloaded from a store with an untrusted certificate."""
    with World(tmp_path, store_authority=Authority()) as world:
        verify = world.authority.client_context() if context else world.bundle
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            world.visit(verify=verify)
        assert world.store.seen == []
    assert not list(tmp_path.glob("*.mha"))
