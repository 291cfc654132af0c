"""What a client was told: token, base URL, TLS, timeouts and limits, validated and frozen."""

from __future__ import annotations

import ipaddress
import os
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import httpx

from gcapi._util.messages import shown_url
from gcapi.exceptions import ConfigurationError, InvalidTarget, UnexpectedAnswer

#: Where the token is read from when none is given.
TOKEN_VARIABLE = "GRAND_CHALLENGE_AUTHORIZATION"  # noqa: S105 - its name, not its value
#: The public server.
DEFAULT_BASE_URL = "https://grand-challenge.org/api/v1/"
#: What every path of the API begins with, below the server's root.
API_PREFIX = "/api/v1/"

#: What to do about a limit of the server that passes by itself.
OnLimit = Literal["wait", "raise"]

Verify = bool | str | os.PathLike[str] | ssl.SSLContext


@dataclass(frozen=True)
class Settings:
    """The validated settings of one client.

    Attributes:
        token: The bare token, without its scheme; in no repr.
        base_url: Ends in a slash; what paths of the raw call are relative to.
        verify: Whether, or against which CA bundle or context, TLS certificates are checked.
        timeout: Seconds that connecting, a read or a write may be idle.
        max_concurrent_uploads: Connections that uploads use at once.
        max_concurrent_downloads: Connections that downloads use at once.
        on_limit: Whether to wait where a limit of the server passes by itself.
    """

    token: str = field(repr=False)
    base_url: httpx.URL
    verify: Verify
    timeout: float
    max_concurrent_uploads: int
    max_concurrent_downloads: int
    on_limit: OnLimit = "wait"

    @property
    def root_url(self) -> str:
        """The server's root, without a slash at its end: what generated paths are appended to."""
        url = str(self.base_url)
        return url.removesuffix(API_PREFIX) if url.endswith(API_PREFIX) else url.rstrip("/")

    def is_api(self, url: httpx.URL) -> bool:
        """Tell whether a URL is on the API's own origin: the only place that may see the token."""
        return origin(url) == origin(self.base_url)


def make_settings(
    *,
    token: str,
    base_url: str,
    verify: Verify,
    timeout: float,
    max_concurrent_uploads: int,
    max_concurrent_downloads: int,
    on_limit: OnLimit = "wait",
) -> Settings:
    """Validate what a client was given.

    Raises:
        ConfigurationError: With what to do instead.
    """
    return Settings(
        token=find_token(token),
        base_url=check_base_url(base_url),
        verify=check_verify(verify),
        timeout=_positive("timeout", timeout),
        max_concurrent_uploads=_count("max_concurrent_uploads", max_concurrent_uploads),
        max_concurrent_downloads=_count("max_concurrent_downloads", max_concurrent_downloads),
        on_limit=check_on_limit(on_limit),
    )


def find_token(token: str) -> str:
    """Return the bare token from the argument or the environment.

    The form of the token is not judged, as long as a header can hold it: only the server knows which it accepts.

    Raises:
        ConfigurationError: No token, more than two words, or none that a header can hold.
    """
    words = (token or os.environ.get(TOKEN_VARIABLE, "")).split()
    if not words:
        raise ConfigurationError(
            f"No token: pass token=, or set {TOKEN_VARIABLE}. Tokens are made on your Grand Challenge"
            " profile under 'API tokens'."
        )
    if len(words) > len(("scheme", "token")):
        raise ConfigurationError(
            f"The token has {len(words)} words; one is expected, or a scheme and the token."
        )
    token = words[-1]
    if not (token.isascii() and token.isprintable()):
        # The HTTP client's own error would show the token.
        raise ConfigurationError(
            "The token has characters that are not in any token; copy it again."
        )
    return token


