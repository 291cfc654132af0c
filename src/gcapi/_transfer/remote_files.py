"""Where a file comes from (an address of the API, or a signed request), and what the answers say of it.

The token goes to the API only.
"""

from __future__ import annotations

import hashlib
import re
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

import httpx

from gcapi._api.error_mapping import status_error
from gcapi._http.urls import parse_server_url
from gcapi._util.messages import shown_url
from gcapi.exceptions import TransferError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gcapi._http.transport import Transport

#: The status of an answer that is a range.
PARTIAL_CONTENT = 206
#: Bytes are counted against what was announced, which compression would make meaningless.
_FILE_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}
_FORBIDDEN, _NOT_SATISFIABLE = 403, 416
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_MD5 = re.compile(r'"([0-9a-f]{32})"')


class RemoteFile(Protocol):
    """A file somewhere else."""

    def get(self, headers: Mapping[str, str]) -> httpx.Response:
        """Ask for it, or the range that the headers say; the body is left to be read."""
        ...

    def is_store(self, url: httpx.URL, /) -> bool:
        """Tell whether an answer from an address is the store's rather than the API's."""
        ...


class ApiFile:
    """A file behind an address of the API's host.

    Args:
        transport: What requests go through.
        url: The address, as the server gives it.

    Raises:
        UnexpectedAnswer: It is no address.
    """

    def __init__(self, transport: Transport, url: str) -> None:
        self._transport = transport
        self._url = parse_server_url(url)
        #: Where the API's redirect led: signed, good for a few minutes, and used for all ranges.
        self._link: httpx.URL | None = None
        self._lock = threading.Lock()

    def get(self, headers: Mapping[str, str]) -> httpx.Response:
        """Ask the store; by way of the API for the first time, and once more where the link has expired."""
        sent = {**_FILE_HEADERS, **headers}
        link = self._link
        if link is not None:
            response = self._ask(link, sent)
            if not self._has_expired(response):
                return response
            response.close()
        return self._ask_for_link(link, sent)

    def _ask_for_link(self, expired: httpx.URL | None, sent: dict[str, str]) -> httpx.Response:
        """Go by way of the API, unless another range has done so meanwhile.

        Args:
            expired: The link that the store refused; `None` if there was none.
            sent: The headers.
        """
        with self._lock:
            link = self._link
            if link is None or link is expired:
                response = self._ask(self._url, sent)
                if expired is None and self._has_expired(response):
                    response.close()
                    response = self._ask(self._url, sent)
                self._link = response.url if response.is_success else None
                return response
        return self._ask(link, sent)

    def _ask(self, url: httpx.URL, sent: dict[str, str]) -> httpx.Response:
        client = self._transport.client_for(url)
        response = client.send(client.build_request("GET", url, headers=sent), stream=True)
        return self._transport.follow(response, headers=sent, stream=True)

    def _has_expired(self, response: httpx.Response) -> bool:
        """Tell whether the store refused a link that the API gave: the API's own refusal is final."""
        is_link = self._transport.settings.is_api(self._url) and self.is_store(response.url)
        return is_link and response.status_code == _FORBIDDEN

    def is_store(self, url: httpx.URL) -> bool:
        """Tell whether an address is off the API's origin."""
        return not self._transport.settings.is_api(url)


class SignedFile:
    """A file that is fetched by a request that the server signed.

    Args:
        transport: What requests go through.
        url: Where the request goes.
        headers: What signs it.
    """

    def __init__(self, transport: Transport, url: httpx.URL, headers: Mapping[str, str]) -> None:
        self._transport = transport
        self._url = url
        self._headers = headers

    def get(self, headers: Mapping[str, str]) -> httpx.Response:
        """Send the request as it is signed; signatures do not cover the range."""
        client = self._transport.storage
        sent = httpx.Headers({"Accept-Encoding": "identity"})
        sent.update(self._headers)
        sent.update(headers)
        return client.send(client.build_request("GET", self._url, headers=sent), stream=True)

    def is_store(self, _: httpx.URL) -> bool:
        """Tell that no answer is the API's."""
        return True


# ---------------------------------------------------------------- what an answer says of a file


def content_length(response: httpx.Response) -> int | None:
    """Return how long a body is to be; `None` if the store does not say."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def checked_range(response: httpx.Response, start: int, end: int | None) -> int:
    """Return the length of the whole file of which a response has a range.

    Raises:
        TransferError: It is not the range that was asked for.
    """
    header = response.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None or int(match[1]) != start or (end is not None and int(match[2]) >= end):
        response.close()
        raise TransferError(
            f"{shown_url(response.url)} answers with range {header[:100]!r}, which was not asked for."
        )
    return int(match[3])


def validator_of(response: httpx.Response) -> str:
    """Return what `If-Range` takes: a strong entity tag, else the date; empty if there is neither."""
    etag = response.headers.get("ETag", "")
    return str(etag if etag.startswith('"') else response.headers.get("Last-Modified", ""))


def checksum(response: httpx.Response) -> str | None:
    """Return the file's MD5, where the store's entity tag is one."""
    match = _MD5.fullmatch(response.headers.get("ETag", ""))
    return match[1] if match else None


def stored(remote: RemoteFile) -> tuple[int | None, str | None]:
    """Return the length in bytes and the MD5 of a file as the store has it, without its bytes; `None` where untold.

    Raises:
        StatusError: No such file, or no access.
    """
    response = remote.get({"Range": "bytes=0-0"})
    if response.status_code == _NOT_SATISFIABLE:  # an empty file has no first byte
        response.close()
        response = remote.get({})
    with closing(response):
        if not response.is_success:
            response.read()
            raise status_error(response, storage=remote.is_store(response.url))
        is_part = response.status_code == PARTIAL_CONTENT
        size = checked_range(response, 0, 1) if is_part else content_length(response)
        return size, checksum(response)


class Cursor:
    """How far a range has come.

    Args:
        at: Its first byte.
        end: The byte after its last; `None` if only the end of the stream tells.
        checksum: The MD5 that it is to have, in hexadecimal; `None` if that is not known.
    """

    def __init__(self, at: int, end: int | None, checksum: str | None = None) -> None:
        self.at = at
        self.end = end
        self._checksum = checksum
        self._digest = hashlib.md5(usedforsecurity=False) if checksum else None

    @property
    def is_done(self) -> bool:
        """Whether all of it has come."""
        return self.at == self.end

    def advance(self, block: memoryview) -> None:
        """Count a block."""
        self.at += len(block)
        if self._digest is not None:
            self._digest.update(block)

    def check(self, name: str) -> None:
        """Compare the checksum, if it is known.

        Raises:
            TransferError: It differs.
        """
        if self._digest is not None and self._digest.hexdigest() != self._checksum:
            raise TransferError(
                f"{name} came with another checksum than the store has; nothing was kept."
            )
