"""Downloads: one pool over (file, range) for everything that a call fetches, streamed, verified and renamed.

The way of a file is the API's 302 to the object store; the token goes to the API only. The first request asks for
the first MiB, which for most files is all. A larger file is then cut into ranges that fill whole rounds of the
connections. A stream that breaks goes on from the byte that it reached, as long as the file is still the same.

Memory: `max_concurrent_downloads` × `BLOCK` (512 KiB), twice for a moment.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

import httpx

from gcapi._files import Existing, Partial, is_there, refuse_existing
from gcapi._layout import MEBI, Piece, cut, range_size
from gcapi.exceptions import GCAPIError, TransferError, shown_url, status_error
from gcapi.progress import Listener, Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from gcapi._calls import Calls
    from gcapi._transport import Transport

#: What the first request asks for, in bytes: most files are no longer.
FIRST_RANGE = MEBI
#: How much is written at once, in bytes: the HTTP client gives 16 KiB at a time.
BLOCK = MEBI // 2
#: How often a stream that broke is taken up again, and how often a file that changed is begun again.
CONTINUATIONS, RESTARTS = 5, 2
#: Seconds before a broken stream is taken up again; doubled each time.
PAUSE = 0.2
#: Bytes are counted against what was announced, which compression would make meaningless.
_FILE_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_MD5 = re.compile(r'"([0-9a-f]{32})"')
_PARTIAL_CONTENT, _FORBIDDEN, _NOT_SATISFIABLE = 206, 403, 416


class Remote(Protocol):
    """A file somewhere else."""

    def get(self, headers: Mapping[str, str]) -> httpx.Response:
        """Ask for it, or the range that the headers say; the body is left to be read."""
        ...

    def renew(self) -> bool:
        """Tell whether another address can be had in place of one that was refused."""
        ...

    def is_store(self, url: httpx.URL) -> bool:
        """Tell whether an answer from an address is the store's rather than the API's."""
        ...


class ApiFile:
    """A file behind an address of the API's host.

    Args:
        transport: What requests go through.
        url: The address.
    """

    def __init__(self, transport: Transport, url: str) -> None:
        self._transport = transport
        self._url = httpx.URL(url)
        #: Where the API's redirect led: signed, good for a few minutes, and used for all ranges.
        self._link: httpx.URL | None = None
        self._refused_by_store = False
        self._lock = threading.Lock()

    def get(self, headers: Mapping[str, str]) -> httpx.Response:
        """Ask the store, by way of the API for the first time."""
        with self._lock:
            link = self._link
        sent = {**_FILE_HEADERS, **headers}
        url = link or self._url
        client = self._transport.client_for(url)
        response = client.send(client.build_request("GET", url, headers=sent), stream=True)
        response = self._transport.follow(response, headers=sent, stream=True)
        with self._lock:
            self._link = response.url if response.is_success else None
            self._refused_by_store = not response.is_success and self.is_store(response.url)
        return response

    def renew(self) -> bool:
        """Go by way of the API again, unless the API itself refused."""
        with self._lock:
            return self._refused_by_store

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
        sent = {"Accept-Encoding": "identity", **self._headers, **headers}
        return client.send(client.build_request("GET", self._url, headers=sent), stream=True)

    def renew(self) -> bool:
        """Tell that there is no other address."""
        return False

    def is_store(self, _: httpx.URL) -> bool:
        """Tell that no answer is the API's."""
        return True


