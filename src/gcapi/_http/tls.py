"""TLS: what certificates are checked against, and a socket whose reads take all that has come."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import os

    from _typeshed import ReadableBuffer

    from gcapi._http.settings import Verify

#: What a read that does not wait says when nothing has come.
_NOTHING_THERE = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class EagerSocket(ssl.SSLSocket):
    """A TLS socket that gives all that has come with each read, up to the size that was asked for.

    The standard library's gives one TLS record, at most 16 KiB, and the HTTP client takes each of them through a dozen
    layers, which is a tenth of the CPU time of a download. Here a read waits for the first record as long as the
    timeout says, and takes what is there beside it without waiting.

    The HTTP client sets the timeout before every read and write. The system is told only where it changes: each such
    call lets the other threads run, and waits for them.
    """

    #: Seconds, as the HTTP client set them; what the system was told may be not to wait.
    _timeout: float | None = None
    #: Whether the system was told not to wait.
    _is_taking = False
    #: What went wrong behind bytes that were given: it is for the next read to say.
    _failure: OSError | None = None

    def settimeout(self, value: float | None) -> None:
        """Set the seconds that a read or a write may be idle."""
        self._timeout = value
        if not self._is_taking:
            self._tell_system(value)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send bytes, and wait for room as long as the timeout says."""
        self._wait_again()
        return super().send(data, flags)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Return what has come, at least a byte but at the end, and wait for that as long as the timeout says."""
        parts = [self._first(buflen, flags)]
        left = buflen - len(parts[0])
        while left and parts[-1]:
            parts.append(self._further(left, flags))
            left -= len(parts[-1])
        return b"".join(parts)

    def _first(self, size: int, flags: int) -> bytes:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._is_taking:
            try:
                return super().recv(size, flags)
            except _NOTHING_THERE:
                self._wait_again()
        return super().recv(size, flags)

    def _further(self, size: int, flags: int) -> bytes:
        """Return what has come, nothing if nothing has."""
        self._is_taking = True
        self._tell_system(0.0)
        try:
            return super().recv(size, flags)
        except _NOTHING_THERE:
            return b""
        except OSError as error:
            self._failure = error
            return b""

    def _wait_again(self) -> None:
        self._is_taking = False
        self._tell_system(self._timeout)

    def _tell_system(self, timeout: float | None) -> None:
        if timeout != self.gettimeout():
            super().settimeout(timeout)


def make_context(verify: Verify) -> ssl.SSLContext:
    """Return what httpx takes: it no longer reads a CA bundle from a path. A given context is left as it is."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    context = _made(verify)
    context.sslsocket_class = EagerSocket
    return context


def _made(verify: bool | str | os.PathLike[str]) -> ssl.SSLContext:
    if isinstance(verify, bool):
        return httpx.create_ssl_context(verify=verify)
    path = Path(verify)
    if path.is_dir():
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)
