"""TLS: contexts that check certificates, and a socket whose reads return all available bytes."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from gcapi._http.settings import Verify

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: Raised by a non-blocking read without available bytes.
_NO_BYTES = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class EagerSocket(ssl.SSLSocket):
    """A TLS socket whose reads return all available bytes, up to the size that was asked for.

    The standard library's returns one TLS record, at most 16 KiB, and passing each record through a dozen layers of the
    HTTP client takes a tenth of the CPU time of a download. Here a read waits for the first record until the timeout,
    and reads further ones without waiting.

    The HTTP client sets the timeout before every read and write. It is passed on to the system only when it changes,
    because each such call releases the GIL.
    """

    #: The timeout of the HTTP client in seconds; that of the socket itself may be 0, while it does not block.
    _timeout: float | None = None
    #: An error that occurred after some bytes were read, for the next read to raise.
    _failure: OSError | None = None

    def settimeout(self, value: float | None) -> None:
        """Set the seconds that a read or a write may be idle."""
        self._timeout = value
        if self.gettimeout() != 0:
            self._set_socket_timeout(value)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send bytes; wait for room until the timeout."""
        self._set_socket_timeout(self._timeout)
        return super().send(data, flags)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Return all available bytes, at least one except at the end; wait for the first until the timeout."""
        parts = [self._first(buflen, flags)]
        left = buflen - len(parts[0])
        while left and parts[-1]:
            parts.append(self._available(left, flags))
            left -= len(parts[-1])
        return b"".join(parts)

    def _first(self, size: int, flags: int) -> bytes:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self.gettimeout() == 0:
            try:
                return super().recv(size, flags)
            except _NO_BYTES:
                self._set_socket_timeout(self._timeout)
        return super().recv(size, flags)

    def _available(self, size: int, flags: int) -> bytes:
        """Return the available bytes, if any."""
        self._set_socket_timeout(0.0)
        try:
            return super().recv(size, flags)
        except _NO_BYTES:
            return b""
        except OSError as error:
            self._failure = error
            return b""

    def _set_socket_timeout(self, timeout: float | None) -> None:
        if timeout != self.gettimeout():
            super().settimeout(timeout)


def make_context(verify: Verify) -> ssl.SSLContext:
    """Return the context for `verify`, because httpx no longer accepts a path; a given context is not changed."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    if isinstance(verify, bool):
        context = httpx.create_ssl_context(verify=verify)
    elif (path := Path(verify)).is_dir():
        context = ssl.create_default_context(capath=path)
    else:
        context = ssl.create_default_context(cafile=path)
    context.sslsocket_class = EagerSocket
    return context
