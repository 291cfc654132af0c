"""The files of a row into uploads: those that the journal knows and the server still has, and new ones for the rest.

Uploads are created here, by the coordinator, and noted before a byte of them is sent; what moves the bytes is a unit
that may run elsewhere, and be begun again by another worker: it asks the server what is there already. The server's
record of an upload is the only one of its parts.

A DICOM image set is de-identified as a whole, with new identifiers each time, so that its files fit to each other only:
where some were uploaded by a run that ended, those are uploaded anew.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gcapi._api.quota import LONGEST_WAIT, MAX_USER_UPLOADS, LimitWait
from gcapi._transfer.multipart import COMPLETED, INITIALIZED
from gcapi._util.messages import format_duration
from gcapi._util.polling import poll
from gcapi._util.user_warnings import calling_line, warn_at
from gcapi._workflows.plans import Upload
from gcapi._workflows.prepare import TornImageSet, upload_names
from gcapi.bulk._executors import Here
from gcapi.exceptions import LimitWarning, SpecError, UploadLimitReached

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from gcapi._http.settings import OnLimit
    from gcapi._workflows.plans import Plan
    from gcapi.bulk._executors import Place
    from gcapi.bulk.journal import Journal
    from gcapi.client import Client
    from gcapi.models import UserUpload

#: How often an image set is begun that was torn meanwhile.
TORN_ATTEMPTS = 3

Uploads = dict[str, list["UserUpload"]]


@dataclass(frozen=True)
class Send:
    """A unit: the files of a row, and the uploads that they go into.

    Attributes:
        plans: What the files belong to.
        begun: The uploads of each plan's files, by socket slug.
        is_fresh: Whether nothing was sent to any of them, and nobody else will begin this unit again.
    """

    plans: tuple[Upload, ...]
    begun: Mapping[str, Sequence[UserUpload]]
    is_fresh: bool

    def run(self, client: Client) -> None:
        """Send what is not there yet."""
        client.workflows.values.send(self.plans, self.begun, is_fresh=self.is_fresh)


class Sender:
    """Bring the files of rows to the server.

    Args:
        client: Begins uploads.
        journal: Knows those that were begun, and is told of new ones.
        place: Where bytes are moved.
    """

    def __init__(self, client: Client, journal: Journal, place: Place) -> None:
        self._client = client
        self._journal = journal
        self._place = place
        on_limit = client.workflows.settings.on_limit
        self._room = UploadRoom(client.uploads.count, on_limit)
        self._limits = LimitWait(on_limit)
        self._on_limit = on_limit
        self._held = self._held_uploads()
        self._lock = threading.Lock()

    def _held_uploads(self) -> dict[str, UserUpload]:
        """Return the uploads of the journal that the server has, by pk: three pages at most."""
        noted = self._journal.upload_pks()
        if not noted:
            return {}
        return {
            upload.pk: upload
            for upload in self._client.uploads.iterate_all()
            if upload.pk in noted and upload.status in {INITIALIZED, COMPLETED}
        }

    def send(self, fingerprint: bytes, plans: Sequence[Plan]) -> Uploads:
        """Upload the files of a row, each once, and return the uploads by socket slug.

        Raises:
            SpecError: There are more files than the server lets anybody upload.
            LimitReached: They have no room, and waiting does not help, or is not wanted.
        """
        uploads = tuple(plan for plan in plans if isinstance(plan, Upload))
        if not uploads:
            return {}
        for attempt in range(1, TORN_ATTEMPTS + 1):
            begun, is_fresh = self._begin(fingerprint, uploads)
            try:
                self._place_work(Send(uploads, begun, is_fresh and isinstance(self._place, Here)))
            except TornImageSet:
                if attempt == TORN_ATTEMPTS:
                    raise
                self._refresh(begun)
            else:
                return begun
        raise AssertionError

    def _place_work(self, work: Send) -> None:
        try:
            self._place.do(work)
        except UploadLimitReached as error:
            if self._on_limit != "wait":
                raise
            self._send_with_less_around(work, error)

    def _send_with_less_around(self, work: Send, refused: UploadLimitReached) -> None:
        """Wait for earlier uploads to be used, which makes room for bytes, and go on."""
        ours = sum(len(group) for group in work.begun.values())
        again = Send(work.plans, work.begun, is_fresh=False)
        self._room.warn("bytes of earlier uploads of yours to be used", refused.words)

        def look() -> bool | None:
            # Counted before the attempt: what is used up meanwhile makes room for the next one.
            are_all_ours = self._client.uploads.count() <= ours
            try:
                self._place.do(again)
            except UploadLimitReached:
                if are_all_ours:
                    raise
                return None
            return True

        if poll(look, timeout=LONGEST_WAIT) is None:
            raise refused

    # ------------------------------------------------------------ beginning

    def _begin(self, fingerprint: bytes, plans: Sequence[Upload]) -> tuple[Uploads, bool]:
        """Return the uploads of a row's files, and whether all of them are new."""
        noted = self._journal.uploads(fingerprint)
        found: dict[tuple[str, int], UserUpload] = {}
        for plan in plans:
            known = noted.get(plan.slug, {})
            held = [
                self._usable(known[n].pk) if n in known else None for n in range(len(plan.files))
            ]
            found.update(_kept(plan, held))
        wanted = [(plan.slug, n) for plan in plans for n in range(len(plan.files))]
        missing = [place for place in wanted if place not in found]
        names = {plan.slug: upload_names(plan) for plan in plans}
        with self._room.reserved(len(missing)) as used:

            def heard(index: int, upload: UserUpload) -> None:
                slug, number = missing[index]
                self._journal.note_upload(fingerprint, slug, number, upload.pk)
                with self._lock:
                    self._held[upload.pk] = upload
                used()

            begun = self._client.workflows.values.begin(
                [names[slug][number] for slug, number in missing], heard, self._limits
            )
        made = {**found, **dict(zip(missing, begun, strict=True))}
        return (
            {plan.slug: [made[plan.slug, n] for n in range(len(plan.files))] for plan in plans},
            not found,
        )

    def _usable(self, pk: str) -> UserUpload | None:
        """Return an upload that will still be there in an hour, or `None`."""
        with self._lock:
            upload = self._held.get(pk)
        if upload is None or time.time() - upload.created.timestamp() > LONGEST_WAIT:
            return None
        return upload

    def _refresh(self, begun: Uploads) -> None:
        """Look again at uploads of which some have changed."""
        for group in begun.values():
            for upload in group:
                now = self._client.uploads.detail(pk=upload.pk)
                with self._lock:
                    self._held[upload.pk] = now

    def used_up(self, begun: Uploads) -> None:
        """Forget uploads that were given to a case or a job."""
        with self._lock:
            for group in begun.values():
                for upload in group:
                    self._held.pop(upload.pk, None)


