"""The proxy of the environment, and the hosts that are reached without it.

httpx would read the same variables, but does not understand networks and brackets in ``NO_PROXY``, and its errors for
a proxy that cannot be used do not name the variable.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.request import getproxies

import httpx

from gcapi._http.header_deadline import bound_headers
from gcapi._util.messages import shown_url
from gcapi.exceptions import ConfigurationError, MissingExtra

_SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True)
class ProxySettings:
    """The proxy for https.

    Attributes:
        url: Its address; may have a user name and a password.
        source: The name of the variable with its address.
        exceptions: The hosts, domains, addresses and networks that are reached without it.
    """

    url: httpx.URL
    source: str
    exceptions: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The address without its password, and the variable."""
        return f"{shown_url(self.url)} ({self.source})"

    def is_for(self, url: httpx.URL) -> bool:
        """Return whether a URL is reached through it; http is for this machine alone."""
        return url.scheme == "https" and not any(
            _is_exception(exception, url) for exception in self.exceptions
        )


def environment_proxy() -> ProxySettings | None:
    """Return the proxy of the environment or, on Windows and macOS, of the system; `None` for none.

    Raises:
        ConfigurationError: It cannot be used.
    """
    settings = getproxies()
    key = "https" if settings.get("https") else "all"
    address = settings.get(key)
    exceptions = tuple(re.split(r"[\s,]+", settings.get("no", "").strip().lower()))
    if not address or "*" in exceptions:
        return None
    names = (f"{key}_proxy", f"{key.upper()}_PROXY")
    source = next((name for name in names if os.environ.get(name) == address), "the system's proxy")
    return ProxySettings(_parse_proxy(address, source), source, tuple(filter(None, exceptions)))


def _parse_proxy(address: str, source: str) -> httpx.URL:
    """Return the URL of a proxy; no error shows the address, which may have a password."""
    if re.search(r"\s", address):
        raise ConfigurationError(
            f"{source} has blanks, so it is not the address of a proxy. Remove them, and write those of a password"
            " as %20."
        )
    url = httpx.URL()
    with suppress(httpx.InvalidURL, ValueError):
        url = httpx.URL(address if "://" in address else f"http://{address}")
    if not url.host or "@" in url.path or "#" in address or "?" in address:
        raise ConfigurationError(
            f"{source} is not the address of a proxy, such as http://proxy.example:3128. Correct or unset it; in a"
            " password, write # as %23, ? as %3F, / as %2F and @ as %40."
        )
    if url.scheme not in _SCHEMES:
        raise ConfigurationError(
            f"{source} names a proxy of the unknown kind {url.scheme}://. Use {', '.join(_SCHEMES)}, or unset it."
        )
    if url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise MissingExtra(
            f"{source} names a SOCKS proxy, which needs the package socksio: pip install socksio. Or set it to an HTTP"
            " proxy."
        )
    return url


def _is_exception(exception: str, url: httpx.URL) -> bool:
    """Return whether an entry of ``NO_PROXY`` is for a URL: a host, a domain, an address or a network."""
    exception = exception.rpartition("://")[2]
    host = url.host.lower()
    address = _network(host)
    # With a port: "host:8443", "[2001:db8::1]:8443".
    with_port = re.fullmatch(r"(\[.*\]|[^:]*):(\d+)", exception)
    if with_port:
        if int(with_port[2]) != (url.port or 443):
            return False
        exception = with_port[1]
    exception = exception.replace("[", "").replace("]", "")
    network = _network(exception)
    if address and network:
        return address.version == network.version and address.network_address in network
    domain = exception.removeprefix("*").removeprefix(".").rstrip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.partition("%")[0], strict=False)
    except ValueError:
        return None


class ProxyTransport(httpx.BaseTransport):
    """Connections through a proxy, and direct ones to its exceptions.

    Args:
        proxy: The proxy.
        tls: Checks the certificates of servers, and of the proxy.
        limits: The limits of either pool of connections.
    """

    def __init__(self, proxy: ProxySettings, tls: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._proxy = proxy
        self._direct = httpx.HTTPTransport(verify=tls, limits=limits, trust_env=False)
        through = httpx.Proxy(proxy.url, ssl_context=tls if proxy.url.scheme == "https" else None)
        self._proxied = httpx.HTTPTransport(
            verify=tls, limits=limits, trust_env=False, proxy=through
        )
        for transport in (self._direct, self._proxied):
            bound_headers(transport)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        is_proxied = self._proxy.is_for(request.url)
        return (self._proxied if is_proxied else self._direct).handle_request(request)

    def close(self) -> None:
        """Close all connections."""
        self._direct.close()
        self._proxied.close()
