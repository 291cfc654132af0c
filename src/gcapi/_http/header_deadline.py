"""Connections that bound the time in which the header of a response arrives.

The HTTP client allows its timeout for every single read, so a header that drips would arrive for ever. A body may take
any time, as long as bytes arrive.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

_BLANK_LINE = re.compile(rb"\n\r?\n")
_INFORMATIONAL = re.compile(rb"HTTP/1\.[01] 1\d\d")


def bound_headers(transport: httpx.BaseTransport) -> None:
    """Bound the headers of all responses over the connections that a transport will make."""
    assert isinstance(transport, httpx.HTTPTransport)
    pool = transport._pool  # noqa: SLF001 - httpx passes no network backend on
    pool._network_backend = _Backend()  # noqa: SLF001


class _Backend(httpcore.SyncBackend):
    """Connections with bounded headers."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a host."""
        return _Stream(super().connect_tcp(host, port, timeout, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    """A connection whose reads share one timeout from the end of a request to the end of the response's header."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        #: The beginning of the header that is awaited; `None` in a body.
        self._header: bytes | None = None
        self._begun: float | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes.

        Raises:
            httpcore.ReadTimeout: None arrived in time, or the header was not complete in time.
        """
        if self._header is None or timeout is None:
            return self._stream.read(max_bytes, timeout)
        now = time.monotonic()
        self._begun = now if self._begun is None else self._begun
        left = self._begun + timeout - now
        if left <= 0:
            raise httpcore.ReadTimeout(
                f"the header of the response was not complete in {timeout:g} s"
            )
        data = self._stream.read(max_bytes, left)
        self._header += data
        while self._header is not None and (end := _BLANK_LINE.search(self._header)):
            is_final = not _INFORMATIONAL.match(self._header)
            self._header = None if is_final else self._header[end.end() :]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write bytes of a request, whose response begins with a header."""
        self._header, self._begun = b"", None
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Return the connection with TLS."""
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Return a property of the connection."""
        return self._stream.get_extra_info(info)
