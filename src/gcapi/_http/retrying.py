"""The one retry layer, around the HTTP client's `send`.

A request is repeated only if repeating it does no harm: it is a read, one of `REPEATABLE_WRITES`, its caller marked it
with the request extension `REPEATABLE`, the server refused it, or it was never sent.

Nothing is sent under a cancelled token: the token is checked before each attempt, again after a connection was made
for it, and in every wait.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx

from gcapi._http.connections import ConnectionTrace
from gcapi._http.urls import UrlOrigin, origin
from gcapi._util.redaction import without_secrets
from gcapi._util.scheduler import current_token
from gcapi.retries import BaseRetryStrategy

#: The request extension with which a caller says that its request may be repeated.
REPEATABLE = "gcapi_repeatable"
#: Writes of the API that may be repeated, as (method, end of the path). An unused upload is purged after a day, and
#: signing, listing and aborting parts change nothing that a repeat would change again.
REPEATABLE_WRITES = (
    ("POST", re.compile(r"/uploads/$")),
    ("PATCH", re.compile(r"/generate-presigned-urls/$")),
    ("PATCH", re.compile(r"/abort-multipart-upload/$")),
    ("PATCH", re.compile(r"/keep_alive/$")),
)
#: Methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: Errors that occur before a request is sent.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
)


def send_with_retries(
    attempt: Callable[[], httpx.Response],
    request: httpx.Request,
    strategy: BaseRetryStrategy,
    sleep: Callable[[float], None],
    reached: set[UrlOrigin],
) -> httpx.Response:
    """Send a request until the strategy accepts the outcome, or the request must not be repeated.

    Args:
        attempt: Sends the request once.
        request: The request.
        strategy: Decides whether, and after how many seconds, to send it again.
        sleep: Waits for a number of seconds.
        reached: The origins that have responded before; that of the request is added if it does.

    Raises:
        UnreachableHostError: No connection could be made.
        Cancelled: The call that the request belongs to has ended.
    """
    trace = request.extensions["trace"] = ConnectionTrace(request)
    server = origin(request.url)
    while True:
        current_token().raise_if_cancelled()
        try:
            response = attempt()
        except httpx.TransportError as error:
            error.request = without_secrets(request)
            unreachable = trace.unreachable(error, request, was_reached=server in reached)
            ask = getattr(strategy, "get_error_delay", None)  # optional
            if unreachable is not None:
                unreachable.__cause__ = error  # strategies look for the reason
            delay = None if ask is None else ask(unreachable or error)
            if delay is None or not (is_repeatable(request) or was_never_sent(error)):
                if unreachable is not None:
                    raise unreachable from error
                raise
        else:
            reached.add(server)
            delay = _response_delay(strategy, request, response)
            if delay is None:
                return response
            response.close()
        sleep(delay)


def is_repeatable(request: httpx.Request) -> bool:
    """Return whether sending a request twice has the effect of sending it once."""
    if request.method in SAFE_METHODS or request.extensions.get(REPEATABLE):
        return True
    return any(
        request.method == method and pattern.search(request.url.path)
        for method, pattern in REPEATABLE_WRITES
    )


def was_never_sent(error: httpx.TransportError) -> bool:
    """Return whether the server cannot have received the request."""
    return isinstance(error, _NEVER_SENT)


def _response_delay(
    strategy: BaseRetryStrategy, request: httpx.Request, response: httpx.Response
) -> float | None:
    """Ask a strategy about a response, and overrule it where a write could happen twice.

    A 4xx says that nothing was changed (the server rolls back); any other failure of a write does not.
    """
    if response.is_success:
        return None
    response.read()
    delay = strategy.get_delay(response)
    if delay is None or is_repeatable(request) or response.is_client_error:
        return delay
    return None
