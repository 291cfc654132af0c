"""The two HTTP clients, *api* and *storage*, each with a connection pool.

The *api* client adds the token to each request, after checking that the request goes to the API's own origin. The
*storage* client never sees the token. Neither follows redirects by itself, and neither keeps cookies (one endpoint of
the server would change the time zone of all later responses through a cookie).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from http.cookiejar import CookieJar
from typing import Any, ClassVar, NoReturn

import httpx

from gcapi._http.bounded_read import read_body, read_error_body
from gcapi._http.file_hosts import ConnectionCheck, check_file_url
from gcapi._http.header_deadline import bound_headers
from gcapi._http.proxies import ProxyTransport, environment_proxy
from gcapi._http.retrying import send_with_retries
from gcapi._http.server_state import ServerState
from gcapi._http.settings import Settings
from gcapi._http.tls import make_context
from gcapi._http.urls import UrlOrigin, origin, parse_server_url
from gcapi._util.fork_safety import Lock, reset_after_fork
from gcapi._util.installation import __version__
from gcapi._util.messages import shown_url
from gcapi._util.redaction import guard_logs, without_secret_headers
from gcapi._util.scheduler import sleep
from gcapi.exceptions import ConfigurationError, InvalidTarget, TransferError, UnexpectedAnswer
from gcapi.retries import RetryStrategyFactory

#: The maximal number of redirects on the way to a file in the object store.
MAX_REDIRECTS = 5
#: Seconds that connecting may take, even if the client's timeout is longer: a firewall that drops everything.
CONNECT_TIMEOUT_SECONDS = 15.0


class Transport:
    """Connections to the API and to the object store.

    Constructing it does no I/O: the connection pools are made with the first request, and again in a forked process.

    Args:
        settings: The client's settings.
        strategy_factory: Makes a retry strategy for each request.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self,
        settings: Settings,
        strategy_factory: RetryStrategyFactory,
        *,
        sleep: Callable[[float], None] = sleep,
    ) -> None:
        self.settings = settings
        self.strategy_factory = strategy_factory
        self.sleep = sleep
        #: Called before each request to the API; the version check hooks in here.
        self.gate: Callable[[], None] = lambda: None
        self._servers: dict[UrlOrigin, ServerState] = {}
        self._lock = Lock()
        self._clients: dict[type[_RetryingClient], _RetryingClient] = {}
        #: The clients of the process that this one was forked from. They are never used and never closed here.
        self._of_parents: list[_RetryingClient] = []
        #: Loaded once for both clients, because that takes a while.
        self._tls: ssl.SSLContext | None = None
        self._closed = False
        reset_after_fork(self)

    def after_fork(self) -> None:
        """Leave the connections to the parent: two processes on one would read each other's responses."""
        self._of_parents += self._clients.values()
        self._clients = {}
        self._servers = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A connection cannot be pickled or copied: pickle or copy the whole Client."
        )

    @property
    def api(self) -> _RetryingClient:
        """The client that adds the token, and sends to the API's origin only."""
        return self.current(_ApiClient)

    @property
    def storage(self) -> _RetryingClient:
        """The client without the token, for the object store."""
        return self.current(_RetryingClient)

    def current(self, cls: type[_RetryingClient]) -> _RetryingClient:
        """Return this process's client of a class."""
        with self._lock:
            if self._closed:
                raise ConfigurationError("This client is closed; make a new one.")
            if cls not in self._clients:
                guard_logs()
                self._tls = self._tls or make_context(self.settings.verify)
                self._clients[cls] = cls(self, self._tls)
            return self._clients[cls]

    def server(self, url: httpx.URL) -> ServerState:
        """Return the state of the server of a URL."""
        with self._lock:
            return self._servers.setdefault(origin(url), ServerState())

    def close(self) -> None:
        """Close all connections; sending then raises `ConfigurationError`."""
        with self._lock:
            self._closed = True
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def follow(
        self, response: httpx.Response, *, headers: dict[str, str], stream: bool
    ) -> httpx.Response:
        """Follow the redirects of a response, without the token once they leave the API's origin.

        Args:
            response: Any response.
            headers: Sent along on every hop.
            stream: Whether the last response's body is left to be read.

        Raises:
            InvalidTarget: A redirect to a host that files are not fetched from.
            UnexpectedAnswer: A redirect to an invalid address.
            TransferError: More than `MAX_REDIRECTS` redirects.
        """
        for _ in range(MAX_REDIRECTS):
            if not response.has_redirect_location:
                return response
            url = response.url.join(response.headers["Location"])
            response.close()
            client = self.client_for(url)
            response = client.send(
                client.build_request(response.request.method, url, headers=headers),
                stream=stream,
                whole=True,
            )
        if response.has_redirect_location:
            response.close()
            raise TransferError(f"{shown_url(response.url)}: more than {MAX_REDIRECTS} redirects.")
        return response

    def client_for(self, url: httpx.URL) -> _RetryingClient:
        """Return the client that may fetch a URL: *api* for the API's own origin, else *storage*.

        Raises:
            InvalidTarget: It is on a host that files are not fetched from.
        """
        if self.settings.is_api(url):
            return self.api
        check_file_url(url, self.settings)
        return self.storage


