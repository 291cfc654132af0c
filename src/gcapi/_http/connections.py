"""The connection that a request is sent over: what it leads to, and the error if it cannot be made."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx

from gcapi._http.proxies import environment_proxy
from gcapi._http.urls import origin
from gcapi._util.redaction import without_secrets
from gcapi._util.scheduler import current_token
from gcapi.exceptions import (
    ConnectTimeoutError,
    GCAPIError,
    ProxyRefusalError,
    UnreachableHostError,
)

#: The errors of a connection that cannot be made, and the exceptions of this package that take their place.
_UNREACHABLE: dict[type[httpx.TransportError], type[UnreachableHostError]] = {
    httpx.ConnectError: UnreachableHostError,
    httpx.ConnectTimeout: ConnectTimeoutError,
    httpx.ProxyError: ProxyRefusalError,
}
#: The steps of an attempt that reach out to the server.
_REACHING_OUT = ("connect_tcp.started", "send_request_headers.started")


class ConnectionTrace:
    """A trace of a request, as the HTTP client takes it, that remembers what the connection leads to.

    It also checks the cancel token once more after the wait for a connection.

    Args:
        request: The request; its own trace is called too.
    """

    def __init__(self, request: httpx.Request) -> None:
        self._next = request.extensions.get("trace")
        self._address: tuple[str, int] | None = None

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Take note of a step; httpcore calls this."""
        if event.endswith(_REACHING_OUT):
            current_token().raise_if_cancelled()
        if event.endswith("connect_tcp.started"):
            self._address = info["host"], info["port"]
        if self._next is not None:
            self._next(event, info)

    def unreachable(
        self, error: httpx.TransportError, request: httpx.Request, *, was_reached: bool
    ) -> UnreachableHostError | None:
        """Return the exception for a connection that cannot be made; `None` if it broke later.

        Args:
            error: The error of the attempt.
            request: The request.
            was_reached: Whether the client has reached the host before.
        """
        cls = _UNREACHABLE.get(type(error))
        if cls is None:
            return None
        _, host, port = origin(request.url)
        proxy = None
        if self._address is not None and self._address != (host, port):
            proxy = "{}:{}".format(*self._address)
        way = f" through the proxy {proxy}{_proxy_variable()}" if proxy else ""
        shown_host = f"[{host}]" if ":" in host else host
        reason = str(error) or "no answer in time"
        advice = "Check the address, the network and the proxy settings."
        if "CERTIFICATE_VERIFY_FAILED" in reason:
            advice = "If your network has its own certificate authority, pass the path of its bundle as verify=."
        return cls(
            f"{shown_host}:{port} could not be reached{way}: {reason}. {advice}",
            host=host,
            port=port,
            proxy=proxy,
            was_reached=was_reached,
            request=without_secrets(request),
        )


def _proxy_variable() -> str:
    """Return the variable that the proxy is from, in brackets; empty if it is not there any more."""
    with suppress(GCAPIError):
        settings = environment_proxy()
        return f" ({settings.source})" if settings else ""
    return ""
