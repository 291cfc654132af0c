"""The one retry layer, around the HTTP client's `send`.

A request is repeated only if repeating it does no harm: it is a read, one of `REPEATABLE_WRITES`, its caller marked it
with the request extension `REPEATABLE`, the server refused it, or it was never sent.

The logger ``gcapi`` logs each request at level DEBUG, and each wait at level INFO, without queries and headers.

Nothing is sent under a cancelled token: the token is checked before each attempt, again after a connection was made
for it, and in every wait.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Self

import httpx

from gcapi._http.connections import ConnectionTrace
from gcapi._http.server_state import ServerState
from gcapi._util.messages import format_duration, shown_url
from gcapi._util.redaction import without_secrets
from gcapi._util.scheduler import current_token, result_of
from gcapi.exceptions import UnreachableHostError
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
#: The response extension that is set if the server was still down after the last retry.
GAVE_UP = "gcapi_gave_up"
#: The attribute of log records about a wait with the seconds from the request's beginning to the end of the wait.
SILENCE = "gcapi_silence"
#: Statuses of a server, or of the gateway before it, that serves no request for now.
_OUTAGE_STATUSES = frozenset({502, 503, 504})
#: Methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
logger = logging.getLogger("gcapi")
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
    server: ServerState,
    *,
    shares_outages: bool,
) -> httpx.Response:
    """Send a request until the strategy accepts the outcome, or the request must not be repeated.

    Args:
        attempt: Sends the request once.
        request: The request.
        strategy: Decides whether, and after how many seconds, to send it again.
        sleep: Waits for a number of seconds.
        server: The state of the server that the request goes to.
        shares_outages: Whether to wait for the retries of another request while the server is down.

    Raises:
        UnreachableHostError: No connection could be made.
        Cancelled: The call that the request belongs to has ended.
    """
    trace = request.extensions["trace"] = ConnectionTrace(request)
    with _Retries(request, strategy, sleep, server if shares_outages else ServerState()) as retries:
        while True:
            current_token().raise_if_cancelled()
            started = time.monotonic()
            try:
                response = attempt()
            except httpx.TransportError as raised:
                error = trace.unreachable(raised, request, was_reached=server.was_reached) or raised
                if error is not raised:
                    error.__cause__ = (
                        raised  # here and not in `raise`, because strategies look for the reason
                    )
                error.request = without_secrets(request)
                _log_attempt(request, type(error).__name__, started)
                if not retries.wait(error, _error_delay(strategy, request, error)):
                    raise error  # noqa: B904 - it has its cause
            else:
                server.was_reached = True
                _log_attempt(request, str(response.status_code), started)
                if response.is_success:
                    return response
                response.read()
                if not retries.wait(response, _response_delay(strategy, request, response)):
                    return response
                response.close()


class _Retries:
    """The retries of one request; what it finds out about an outage also counts for the requests that wait for it.

    Args:
        request: The request.
        strategy: The strategy, which may say how many retries there are.
        sleep: Waits for a number of seconds.
        server: The state of the server.
    """

    def __init__(
        self,
        request: httpx.Request,
        strategy: BaseRetryStrategy,
        sleep: Callable[[float], None],
        server: ServerState,
    ) -> None:
        self._request = request
        self._strategy = strategy
        self._sleep = sleep
        self._server = server
        self._started = time.monotonic()
        self._count = 0
        self._leads = False
        self._gave_up = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._leads:
            self._server.end_outage(gave_up=self._gave_up)

    def wait(self, outcome: httpx.Response | httpx.TransportError, delay: float | None) -> bool:
        """Wait before the next attempt, and return whether there is one.

        Args:
            outcome: The outcome of the latest attempt.
            delay: Seconds; `None` if there is no further attempt.
        """
        is_outage = _is_outage(outcome)
        if delay is None:
            self._gave_up = is_outage and self._count > 0 and is_repeatable(self._request)
        elif is_outage and not self._leads:
            outage = self._server.join_outage()
            if outage is None:
                self._leads = True
            else:
                self._log(outcome, "waiting for the retries of another request", 0.0)
                self._gave_up = not result_of(outage)
                delay = None
                if not self._gave_up:
                    return True
        if delay is None:
            if self._gave_up and isinstance(outcome, httpx.Response):
                outcome.extensions[GAVE_UP] = True
            return False
        self._count += 1
        most = getattr(self._strategy, "maximum_number_of_retries", 0)
        of_most = f" of {most}" if self._count <= most else ""
        self._log(outcome, f"retry {self._count}{of_most} in {format_duration(delay)}", delay)
        self._sleep(delay)
        return True

    def _log(
        self, outcome: httpx.Response | httpx.TransportError, action: str, delay: float
    ) -> None:
        host = self._request.url.host
        if isinstance(outcome, httpx.Response):
            what = f"{host} answers {outcome.status_code}"
        elif isinstance(outcome, UnreachableHostError):
            what = f"{host} cannot be reached"
        else:
            what = f"the connection to {host} broke ({type(outcome).__name__})"
        silence = time.monotonic() - self._started + delay
        logger.info("%s; %s", what, action, extra={SILENCE: silence})


def _log_attempt(request: httpx.Request, outcome: str, started: float) -> None:
    if logger.isEnabledFor(logging.DEBUG):
        seconds = time.monotonic() - started
        logger.debug(
            "%s %s: %s after %.2f s", request.method, shown_url(request.url), outcome, seconds
        )


def _is_outage(outcome: httpx.Response | httpx.TransportError) -> bool:
    """Return whether other requests to the server would fail in the same way."""
    if isinstance(outcome, httpx.Response):
        return outcome.status_code in _OUTAGE_STATUSES
    return isinstance(outcome, UnreachableHostError)


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
    delay = strategy.get_delay(response)
    if delay is None or is_repeatable(request) or response.is_client_error:
        return delay
    return None


def _error_delay(
    strategy: BaseRetryStrategy, request: httpx.Request, error: httpx.TransportError
) -> float | None:
    """Ask a strategy about a transport error, and overrule it where a write could happen twice."""
    if not (is_repeatable(request) or was_never_sent(error)):
        return None
    ask = getattr(strategy, "get_error_delay", None)  # optional
    return None if ask is None else ask(error)
