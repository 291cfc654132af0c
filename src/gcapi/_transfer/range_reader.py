"""Reading the byte ranges of a remote file, and resuming where a connection breaks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import httpx

from gcapi._http.server_state import ServerState
from gcapi._transfer.checksums import Checksum, checksum_of
from gcapi._transfer.parts import MEBI
from gcapi._transfer.remote_files import (
    RemoteFile,
    file_size,
    is_partial,
    open_range,
    validator_of,
)
from gcapi._util.messages import shown_url
from gcapi._util.scheduler import current_token
from gcapi.exceptions import TransferError

#: The length of the first request in bytes; most files are not longer.
FIRST_RANGE = MEBI
#: The number of bytes to write at once; the HTTP client yields 16 KiB at a time.
WRITE_BLOCK = MEBI // 2
#: The maximal number of times that a range is resumed after its connection broke.
MAX_RESUMES = 5
#: Seconds before a range is first resumed; doubled each time.
RESUME_DELAY = 0.2


@dataclass(eq=False)
class ByteRange:
    """A range of bytes and its progress.

    Attributes:
        position: The next byte to arrive.
        end: The byte after the last one; `None` if only the end of the stream shows it.
    """

    position: int
    end: int | None


class RangeReader:
    """Reads one version of a remote file; several threads may read a range each.

    Args:
        remote: The file.
        name: Its name for messages.
        write: Called with the offset of each block and the block.

    Attributes:
        size: The length of the file in bytes; `None` if it is unknown.
        checksum: The checksum of the file; `None` if the store tells none.
        server: The state of the store.
        origin: The store, for messages.
        restart_reason: The reason to read the file again from its beginning; empty if there is none.
    """

    def __init__(
        self, remote: RemoteFile, name: str, write: Callable[[int, memoryview], None]
    ) -> None:
        self._remote = remote
        self._name = name
        self._write = write
        #: Identifies the version of the file in `If-Range`; empty if the server gives none.
        self._validator = ""
        self.size: int | None = None
        self.checksum: Checksum | None = None
        self.server = ServerState()
        self.origin = ""
        self.restart_reason = ""

    def open_first(self) -> tuple[httpx.Response, ByteRange]:
        """Request the beginning of the file.

        Returns:
            A response, and its range: the whole file, or its first `FIRST_RANGE` bytes.

        Raises:
            StatusError: The API or the store refuses.
        """
        response = open_range(self._remote, 0, FIRST_RANGE)
        self.size, self._validator = file_size(response, 0, None), validator_of(response)
        is_longer = is_partial(response) and (self.size or 0) > FIRST_RANGE
        if is_longer and not self._validator:
            # Nothing would show whether further ranges are of the same version.
            response.close()
            response = open_range(self._remote, 0, None)
            self.size, self._validator = file_size(response, 0, None), validator_of(response)
            is_longer = False
        self.server = self._remote.server(response.url)
        self.origin = response.url.netloc.decode("ascii")
        self.checksum = checksum_of(response.headers, self.server)
        return response, ByteRange(0, FIRST_RANGE if is_longer else self.size)

    def read(self, wanted: ByteRange, response: httpx.Response | None = None) -> None:
        """Read a range; if the whole file must be read again, set `restart_reason`.

        Args:
            wanted: The range.
            response: A response to begin with; `None` to request the range.

        Raises:
            StatusError: The API or the store refuses.
            TransferError: The connection broke more than `MAX_RESUMES` times.
        """
        try:
            self._read(wanted, response)
        except _RestartNeededError as error:
            self.restart_reason = str(error)

    def _read(self, wanted: ByteRange, response: httpx.Response | None) -> None:
        problem: httpx.TransportError | None = None
        for attempt in range(MAX_RESUMES + 1):
            if attempt:
                current_token().sleep(RESUME_DELAY * 2 ** (attempt - 1))
            try:
                current = response or self._open(wanted)
                response = None
                with closing(current):
                    self._copy(wanted, current)
            except httpx.TransportError as error:
                problem = error
            if wanted.position == wanted.end or (wanted.end is None and problem is None):
                return
            if not self._validator or wanted.end is None:
                total = "an unknown number of" if self.size is None else self.size
                raise _RestartNeededError(
                    f"The connection broke after {wanted.position} of {total} bytes, and the server does not identify"
                    " the version of the file."
                )
        raise TransferError(
            f"{self._name}: the connection broke after {wanted.position} of {self.size} bytes, and was resumed"
            f" {MAX_RESUMES} times ({problem}). Nothing was kept; download it again."
        ) from problem

    def _open(self, wanted: ByteRange) -> httpx.Response:
        """Request what is missing of a range."""
        self._check_restart()
        start, end = wanted.position, wanted.end
        response = open_range(self._remote, start, end, validator=self._validator)
        is_same = (
            is_partial(response)
            and file_size(response, start, end) == self.size
            and validator_of(response) in {"", self._validator}
        )
        if not is_same:
            response.close()
            raise _RestartNeededError(
                "The file changes while it is downloaded, or the store does not send parts of it."
            )
        return response

    def _copy(self, wanted: ByteRange, response: httpx.Response) -> None:
        """Write a body, `WRITE_BLOCK` bytes at a time, including what arrives before a connection breaks."""
        missing = WRITE_BLOCK if wanted.end is None else wanted.end - wanted.position
        buffer = memoryview(bytearray(min(WRITE_BLOCK, missing)))
        filled = 0
        token = current_token()
        try:
            for block in response.iter_raw():
                token.raise_if_cancelled()
                self._check_restart()
                if wanted.end is not None and wanted.position + filled + len(block) > wanted.end:
                    raise TransferError(
                        f"{shown_url(response.url)} sends more than it announced; nothing was kept."
                    )
                if filled + len(block) > len(buffer):
                    full, filled = filled, 0
                    self._flush(wanted, buffer[:full])
                buffer[filled : filled + len(block)] = block
                filled += len(block)
        finally:
            self._flush(wanted, buffer[:filled])

    def _flush(self, wanted: ByteRange, block: memoryview) -> None:
        if block:
            self._write(wanted.position, block)
            wanted.position += len(block)

    def _check_restart(self) -> None:
        """Stop reading a version that another thread found to be of no use."""
        if self.restart_reason:
            raise _RestartNeededError(self.restart_reason)


class _RestartNeededError(Exception):
    """Raised when what arrived of a file is of no use; the message says why."""
