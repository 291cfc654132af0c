"""A scripted HTTP server on loopback, for responses that no well-behaved server gives.

It also sends raw bytes that are no valid HTTP (`Answer.blocks`) and opens tunnels like a forward proxy
(`Answer.tunnel`), so that no second server is needed for either.
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

from gcapi import Client
from gcapi.retries import PatientStrategy, SelectiveBackoffStrategy

TOKEN = "0123456789abcdef"
#: Loading certificates is slow, and plain HTTP needs none.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
VERSION = {"latest_version": "0.16.1", "lowest_supported_version": "0.13.0"}


@dataclass(frozen=True)
class Answer:
    """A scripted response.

    Attributes:
        status: The HTTP status.
        body: Bytes are sent as they are, anything else as JSON.
        headers: Sent in addition to Content-Length, and Content-Type for JSON.
        length: The value of Content-Length; `None` for the body's length.
        reset: Reset the connection instead of responding.
        chunked: Send the body in chunks, without a Content-Length; `broken` omits the last chunk.
        hold: An event to wait for after the body, before the connection is reused or closed.
        blocks: Raw bytes to send in place of everything above, head included; an empty block closes the connection.
        tunnel: A local port to connect the client with, like a proxy that receives CONNECT.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    reset: bool = False
    chunked: Literal["", "whole", "broken"] = ""
    hold: threading.Event | None = None
    blocks: Iterable[bytes] | None = None
    tunnel: int | None = None

    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def all_headers(self) -> dict[str, str]:
        length = len(self.content()) if self.length is None else self.length
        kind = {} if isinstance(self.body, bytes) else {"Content-Type": "application/json"}
        framing = (
            {"Transfer-Encoding": "chunked"} if self.chunked else {"Content-Length": str(length)}
        )
        return {**framing, **kind, **self.headers}

    def sent(self) -> bytes:
        """Return the body with its transfer encoding."""
        content = self.content()
        if not self.chunked:
            return content
        half = max(1, len(content) // 2)
        chunks = [content[at : at + half] for at in range(0, len(content), half)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return framed + (b"0\r\n\r\n" if self.chunked == "whole" else b"")

    @property
    def is_whole(self) -> bool:
        """True if the connection can be reused after this response."""
        return self.chunked != "broken" and self.length in {None, len(self.content())}


@dataclass(frozen=True)
class Seen:
    """A request that the server received.

    Attributes:
        method: The HTTP method.
        path: The path and query; the host and port for CONNECT.
        headers: The headers as they were spelled.
        body: The body.
        connection: The number of the connection, counted from 1.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    connection: int = 0

    def header(self, name: str) -> str:
        """Return a header by its case-insensitive name, or an empty string."""
        found = {key.lower(): value for key, value in self.headers.items()}
        return found.get(name.lower(), "")

    def json(self) -> Any:
        return json.loads(self.body)


Script = Callable[[Seen], Answer]


def in_turn(*answers: Answer) -> Script:
    """Return each answer once, and then repeat the last one."""

    def endless() -> Iterator[Answer]:
        yield from answers
        while True:
            yield answers[-1]

    script, lock = endless(), threading.Lock()

    def answer(_: Seen) -> Answer:
        with lock:
            return next(script)

    return answer


NO_RETRIES = SelectiveBackoffStrategy(0.0, 0)
#: The default retries, without delay.
AT_ONCE = partial(PatientStrategy, backoff_factor=0.0)


def connect(server: Loopback, **options: Any) -> Client:
    """Return a client of a server, with `TOKEN` and without delays by default."""
    usual = {"token": TOKEN, "base_url": server.base_url, "verify": NO_TLS}
    return Client(**{**usual, "retry_strategy": AT_ONCE, **options})


#: One chunk of 64 KiB of spaces, with its transfer encoding.
RAW_CHUNK = b"%x\r\n" % 2**16 + b" " * 2**16 + b"\r\n"


def raw_response(head: str, body: bytes = b"") -> bytes:
    """Return a response as bytes; the head's first line is the status, and nothing is added to it."""
    return b"HTTP/1.1 " + head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body


def path_as_json(seen: Seen) -> Answer:
    """Answer with the path that was asked for, so that an answer to another request is noticed."""
    return Answer(body=seen.path)


class _Server(ThreadingHTTPServer):
    """A server that ignores clients that disconnect."""

    daemon_threads = True

    def __init__(self, loopback: Loopback) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.loopback = loopback

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Loopback:
    """A server that answers every request with a script and records it.

    Attributes:
        script: Returns the answer to a request.
        seen: The requests that the script answered, in the order of their arrival.
        connections: The number of connections that were opened.

    Args:
        script: See the attribute.
        with_version: Answer the version check without asking the script or recording the request.
        tls: Serve https on localhost with this context.
    """

    def __init__(
        self, script: Script, *, with_version: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        self.seen: list[Seen] = []
        self.connections = 0
        self._lock = threading.Lock()
        self.script = script
        self._with_version = with_version
        self._tls = tls
        self._server = _Server(self)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.002}, daemon=True
        )

    @property
    def origin(self) -> str:
        port = self._server.server_address[1]
        return f"https://localhost:{port}" if self._tls else f"http://127.0.0.1:{port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/api/v1/"

    def count_connection(self) -> int:
        """Count a connection and return its number."""
        with self._lock:
            self.connections += 1
            return self.connections

    def answer(self, seen: Seen) -> Answer:
        """Record a request and return the script's answer."""
        if self._with_version and seen.path == "/api/v1/gcapi/":
            return Answer(body=VERSION)
        self.seen.append(seen)
        return self.script(seen)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        self.number = self.server.loopback.count_connection()
        super().setup()

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = Seen(self.command, self.path, dict(self.headers), body, self.number)
        answer = self.server.loopback.answer(seen)
        if answer.reset:
            self.reset()
        elif answer.blocks is not None:
            self.send_blocks(answer.blocks)
        elif answer.tunnel is not None:
            self.open_tunnel(answer.tunnel)
        else:
            self.send_answer(answer)

    def send_answer(self, answer: Answer) -> None:
        # An answer with a Date header of its own replaces the server's.
        send = self.send_response_only if "Date" in answer.headers else self.send_response
        send(answer.status)
        for name, value in answer.all_headers().items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.sent())
        if answer.hold is not None:
            answer.hold.wait(60)
        if not answer.is_whole:
            self.close_connection = True

    def send_blocks(self, blocks: Iterable[bytes]) -> None:
        for block in blocks:
            self.wfile.write(block)
            if not block:
                self.close_connection = True
                return

    def open_tunnel(self, port: int) -> None:
        self.close_connection = True
        with socket.create_connection(("127.0.0.1", port)) as target:
            self.send_response_only(200)
            self.end_headers()
            _copy_both_ways(self.connection, target)

    def reset(self) -> None:
        no_linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815
    do_CONNECT = handle_any  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def _copy_both_ways(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes in both directions until either side closes its connection."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            block = ready.recv(65536)
            if not block:
                return
            (other if ready is one else one).sendall(block)
