"""Downloads: the byte ranges of all files of a call, on one scheduler.

The API redirects a file to the object store. The first request asks for the first MiB, which is all of most files; the
rest of a larger file is cut into ranges that get shorter, so that all connections end together and little is left to be
hashed after the last byte. While a file is flushed to the disk, its connection reads the next one.

Memory: `max_concurrent_downloads` × `WRITE_BLOCK` (512 KiB), and `READ_BACK_BLOCK` (4 MiB) for each large file that is
read. Open files: up to 2 × `max_concurrent_downloads`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
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
from gcapi._transfer.checksums import Checksum, OrderedDigest, note_opaque_etags
from gcapi._transfer.parts import Part, split_for_reading
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
    reader: RangeReader = field(init=False)
    digest: OrderedDigest = field(init=False)
    others: Iterator[Part] = field(init=False)
    restarts: int = 0
    #: The checksum of what arrived before the last restart, if it differed from the store's.
    wrong_checksum: Checksum | None = None
    unread_ranges: int = 0
    #: The ranges, and the hashing of blocks that were written before their turn.
    unfinished_tasks: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read_first(self) -> None:
        """Read the beginning of the file, and submit the other ranges as soon as its length is known."""
        self.reader = reader = RangeReader(self.remote, self.file.target.name, self._write)
        with self.connections.hold_one():
            response, first = reader.open_first()
            self.digest = OrderedDigest(reader.checksum, self.file.read_into)
            with closing(response):
                self.progress.set_total(reader.size)
                others: list[Part] = []
                if reader.size is not None and first.end != reader.size:
                    others = split_for_reading(reader.size, FIRST_RANGE, self.connections.count)
                self.unread_ranges = self.unfinished_tasks = 1 + len(others)
                self.others = iter(others)
                for _ in range(self.connections.count):
                    self._submit_next()
                reader.read(first, response)
        self._end_range()

    def _submit_next(self) -> None:
        """Submit the next range; not all at once, so that a thread is left for `_catch_up`."""
        with self.lock:
            part = next(self.others, None)
        if part is not None:
            wanted = ByteRange(part.offset, part.offset + part.length)
            self.scheduler.submit(self._read_other, wanted)

    def _read_other(self, wanted: ByteRange) -> None:
        with self.connections.hold_one():
            self.reader.read(wanted)
        self._submit_next()
        self._end_range()

    def _end_range(self) -> None:
        with self.lock:
            self.unread_ranges -= 1
            is_last = not self.unread_ranges
        if is_last and self.digest.is_behind:
            self.file.flush()  # while another thread hashes the rest
        self._end_task()

    def _write(self, offset: int, block: memoryview) -> None:
        self.file.write(offset, block)
        if self.digest.add_block(offset, block):
            with self.lock:
                self.unfinished_tasks += 1
            # Before further ranges, so that little is left to be hashed after the last one.
            self.scheduler.submit(self._catch_up, priority=-1)
        self.progress.add(len(block))

    def _catch_up(self) -> None:
        self.digest.catch_up()
        self._end_task()

    def _end_task(self) -> None:
        """After the last task, check and publish the file, or start again."""
        with self.lock:
            self.unfinished_tasks -= 1
            if self.unfinished_tasks:
                return
        current_token().raise_if_cancelled()
        reason = self.reader.restart_reason or self._check_checksum()
        if not reason:
            published = self.file.publish()
            if self.reader.size is None:
                self.progress.set_total(published.stat().st_size)
            return
        self.restarts += 1
        if self.restarts > MAX_RESTARTS:
            raise TransferError(
                f"{self.file.target.name}: {reason} It was started again {MAX_RESTARTS} times."
                " Nothing was kept; download it again."
            )
        self.progress.reset()
        self.file.clear()
        self.scheduler.submit(self.read_first)

    def _check_checksum(self) -> str:
        """Return the reason to read the file again if its checksum differs from the store's, else nothing.

        If the same bytes arrive again, and no ETag of this store was an MD5 checksum yet, this one is none either.
        """
        expected, found = self.reader.checksum, self.digest.checksum()
        server = self.reader.server
        if expected is None or found == expected:
            if expected is not None and expected.is_etag:
                server.has_md5_etags = True
            return ""
        if expected.is_etag and not server.has_md5_etags and found == self.wrong_checksum:
            note_opaque_etags(server, self.reader.origin)
            return ""
        self.wrong_checksum = found
        return "It arrived with another checksum than it has in the store."
