"""Connections that bound the time in which the header of a response arrives.

The HTTP client allows its timeout for every single read, so a header that drips would arrive for ever. A body may take
any time, as long as bytes arrive.
"""

from __future__ import annotations

import re
import ssl
import time
from typing import Any

import httpx

_BLANK_LINE = re.compile(rb"\n\r?\n")
_INFORMATIONAL = re.compile(rb"HTTP/1\.[01] 1\d\d")


def bound_headers(transport: httpx.BaseTransport) -> None:
    """Bound the headers of all responses over the connections that a transport will make."""
    assert isinstance(transport, httpx.HTTPTransport)
    pool = transport._pool  # noqa: SLF001 - httpx passes no network backend on
    backend: Any = _Backend(pool._network_backend)  # noqa: SLF001
    pool._network_backend = backend  # noqa: SLF001


class _Backend:
    """The connections of a pool, with bounded headers."""

    def __init__(self, backend: Any) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def connect_tcp(self, *args: Any, **options: Any) -> _Stream:
        """Connect to a host."""
        return _Stream(self._backend.connect_tcp(*args, **options))


class _Stream:
    """A connection whose reads share one timeout from the end of a request to the end of the response's header."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        #: The beginning of the header that is awaited; `None` in a body.
        self._header: bytes | None = None
        self._begun: float | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read some bytes.

        Raises:
            httpx.ReadTimeout: None arrived in time, or the header was not complete in time.
        """
        if self._header is None or timeout is None:
            unbounded: bytes = self._stream.read(max_bytes, timeout)
            return unbounded
        now = time.monotonic()
        self._begun = now if self._begun is None else self._begun
        left = self._begun + timeout - now
        if left <= 0:
            raise httpx.ReadTimeout(f"the header of the response was not complete in {timeout:g} s")
        data: bytes = self._stream.read(max_bytes, left)
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
    ) -> _Stream:
        """Return the connection with TLS."""
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """Return a property of the connection."""
        return self._stream.get_extra_info(info)
