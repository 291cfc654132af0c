"""The one retry layer around the HTTP client's `send`, and the two clients: *api* and *storage*.

The *api* client adds the token to each request, after checking that the request goes to the API's own origin. The
*storage* client has never seen the token. Neither follows redirects by itself and neither keeps cookies (one
endpoint of the server would change the time zone of all later answers through a cookie).

Whether a request may be repeated is data: `REPEATABLE_WRITES`.
"""

from __future__ import annotations

import re
import ssl
import threading
import time
from functools import cached_property
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from gcapi._settings import is_safe, server_url
from gcapi.exceptions import (
    ConfigurationError,
    InvalidTarget,
    TransferError,
    shown_url,
    without_secrets,
)

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from gcapi._settings import Settings
    from gcapi.retries import BaseRetryStrategy, RetryStrategyFactory

#: Writes of the API that do no harm when they happen twice, as (method, end of the path). An unused upload is purged
#: after a day, and signing, listing and aborting parts change nothing that a repeat would change again.
REPEATABLE_WRITES = (
    ("POST", re.compile(r"/uploads/$")),
    ("PATCH", re.compile(r"/generate-presigned-urls/$")),
    ("PATCH", re.compile(r"/abort-multipart-upload/$")),
    ("PATCH", re.compile(r"/keep_alive/$")),
)
#: Methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: How many hops a file's way to the object store may take.
MAX_REDIRECTS = 5


class Transport:
    """Send requests to the API and to the object store, with retries.

    Constructing it does no I/O: the connection pools are made with the first request.

    Args:
        settings: What the client was told.
        strategy_factory: Makes a retry strategy for each request.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        settings: Settings,
        strategy_factory: RetryStrategyFactory,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self._strategy_factory = strategy_factory
        self._sleep = sleep
        #: Runs before each request to the API; the version check hooks in here.
        self.gate: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._clients: dict[type[_RetryingClient], _RetryingClient] = {}
        self._closed = False

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """What checks certificates: loaded once for both clients, since that takes a while."""
        return _context(self.settings)

    @property
    def api(self) -> httpx.Client:
        """The client that adds the token, and talks to the API's origin only."""
        return self._client(_ApiClient)

    @property
    def storage(self) -> httpx.Client:
        """The client that has no token, for the object store."""
        return self._client(_StorageClient)

    def _client(self, cls: type[_RetryingClient]) -> _RetryingClient:
        with self._lock:
            if self._closed:
                raise ConfigurationError("This client is closed; make a new one.")
            if cls not in self._clients:
                self._clients[cls] = cls(self)
            return self._clients[cls]

    def close(self) -> None:
        """Close all connections; what is sent afterwards is a `ConfigurationError`."""
        with self._lock:
            self._closed = True
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def follow(
        self, response: httpx.Response, *, headers: dict[str, str], stream: bool
    ) -> httpx.Response:
        """Go on from a redirect to where the file is, without the token once off the API's origin.

        Args:
            response: An answer, of which any redirect is followed.
            headers: Sent along on every hop.
            stream: Whether the last answer's body is left to be read.

        Raises:
            InvalidTarget: A hop to a host that is neither https nor this machine.
            UnexpectedAnswer: A hop to what is no address.
            TransferError: More than `MAX_REDIRECTS` hops.
        """
        for _ in range(MAX_REDIRECTS):
            if not response.has_redirect_location:
                return response
            url = response.url.join(response.headers["Location"])
            response.close()
            client = self.client_for(url)
            response = client.send(
                client.build_request(response.request.method, url, headers=headers), stream=stream
            )
        if response.has_redirect_location:
            response.close()
            raise TransferError(f"{shown_url(response.url)}: more than {MAX_REDIRECTS} redirects.")
        return response

    def client_for(self, url: httpx.URL) -> httpx.Client:
        """Return the client that may fetch a URL: *api* for the API's own origin, else *storage*."""
        if self.settings.is_api(url):
            return self.api
        if not is_safe(url):
            raise InvalidTarget(f"{shown_url(url)} is not fetched: it is not https.")
        return self.storage

    def send(self, attempt: Callable[[], httpx.Response], request: httpx.Request) -> httpx.Response:
        """Make attempts until the strategy takes the answer, or the request must not be repeated.

        Args:
            attempt: Sends the request once.
            request: What is sent.
        """
        strategy = self._strategy_factory()
        while True:
            try:
                response = attempt()
            except httpx.TransportError as error:
                error.request = without_secrets(request)
                delay = _error_delay(strategy, error)
                if delay is None or not (is_repeatable(request) or _never_arrived(error)):
                    raise
            else:
                delay = _response_delay(strategy, request, response)
                if delay is None:
                    return response
                response.close()
            self._sleep(min(delay, threading.TIMEOUT_MAX))


