"""Check of the hosts that files are fetched from and sent to, which the server names.

A server must not make this machine read an internal service, whose answer a later call might send on. So https is
required, and an address of the public internet, unless the base URL itself leads to a private network. The address is
that of the connection, after the name is resolved; what a proxy connects to is the proxy's to decide. A user whose
network leads the store's name to a private endpoint names that store in an environment variable.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from typing import Any

import httpx

from gcapi._http.settings import Settings
from gcapi._http.urls import is_loopback, is_secure
from gcapi._util.messages import shown_url
from gcapi.exceptions import InvalidTarget

#: The environment variable with the names of stores that may be at private addresses, separated by commas.
PRIVATE_HOSTS_VARIABLE = "GCAPI_PRIVATE_FILE_HOSTS"


def check_file_url(url: httpx.URL, settings: Settings) -> None:
    """Check the URL of a file before it is requested.

    Raises:
        InvalidTarget: It is not https, or names an address of this machine or of a private network, while the base URL
            does not.
    """
    if not is_secure(url) or (url.scheme == "http" and settings.base_url.scheme == "https"):
        raise InvalidTarget(f"{shown_url(url)} is not fetched: it is not https.")
    if is_private(url.host) and not is_private_name(settings.base_url.host):
        raise _private_target(url, url.host, settings)


class ConnectionCheck:
    """A trace of a request, as the HTTP client takes it, that checks the address of a new connection.

    Args:
        url: The URL of the request.
        settings: The client's settings.
    """

    def __init__(self, url: httpx.URL, settings: Settings) -> None:
        self._url = url
        self._settings = settings
        self._host = ""

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Remember the host of a connection, and check its address before anything is sent.

        Raises:
            InvalidTarget: It is an address of this machine or of a private network, while the base URL's is not.
        """
        if event == "connection.connect_tcp.started":
            self._host = str(info["host"])
        elif event == "connection.connect_tcp.complete" and self._host == self._url.host:
            stream = info["return_value"]
            address = str(stream.get_extra_info("server_addr")[0])
            is_expected = self._host.lower() in expected_private_hosts()
            if (
                is_private(address)
                and not is_expected
                and not is_private_name(self._settings.base_url.host)
            ):
                stream.close()
                raise _private_target(self._url, address, self._settings)


def expected_private_hosts() -> set[str]:
    """Return the names of stores that the user's network resolves to private addresses, such as a VPC endpoint.

    Addresses do not count: of a name, the certificate shows that it is the store.
    """
    names = re.split(r"[\s,]+", os.environ.get(PRIVATE_HOSTS_VARIABLE, "").lower())
    return {name for name in names if name and not is_private(name)}


def is_private(host: str) -> bool:
    """Return whether a host is ``localhost``, or an IP address that is not one of the public internet."""
    if is_loopback(host):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return not (mapped or address).is_global


def is_private_name(host: str) -> bool:
    """Return whether a host is private, or a name that resolves to private addresses only."""
    if is_private(host):
        return True
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:  # only a proxy can resolve it
        return False
    return all(is_private(str(address[0])) for *_, address in found)


def _private_target(url: httpx.URL, address: str, settings: Settings) -> InvalidTarget:
    return InvalidTarget(
        f"{shown_url(url)} is not fetched: {address} is an address of this machine or of a private network, and"
        f" {settings.base_url.host} is not. If your network leads {url.host} to a private endpoint of the store, set"
        f" {PRIVATE_HOSTS_VARIABLE}={url.host}; else report this to the operators of the server."
    )
