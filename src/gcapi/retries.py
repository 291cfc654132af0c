"""Retry strategies: given an answer, how many seconds to wait before asking again, or `None` to give up.

A strategy only decides; it never sleeps. One is made for every request, so it may count. No strategy can make a
write happen twice: a request that may have been carried out is not repeated, whatever the strategy answers.
"""

from __future__ import annotations

import math
import random
import ssl
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from gcapi.exceptions import ConfigurationError

if TYPE_CHECKING:
    import httpx

Seconds = float

#: Answers of the infrastructure around the server that may be different next time. Never 500: this server answers
#: 500 to mistakes of the client, so that asking again gives the same.
TRANSIENT_STATUSES = frozenset({429, 502, 503, 504, 507})


class BaseRetryStrategy:
    """What a strategy has to be: derive from it and give a `get_delay`.

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
        """Return the seconds to wait before the request is repeated, or `None` to take the answer as it is.

        Args:
            latest_response: The answer to the latest attempt, its body read if it is an error.
        """
        raise NotImplementedError("A retry strategy must implement get_delay().")


RetryStrategyFactory = Callable[[], BaseRetryStrategy]


class SelectiveBackoffStrategy(BaseRetryStrategy):
    """Wait longer after each transient answer, counted for every status by itself.

    An instance is its own factory: calling it gives a fresh one with the same numbers.

    Args:
        backoff_factor: Seconds before the first repeat; doubled with each further one.
        maximum_number_of_retries: Repeats for one status, 0 for none.

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
        """Return a fresh strategy with the same numbers."""
        return type(self)(self.backoff_factor, self.maximum_number_of_retries)

    def get_delay(self, latest_response: httpx.Response) -> Seconds | None:
        """Return ``backoff_factor · 2ⁿ``, or what the server's ``Retry-After`` says; `None` when used up."""
        status = latest_response.status_code
        retries = self._retries[status]
        if status not in TRANSIENT_STATUSES or retries >= self.maximum_number_of_retries:
            return None
        self._retries[status] += 1
        told = retry_after(latest_response.headers.get("Retry-After"))
        return self.backoff_factor * 2**retries if told is None else told


def retry_after(header: str | None, *, now: datetime | None = None) -> Seconds | None:
    """Return the seconds that a ``Retry-After`` header asks for.

    Args:
        header: Seconds or an HTTP date; `None` where there is none.
        now: The current time; `None` asks the clock.

    Returns:
        `None` for no header and for one that is neither form; 0 for a date in the past.
    """
    if header is None:
        return None
    seconds = _seconds(header)
    return _until(header, now) if seconds is None else seconds


def _seconds(header: str) -> Seconds | None:
    try:
        seconds = float(header)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _until(header: str, now: datetime | None) -> Seconds | None:
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


class PatientStrategy(BaseRetryStrategy):
    """What a client uses unless told otherwise: wait with full jitter after transient answers and transport errors.

    A certificate that is not trusted is final, and so is a request that was wrong before it was sent.

    Args:
        maximum_number_of_retries: Repeats of one request, 0 for none.
        backoff_factor: Seconds that bound the first wait; the bound doubles with each further one.
        longest_delay: Seconds that no wait is longer than, whatever the server asks for.
        total_seconds: Seconds after the first failure in which a repeat may still begin.
        clock: Tells the time in seconds.
        random: Gives a number from 0 to 1, for the jitter.
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
        self._left = maximum_number_of_retries
        self._bound = backoff_factor
        self._longest = longest_delay
        self._clock = clock
        self._random = random
        self._total = total_seconds
        self._end = math.inf

    def get_delay(self, latest_response: httpx.Response) -> Seconds | None:
        """Return the seconds to wait after a transient answer; what the server asks for counts, up to the cap."""
        if latest_response.status_code not in TRANSIENT_STATUSES:
            return None
        return self._next(retry_after(latest_response.headers.get("Retry-After")))

    def get_error_delay(self, error: httpx.TransportError) -> Seconds | None:
        """Return the seconds to wait after a transport error."""
        return None if _is_final(error) else self._next(None)

    def _next(self, told: Seconds | None) -> Seconds | None:
        delay = self._random() * self._bound if told is None else told
        delay = min(delay, self._longest)
        self._end = min(self._end, self._clock() + self._total)
        if self._left == 0 or self._clock() + delay > self._end:
            return None
        self._left -= 1
        self._bound = min(2 * self._bound, self._longest)
        return delay


def _is_final(error: BaseException) -> bool:
    """Tell whether asking again gives the same."""
    import httpx

    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return True
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def check_factory(factory: RetryStrategyFactory | None) -> RetryStrategyFactory:
    """Return a factory of strategies, tried once.

    Args:
        factory: A strategy class, or anything that can be called without arguments and gives a strategy;
            `None` for the default.

    Raises:
        ConfigurationError: What makes no strategy.
    """
    if factory is None:
        return PatientStrategy
    if not callable(factory):
        raise ConfigurationError(
            f"retry_strategy={factory!r} must be a strategy class or a callable that makes a strategy."
        )
    try:
        product = factory()
    except Exception as error:
        raise ConfigurationError(
            f"retry_strategy={factory!r} makes no strategy: {error}"
        ) from error
    if isinstance(product, type) or not callable(getattr(product, "get_delay", None)):
        raise ConfigurationError(
            f"retry_strategy={factory!r} makes {product!r}, which is no strategy: it cannot be asked get_delay()."
        )
    return factory