def check_base_url(base_url: str) -> httpx.URL:
    """Return the base URL, ending in a slash.

    Raises:
        ConfigurationError: Neither https nor a loopback host, or more than an address.
    """
    try:
        url = _parsed(base_url)
    except ValueError as error:
        raise ConfigurationError(f"The base URL {base_url!r} is no URL: {error}") from error
    if url.query or url.fragment or url.userinfo:
        raise ConfigurationError(
            f"The base URL {shown_url(url)!r} must be an address alone, without a user name, a query or a fragment."
        )
    if not is_safe(url):
        raise ConfigurationError(
            f"The base URL {base_url!r} must be https, so that the token travels encrypted"
            " (http is for a server on this machine only)."
        )
    return url if url.path.endswith("/") else url.copy_with(path=url.path + "/")


def check_verify(verify: Verify) -> Verify:
    """Return `verify`, its path checked.

    Raises:
        ConfigurationError: A path that does not exist, or nothing that says how to check.
    """
    if isinstance(verify, bool | ssl.SSLContext):
        return verify
    if not isinstance(verify, str | os.PathLike):
        raise ConfigurationError(
            f"verify={verify!r} must be True, False, the path to a CA bundle, or an ssl.SSLContext."
        )
    if not os.fspath(verify) or not Path(verify).exists():
        raise ConfigurationError(f"verify={os.fspath(verify)!r}: there is no such CA bundle.")
    return verify


def check_on_limit(on_limit: Any) -> OnLimit:
    """Return what to do about a limit.

    Raises:
        ConfigurationError: Something else than `OnLimit` has.
    """
    if on_limit not in get_args(OnLimit):
        raise ConfigurationError(f"on_limit={on_limit!r} must be 'wait' or 'raise'.")
    checked: OnLimit = on_limit
    return checked


def origin(url: httpx.URL) -> tuple[str, str, int | None]:
    """Return what makes two URLs the same server: scheme, host and effective port."""
    port = url.port or {"https": 443, "http": 80}.get(url.scheme)
    return url.scheme, _raw_host(url), port


def _raw_host(url: httpx.URL) -> str:
    """Return the host as it goes over the wire: what stands for other scripts may have no readable form."""
    return url.raw_host.decode("ascii")


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe(url: httpx.URL) -> bool:
    """Tell whether a URL may be talked to: https, or http to this machine."""
    host = _raw_host(url)
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and is_loopback(host)))


def given_url(text: str) -> httpx.URL:
    """Return an address that the caller gave, or gave back.

    Raises:
        InvalidTarget: It is none; nothing was sent.
    """
    try:
        url = _resolvable(text)
    except ValueError as error:
        raise InvalidTarget(f"{str(text)[:200]!r} is no address: {error}") from error
    if bool(url.scheme) != bool(url.host):
        # The HTTP client would take it for a path on the API's host.
        raise InvalidTarget(f"{str(text)[:200]!r} is no address of a server.")
    return url


def server_url(text: Any) -> httpx.URL:
    """Return an address that the server names.

    Raises:
        UnexpectedAnswer: It is none.
    """
    try:
        return _resolvable(text)
    except ValueError as error:
        # Without the query, since a presigned URL is a key.
        shown = str(text).partition("?")[0][:200]
        raise UnexpectedAnswer(
            f"The server names an address {shown!r}, which is none: {error}"
        ) from error


def _resolvable(text: Any) -> httpx.URL:
    """Return an address whose host the system's resolver would look for.

    Raises:
        ValueError: It is none.
    """
    url = _parsed(text)
    url.host.encode("idna")
    return url


def _parsed(text: Any) -> httpx.URL:
    """Return an address.

    Raises:
        ValueError: It is none: no URL, or no such port.
    """
    try:
        url = httpx.URL(str(text))
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from error
    if url.port is not None and not 0 < url.port < 2**16:
        raise ValueError("there is no such port")
    return url


def _positive(name: str, value: Any) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # No lock and no socket can wait for longer.
    if not is_number or not 0 < value <= threading.TIMEOUT_MAX:
        raise ConfigurationError(f"{name}={value!r} must be a finite number of seconds above 0.")
    return float(value)


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name}={value!r} must be a whole number of at least 1.")
    return value
