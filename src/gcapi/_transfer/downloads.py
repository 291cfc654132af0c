"""Downloads: one pool over (file, range) for everything that a call fetches, streamed, verified and renamed.

The way of a file is the API's 302 to the object store; the token goes to the API only. The first request asks for
the first MiB, which for most files is all. A larger file is then cut into ranges that fill whole rounds of the
connections. A stream that breaks goes on from the byte that it reached, as long as the file is still the same. While a
file that has come is brought to the disk, its connection fetches the next one.

Memory: `max_concurrent_downloads` × `BLOCK` (512 KiB), twice for a moment.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import httpx

from gcapi._api.error_mapping import status_error
from gcapi._transfer.atomic_file import (
    AtomicFile,
    ExistingFile,
    check_existing_file,
    is_taken,
    refuse_existing,
)
from gcapi._transfer.parts import MEBI, Part, range_size, split
from gcapi._transfer.remote_files import (
    PARTIAL_CONTENT,
    ApiFile,
    Cursor,
    RemoteFile,
    checked_range,
    checksum,
    content_length,
    validator_of,
)
from gcapi._util.messages import shown_url
from gcapi._util.scheduler import Pool
from gcapi.exceptions import GCAPIError, TransferError
from gcapi.progress import Listener, Progress, given_up_on_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from gcapi._http.transport import Transport

#: What the first request asks for, in bytes: most files are no longer.
FIRST_RANGE = MEBI
#: How much is written at once, in bytes: the HTTP client gives 16 KiB at a time.
BLOCK = MEBI // 2
#: How often a stream that broke is taken up again, and how often a file that changed is begun again.
CONTINUATIONS, RESTARTS = 5, 2
#: Seconds before a broken stream is taken up again; doubled each time.
PAUSE = 0.2
#: Seconds that a call which failed waits for its threads: one that waits for an answer cannot be stopped.
GRACE = 1.0
_OK, _NOT_SATISFIABLE = 200, 416


class Downloads:
    """Download files.

    Args:
        transport: Sends requests.
        listener: Hears of the bytes that arrived.
    """

    def __init__(self, transport: Transport, listener: Listener) -> None:
        self._transport = transport
        self._listener = listener

    def api_file(self, url: str) -> ApiFile:
        """Return the file behind a URL of the API."""
        return ApiFile(self._transport, url)

    def fetch(
        self, files: Sequence[tuple[RemoteFile, Path]], *, existing: ExistingFile = "error"
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
        check_existing_file(existing)
        if existing == "error":
            refuse_existing(target for _, target in files)
        wanted = [
            _Download(remote, target, self._listener, overwrite=existing == "overwrite")
            for remote, target in files
            if not (existing == "skip" and is_taken(target))
        ]
        if wanted:
            with given_up_on_error([download.counter for download in wanted]):
                _Run(wanted, self._transport).finish()
        return [target for _, target in files]


class _Download:
    """One file on its way."""

    def __init__(
        self, remote: RemoteFile, target: Path, listener: Listener, *, overwrite: bool
    ) -> None:
        self.remote = remote
        self.target = target
        self.counter = Progress(listener, "download", target.name)
        #: What the file is known by: an entity tag or a date, as `If-Range` takes it; empty if the store gives none.
        self.validator = ""
        self.size: int | None = None
        #: Why what came is of no use; empty while it is.
        self.broken_off = ""
        self._overwrite = overwrite
        self._lock = threading.Lock()
        self._partial: AtomicFile | None = None
        self._discarded = False
        self._missing = 0
        self._restarts = 0

    @property
    def partial(self) -> AtomicFile:
        """The file that is written to, made when the first bytes come.

        Raises:
            _Stopped: The call is over.
        """
        with self._lock:
            if self._discarded:
                raise _Stopped
            if self._partial is None:
                self._partial = AtomicFile(self.target, overwrite=self._overwrite)
            return self._partial

    def learn(self, *, size: int | None, validator: str) -> None:
        """Set what the first answer says of the file."""
        self.size, self.validator = size, validator
        self.counter.set_total(size)

    def expect(self, pieces: int) -> None:
        """Set how many pieces make the file whole."""
        self._missing = pieces

    def piece_done(self) -> bool:
        """Count a piece, and tell whether it was the last."""
        with self._lock:
            self._missing -= 1
            return self._missing == 0

    def begin_again(self) -> None:
        """Forget what came.

        Raises:
            TransferError: It comes to no end.
        """
        self._restarts += 1
        if self._restarts > RESTARTS:
            raise TransferError(
                f"{self.target.name}: {self.broken_off}. It was begun again {RESTARTS} times; nothing was kept. Run it"
                " again."
            )
        self.counter.reset()
        self.broken_off, self.validator, self.size = "", "", None
        if self._partial is not None:
            self._partial.clear()

    def publish(self) -> None:
        """Give the file its final name."""
        self.partial.publish()

    def discard(self) -> None:
        """Remove what is not whole, and write no more."""
        with self._lock:
            self._discarded = True
        if self._partial is not None:
            self._partial.discard()


class _Run:
    """Everything that one call downloads, on one pool of threads.

    Ranges go before files that are not begun, so that only about three files for each connection are open, one of them
    on its way to the disk. The threads are daemons: one that waits for an answer must not keep a program from ending.

    Args:
        downloads: The files.
        transport: What requests go through; its settings say how many threads there are at most.
    """

    def __init__(self, downloads: Sequence[_Download], transport: Transport) -> None:
        self._downloads = downloads
        self._transport = transport
        self._connections = transport.settings.max_concurrent_downloads
        #: Bring whole files to the disk, which can take as long as fetching them.
        self._publishers = Pool(self._connections, "gcapi-download-publish")
        self._free_publishers = threading.BoundedSemaphore(self._connections)
        #: Guards everything below.
        self._changed = threading.Condition()
        self._ranges: deque[Callable[[], None]] = deque()
        self._files = deque(partial(self._guarded, one, self._first) for one in downloads)
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._unfinished = len(downloads)
        self._error: BaseException | None = None
        self._stop = threading.Event()

    def finish(self) -> None:
        """Do it; the first error stops everything, and leaves nothing half-written."""
        try:
            with self._changed:
                for _ in self._downloads[: self._connections]:
                    self._start_thread()
            self._stop.wait()
        finally:
            try:
                self._end()
            finally:
                for download in self._downloads:
                    download.discard()
        if self._error is not None:
            raise self._error

    def _end(self) -> None:
        with self._changed:
            self._stop.set()
            self._changed.notify_all()
        self._publishers.shutdown(wait=False)
        deadline = time.monotonic() + GRACE
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # ------------------------------------------------------------ the threads

    def _start_thread(self) -> None:
        number = len(self._threads) + 1
        thread = threading.Thread(target=self._work, name=f"gcapi-download-{number}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more threads to give
            if not self._threads:
                raise
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        while (step := self._next_step()) is not None:
            step()

    def _next_step(self) -> Callable[[], None] | None:
        """Return what is to be done next, once there is something; `None` at the end."""
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._ranges or self._files or self._stop.is_set())
            self._idle -= 1
            if self._stop.is_set():
                return None
            return (self._ranges or self._files).popleft()

    def _submit(self, download: _Download, *steps: Callable[[_Download], None]) -> None:
        """Have steps done before any file that is not begun."""
        if not steps:
            return
        with self._changed:
            self._ranges.extend(partial(self._guarded, download, step) for step in steps)
            for _ in range(len(self._ranges) - self._idle):
                if len(self._threads) < self._connections:
                    self._start_thread()
            self._changed.notify_all()

    def _guarded(self, download: _Download, step: Callable[[_Download], None]) -> None:
        """Do a step; what goes wrong in it ends the call."""
        try:
            with self._transport.until(self._stop):
                step(download)
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that waits
            with self._changed:
                # What goes wrong after the first error is its consequence.
                if not self._stop.is_set():
                    self._error = error
                self._stop.set()
                self._changed.notify_all()

    def _pause(self, attempt: int) -> None:
        self._stop.wait(PAUSE * 2 ** (attempt - 1))
        self._go_on()

    def _go_on(self) -> None:
        """Go on, unless the call is over.

        Raises:
            _Stopped: It is.
        """
        if self._stop.is_set():
            raise _Stopped

    # ------------------------------------------------------------ the pieces of a file

    def _first(self, download: _Download) -> None:
        """Ask for the beginning of a file, and set the rest to work as soon as the answer says how long it is."""
        response = self._open(download, 0, FIRST_RANGE)
        if _needs_one_stream(response):
            response.close()
            response = self._open(download, 0, None)
        with closing(response):
            cursor, rest = self._planned(download, response)
            download.expect(1 + len(rest))
            further = [Cursor(piece.offset, piece.offset + piece.length) for piece in rest]
            self._submit(
                download,
                *(partial(self._piece, cursor=one, response=None) for one in further),
            )
            self._piece(download, cursor, response)

    def _planned(self, download: _Download, response: httpx.Response) -> tuple[Cursor, list[Part]]:
        """Return the range that a first answer brings, and the pieces that are missing beside it."""
        is_part = response.status_code == PARTIAL_CONTENT
        size = checked_range(response, 0, None) if is_part else content_length(response)
        download.learn(size=size, validator=validator_of(response))
        if not is_part or size is None or size <= FIRST_RANGE or not download.validator:
            return Cursor(0, size, checksum(response)), []
        rest = split(size, range_size(size - FIRST_RANGE, self._connections), start=FIRST_RANGE)
        return Cursor(0, FIRST_RANGE), rest

    def _piece(self, download: _Download, cursor: Cursor, response: httpx.Response | None) -> None:
        """Fetch a range; the last one of a file publishes it, or begins again where it came to nothing."""
        try:
            self._receive(download, cursor, response)
            cursor.check(download.target.name)
        except _StartAgain as reason:
            download.broken_off = str(reason)
        if not download.piece_done():
            return
        if download.broken_off:
            self._begin_again(download)
        else:
            self._hand_over(download, cursor)

    def _begin_again(self, download: _Download) -> None:
        self._go_on()
        download.begin_again()
        self._submit(download, self._first)

    def _hand_over(self, download: _Download, cursor: Cursor) -> None:
        """Have another thread publish a file, so that this one goes on; none is free where the disk is slow."""
        if self._free_publishers.acquire(blocking=False):
            step = partial(self._published_there, cursor=cursor)
            try:
                self._publishers.submit(self._guarded, download, step)
            except RuntimeError:  # the call is over, or the system has no more threads to give
                self._free_publishers.release()
            else:
                return
        self._publish(download, cursor)

    def _published_there(self, download: _Download, cursor: Cursor) -> None:
        try:
            self._publish(download, cursor)
        finally:
            self._free_publishers.release()

    def _publish(self, download: _Download, cursor: Cursor) -> None:
        self._go_on()
        download.publish()
        if download.size is None:
            download.counter.set_total(cursor.at)
        with self._changed:
            self._unfinished -= 1
            if not self._unfinished:
                self._stop.set()
                self._changed.notify_all()

    # ------------------------------------------------------------ one range

    def _open(self, download: _Download, start: int, end: int | None) -> httpx.Response:
        """Ask for a range.

        Raises:
            StatusError: The API or the store refused.
        """
        headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        if download.validator:
            headers["If-Range"] = download.validator
        response = download.remote.get(headers)
        if start == 0 and response.status_code == _NOT_SATISFIABLE:
            # An empty file has no first byte.
            response.close()
            response = download.remote.get({})
        if response.status_code in {_OK, PARTIAL_CONTENT}:
            return response
        with closing(response):
            response.read()
            raise status_error(response, storage=download.remote.is_store(response.url))

    def _receive(
        self, download: _Download, cursor: Cursor, response: httpx.Response | None
    ) -> None:
        """Write a range from a response, and from further ones where it breaks.

        Args:
            download: The file.
            cursor: The range, and how far it has come.
            response: Where its bytes come from first; `None` to ask.

        Raises:
            _StartAgain: What came is of no use.
            TransferError: It broke too often.
        """
        problem: httpx.TransportError | None = None
        for attempt in range(CONTINUATIONS + 1):
            if attempt:
                self._pause(attempt)
            try:
                current = response or self._continued(download, cursor)
                response = None
                with closing(current):
                    self._copy(download, cursor, current)
            except httpx.TransportError as error:
                problem = error
            if cursor.is_done or (cursor.end is None and problem is None):
                return
            if not download.validator or cursor.end is None:
                total = "an unknown number of" if download.size is None else download.size
                raise _StartAgain(
                    f"the connection broke after {cursor.at} of {total} bytes, and nothing tells whether it would go on"
                    " with the same file"
                )
        raise TransferError(
            f"{download.target.name}: the connection broke after {cursor.at} of {download.size} bytes, however often"
            f" it was taken up again; nothing was kept. Run it again. ({problem})"
        ) from problem

    def _continued(self, download: _Download, cursor: Cursor) -> httpx.Response:
        """Ask for what is still missing of a range.

        Raises:
            _StartAgain: The file is another one now, or the store gives no part of it.
        """
        if download.broken_off:
            raise _StartAgain(download.broken_off)
        response = self._open(download, cursor.at, cursor.end)
        is_same = (
            response.status_code == PARTIAL_CONTENT
            and checked_range(response, cursor.at, cursor.end) == download.size
            and validator_of(response) in {"", download.validator}
        )
        if not is_same:
            response.close()
            raise _StartAgain(
                "the store does not go on with it: it changes while it is downloaded, or comes only whole"
            )
        return response

    def _copy(self, download: _Download, cursor: Cursor, response: httpx.Response) -> None:
        """Write a body, `BLOCK` bytes at a time; what came before a break is written too."""
        held = bytearray(BLOCK)
        filled = 0
        try:
            for block in response.iter_raw():
                self._go_on()
                if download.broken_off:
                    raise _StartAgain(download.broken_off)
                if filled + len(block) > BLOCK:
                    full, filled = filled, 0
                    self._write(download, cursor, memoryview(held)[:full])
                if cursor.end is not None and cursor.at + filled + len(block) > cursor.end:
                    raise TransferError(
                        f"{shown_url(response.url)} gives more than it announced; nothing was kept."
                    )
                held[filled : filled + len(block)] = block
                filled += len(block)
        finally:
            self._write(download, cursor, memoryview(held)[:filled])

    def _write(self, download: _Download, cursor: Cursor, block: memoryview) -> None:
        if block:
            download.partial.write(cursor.at, block)
            cursor.advance(block)
            download.counter.add(len(block))


class _Stopped(GCAPIError):
    """End a step because the call is over."""


class _StartAgain(GCAPIError):
    """Say that what came of a file is of no use, and why."""


def _needs_one_stream(response: httpx.Response) -> bool:
    """Tell whether a first answer has nothing that would show whether further ranges are of the same file."""
    if response.status_code != PARTIAL_CONTENT or validator_of(response):
        return False
    return checked_range(response, 0, None) > FIRST_RANGE
