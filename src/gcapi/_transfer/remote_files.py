"""Files on a server: behind a URL of the API, or behind a presigned request; and what responses say about them.

The token is sent to the API only.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass

import httpx

from gcapi._api.error_mapping import status_error
from gcapi._http.server_state import ServerState
from gcapi._http.transport import Transport
from gcapi._http.urls import parse_server_url
from gcapi._transfer.checksums import md5_of
from gcapi._util.messages import shown_url
from gcapi.exceptions import TransferError

#: Compression would make it impossible to count bytes against the announced length.
_FILE_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")


class ApiFile:
    """A file behind a URL of the API, which redirects to the object store.

    Args:
        transport: Sends requests.
        url: The URL, as the server gives it.

    Raises:
        UnexpectedAnswer: It is not a URL.
    """

    def __init__(self, transport: Transport, url: str) -> None:
        self._transport = transport
        self._url = parse_server_url(url)
        #: The target of the redirect. It is valid for a few minutes, and used for all byte ranges.
        self._presigned: httpx.URL | None = None
        self._lock = threading.Lock()

    def get(self, headers: Mapping[str, str]) -> httpx.Response:
        """Request the file, or the byte range that the headers name, and leave the body to be read.

        The request goes to the store; at first, and again when the presigned URL has expired, to the API.
        """
        headers = {**_FILE_HEADERS, **headers}
        expired = self._presigned
        if expired is not None:
            response = self._request(expired, headers)
            if not self._has_expired(response):
                return response
            response.close()
        with self._lock:
            presigned = self._presigned
            if presigned is None or presigned is expired:
                response = self._request(self._url, headers)
                if expired is None and self._has_expired(response):
                    response.close()
                    response = self._request(self._url, headers)
                self._presigned = response.url if response.is_success else None
                return response
        return self._request(presigned, headers)

    def _request(self, url: httpx.URL, headers: dict[str, str]) -> httpx.Response:
        client = self._transport.client_for(url)
        response = client.send(client.build_request("GET", url, headers=headers), stream=True)
        return self._transport.follow(response, headers=headers, stream=True)

    def _has_expired(self, response: httpx.Response) -> bool:
        """Return whether the store refused a URL that the API had presigned; a refusal by the API itself is final."""
        is_presigned = self._transport.settings.is_api(self._url) and self.is_store(response.url)
        return is_presigned and response.status_code == httpx.codes.FORBIDDEN

    def is_store(self, url: httpx.URL) -> bool:
        """Return whether a response from a URL is the object store's rather than the API's."""
        return not self._transport.settings.is_api(url)

    def server(self, url: httpx.URL) -> ServerState:
        """Return the state of the server of a response's URL."""
        return self._transport.server(url)


@dataclass(frozen=True)
class SignedFile:
    """A file behind a request that the server signed.

    Attributes:
        transport: Sends requests.
        url: The URL of the request.
        headers: Its signed headers.
    """

    transport: Transport
    url: httpx.URL
    headers: Mapping[str, str]

    def get(self, headers: Mapping[str, str]) -> httpx.Response:
        """Send the request as it is signed; signatures do not cover the byte range."""
        client = self.transport.storage
        sent = httpx.Headers({"Accept-Encoding": "identity"})
        sent.update(self.headers)
        sent.update(headers)
        return client.send(client.build_request("GET", self.url, headers=sent), stream=True)

    def is_store(self, _: httpx.URL) -> bool:
        """Return true: the API does not answer signed requests."""
        return True

    def server(self, url: httpx.URL) -> ServerState:
        """Return the state of the server of a response's URL."""
        return self.transport.server(url)


#: A file on a server.
RemoteFile = ApiFile | SignedFile


def open_range(
    remote: RemoteFile, start: int, end: int | None, *, validator: str = ""
) -> httpx.Response:
    """Request a byte range, and return the response with its body left to be read.

    Args:
        remote: The file.
        start: The first byte.
        end: The byte after the last one; `None` for the rest of the file.
        validator: The version that the range must be of; a server that has another one sends the whole file.

    Raises:
        StatusError: The API or the store refuses.
    """
    headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
    if validator:
        headers["If-Range"] = validator
    response = remote.get(headers)
    if start == 0 and response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        response.close()  # an empty file has no first byte
        response = remote.get({})
    if response.status_code in {httpx.codes.OK, httpx.codes.PARTIAL_CONTENT}:
        return response
    with closing(response):
        response.read()
        raise status_error(response, storage=remote.is_store(response.url))


def is_partial(response: httpx.Response) -> bool:
    """Return whether a response is a byte range rather than the whole file."""
    return response.status_code == httpx.codes.PARTIAL_CONTENT


def file_size(response: httpx.Response, start: int, end: int | None) -> int | None:
    """Return the length of the whole file in bytes; `None` if the server does not announce it.

    Args:
        response: The response to `open_range`.
        start: The first byte that was requested.
        end: The byte after the last one; `None` for the rest of the file.

    Raises:
        TransferError: The response is not the range that was requested.
    """
    if not is_partial(response):
        length = response.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None
    header = response.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None or int(match[1]) != start or (end is not None and int(match[2]) >= end):
        response.close()
        raise TransferError(
            f"{shown_url(response.url)} answered with range {header[:100]!r}, which was not requested."
        )
    return int(match[3])


def validator_of(response: httpx.Response) -> str:
    """Return the value for `If-Range`: a strong entity tag, else the date; empty if there is neither."""
    etag = response.headers.get("ETag", "")
    return str(etag if etag.startswith('"') else response.headers.get("Last-Modified", ""))


def stored(remote: RemoteFile) -> tuple[int | None, str | None]:
    """Return the length in bytes and the MD5 checksum of a file on the server, without reading it.

    Either is `None` if the server does not announce it.

    Raises:
        StatusError: The file does not exist, or access is denied.
    """
    with closing(open_range(remote, 0, 1)) as response:
        server = remote.server(response.url)
        return file_size(response, 0, 1), md5_of(response.headers, server)
