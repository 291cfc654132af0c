"""The server of both origins: one thread with one event loop, on loopback."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from gcapi_sandbox._app.fault_middleware import CONNECTION_EXTENSION, Connection

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gcapi_sandbox._util.clock import Clock

_HOST = "127.0.0.1"
_STARTUP_SECONDS = 30
_KEEP_ALIVE_SECONDS = 75
_GRACE_SECONDS = 3
#: Further connections are closed at once, so that the process does not run out of file descriptors.
_MAX_CONNECTIONS = 512


class _Protocol(H11Protocol):
    """A connection that the application can end, for which ASGI has no message."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        connection = Connection(self._reset, self._close)
        app = self.app

        async def with_connection(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[CONNECTION_EXTENSION] = connection
            await app(scope, receive, send)

        self.app = with_connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > _MAX_CONNECTIONS:
            transport.abort()

    def _reset(self) -> None:
        linger_zero = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, linger_zero
        )
        self.transport.abort()

    def _close(self) -> None:
        self.transport.close()


class _DateMiddleware:
    """ASGI middleware that adds the `Date` of a clock, which uvicorn would take from the machine."""

    def __init__(self, app: ASGIApp, clock: Clock) -> None:
        self._app = app
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""

        async def send_with_date(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._clock.timestamp(), usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)

        await self._app(scope, receive, send_with_date)


class _Server(uvicorn.Server):
    """A server with an event for its start."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=_GRACE_SECONDS,
            )
        )
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and set the event."""
        await super().startup(sockets)
        self.ready.set()


def listen(port: int) -> socket.socket:
    """Return a socket bound to a loopback port; 0 binds a free port."""
    # asyncio sets TCP_NODELAY only on sockets created with IPPROTO_TCP.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((_HOST, port))
    return bound


class ServerThread:
    """A thread that serves each application on its socket, with the `Date` of a clock."""

    def __init__(self, apps: list[tuple[ASGIApp, socket.socket]], clock: Clock) -> None:
        self._sockets = [bound for _, bound in apps]
        self._servers = [_Server(_DateMiddleware(app, clock)) for app, _ in apps]
        self._thread = threading.Thread(target=self._run, name="sandbox-origins", daemon=True)
        self._thread.start()
        if not all(server.ready.wait(_STARTUP_SECONDS) for server in self._servers):
            raise TimeoutError(f"The sandbox did not start within {_STARTUP_SECONDS} s")

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        pairs = zip(self._servers, self._sockets, strict=True)
        await asyncio.gather(*(server.serve(sockets=[bound]) for server, bound in pairs))

    def stop(self) -> None:
        """Finish the current requests, then stop."""
        for server in self._servers:
            server.should_exit = True
        self._thread.join()


def url_of(bound: socket.socket) -> str:
    """Return the root URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://{host}:{port}/"
