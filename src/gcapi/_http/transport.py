"""The one retry layer around the HTTP client's `send`, and the two clients: *api* and *storage*.

The *api* client adds the token to each request, after checking that the request goes to the API's own origin. The
*storage* client has never seen the token. Neither follows redirects by itself and neither keeps cookies (one
endpoint of the server would change the time zone of all later answers through a cookie).

What is read into memory is bounded: `MAX_ANSWER` bytes of an answer, and of a file that the raw call asked for as many
as were announced; of an error's body `MAX_ERROR_BODY` bytes are kept. A body that drips is ended by the idle timeout
alone: as long as bytes come, it is read.

Whether a request may be repeated is data: `REPEATABLE_WRITES`.
"""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any

import httpx

from gcapi._http.tls import make_context
from gcapi._http.urls import is_secure, parse_server_url
from gcapi._util.fork_safety import Lock, tell_of_forks
from gcapi._util.messages import shown_url
from gcapi._util.redaction import guard_logs, without_secret_headers, without_secrets
from gcapi.exceptions import ConfigurationError, InvalidTarget, TransferError, UnexpectedAnswer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Generator
    from typing import NoReturn

    from gcapi._http.settings import Settings
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
#: The longest answer that is read into memory, in bytes: some thirty times a page of a thousand items with values.
MAX_ANSWER = 256 * 2**20
#: How much of an error's body is kept, in bytes.
MAX_ERROR_BODY = 2**20
#: How a body may be compressed. Two layers, and newer ways, can unfold a few bytes to gigabytes in one step.
ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})


class Transport:
    """Send requests to the API and to the object store, with retries.

    Constructing it does no I/O: the connection pools are made with the first request, and anew in a forked process.

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
        self._local = threading.local()
        #: Runs before each request to the API; the version check hooks in here.
        self.gate: Callable[[], None] = lambda: None
        self._lock = Lock()
        self._clients: dict[type[_RetryingClient], _RetryingClient] = {}
        #: The clients of the process that this one was forked from. They are never used and never closed here.
        self._of_parents: list[_RetryingClient] = []
        #: What checks certificates: loaded once for both clients, since that takes a while.
        self._tls: ssl.SSLContext | None = None
        self._closed = False
        tell_of_forks(self)

    def after_fork(self) -> None:
        """Leave the connections to the parent: two processes on one would read each other's answers."""
        self._of_parents += self._clients.values()
        self._clients = {}

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A connection cannot be pickled or copied: pickle or copy the whole Client."
        )

    @property
    def api(self) -> _RetryingClient:
        """The client that adds the token, and talks to the API's origin only."""
        return self.current(_ApiClient)

    @property
    def storage(self) -> _RetryingClient:
        """The client that has no token, for the object store."""
        return self.current(_StorageClient)

    def current(self, cls: type[_RetryingClient]) -> _RetryingClient:
        """Return the client of a class that belongs to this process."""
        with self._lock:
            if self._closed:
                raise ConfigurationError("This client is closed; make a new one.")
            if cls not in self._clients:
                guard_logs()
                self._tls = self._tls or make_context(self.settings.verify)
                self._clients[cls] = cls(self, self._tls)
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
                client.build_request(response.request.method, url, headers=headers),
                stream=stream,
                whole=True,
            )
        if response.has_redirect_location:
            response.close()
            raise TransferError(f"{shown_url(response.url)}: more than {MAX_REDIRECTS} redirects.")
        return response

    def client_for(self, url: httpx.URL) -> _RetryingClient:
        """Return the client that may fetch a URL: *api* for the API's own origin, else *storage*."""
        if self.settings.is_api(url):
            return self.api
        if not is_secure(url):
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
                if delay is None or not (is_repeatable(request) or never_arrived(error)):
                    raise
                if not self._pause(delay):
                    raise
            else:
                delay = _response_delay(strategy, request, response)
                if delay is None or not self._pause(delay):
                    return response
                response.close()

    @contextmanager
    def until(self, stop: threading.Event) -> Generator[None]:
        """Let the waits of this thread end when an event is set: the latest outcome is then taken as it is."""
        self._local.stop = stop
        try:
            yield
        finally:
            self._local.stop = None

    def _pause(self, delay: float) -> bool:
        """Wait for a number of seconds, and tell whether to go on."""
        stop = getattr(self._local, "stop", None)
        if stop is None:
            self._sleep(min(delay, threading.TIMEOUT_MAX))
            return True
        return not stop.wait(min(delay, threading.TIMEOUT_MAX))


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


#: What goes wrong before a request is sent.
_NEVER_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.LocalProtocolError,
    httpx.UnsupportedProtocol,
)


def never_arrived(error: httpx.TransportError) -> bool:
    """Tell whether the server surely knows nothing of a request."""
    return isinstance(error, _NEVER_SENT)


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
        url = parse_server_url(response.headers["Location"])
        if url.scheme and not url.host:
            raise InvalidTarget(f"{shown_url(url)} is not fetched: it is not https.")


class _NoCookies(CookieJar):
    """Takes no cookies."""

    def extract_cookies(self, response: object, request: object) -> None:
        """Leave them: the standard library's jar would parse each answer's headers before it refuses them."""


class _RetryingClient(httpx.Client):
    """An HTTP client whose every request goes through the transport's retry layer."""

    def __init__(self, transport: Transport, tls: ssl.SSLContext) -> None:
        settings = transport.settings
        # Both pools serve the threads of either direction, and a few calls beside them.
        connections = max(settings.max_concurrent_uploads, settings.max_concurrent_downloads) + 2
        super().__init__(
            base_url=settings.root_url,
            verify=tls,
            timeout=httpx.Timeout(settings.timeout),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            headers=self._default_headers(),
            cookies=_NoCookies(),
            event_hooks={"response": [_check_redirect]},
        )
        self._layer = transport

    def _default_headers(self) -> dict[str, str]:
        return {"User-Agent": user_agent(), "Accept-Encoding": "gzip, deflate"}

    def send(
        self, request: httpx.Request, *, stream: bool = False, whole: bool = False, **options: Any
    ) -> httpx.Response:
        """Send with retries.

        Args:
            request: What to send.
            stream: Whether the body of an answer of success is left to be read.
            whole: Whether a body of any length is taken, if it was announced.
            options: Further options of the HTTP client.

        Raises:
            UnexpectedAnswer: A body that goes on and on.
        """
        current = self._layer.current(type(self))
        if current is not self:  # this one was made before a fork
            return current.send(request, stream=stream, whole=whole, **options)
        return self._layer.send(
            lambda: self._attempt(request, stream=stream, whole=whole, options=options), request
        )

    def _attempt(
        self, request: httpx.Request, *, stream: bool, whole: bool, options: dict[str, Any]
    ) -> httpx.Response:
        try:
            response = super().send(request, stream=True, **options)
        except (httpx.InvalidURL, UnicodeError, httpx.RemoteProtocolError) as error:
            # The HTTP client looks where a redirect leads even if it does not follow it. Asking again would not help.
            is_protocol = isinstance(error, httpx.RemoteProtocolError)
            if is_protocol and not isinstance(error.__context__, httpx.InvalidURL):
                raise
            raise UnexpectedAnswer(
                f"{request.method} {shown_url(request.url)} was answered with a redirect to no address: {error}"
            ) from error
        # Who gets the answer, or an error while its body is read, may keep it or send it to another process.
        response.request = without_secret_headers(request)
        try:
            if not response.is_success:
                _read_error(response)
            elif not stream:
                _read_answer(response, whole=whole)
        except BaseException:
            response.close()
            raise
        return response


class _StorageClient(_RetryingClient):
    """Talks to the object store."""


class _ApiClient(_RetryingClient):
    """Talks to the API, and adds the token where the request goes to the API's own origin, which it must."""

    def _default_headers(self) -> dict[str, str]:
        return {**super()._default_headers(), "Accept": "application/json"}

    def send(
        self, request: httpx.Request, *, stream: bool = False, whole: bool = False, **options: Any
    ) -> httpx.Response:
        """Send with the token and with retries; see `_RetryingClient.send`.

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
        options["follow_redirects"] = False
        return super().send(request, stream=stream, whole=whole, **options)


def _read_answer(response: httpx.Response, *, whole: bool) -> None:
    """Read a body into memory, up to a bound.

    Raises:
        UnexpectedAnswer: It is longer, or folded in a way that hides how long it is.
    """
    told = response.headers.get("Content-Length", "")
    announced = int(told) if told.isdecimal() and len(told) < len(str(2**64)) else 0
    limit = max(MAX_ANSWER, announced) if whole else MAX_ANSWER
    if not _is_bounded(response):
        raise UnexpectedAnswer(
            f"{shown_url(response.url)} answered in an encoding that was not asked for; it was not read."
        )
    if announced > limit or not _read_up_to(limit, response):
        raise UnexpectedAnswer(
            f"{shown_url(response.url)} answered with more than {limit // 2**20} MiB; it was not read on."
            " Check base_url, or ask for less at once."
        )


def _read_error(response: httpx.Response) -> None:
    """Read the beginning of an error's body; its status says enough, however long the body is."""
    _read_up_to(MAX_ERROR_BODY if _is_bounded(response) else 0, response)


def _is_bounded(response: httpx.Response) -> bool:
    return response.headers.get("Content-Encoding", "").strip().lower() in ENCODINGS


def _read_up_to(limit: int, response: httpx.Response) -> bool:
    """Read at most so many bytes of a body, and tell whether that was all."""
    kept: list[bytes] = []
    room = limit
    for chunk in response.iter_bytes() if limit else ():
        kept.append(chunk[:room])
        room -= len(chunk)
        if room < 0:
            break
    response.close()
    response._content = b"".join(kept)  # noqa: SLF001 - what `read` sets; it has no bound of its own
    return room >= 0


def user_agent() -> str:
    """Return what this client calls itself."""
    return f"gcapi/{installed_version()}"


def installed_version() -> str:
    """Return the version of the installed distribution."""
    from importlib.metadata import version

    return version("gcapi")