def is_repeatable(request: httpx.Request) -> bool:
    """Tell whether doing a request twice is the same as doing it once.

    Presigned PUTs are: a part that is sent again replaces itself.
    """
    if request.method in SAFE_METHODS or _is_presigned_put(request):
        return True
    return any(
        request.method == method and pattern.search(request.url.path)
        for method, pattern in REPEATABLE_WRITES
    )


def _is_presigned_put(request: httpx.Request) -> bool:
    return request.method == "PUT" and "X-Amz-Signature" in request.url.params


def _never_arrived(error: httpx.TransportError) -> bool:
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)


def _error_delay(strategy: BaseRetryStrategy, error: httpx.TransportError) -> float | None:
    """Ask a strategy about a transport error, if it has an opinion on those."""
    ask: Callable[[httpx.TransportError], float | None] | None
    ask = getattr(strategy, "get_error_delay", None)
    return None if ask is None else ask(error)


def _response_delay(
    strategy: BaseRetryStrategy, request: httpx.Request, response: httpx.Response
) -> float | None:
    """Ask a strategy about an answer, and overrule it where a repeat could happen twice.

    An answer of 4xx says that nothing was changed (the server rolls back); any other answer to a write does not.
    """
    if response.is_success:
        return None
    response.read()
    delay = strategy.get_delay(response)
    if delay is None or is_repeatable(request) or response.is_client_error:
        return delay
    return None


def _check_redirect(response: httpx.Response) -> None:
    """Look at where a redirect leads before the HTTP client does, to which it would be a broken connection.

    Raises:
        UnexpectedAnswer: To what is no address.
        InvalidTarget: To what is no host's.
    """
    if response.has_redirect_location:
        url = server_url(response.headers["Location"])
        if url.scheme and not url.host:
            raise InvalidTarget(f"{shown_url(url)} is not fetched: it is not https.")


class _RetryingClient(httpx.Client):
    """An HTTP client whose every request goes through the transport's retry layer."""

    def __init__(self, transport: Transport) -> None:
        settings = transport.settings
        # Both pools serve the threads of either direction, and a few calls beside them.
        connections = max(settings.max_concurrent_uploads, settings.max_concurrent_downloads) + 2
        super().__init__(
            base_url=settings.root_url,
            verify=transport.tls,
            timeout=httpx.Timeout(settings.timeout),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            headers=self._default_headers(),
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            event_hooks={"response": [_check_redirect]},
        )
        self._layer = transport

    def _default_headers(self) -> dict[str, str]:
        return {"User-Agent": user_agent()}

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send with retries."""
        return self._layer.send(
            lambda: super(_RetryingClient, self).send(request, **options), request
        )


class _StorageClient(_RetryingClient):
    """Talks to the object store."""


class _ApiClient(_RetryingClient):
    """Talks to the API, and adds the token where the request goes to the API's own origin, which it must."""

    def _default_headers(self) -> dict[str, str]:
        return {**super()._default_headers(), "Accept": "application/json"}

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send with the token and with retries.

        Raises:
            InvalidTarget: The request would go to another host; nothing was sent.
        """
        settings = self._layer.settings
        if not settings.is_api(request.url):
            raise InvalidTarget(
                f"{shown_url(request.url)} is not on {settings.base_url.host}, or not https:"
                " the request was not sent, since it carries the token."
            )
        self._layer.gate()
        request.headers.setdefault("Authorization", f"Bearer {settings.token}")
        # A redirect of an API call is followed by nobody but `Transport.follow`, which looks where it leads.
        return super().send(request, **{**options, "follow_redirects": False})


def user_agent() -> str:
    """Return what this client calls itself."""
    return f"gcapi/{installed_version()}"


def installed_version() -> str:
    """Return the version of the installed distribution."""
    from importlib.metadata import version

    return version("gcapi")


class _Socket(ssl.SSLSocket):
    """A TLS socket that does not set a timeout again that it has.

    The HTTP client sets it before every read of 16 KiB, each time a system call for which a thread lets the others
    run: with ten connections at full speed that was a fifth of the time.
    """

    def settimeout(self, value: float | None) -> None:
        """Set the seconds that a read or a write may take."""
        if value != self.gettimeout():
            super().settimeout(value)


def _context(settings: Settings) -> ssl.SSLContext:
    """Return what httpx takes: it no longer reads a CA bundle from a path."""
    if isinstance(settings.verify, ssl.SSLContext):
        return settings.verify
    context = _made_context(settings.verify)
    context.sslsocket_class = _Socket
    return context


def _made_context(verify: bool | str | os.PathLike[str]) -> ssl.SSLContext:
    if isinstance(verify, bool):
        return httpx.create_ssl_context(verify=verify)
    path = Path(verify)
    if path.is_dir():
        return ssl.create_default_context(capath=path)
    return ssl.create_default_context(cafile=path)
