"""A forward proxy on loopback, and certificates of a private authority, as a hospital has them."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from dataclasses import dataclass, field
from functools import cached_property

import trustme

from tests.support.listener import Listener

#: Names that no resolver knows: what reaches them came through the proxy.
API_HOST, STORE_HOST = "gc.example.test", "store.example.test"


class Authority:
    """A private certificate authority."""

    @cached_property
    def ca(self) -> trustme.CA:
        return trustme.CA()

    @cached_property
    def pem(self) -> bytes:
        return self.ca.cert_pem.bytes()

    def server_context(self) -> ssl.SSLContext:
        """Return what serves the names that the tests use."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = ("localhost", "127.0.0.1", API_HOST, STORE_HOST)
        self.ca.issue_cert(*names).configure_cert(context)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return what trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context


@dataclass
class Proxy(Listener):
    """A proxy that only knows CONNECT, finds every name on this machine, and keeps the heads of what it was asked.

    Attributes:
        refuse: The status line that it answers with in place of a tunnel; empty to make tunnels.
        heads: Each request's head.
    """

    refuse: bytes = b""
    heads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    @property
    def targets(self) -> set[str]:
        """The hosts that tunnels led to."""
        return {head.split()[1].rpartition(":")[0] for head in self.heads}

    def port_of(self, target: str) -> int:
        """Return the port of this machine that a target's tunnel leads to."""
        return int(target.rpartition(":")[2])

    def handle(self, client: socket.socket, _: int) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            self.heads.append(head.decode("latin-1"))
            if self.refuse:
                client.sendall(b"HTTP/1.1 " + self.refuse + b"\r\nContent-Length: 0\r\n\r\n")
                return
            port = self.port_of(head.split()[1].decode("latin-1"))
            with socket.create_connection(("127.0.0.1", port)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _join(client, server)


def _join(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes both ways until either side ends."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            block = ready.recv(65536)
            if not block:
                return
            (other if ready is one else one).sendall(block)
