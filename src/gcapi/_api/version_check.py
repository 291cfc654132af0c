"""Check that the server supports this version of gcapi, with versions ordered as in PEP 440."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from gcapi._api.error_mapping import status_error
from gcapi._http.transport import Transport
from gcapi._util.fork_safety import Lock
from gcapi._util.installation import __version__
from gcapi._util.messages import quote_body, shown_url
from gcapi._util.user_warnings import warn_user
from gcapi.exceptions import UnexpectedAnswer, UnsupportedVersionError

if TYPE_CHECKING:
    import httpx


class VersionCheck:
    """Asks the server once, before the first request, whether it supports this version.

    Args:
        transport: Sends the request.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = Lock()
        self._is_done = False

    def ensure(self) -> None:
        """Run the check if it has not succeeded yet.

        Raises:
            UnsupportedVersionError: The server does not support this version.
        """
        if self._is_done:
            return
        with self._lock:
            if not self._is_done:
                self._check()
                self._is_done = True

    def _check(self) -> None:
        # Sent without the token, so that an invalid token is not reported as an unsupported version.
        response = self._transport.storage.get(
            self._transport.settings.api_url("gcapi/"), headers={"Accept": "application/json"}
        )
        if not response.is_success:
            raise status_error(response)
        compare_versions(__version__, **_read_versions(response))


def _read_versions(response: httpx.Response) -> dict[str, str]:
    try:
        body = response.json()
        return {
            "lowest": str(body["lowest_supported_version"]),
            "latest": str(body["latest_version"]),
        }
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnexpectedAnswer(
            f"{shown_url(response.url)} is not a Grand Challenge API: it answered {quote_body(response)!r}."
            " Check base_url, and whether a proxy or a login page answers instead."
        ) from error


_UPGRADE = "pip install --upgrade gcapi"


def compare_versions(current: str, *, lowest: str, latest: str) -> None:
    """Warn if a newer version than the installed one is available.

    Args:
        current: The installed version.
        lowest: The lowest version that the server supports.
        latest: The latest version that the server knows.

    Raises:
        UnsupportedVersionError: The installed version is lower than the lowest supported one.
    """
    if version_key(current) < version_key(lowest):
        raise UnsupportedVersionError(
            f"This is gcapi {current}, and the server supports {lowest} and newer. Upgrade it: {_UPGRADE}"
        )
    if version_key(current) < version_key(latest):
        message = f"This is gcapi {current}; version {latest} is available. Upgrade it: {_UPGRADE}"
        warn_user(message, UserWarning)


#: https://packaging.python.org/en/latest/specifications/version-specifiers/#appendix-parsing-version-strings-with-regular-expressions
_VERSION = re.compile(
    r"""
    v?
    (?:(?P<epoch>[0-9]+)!)?
    (?P<release>[0-9]+(?:\.[0-9]+)*)
    (?:[-_.]?(?P<pre>a|alpha|b|beta|c|rc|pre|preview)[-_.]?(?P<pre_number>[0-9]*))?
    (?:-(?P<implicit_post>[0-9]+)|(?P<post>[-_.]?(?:post|rev|r)[-_.]?(?P<post_number>[0-9]*)))?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_number>[0-9]*))?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?
    """,
    re.VERBOSE,
)
_PRE_RELEASES = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_MAX_VERSION_LENGTH = 200


def version_key(version: str) -> tuple[Any, ...]:
    """Return a sort key that orders versions as PEP 440 does.

    Raises:
        UnexpectedAnswer: This is not a version.
    """
    text = version.strip().lower()
    match = _VERSION.fullmatch(text)
    if match is None or len(text) > _MAX_VERSION_LENGTH:
        raise UnexpectedAnswer(f"The server's response has an invalid version {version[:200]!r}.")
    release = [int(number) for number in match["release"].split(".")]
    while release and release[-1] == 0:
        release.pop()
    post = match["implicit_post"] or (match["post"] and (match["post_number"] or "0"))
    if match["pre"]:
        pre = (_PRE_RELEASES[match["pre"]], int(match["pre_number"] or 0))
    else:  # 1.0.dev1 comes before 1.0a1, and 1.0 after it
        pre = (-1, 0) if match["dev"] and not post else (len(_PRE_RELEASES), 0)
    return (
        int(match["epoch"] or 0),
        release,
        pre,
        int(post) if post else -1,
        int(match["dev_number"] or 0) if match["dev"] else math.inf,
        [
            (1, int(part)) if part.isdecimal() else (0, part)
            for part in re.findall(r"[a-z0-9]+", match["local"] or "")
        ],
    )
