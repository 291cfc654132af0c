"""A private certificate authority and a forward proxy, as in a hospital's network."""

from __future__ import annotations

import ssl
from functools import cached_property
from typing import Any

import trustme

from tests.support.servers.loopback import Answer, Loopback, Seen

#: Names that no resolver knows, so that a request for them can only have come through the proxy.
API_HOST, STORE_HOST = "gc.example.test", "store.example.test"


class Authority:
    """A private certificate authority."""

    @cached_property
    def ca(self) -> trustme.CA:
        return trustme.CA()

    @cached_property
    def pem(self) -> bytes:
        return self.ca.cert_pem.bytes()

    def server_context(self, *names: str) -> ssl.SSLContext:
        """Return a context with a certificate for the given names, or for those that the tests use."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        usual = ("localhost", "127.0.0.1", API_HOST, STORE_HOST)
        self.ca.issue_cert(*(names or usual)).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return a context that trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context


class Proxy(Loopback):
    """A forward proxy that finds every host on this machine and knows only CONNECT.

    Args:
        port: The local port that every tunnel leads to; `None` for the port that was asked for.
        refusal: The answer in place of a tunnel.
    """

    def __init__(self, port: int | None = None, *, refusal: Answer | None = None) -> None:
        super().__init__(self._connect, with_version=False)
        self._port, self._refusal = port, refusal

    @property
    def targets(self) -> set[str]:
        """The hosts that tunnels were asked for."""
        return {seen.path.rpartition(":")[0] for seen in self.seen}

    def _connect(self, seen: Seen) -> Answer:
        port: Any = self._port or seen.path.rpartition(":")[2]
        return self._refusal or Answer(tunnel=int(port))