class Downloads:
    """Download files.

    Args:
        calls: Calls the API.
        listener: Hears of the bytes that arrived.
        sleep: Waits for a number of seconds.
    """

    def __init__(
        self, calls: Calls, listener: Listener, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._calls = calls
        self._listener = listener
        self._sleep = sleep

    def remote(self, url: str) -> ApiFile:
        """Return the file behind an address of the API's host."""
        return ApiFile(self._calls.transport, url)

    def signed(self, url: httpx.URL, headers: Mapping[str, str]) -> SignedFile:
        """Return the file that a signed request fetches."""
        return SignedFile(self._calls.transport, url, headers)

    def fetch(
        self, files: Sequence[tuple[Remote, Path]], *, existing: Existing = "error"
    ) -> list[Path]:
        """Download files, `max_concurrent_downloads` ranges at once, and return their targets in order.

        Args:
            files: What, and where it is to be.
            existing: What to do about a target that is there.

        Raises:
            FileExistsError: A target is there already; nothing was transferred.
            StatusError: No such file, or no access. Files that were whole by then are kept.
            TransferError: A file came in part, or garbled, however often it was asked for.
        """
        if existing == "error":
            refuse_existing(target for _, target in files)
        wanted = [
            _Download(remote, target, self._listener, overwrite=existing == "overwrite")
            for remote, target in files
            if not (existing == "skip" and is_there(target))
        ]
        if wanted:
            _Run(wanted, self._calls.settings.max_concurrent_downloads, self._sleep).finish()
        return [target for _, target in files]


class _Download:
    """One file on its way."""

    def __init__(
        self, remote: Remote, target: Path, listener: Listener, *, overwrite: bool
    ) -> None:
        self.remote = remote
        self.target = target
        self.overwrite = overwrite
        self.result: Future[Path] = Future()
        self.counter = Progress(listener, "download", target.name)
        self.lock = threading.Lock()
        self.restarts = 0
        #: Whether the file turned out to be another one while its ranges came.
        self.changed = False
        self._partial: Partial | None = None
        self._missing = 0
        #: What the file is known by: an entity tag or a date, as `If-Range` takes it; empty if the store gives none.
        self.validator = ""
        self.size: int | None = None

    @property
    def partial(self) -> Partial:
        """The file that is written to, made when the first bytes come."""
        if self._partial is None:
            self._partial = Partial(self.target, overwrite=self.overwrite)
        return self._partial

    def learn(self, *, size: int | None, validator: str) -> None:
        """Set what the first answer says of the file."""
        self.size, self.validator = size, validator
        self.counter.set_total(size)

    def expect(self, pieces: int) -> None:
        """Set how many further pieces make the file whole."""
        self._missing = pieces

    def piece_done(self) -> bool:
        """Count a piece, and tell whether it was the last."""
        with self.lock:
            self._missing -= 1
            return self._missing == 0

    def begin_again(self) -> None:
        """Forget what came: the file is another one now.

        Raises:
            TransferError: It changes again and again.
        """
        self.restarts += 1
        if self.restarts > RESTARTS:
            raise TransferError(
                f"{self.target.name} changes at the server while it is downloaded; nothing was kept."
            )
        self.counter.reset()
        self.changed, self.validator, self.size = False, "", None
        if self._partial is not None:
            self._partial.empty()

    def discard(self) -> None:
        """Remove what is not whole."""
        if self._partial is not None:
            self._partial.discard()


class _Run:
    """Everything that one call downloads, on one pool of threads."""

    def __init__(
        self, downloads: Sequence[_Download], connections: int, sleep: Callable[[float], None]
    ) -> None:
        self._downloads = downloads
        self._connections = connections
        self._sleep = sleep
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="gcapi-download")
        self._stop = threading.Event()

    def finish(self) -> None:
        """Do it; the first error stops everything, and leaves nothing half-written."""
        results = [download.result for download in self._downloads]
        try:
            for download in self._downloads:
                self._submit(download, partial(self._first, download))
            wait(results, return_when=FIRST_EXCEPTION)
        finally:
            self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
            for download in self._downloads:
                download.discard()
        error = _first_error(results)
        if error is not None:
            raise error

    def _submit(self, download: _Download, step: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                step()
            except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
                self._stop.set()
                with download.lock:
                    if not download.result.done():
                        download.result.set_exception(error)

        # The pool is closed when the call has failed, or was interrupted; then nobody waits for this step.
        with suppress(RuntimeError):
            self._pool.submit(guarded)

    # ------------------------------------------------------------ the pieces of a file

    def _first(self, download: _Download) -> None:
        """Ask for the beginning of a file, and set the rest to work as soon as the answer says how long it is."""
        response = self._open(download, 0, FIRST_RANGE)
        with closing(response):
            cursor, rest = self._planned(download, response)
            download.expect(1 + len(rest))
            for piece in rest:
                further = _Cursor(piece.offset, piece.offset + piece.length)
                self._submit(download, partial(self._piece, download, further, None))
            self._piece(download, cursor, response)

    def _planned(
        self, download: _Download, response: httpx.Response
    ) -> tuple[_Cursor, list[Piece]]:
        """Return the range that a first answer brings, and the pieces that are missing beside it."""
        if response.status_code == _NOT_SATISFIABLE:
            download.learn(size=0, validator="")
            return _Cursor(0, 0), []
        whole = response.status_code != _PARTIAL_CONTENT
        size = _content_length(response) if whole else _checked_range(response, 0, None)
        download.learn(size=size, validator=_validator(response))
        if whole or size is None or size <= FIRST_RANGE:
            return _Cursor(0, size, _checksum(response)), []
        rest = cut(size, range_size(size - FIRST_RANGE, self._connections), start=FIRST_RANGE)
        return _Cursor(0, FIRST_RANGE), rest

    def _piece(self, download: _Download, cursor: _Cursor, response: httpx.Response | None) -> None:
        """Fetch a range; the last one of a file publishes it, or begins again if it changed meanwhile."""
        try:
            self._receive(download, cursor, response)
            cursor.check(download.target.name)
        except _StartAgain:
            download.changed = True
        if not download.piece_done():
            return
        if download.changed:
            download.begin_again()
            self._submit(download, partial(self._first, download))
        else:
            self._publish(download)

    def _publish(self, download: _Download) -> None:
        path = download.partial.publish()
        with download.lock:
            if not download.result.done():
                download.result.set_result(path)

    # ------------------------------------------------------------ one range

    def _open(self, download: _Download, start: int, end: int | None) -> httpx.Response:
        """Ask for a range, once more where its link has expired.

        Raises:
            StatusError: The API or the store refused.
        """
        headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        if download.validator:
            headers["If-Range"] = download.validator
        response = download.remote.get(headers)
        if response.status_code == _FORBIDDEN and download.remote.renew():
            response.close()
            response = download.remote.get(headers)
        is_empty = start == 0 and response.status_code == _NOT_SATISFIABLE
        if response.is_success or is_empty:
            return response
        try:
            response.read()
            raise status_error(response, storage=download.remote.is_store(response.url))
        finally:
            response.close()

    def _receive(
        self, download: _Download, cursor: _Cursor, response: httpx.Response | None
    ) -> None:
        """Write a range from a response, and from further ones where it breaks.

        Args:
            download: The file.
            cursor: The range, and how far it has come.
            response: Where its bytes come from first; `None` to ask.
        """
        problem: httpx.TransportError | None = None
        for attempt in range(CONTINUATIONS + 1):
            if attempt:
                self._sleep(PAUSE * 2 ** (attempt - 1))
            current = response if attempt == 0 and response else self._continued(download, cursor)
            with closing(current):
                try:
                    self._copy(download, cursor, current)
                except httpx.TransportError as error:
                    problem = error
            if cursor.is_done or (cursor.end is None and problem is None):
                return
            if cursor.end is None:
                break
        raise TransferError(
            f"{download.target.name}: the connection broke after {cursor.at} of {download.size} bytes, however often"
            f" it was taken up again; nothing was kept. Run it again. ({problem})"
        ) from problem

    def _continued(self, download: _Download, cursor: _Cursor) -> httpx.Response:
        """Ask for what is still missing of a range.

        Raises:
            _StartAgain: The file is another one now, or the store gives no part of it.
        """
        if cursor.at and not download.validator:
            # Nothing tells whether it would go on with the same file.
            raise _StartAgain
        response = self._open(download, cursor.at, cursor.end)
        is_same = (
            response.status_code == _PARTIAL_CONTENT
            and _checked_range(response, cursor.at, cursor.end) == download.size
        )
        if not is_same:
            response.close()
            raise _StartAgain
        return response

    def _copy(self, download: _Download, cursor: _Cursor, response: httpx.Response) -> None:
        """Write a body, `BLOCK` bytes at a time; what came before a break is written too."""
        held = bytearray(BLOCK)
        filled = 0
        try:
            for block in response.iter_raw():
                if self._stop.is_set():
                    raise _Stopped
                if filled + len(block) > BLOCK:
                    self._write(download, cursor, memoryview(held)[:filled])
                    filled = 0
                if cursor.end is not None and cursor.at + filled + len(block) > cursor.end:
                    raise TransferError(
                        f"{shown_url(response.url)} gives more than it announced; nothing was kept."
                    )
                held[filled : filled + len(block)] = block
                filled += len(block)
        finally:
            self._write(download, cursor, memoryview(held)[:filled])

    def _write(self, download: _Download, cursor: _Cursor, block: memoryview) -> None:
        if block:
            download.partial.write(cursor.at, block)
            cursor.advance(block)
            download.counter.add(len(block))


class _Cursor:
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


class _Stopped(GCAPIError):
    """End a step because another one of the same call failed."""


class _StartAgain(GCAPIError):
    """Say that what comes now is not the continuation of what came."""


def _first_error(results: Sequence[Future[Path]]) -> BaseException | None:
    """Return the error that began it all, rather than one of those that only stopped."""
    errors = [result.exception() for result in results if result.done() and not result.cancelled()]
    real = [error for error in errors if error is not None]
    return min(real, key=lambda error: isinstance(error, _Stopped), default=None)


def _content_length(response: httpx.Response) -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def _checked_range(response: httpx.Response, start: int, end: int | None) -> int:
    """Return the length of the whole file of which a response has a range.

    Raises:
        TransferError: It is not the range that was asked for.
    """
    header = response.headers.get("Content-Range", "")
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None or int(match[1]) != start or (end is not None and int(match[2]) >= end):
        response.close()
        raise TransferError(
            f"{shown_url(response.url)} answers with range {header!r}, which was not asked for."
        )
    return int(match[3])


def _validator(response: httpx.Response) -> str:
    """Return what `If-Range` takes: a strong entity tag, else the date; empty if there is neither."""
    etag = response.headers.get("ETag", "")
    return str(etag if etag.startswith('"') else response.headers.get("Last-Modified", ""))


def _checksum(response: httpx.Response) -> str | None:
    """Return the file's MD5, where the store's entity tag is one."""
    match = _MD5.fullmatch(response.headers.get("ETag", ""))
    return match[1] if match else None
