"""URLs: parsing and checking them, comparing origins, and reading primary keys from paths."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

import httpx

from gcapi._util.messages import shown_url
from gcapi.exceptions import ConfigurationError, InvalidTarget, UnexpectedAnswer

#: The public server.
DEFAULT_BASE_URL = "https://grand-challenge.org/api/v1/"
#: The path of the API below the server's root.
API_PREFIX = "/api/v1/"
#: The scheme, host and effective port of a URL.
UrlOrigin = tuple[str, str, int | None]
_PK = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|[0-9]+", re.IGNORECASE)


def parse_base_url(base_url: str) -> httpx.URL:
    """Return the base URL, ending in a slash.

    Raises:
        ConfigurationError: It is neither https nor on this machine, or has a user name, a query or a fragment.
    """
    try:
        url = _parse(base_url)
    except ValueError as error:
        raise ConfigurationError(
            f"The base URL {base_url!r} is not a URL: {error}. Correct it."
        ) from error
    if url.query or url.fragment or url.userinfo:
        raise ConfigurationError(
            f"The base URL {shown_url(url)!r} must not have a user name, a query or a fragment. Remove it."
        )
    if not is_secure(url):
        raise ConfigurationError(
            f"The base URL {base_url!r} must be https, so that the token is encrypted"
            " (http is only for a server on this machine). Write https:// before the host."
        )
    return url if url.path.endswith("/") else url.copy_with(path=url.path + "/")


def parse_user_url(text: str) -> httpx.URL:
    """Return the URL that the caller gave.

    Raises:
        InvalidTarget: It is not a valid URL; nothing was sent.
    """
    try:
        url = _parse_resolvable(text)
    except ValueError as error:
        raise InvalidTarget(f"{str(text)[:200]!r} is not a valid URL: {error}.") from error
    if bool(url.scheme) != bool(url.host) or not (url.host or url.path.startswith("/")):
        # httpx would take it, such as a host without https://, for a path on the API's host.
        raise InvalidTarget(f"{str(text)[:200]!r} is not a URL of a server.")
    return url


def join_path(base_url: httpx.URL, path: str) -> httpx.URL:
    """Return the URL of a path below a base URL.

    Raises:
        InvalidTarget: It is not a valid path; nothing was sent.
    """
    try:
        return base_url.join(path)
    except (httpx.InvalidURL, UnicodeError, TypeError) as error:
        raise InvalidTarget(f"{str(path)[:200]!r} is not a valid path: {error}.") from error


def parse_server_url(text: Any) -> httpx.URL:
    """Return the URL in a server's response.

    Raises:
        UnexpectedAnswer: It is not a valid URL.
    """
    try:
        return _parse_resolvable(text)
    except ValueError as error:
        # Without the query, which is the key of a presigned URL.
        shown = str(text).partition("?")[0][:200]
        raise UnexpectedAnswer(
            f"The server's response has an invalid URL {shown!r}: {error}."
        ) from error


def _parse_resolvable(text: Any) -> httpx.URL:
    url = _parse(text)
    url.host.encode("idna")  # as the system's resolver will
    return url


def _parse(text: Any) -> httpx.URL:
    try:
        url = httpx.URL(str(text))
    except httpx.InvalidURL as error:
        raise ValueError(str(error)) from error
    if url.port is not None and not 0 < url.port < 2**16:
        raise ValueError("the port is out of range")
    return url


def origin(url: httpx.URL) -> UrlOrigin:
    """Return the scheme, host and effective port of a URL."""
    port = url.port or {"https": 443, "http": 80}.get(url.scheme)
    return url.scheme, _raw_host(url), port


def is_secure(url: httpx.URL) -> bool:
    """Return whether a URL is https, or http to this machine."""
    host = _raw_host(url)
    return bool(host) and (url.scheme == "https" or (url.scheme == "http" and is_loopback(host)))


def _raw_host(url: httpx.URL) -> str:
    """Return the host in ASCII; a malformed internationalized name has no readable form."""
    return url.raw_host.decode("ascii")


def is_loopback(host: str) -> bool:
    """Return whether a host name or IP address is this machine's own."""
    # Names below localhost are loopback too (RFC 6761, section 6.3).
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def same_path(one: Any, other: Any) -> bool:
    """Return whether two URLs have the same path; the server does not compare hosts either."""
    if not isinstance(one, str) or not isinstance(other, str):
        return False
    return httpx.URL(one).path == httpx.URL(other).path


def last_segment(path: Any) -> str:
    """Return the last segment of a path or URL without a query, which is a primary key or slug; empty for `None`."""
    return str(path or "").rstrip("/").rpartition("/")[2]


def is_pk(value: Any) -> bool:
    """Return whether a value is a primary key (a UUID or a number), rather than a slug or a URL."""
    return _PK.fullmatch(str(value)) is not None
