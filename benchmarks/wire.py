"""HTTP/1.1 over TLS on loopback, with a thread per connection, a latency per request and a rate per connection.

It uses blocking sockets: reading, encrypting, hashing and waiting release the interpreter's lock, so that one process
keeps ten connections busy and leaves the other core to the client.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import pattern

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable

#: The size of a block that is read, hashed and sent, in bytes.
PIECE = 256 * 1024
#: The delay that a body can catch up on after other load of the machine, in seconds.
SLACK = 0.1
#: The timeout of a connection in seconds.
IDLE = 120.0
_HEAD_LIMIT = 64 * 1024


@dataclass(frozen=True)
class Link:
    """The simulated network.

    Attributes:
        latency: The seconds that every request is delayed.
        rate: The limit of every connection in bytes per second, in each direction; 0 for no limit.
    """

    latency: float = 0.0
    rate: float = 0.0


class Pace:
    """The rate limit of one body."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._due = time.monotonic()

    def moved(self, count: int) -> None:
        """Wait until the link would have moved this many more bytes."""
        if not self._rate:
            return
        now = time.monotonic()
        self._due = max(self._due, now - SLACK) + count / self._rate
        if self._due > now:
            time.sleep(self._due - now)


@dataclass
class Counts:
    """The counts of an origin since the last call."""

    connections: int = 0
    requests: int = 0
    problems: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def connected(self) -> None:
        """Count a connection."""
        with self._lock:
            self.connections += 1

    def answered(self, request: Request, status: int) -> None:
        """Count a request, and record a refused one."""
        with self._lock:
            self.requests += 1
            if status >= HTTPStatus.BAD_REQUEST:
                self.problems.append(f"{status} {request.method} {request.path}")

    def take(self) -> dict[str, object]:
        """Return the counts and reset them."""
        with self._lock:
            taken: dict[str, object] = {
                "connections": self.connections,
                "requests": self.requests,
                "problems": self.problems,
            }
            self.connections, self.requests, self.problems = 0, 0, []
        return taken


@dataclass
class Request:
    """A request with its body.

    Attributes:
        body: The body of an API request; empty for a body that was only hashed.
        size: The body's length.
        md5: The hex MD5 of a hashed body.
    """

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes = b""
    size: int = 0
    md5: str = ""


@dataclass
class Stretch:
    """A range of the pattern as a body."""

    offset: int
    length: int


@dataclass
class Reply:
    """A response."""

    status: int = 200
    body: bytes | Stretch = b""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """The body's length in bytes."""
        return self.body.length if isinstance(self.body, Stretch) else len(self.body)

    def pieces(self) -> Iterable[bytes | memoryview]:
        """Yield the pieces of the body."""
        if isinstance(self.body, Stretch):
            return pattern.stretch(self.body.offset, self.body.length, PIECE)
        whole = memoryview(self.body)
        return [whole[start : start + PIECE] for start in range(0, len(whole), PIECE)]

    def head(self) -> bytes:
        """Return the status line and the headers."""
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, f"Content-Length: {self.length}", "\r\n"]).encode("latin-1")


class Origin:
    """A host and port.

    Args:
        context: The TLS settings.
        link: The latency and the rate.
        hashes: Whether bodies are hashed instead of kept.
    """

    def __init__(self, context: ssl.SSLContext, link: Link, *, hashes: bool) -> None:
        self.link = link
        self.hashes = hashes
        self.counts = Counts()
        self.handler: Callable[[Request], Reply] = lambda _: Reply(404)
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Accept connections until the process ends."""
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            plain, _ = self._listener.accept()
            self.counts.connected()
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        plain.settimeout(IDLE)
        # A client that disconnects ends only its own connection.
        with plain, suppress(OSError), self._context.wrap_socket(plain, server_side=True) as tls:
            Connection(tls, self).serve()


class Connection:
    """A connection, whose requests are answered in order."""

    def __init__(self, tls: ssl.SSLSocket, origin: Origin) -> None:
        self._tls = tls
        self._origin = origin
        self._ahead = b""

    def serve(self) -> None:
        """Answer requests until the client closes."""
        while (request := self._read_head()) is not None:
            self._read_body(request)
            if self._origin.link.latency:
                time.sleep(self._origin.link.latency)
            reply = self._origin.handler(request)
            self._origin.counts.answered(request, reply.status)
            self._send(request, reply)
            if request.headers.get("connection", "").lower() == "close":
                return

    def _read_head(self) -> Request | None:
        data = self._ahead
        while b"\r\n\r\n" not in data:
            more = self._tls.recv(_HEAD_LIMIT)
            if not more or len(data) > _HEAD_LIMIT:
                return None
            data += more
        head, _, self._ahead = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        pairs = (line.partition(":") for line in lines)
        return Request(
            method, path, query, {name.lower(): value.strip() for name, _, value in pairs}
        )

    def _read_body(self, request: Request) -> None:
        request.size = int(request.headers.get("content-length", "0"))
        digest = hashlib.md5(usedforsecurity=False)
        pace = Pace(self._origin.link.rate)
        buffer = memoryview(bytearray(min(PIECE, request.size)))
        missing, kept = request.size, []
        while missing:
            piece = buffer[: min(PIECE, missing)]
            self._fill(piece)
            missing -= len(piece)
            if self._origin.hashes:
                digest.update(piece)
            else:
                kept.append(bytes(piece))
            pace.moved(len(piece))
        request.body, request.md5 = b"".join(kept), digest.hexdigest()

    def _fill(self, piece: memoryview) -> None:
        have = min(len(piece), len(self._ahead))
        piece[:have] = self._ahead[:have]
        self._ahead = self._ahead[have:]
        while have < len(piece):
            count = self._tls.recv_into(piece[have:])
            if not count:
                raise ConnectionResetError
            have += count

    def _send(self, request: Request, reply: Reply) -> None:
        head = reply.head()
        if request.method == "HEAD" or not reply.length:
            self._tls.sendall(head)
            return
        pace = Pace(self._origin.link.rate)
        for piece in reply.pieces():
            pace.moved(len(piece))
            if head and len(piece) < PIECE:
                # Send a small response as one TLS record, like a real server.
                self._tls.sendall(head + piece)
            else:
                if head:
                    self._tls.sendall(head)
                self._tls.sendall(piece)
            head = b""
