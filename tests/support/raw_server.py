"""A server that sends whatever bytes a script gives it, HTTP or not, and tells connections apart."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gcapi import Client
from tests.support.listener import Listener
from tests.support.loopback import VERSION, connect

CHUNK = b"%x\r\n" % 2**16 + b" " * 2**16 + b"\r\n"


@dataclass(frozen=True)
class Asked:
    """A request that arrived.

    Attributes:
        head: Its first line and headers.
        connection: Which connection it came on, counted from 0.
    """

    head: str
    connection: int

    @property
    def path(self) -> str:
        return self.head.split()[1]


RawScript = Callable[[Asked], Iterable[bytes]]


def http(head: str, body: bytes = b"") -> bytes:
    """Return an answer; the head's first line is its status, and a length is only there if it says so."""
    return b"HTTP/1.1 " + head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body


def told(body: bytes, kind: str = "application/json", status: str = "200 OK") -> bytes:
    """Return an answer as it should be."""
    return http(f"{status}\nContent-Type: {kind}\nContent-Length: {len(body)}", body)


class RawServer(Listener):
    """Answer each request with the bytes that a script yields; empty bytes close the connection.

    The version check is answered by itself.
    """

    def __init__(self, script: RawScript) -> None:
        super().__init__()
        self.asked: list[Asked] = []
        self._script = script

    @property
    def base_url(self) -> str:
        return f"{self.url}/api/v1/"

    def client(self, **options: Any) -> Client:
        return connect(self, **options)  # type: ignore[arg-type] # it only needs the base URL

    def handle(self, connection: socket.socket, number: int) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as incoming:
            while asked := _read(incoming, number):
                if asked.path == "/api/v1/gcapi/":
                    connection.sendall(told(json.dumps(VERSION).encode()))
                    continue
                self.asked.append(asked)
                for block in self._script(asked):
                    connection.sendall(block)
                    if block == b"":
                        return


def _read(incoming: Any, number: int) -> Asked | None:
    lines: list[str] = []
    while (line := incoming.readline().decode("latin-1")).strip():
        lines.append(line)
    lengths = [line for line in lines if line.lower().startswith("content-length:")]
    incoming.read(int(lengths[0].partition(":")[2]) if lengths else 0)
    return Asked("".join(lines), number) if lines else None
