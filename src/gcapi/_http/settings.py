"""Settings of a client: token, base URL, TLS, timeout and limits."""

from __future__ import annotations

import os
import ssl
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx

from gcapi._http.urls import API_PREFIX, origin
from gcapi._util.choices import check_choice
from gcapi.exceptions import ConfigurationError, TokenError

#: What to do when a temporary limit of the server is reached.
OnLimit = Literal["wait", "raise"]

Verify = bool | str | os.PathLike[str] | ssl.SSLContext


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The validated settings of one client.

    Attributes:
        token: The bare token, without a scheme; not in the repr.
        base_url: Ends in a slash; paths of raw calls are relative to it.
        verify: Whether, or against which CA bundle or context, TLS certificates are checked.
        timeout: Seconds that connecting, a read or a write may be idle.
        max_concurrent_uploads: The number of connections for uploads.
        max_concurrent_downloads: The number of connections for downloads.
        on_limit: Whether to wait when a temporary limit of the server is reached.

    Raises:
        ConfigurationError: A value is invalid.
    """

    token: str = field(repr=False)
    base_url: httpx.URL
    verify: Verify = True
    timeout: float = 60.0
    max_concurrent_uploads: int = 10
    max_concurrent_downloads: int = 10
    on_limit: OnLimit = "wait"

    def __post_init__(self) -> None:
        _check_verify(self.verify)
        _check_seconds("timeout", self.timeout)
        _check_positive("max_concurrent_uploads", self.max_concurrent_uploads)
        _check_positive("max_concurrent_downloads", self.max_concurrent_downloads)
        check_choice("on_limit", self.on_limit, OnLimit, ConfigurationError)

    @property
    def root_url(self) -> str:
        """The server's root without a trailing slash; generated paths are appended to it."""
        url = str(self.base_url)
        return url.removesuffix(API_PREFIX) if url.endswith(API_PREFIX) else url.rstrip("/")

    def api_url(self, path: str) -> str:
        """Return the URL of a path of the API, such as ``archives/``."""
        return f"{self.root_url}{API_PREFIX}{path}"

    def is_api(self, url: httpx.URL) -> bool:
        """Return whether a URL is on the API's origin, the only one that may get the token."""
        return origin(url) == origin(self.base_url)


def bare_token(token: str) -> str:
    """Return a token without the scheme before it.

    Only the server knows which tokens it accepts; here a token only has to fit into a header.

    Raises:
        TokenError: It has no word.
        ConfigurationError: It has more than two words, or a header cannot hold it.
    """
    words = token.split()
    if not words:
        raise TokenError(
            "The API token is blank. Create a token on your Grand Challenge profile under 'API tokens'."
        )
    if len(words) > len(("scheme", "token")):
        raise ConfigurationError(
            f"The API token has {len(words)} words; expected a token, or a scheme and a token. Copy it again."
        )
    token = words[-1]
    if not (token.isascii() and token.isprintable()):
        # httpx's own error would show the token.
        raise ConfigurationError(
            "The API token has characters that no token has; copy it again from your profile."
        )
    return token


def _check_verify(verify: Verify) -> None:
    if isinstance(verify, bool | ssl.SSLContext):
        return
    if not isinstance(verify, str | os.PathLike):
        raise ConfigurationError(
            f"verify={verify!r} must be True, False, the path to a CA bundle, or an ssl.SSLContext."
        )
    if not os.fspath(verify) or not Path(verify).exists():
        raise ConfigurationError(
            f"verify={os.fspath(verify)!r}: there is no such CA bundle. Correct the path."
        )


def _check_seconds(name: str, value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # No lock and no socket can wait longer.
    if not is_number or not 0 < value <= threading.TIMEOUT_MAX:
        raise ConfigurationError(f"{name}={value!r} must be a finite number of seconds above 0.")


def _check_positive(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(f"{name}={value!r} must be an integer of at least 1.")
