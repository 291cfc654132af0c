"""TLS: contexts that check certificates, and a socket whose reads return all available bytes."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from gcapi._http.settings import Verify
from gcapi.exceptions import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: The environment variables with a file, or folders, of CA certificates.
_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"
#: OpenSSL finds a certificate in a folder by the hash of its subject.
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.[0-9]+")
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
    """Return the context for `verify`, because httpx no longer accepts a path; a given context is not changed.

    Raises:
        ConfigurationError: The certificates, of the argument or the environment, cannot be used.
    """
    if isinstance(verify, ssl.SSLContext):
        return verify
    if verify is True and (found := environment_certificates()):
        context = _load_certificates(*found)
    elif isinstance(verify, bool):
        context = httpx.create_ssl_context(verify=verify, trust_env=False)
    else:
        context = _load_certificates("verify", os.fspath(verify))
    context.sslsocket_class = EagerSocket
    return context


def environment_certificates() -> tuple[str, str] | None:
    """Return the variable of the environment that names CA certificates, and its value; `None` if there is none."""
    return next(
        ((name, value) for name in (_FILE, _FOLDER) if (value := os.environ.get(name, ""))), None
    )


def _load_certificates(name: str, text: str) -> ssl.SSLContext:
    """Return a context that trusts the CA certificates of a file or a folder.

    Args:
        name: The variable or argument that names them.
        text: The path; in ``SSL_CERT_DIR``, several paths.

    Raises:
        ConfigurationError: They cannot be used.
    """
    if name == _FOLDER or (name != _FILE and Path(text).is_dir()):
        return _load_folders(name, text)
    path = Path(text)
    try:
        content = path.read_bytes()
    except IsADirectoryError as error:
        raise ConfigurationError(
            f"{name} names {path}, which is a folder: set {_FOLDER} instead, or name a file with CA certificates."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"{name} names {path!s}, which cannot be read ({reason}): correct or unset it."
        ) from error
    try:
        if re.search(rb"-----BEGIN (TRUSTED |X509 )?CERTIFICATE-----", content):
            return ssl.create_default_context(cafile=path)
        problem = "has no certificate in PEM format"
    except ssl.SSLError as error:
        problem = f"has a certificate that cannot be read ({error.reason or error})"
    remedy = "name a file with CA certificates that begin with -----BEGIN CERTIFICATE-----"
    if not content.strip():
        problem = "is empty"
    elif content.startswith(b"\x30"):  # a sequence of ASN.1
        problem = "is a certificate in DER format"
        remedy = f"convert it with 'openssl x509 -inform der -in {path} -out {path.stem}.pem', and name that file"
    raise ConfigurationError(f"{name} names {path}, which {problem}: {remedy}.")


def _load_folders(name: str, text: str) -> ssl.SSLContext:
    folders = [Path(part) for part in text.split(os.pathsep)] if name == _FOLDER else [Path(text)]
    for folder in folders:
        try:
            has_certificates = any(_HASHED_NAME.fullmatch(path.name) for path in folder.iterdir())
        except OSError as error:
            raise ConfigurationError(
                f"{name} names {folder}, which is not a folder that can be read ({error.strerror}): correct or unset"
                f" it; a file with CA certificates belongs into {_FILE}."
            ) from error
        if not has_certificates:
            raise ConfigurationError(
                f"{name} names {folder}, a folder without certificates under hashed names: run 'openssl rehash"
                f" {folder}', or set {_FILE} to a file with CA certificates."
            )
    return ssl.create_default_context(capath=text)