def _kept(
    plan: Upload, held: Sequence[UserUpload | None]
) -> Iterator[tuple[tuple[str, int], UserUpload]]:
    """Yield the uploads of a plan that can be gone on with, by socket slug and number."""
    is_whole = all(upload is not None and upload.status == COMPLETED for upload in held)
    for number, upload in enumerate(held):
        # Of an image set that is not whole, nothing that is complete fits to what will be made now.
        is_torn = plan.image_name is not None and not is_whole
        if upload is not None and not (is_torn and upload.status == COMPLETED):
            yield (plan.slug, number), upload


class UploadRoom:
    """How many more uploads the server lets this user have, kept track of, so that its limit is not run into.

    Used and unused records count, of whatever program, until they are used by an import or a day old. They are counted
    once, and again only where there seems to be no room.

    Args:
        count: Counts them on the server.
        on_limit: Whether to wait for room; else the server may refuse.
    """

    def __init__(self, count: Callable[[], int], on_limit: OnLimit) -> None:
        self._count = count
        self._waits = on_limit == "wait"
        self._taken: int | None = None
        self._reserved = 0
        self._lock = threading.Lock()
        #: Who waits for room keeps those behind from taking it.
        self._queue = threading.Lock()
        self._line = calling_line()
        self._warned: set[str] = set()

    @contextmanager
    def reserved(self, number: int) -> Generator[Callable[[], None]]:
        """Keep room for uploads, as soon as there is some; gives what to call for each that was begun.

        Raises:
            SpecError: There is never so much.
        """
        if number > MAX_USER_UPLOADS:
            raise SpecError(
                f"The row has {number} files, and the server lets you have {MAX_USER_UPLOADS} uploads at once. Pack"
                " them, for example into one .mha for an image."
            )
        if not number:
            yield lambda: None
            return
        left = number

        def used() -> None:
            nonlocal left
            with self._lock:
                left -= 1
                self._reserved -= 1

        with self._queue:
            self._reserve(number)
        try:
            yield used
        finally:
            with self._lock:
                self._reserved -= left
                self._taken = (self._taken or 0) - left

    def _reserve(self, number: int) -> None:
        if self._taken is None:
            self._recount()
        if self._waits and not self._fits(number):
            self.warn(
                "earlier uploads of yours to be used", f"you may have {MAX_USER_UPLOADS} at once"
            )
            poll(lambda: self._fits_after_count(number), timeout=LONGEST_WAIT)
        with self._lock:
            self._taken = (self._taken or 0) + number
            self._reserved += number

    def _recount(self) -> None:
        counted = self._count()
        with self._lock:
            self._taken = counted + self._reserved

    def _fits(self, number: int) -> bool:
        with self._lock:
            return (self._taken or 0) + number <= MAX_USER_UPLOADS

    def _fits_after_count(self, number: int) -> bool | None:
        self._recount()
        return self._fits(number) or None

    def warn(self, what: str, why: str) -> None:
        """Say, once, what is waited for."""
        with self._lock:
            if what in self._warned:
                return
            self._warned.add(what)
        warn_at(
            self._line,
            f"Waiting for {what} ({why}), for {format_duration(LONGEST_WAIT)} at most."
            ' Client(on_limit="raise") does not wait.',
            LimitWarning,
        )
