"""The proxy of the environment: its address, its exceptions, and what cannot be used."""

from __future__ import annotations

import sys

import httpx
import pytest

from gcapi import Client
from gcapi._http.proxies import environment_proxy
from gcapi.exceptions import ConfigurationError, MissingExtra
from gcapi.retries import SelectiveBackoffStrategy
from tests.support.servers.loopback import NO_TLS, TOKEN, Answer, Loopback

ONCE = SelectiveBackoffStrategy(0, 0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's proxy."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("exceptions", "url", "is_proxied"),
    [
        ("", "https://gc.example/", True),
        ("gc.example", "https://gc.example/", False),
        ("gc.example", "https://www.gc.example/", False),
        ("gc.example", "https://wwwgc.example/", True),
        (".gc.example", "https://gc.example/", False),
        ("*.gc.example", "https://www.gc.example/", False),
        ("GC.Example", "https://gc.example/", False),
        ("a.example, gc.example", "https://gc.example/", False),
        ("a.example gc.example", "https://gc.example/", False),
        ("https://gc.example", "https://gc.example/", False),
        ("gc.example:8443", "https://gc.example:8443/", False),
        ("gc.example:8443", "https://gc.example/", True),
        ("gc.example:443", "https://gc.example/", False),
        ("10.0.0.0/8", "https://10.1.2.3/", False),
        ("10.0.0.0/8", "https://11.1.2.3/", True),
        ("10.1.2.3", "https://10.1.2.3/", False),
        ("2001:db8::/32", "https://[2001:db8::1]/", False),
        ("[2001:db8::]/32", "https://[2001:db8::1]/", False),
        ("2001:db8::/32", "https://[2001:db9::1]/", True),
        ("[2001:db8::1]", "https://[2001:db8:0::1]/", False),
        ("2001:db8::1", "https://[2001:db8::1]:8443/", False),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443/", False),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]/", True),
        ("fe80::/10,junk[,/,://", "https://gc.example/", True),
        ("", "http://localhost/", False),
    ],
)
def test_exceptions(
    exceptions: str, url: str, is_proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`NO_PROXY` lists hosts, domains, ports, addresses and networks, of IPv6 with or without brackets."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", exceptions)
    proxy = environment_proxy()
    assert proxy is not None
    assert proxy.is_for(httpx.URL(url)) is is_proxied


def test_all_hosts_are_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """An asterisk in `NO_PROXY` turns the proxy off, even one that could not be used."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy example")
    monkeypatch.setenv("NO_PROXY", "localhost,*")
    assert environment_proxy() is None


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://proxy.example :3128", "has blanks"),
        (" http://proxy.example:3128", "has blanks"),
        ("http://me:s3 cret@proxy.example:3128", "%20"),
        ("http://me:s3#cret@proxy.example:3128", "%23"),
        ("http://me:s3?cret@proxy.example:3128", "%3F"),
        ("http://me:s3/cret@proxy.example:3128", "%2F"),
        ("http://proxy.example:port", "not the address of a proxy"),
        ("http://", "not the address of a proxy"),
        ("http://[::1", "not the address of a proxy"),
        ("ftp://me:s3cret@proxy.example", "unknown kind ftp://"),
    ],
)
def test_addresses_that_cannot_be_used(
    variable: str, address: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error names the variable and what to do, and never shows the password."""
    monkeypatch.setenv(variable, address)
    with (
        Client(TOKEN, "https://gc.example", NO_TLS) as client,
        pytest.raises(ConfigurationError) as caught,
    ):
        client.archives.count()
    assert str(caught.value).startswith(variable)
    assert words in str(caught.value)
    assert "cret" not in str(caught.value)


def test_socks_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its package, a SOCKS proxy is an error with the command that installs it."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example")
    with pytest.raises(MissingExtra, match=r"ALL_PROXY.*pip install socksio"):
        environment_proxy()


def test_proxy_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a proxy that cannot be reached names the proxy, without its password."""
    with Loopback(lambda _: Answer()) as server:
        gone = server.origin.removeprefix("http://")
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret@{gone}")
    with (
        Client(TOKEN, "https://gc.example", NO_TLS, retry_strategy=ONCE) as client,
        pytest.raises(httpx.ConnectError, match=f"through the proxy {gone}") as caught,
    ):
        client.archives.count()
    assert "s3cret" not in str(caught.value)
