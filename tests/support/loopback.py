"""A scripted HTTP server on loopback, for answers that no well-behaved server gives."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self

from gcapi import Client
from gcapi.retries import PatientStrategy, SelectiveBackoffStrategy

TOKEN = "0123456789abcdef"
#: Certificates take a while to be loaded, and loopback needs none.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
VERSION = {"latest_version": "0.16.1", "lowest_supported_version": "0.13.0"}


@dataclass(frozen=True)
class Answer:
    """What the server says.

    Attributes:
        status: The HTTP status.
        body: Sent as it is; anything but bytes as JSON.
        headers: Beside Content-Length, and Content-Type for JSON.
        length: What Content-Length claims; `None` for the truth.
        reset: Break the connection instead of answering.
        chunked: Send the body in chunks, without a Content-Length; `broken` leaves out the last chunk.
        hold: What is waited for after the body, before the connection is used again or closed.
    """

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    reset: bool = False
    chunked: Literal["", "whole", "broken"] = ""
    hold: threading.Event | None = None

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
        """Return the body as it goes over the wire."""
        content = self.content()
        if not self.chunked:
            return content
        half = max(1, len(content) // 2)
        chunks = [content[at : at + half] for at in range(0, len(content), half)]
        framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        return framed + (b"0\r\n\r\n" if self.chunked == "whole" else b"")

    @property
    def is_whole(self) -> bool:
        """Whether the connection can be used for another answer after this one."""
        return self.chunked != "broken" and self.length in {None, len(self.content())}


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def header(self, name: str) -> str:
        """Return a header whatever its case, empty if there is none."""
        found = {key.lower(): value for key, value in self.headers.items()}
        return found.get(name.lower(), "")

    def json(self) -> Any:
        return json.loads(self.body)


Script = Callable[[Seen], Answer]


def in_turn(*answers: Answer) -> Script:
    """Give one answer after the other, and the last one again and again."""

    def endless() -> Iterator[Answer]:
        yield from answers
        while True:
            yield answers[-1]

    script, lock = endless(), threading.Lock()

    def answer(_: Seen) -> Answer:
        with lock:
            return next(script)

    return answer


#: Takes every answer and every broken connection as it is.
NO_RETRIES = SelectiveBackoffStrategy(0.0, 0)
#: Repeats as a client does by default, without waiting.
AT_ONCE = partial(PatientStrategy, backoff_factor=0.0)


def connect(server: Loopback, **options: Any) -> Client:
    """Make a client of a server, whose token is `TOKEN` unless told otherwise."""
    usual = {"token": TOKEN, "base_url": server.base_url, "verify": NO_TLS}
    return Client(**{**usual, "retry_strategy": AT_ONCE, **options})


class _Server(ThreadingHTTPServer):
    """A server to which it is no news that a client went away."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Loopback:
    """Answer every request by a script, and remember what came.

    The version check is answered before the script is asked, unless `with_version` is false. With a TLS context, it is
    an https server on localhost.
    """

    def __init__(
        self, script: Script, *, with_version: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        self.seen: list[Seen] = []
        #: How many connections were made.
        self.connections = 0
        self.lock = threading.Lock()
        self._script = script
        self._with_version = with_version
        self._tls = tls
        self._server = _Server(("127.0.0.1", 0), self._handler())
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    @property
    def origin(self) -> str:
        port = self._server.server_address[1]
        return f"https://localhost:{port}" if self._tls else f"http://127.0.0.1:{port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/api/v1/"

    def answer(self, seen: Seen) -> Answer:
        if self._with_version and seen.path == "/api/v1/gcapi/":
            return Answer(body=VERSION)
        self.seen.append(seen)
        return self._script(seen)

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

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                with server.lock:
                    server.connections += 1
                super().setup()

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                seen = Seen(self.command, self.path, dict(self.headers), body)
                answer = server.answer(seen)
                if answer.reset:
                    self.break_off()
                    return
                # Without the date of this moment where the answer has its own.
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

            def break_off(self) -> None:
                at_once = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
                self.close_connection = True

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler
