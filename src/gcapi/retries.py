"""Retry strategies: how long to wait before a request is retried, and when to give up.

A strategy only decides and never sleeps. A new one is made for each request, so it may keep count. No strategy can make
a write happen twice: a request that may have been carried out is never retried, whatever the strategy returns.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import httpx

from gcapi._util.error_chains import is_certificate_error
from gcapi._util.http_dates import parse_http_date
from gcapi.exceptions import ConfigurationError, UnreachableHostError

Seconds = float

#: Transient statuses, which the infrastructure around the server produces. The server's own 500 is not among them: it
#: is often caused by an invalid request, and then a retry fails in the same way.
TRANSIENT_STATUSES = frozenset({429, 502, 503, 504, 507})
#: The number of retries for a host that the client has never reached: its name is probably wrong, or a proxy missing.
RETRIES_OF_FIRST_CONTACT = 2


class BaseRetryStrategy:
    """Base class of retry strategies; a subclass implements `get_delay`.

    Examples:
        >>> class TwiceAfter503(BaseRetryStrategy):
        ...     def __init__(self):
        ...         self.left = 2
        ...
        ...     def get_delay(self, latest_response):
        ...         if latest_response.status_code != 503 or self.left == 0:
        ...             return None
        ...         self.left -= 1
        ...         return 1.5
        >>> with Client(retry_strategy=TwiceAfter503) as client:
        ...     archives = client.archives.count()
    """

    def get_delay(self, latest_response: httpx.Response) -> Seconds | None:
        """Return the seconds to wait before the request is retried, or `None` to accept the response.

        Args:
            latest_response: The response to the latest attempt; the body of an error is already read.
        """
        raise NotImplementedError("A retry strategy must implement get_delay().")


RetryStrategyFactory = Callable[[], BaseRetryStrategy]


class SelectiveBackoffStrategy(BaseRetryStrategy):
    """Exponential backoff after transient responses, counted separately for each status.

    An instance is its own factory: calling it returns a new strategy with the same arguments.

    Args:
        backoff_factor: Seconds before the first retry; doubled for each further one.
        maximum_number_of_retries: The number of retries for one status.

    Examples:
        >>> ten_times = SelectiveBackoffStrategy(backoff_factor=0.5, maximum_number_of_retries=10)
        >>> with Client(retry_strategy=ten_times) as client:
        ...     archives = client.archives.count()
    """

    def __init__(self, backoff_factor: float, maximum_number_of_retries: int) -> None:
        self.backoff_factor = backoff_factor
        self.maximum_number_of_retries = maximum_number_of_retries
        self._retries: Counter[int] = Counter()

    def __call__(self) -> SelectiveBackoffStrategy:
        """Return a new strategy with the same arguments."""
        return type(self)(self.backoff_factor, self.maximum_number_of_retries)

    def get_delay(self, latest_response: httpx.Response) -> Seconds | None:
        """Return ``backoff_factor · 2ⁿ`` seconds, or those of a ``Retry-After`` header; `None` after the last retry."""
        status = latest_response.status_code
        retries = self._retries[status]
        if status not in TRANSIENT_STATUSES or retries >= self.maximum_number_of_retries:
            return None
        self._retries[status] += 1
        requested = retry_after(latest_response.headers.get("Retry-After"))
        return self.backoff_factor * 2**retries if requested is None else requested


def retry_after(header: str | None, *, now: datetime | None = None) -> Seconds | None:
    """Return the seconds that a ``Retry-After`` header asks for.

    Args:
        header: Seconds or an HTTP date; `None` if there is no header.
        now: The current time; `None` to read the clock.

    Returns:
        `None` for a missing or invalid header; 0 for a date in the past.
    """
    if header is None:
        return None
    try:
        seconds = float(header)
    except ValueError:
        moment = parse_http_date(header)
        if moment is None:
            return None
        return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


class PatientStrategy(BaseRetryStrategy):
    """The default strategy: exponential backoff with full jitter after transient responses and transport errors.

    Untrusted certificates and invalid requests are not retried. A host that cannot be reached, and that the client has
    not reached before, is tried three times.

    Args:
        maximum_number_of_retries: The number of retries of one request.
        backoff_factor: Upper bound of the first delay in seconds; doubled for each further one.
        longest_delay: Upper bound of all delays in seconds, whatever the server asks for.
        total_seconds: Seconds after the first failure within which a retry may still start.
        clock: Returns the time in seconds.
        random: Returns a number from 0 to 1, for the jitter.
    """

    def __init__(
        self,
        *,
        maximum_number_of_retries: int = 8,
        backoff_factor: float = 0.5,
        longest_delay: float = 30.0,
        total_seconds: float = 180.0,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random.random,
    ) -> None:
        #: The number of retries after the latest failure.
        self.maximum_number_of_retries: int = maximum_number_of_retries
        self._maximum = maximum_number_of_retries
        self._retries = 0
        self._bound = backoff_factor
        self._longest = longest_delay
        self._clock = clock
        self._random = random
        self._total = total_seconds
        self._end = math.inf

    def get_delay(self, latest_response: httpx.Response) -> Seconds | None:
        """Return the seconds to wait after a transient response; a ``Retry-After`` header counts up to the cap."""
        if latest_response.status_code not in TRANSIENT_STATUSES:
            return None
        self.maximum_number_of_retries = self._maximum
        return self._next(retry_after(latest_response.headers.get("Retry-After")))

    def get_error_delay(self, error: httpx.TransportError) -> Seconds | None:
        """Return the seconds to wait after a transport error."""
        is_invalid = isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol)
        if is_invalid or is_certificate_error(error):  # a retry would fail in the same way
            return None
        is_first_contact = isinstance(error, UnreachableHostError) and not error.was_reached
        limit = RETRIES_OF_FIRST_CONTACT if is_first_contact else self._maximum
        self.maximum_number_of_retries = min(limit, self._maximum)
        return self._next(None)

    def _next(self, requested: Seconds | None) -> Seconds | None:
        delay = self._random() * self._bound if requested is None else requested
        delay = min(delay, self._longest)
        self._end = min(self._end, self._clock() + self._total)
        if self._retries >= self.maximum_number_of_retries or self._clock() + delay > self._end:
            return None
        self._retries += 1
        self._bound = min(2 * self._bound, self._longest)
        return delay


def check_factory(factory: RetryStrategyFactory | None) -> RetryStrategyFactory:
    """Return a factory of strategies, after calling it once.

    Args:
        factory: A strategy class, or a callable without parameters that returns a strategy; `None` for the default.

    Raises:
        ConfigurationError: The factory does not return a strategy.
    """
    if factory is None:
        return PatientStrategy
    if not callable(factory):
        raise ConfigurationError(
            f"retry_strategy={factory!r} must be a strategy class or a callable that returns a strategy."
        )
    try:
        strategy = factory()
    except Exception as error:
        raise ConfigurationError(f"retry_strategy={factory!r} cannot be called: {error}") from error
    if isinstance(strategy, type) or not callable(getattr(strategy, "get_delay", None)):
        raise ConfigurationError(
            f"retry_strategy={factory!r} returns {strategy!r}, which has no method get_delay(). Derive from"
            " BaseRetryStrategy."
        )
    return factory