def _check_redirect(response: httpx.Response) -> None:
    """Check the target of a redirect before the HTTP client does, which would report a broken connection.

    Raises:
        UnexpectedAnswer: The target is not an address.
        InvalidTarget: It names no host.
    """
    if response.has_redirect_location:
        url = parse_server_url(response.headers["Location"])
        if url.scheme and not url.host:
            raise InvalidTarget(f"{shown_url(url)} is not fetched: it is not https.")


class _NoCookies(CookieJar):
    """A cookie jar that stays empty."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Do nothing; the standard library's jar parses the headers of each response before it refuses them."""


class _RetryingClient(httpx.Client):
    """An HTTP client whose every request goes through the retry layer; as it is, the one for the object store."""

    _accept: ClassVar[str] = "*/*"
    #: The part of a file can take minutes, for which others would wait.
    _shares_outages: ClassVar[bool] = False
    _connections_per_transfer: ClassVar[int] = 1

    def __init__(self, transport: Transport, tls: ssl.SSLContext) -> None:
        settings = transport.settings
        # Either pool serves the threads of uploads and downloads, and a few calls beside them.
        transfers = max(settings.max_concurrent_uploads, settings.max_concurrent_downloads)
        connections = self._connections_per_transfer * transfers + 2
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        proxy = environment_proxy()
        super().__init__(
            base_url=settings.root_url,
            verify=tls,
            timeout=httpx.Timeout(
                settings.timeout, connect=min(settings.timeout, CONNECT_TIMEOUT_SECONDS)
            ),
            limits=limits,
            headers={**default_headers(), "Accept": self._accept},
            cookies=_NoCookies(),
            # http is for this machine alone, and would show the token to a proxy.
            mounts={"https://": ProxyTransport(proxy, tls, limits)} if proxy else None,
            trust_env=False,
            event_hooks={"response": [_check_redirect]},
        )
        bound_headers(self._transport)
        self._owner = transport

    def send(
        self, request: httpx.Request, *, stream: bool = False, whole: bool = False, **_: Any
    ) -> httpx.Response:
        """Send with retries.

        Args:
            request: The request.
            stream: Whether the body of a successful response is left to be read.
            whole: Whether a body of any length is accepted, if the length is announced.
            _: The defaults of the HTTP client's other options, which its methods such as `get` pass.

        Raises:
            UnexpectedAnswer: The body exceeds `MAX_BODY_BYTES`.
            InvalidTarget: The host must not get the request; nothing was sent.
        """
        current = self._owner.current(type(self))
        if current is not self:  # this one was made before a fork
            return current.send(request, stream=stream, whole=whole)
        self._prepare(request)
        return send_with_retries(
            partial(self._attempt, request, stream=stream, whole=whole),
            request,
            self._owner.strategy_factory(),
            self._owner.sleep,
            self._owner.server(request.url),
            shares_outages=self._shares_outages,
        )

    def _prepare(self, request: httpx.Request) -> None:
        """Have the address of a new connection checked; presigned requests need no token."""
        request.extensions["trace"] = ConnectionCheck(request.url, self._owner.settings)

    def _attempt(self, request: httpx.Request, *, stream: bool, whole: bool) -> httpx.Response:
        try:
            # Only `Transport.follow` follows redirects, because it checks their targets.
            response = super().send(request, stream=True, follow_redirects=False)
        except (httpx.InvalidURL, UnicodeError, httpx.RemoteProtocolError) as error:
            # The HTTP client parses the target of a redirect even if it does not follow it. A retry would not help.
            is_protocol = isinstance(error, httpx.RemoteProtocolError)
            if is_protocol and not isinstance(error.__context__, httpx.InvalidURL):
                raise
            raise UnexpectedAnswer(
                f"{request.method} {shown_url(request.url)} was answered with a redirect to no address: {error}"
            ) from error
        # The response, or an error while its body is read, may be kept, or pickled for another process.
        response.request = without_secret_headers(request)
        try:
            if not response.is_success:
                read_error_body(response)
            elif not stream:
                read_body(response, whole=whole)
        except BaseException:
            response.close()
            raise
        return response


class _ApiClient(_RetryingClient):
    """The client for the API, which adds the token and refuses to send it to any other origin."""

    _accept: ClassVar[str] = "application/json"
    _shares_outages: ClassVar[bool] = True
    #: Sending a small file takes as long as the three calls around it.
    _connections_per_transfer: ClassVar[int] = 2

    def _prepare(self, request: httpx.Request) -> None:
        """Add the token.

        Raises:
            InvalidTarget: The request would go to another origin.
        """
        settings = self._owner.settings
        if not settings.is_api(request.url):
            raise InvalidTarget(
                f"{shown_url(request.url)} is not on {settings.base_url.host}, or not https:"
                " the request was not sent, since it carries the token."
            )
        self._owner.gate()
        request.headers.setdefault("Authorization", f"Bearer {settings.token}")


def default_headers() -> dict[str, str]:
    """Return the headers of every request to the API."""
    return {
        "User-Agent": f"gcapi/{__version__}",
        "Accept-Encoding": "gzip, deflate",
        "Accept": "application/json",
    }
