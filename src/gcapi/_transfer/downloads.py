"""Downloads: the byte ranges of all files of a call, on one scheduler.

The API redirects a file to the object store. The first request asks for the first MiB, which is all of most files; the
rest of a larger file is cut into ranges that fill whole rounds of the connections. While a file is flushed to the disk,
its connection reads the next one.

Memory: `max_concurrent_downloads` × `WRITE_BLOCK` (512 KiB). Open files: up to 2 × `max_concurrent_downloads`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from gcapi._http.transport import Transport
from gcapi._transfer.atomic_file import (
    AtomicFile,
    ExistingFile,
    check_targets,
    remove_abandoned_files,
)
from gcapi._transfer.checksums import OrderedDigest
from gcapi._transfer.parts import Part, range_size, split
from gcapi._transfer.range_reader import FIRST_RANGE, ByteRange, RangeReader
from gcapi._transfer.remote_files import ApiFile, RemoteFile
from gcapi._util.fork_safety import Slots
from gcapi._util.scheduler import Scheduler, current_token
from gcapi.exceptions import TransferError
from gcapi.progress import Listener, Progress, given_up_on_error

#: The maximal number of times that a file is read again from its beginning.
MAX_RESTARTS = 2


class Downloads:
    """Downloads files.

    Args:
        transport: Sends requests.
        listener: Called with the progress.
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
            files: The files and their targets.
            existing: The policy for targets that exist.

        Raises:
            FileExistsError: A target exists; nothing was transferred.
            StatusError: A file does not exist, or access is denied. Files that were complete by then are kept.
            TransferError: A file arrived incomplete or corrupt.
        """
        check_targets((target for _, target in files), existing)
        for directory in {target.parent for _, target in files}:
            remove_abandoned_files(directory)
        connections = Slots(self._transport.settings.max_concurrent_downloads)
        # Twice as many threads as connections, because flushing a file can take as long as reading it.
        scheduler = Scheduler(2 * connections.count, "gcapi-download")
        downloads = [
            _FileDownload(
                remote,
                AtomicFile(target, overwrite=existing == "overwrite"),
                Progress(self._listener, "download", target.name),
                scheduler,
                connections,
            )
            for remote, target in files
            if not (existing == "skip" and os.path.lexists(target))
        ]
        with given_up_on_error([one.progress for one in downloads]), ExitStack() as stack:
            for one in downloads:
                stack.callback(one.file.discard)
            stack.enter_context(scheduler)
            for one in downloads:
                # After the ranges of files that are already open.
                scheduler.submit(one.read_first, priority=1)
            scheduler.wait()
        return [target for _, target in files]


@dataclass(eq=False)
class _FileDownload:
    """The download of one file, whose ranges are tasks of a scheduler."""

    remote: RemoteFile
    file: AtomicFile
    progress: Progress
    scheduler: Scheduler
    connections: Slots
    digest: OrderedDigest = field(init=False)
    restarts: int = 0
    unfinished_ranges: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read_first(self) -> None:
        """Read the beginning of the file, and submit the other ranges as soon as its length is known."""
        reader = RangeReader(self.remote, self.file.target.name, self._write)
        with self.connections.hold_one():
            response, first = reader.open_first()
            self.digest = OrderedDigest(reader.checksum, self.file.read)
            with closing(response):
                self.progress.set_total(reader.size)
                others: list[Part] = []
                if reader.size is not None and first.end != reader.size:
                    length = range_size(reader.size - FIRST_RANGE, self.connections.count)
                    others = split(reader.size, length, start=FIRST_RANGE)
                self.unfinished_ranges = 1 + len(others)
                for part in others:
                    wanted = ByteRange(part.offset, part.offset + part.length)
                    self.scheduler.submit(self._read_other, reader, wanted)
                reader.read(first, response)
        self._end_range(reader, first)

    def _read_other(self, reader: RangeReader, wanted: ByteRange) -> None:
        with self.connections.hold_one():
            reader.read(wanted)
        self._end_range(reader, wanted)

    def _write(self, offset: int, block: memoryview) -> None:
        self.file.write(offset, block)
        self.digest.add_block(offset, block)
        self.progress.add(len(block))

    def _end_range(self, reader: RangeReader, done: ByteRange) -> None:
        """After the last range, check and publish the file, or start again."""
        if not reader.restart_reason:
            self.digest.add_range(done.start, done.position)
        with self.lock:
            self.unfinished_ranges -= 1
            if self.unfinished_ranges:
                return
        current_token().raise_if_cancelled()
        if not reader.restart_reason:
            self.digest.check(self.file.target.name)
            self.file.publish()
            if reader.size is None:
                self.progress.set_total(done.position)
            return
        self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            raise TransferError(
                f"{self.file.target.name}: {reader.restart_reason} It was started again {MAX_RESTARTS} times."
                " Nothing was kept; download it again."
            )
        self.progress.reset()
        self.file.clear()
        self.scheduler.submit(self.read_first)
