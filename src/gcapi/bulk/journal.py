"""The journal of a push: the steps of every row, so that the same command continues after any end.

There is one SQLite file for each target, whose pk names it whatever the address of the server is. It is in the user's
state directory rather than beside the data, which may be on a network share without working locks (if the home
directory is too, choose a local file). It contains no token. Every change is a transaction of its own, made before the
next step that depends on it.

*Identity.* A row is known by its content, whatever manifest or folder it is in. Its fingerprint covers the times of its
files, so that an unchanged row is found without reading them. Only if there is no such row, but one whose files have
the same names and lengths, the files are read and compared. See `gcapi.bulk._push.identity`.

*Durability.* What a process has written survives its kill. A power failure may lose the last transactions, because WAL
mode has ``synchronous=NORMAL``, but leaves the file consistent. For cases that is enough: their titles are unique on
the server, where a forgotten case is found. Jobs have no titles, so the journals of algorithms are written with
``synchronous=FULL``, which takes a few milliseconds for each job.

*Exclusive use.* The open connection holds SQLite's exclusive lock, which the system releases if the process dies. It is
released only after the last thread that uses the journal has ended.

*Size.* Some 250 bytes for each row, and 80 for each upload until the row's values were seen on the server.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from gcapi import models
from gcapi._util.json_types import is_object
from gcapi._util.user_dirs import state_dir
from gcapi._workflows.cases import CaseStep
from gcapi._workflows.job_start import JobStep
from gcapi.bulk._push.identity import RowIdentity
from gcapi.bulk._push.journal_errors import describe_damage, explain_journal_error
from gcapi.exceptions import GCAPIError

#: The states of a row. A case: uploading → uploaded → creating → created → filling → filled → imported; a job:
#: uploading → uploaded → posting → started → ended.
State = Literal[CaseStep, JobStep, "imported", "ended"]
_STATES = frozenset(get_args(State))
FORMAT = "2"
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (
    id INTEGER PRIMARY KEY,
    fingerprint BLOB NOT NULL UNIQUE,
    state TEXT NOT NULL,
    pk TEXT,
    before TEXT,
    shape BLOB,
    place BLOB,
    content BLOB
);
CREATE INDEX IF NOT EXISTS rows_pk ON rows (pk);
CREATE INDEX IF NOT EXISTS rows_shape ON rows (shape);
CREATE INDEX IF NOT EXISTS rows_place ON rows (place);
CREATE TABLE IF NOT EXISTS uploads (
    row INTEGER NOT NULL,
    socket TEXT NOT NULL,
    number INTEGER NOT NULL,
    pk TEXT NOT NULL,
    begun INTEGER NOT NULL,
    PRIMARY KEY (row, socket, number)
) WITHOUT ROWID;
"""


class JournalError(GCAPIError):
    """Raised when a journal is in use, belongs to something else, is damaged, or cannot be written."""


@dataclass(frozen=True)
class RowRecord:
    """The journal's record of a row.

    Attributes:
        state: How far it has come.
        pk: The case or the job; empty if there is none yet.
        before: What there was before the request that it is at, in the form of who wrote it.
    """

    state: State
    pk: str = ""
    before: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class NotedUpload:
    """An upload of a row.

    Attributes:
        pk: The upload.
        created: When it was created, in seconds since 1970 by the server's clock.
    """

    pk: str
    created: int


class Journal:
    """An open journal; any thread may use it.

    Args:
        path: The file; it is created if it is missing, with its folder.
        facts: What the journal belongs to; the file of another journal is refused.
        durable: Whether every transaction is on the disk before the next step.

    Attributes:
        path: The file.
        is_new: Whether no earlier run has used it.

    Raises:
        JournalError: Another push has it open, it belongs to something else, or it cannot be used.
    """

    def __init__(self, path: Path, facts: Mapping[str, str], *, durable: bool) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._finding = threading.Lock()
        #: The rows of this run.
        self._found: set[bytes] = set()
        self._users = 0
        self._is_closing = False
        with self._errors_named():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=0.0, isolation_level=None, check_same_thread=False
            )
            try:
                self._set_up(facts, durable=durable)
            except BaseException:
                self._connection.close()
                raise

    @contextmanager
    def _errors_named(self) -> Generator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise JournalError(explain_journal_error(self.path, error)) from error

    def _set_up(self, facts: Mapping[str, str], *, durable: bool) -> None:
        # Otherwise a second process could read and write between the transactions of the first.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        (damage,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if damage != "ok":
            raise JournalError(describe_damage(self.path, damage))
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in _TABLES.split(";"):
            self._connection.execute(statement)
        known = dict(self._connection.execute("SELECT name, value FROM facts"))
        wanted = {"format": FORMAT, **facts}
        self.is_new: bool = not known
        if not known:
            self._connection.executemany("INSERT INTO facts VALUES (?, ?)", wanted.items())
        self._connection.execute("COMMIT")
        if known and known.get("format", FORMAT) != FORMAT:
            raise JournalError(
                f"The journal {self.path} is of format {known['format']}, and this version of gcapi reads format"
                f" {FORMAT}. Run the command with the version that wrote it, or choose another file."
            )
        if known and known != wanted:
            raise JournalError(
                f"The journal {self.path} belongs to {_listed(known)}, not to {_listed(wanted)}. Choose another file."
            )

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Keep the journal open until the block ends, even if it is closed meanwhile."""
        with self._lock:
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                self._close_if_unused()

    def close(self) -> None:
        """Close the file, and so release its lock, as soon as nobody uses it."""
        with self._lock:
            self._is_closing = True
            self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self._is_closing and not self._users:
            self._connection.close()

    def _run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, self._errors_named():
            return self._connection.execute(statement, values).fetchall()

    # ------------------------------------------------------------ rows

    def record(self, fingerprint: bytes) -> RowRecord | None:
        """Return the record of a row."""
        for state, pk, before in self._run(
            "SELECT state, pk, before FROM rows WHERE fingerprint = ?", fingerprint
        ):
            try:
                found = json.loads(before or "{}")
            except (TypeError, ValueError) as error:
                raise JournalError(describe_damage(self.path, error)) from error
            if state not in _STATES or not isinstance(pk, str | None) or not is_object(found):
                raise JournalError(describe_damage(self.path, f"a row is in the state {state!r}"))
            return RowRecord(state, pk or "", found)
        return None

    def find(self, row: RowIdentity) -> RowRecord | None:
        """Return the record of a row; its files are read if another row may have the same content.

        A row that was touched, copied or moved takes the record over from a row that this run has not met.

        Raises:
            OSError: A file cannot be read.
        """
        with self._finding:
            self._found.add(row.fingerprint)
            record = self.record(row.fingerprint)
            if record is not None:
                return record
            if not self._run("SELECT 1 FROM rows WHERE shape = ? LIMIT 1", row.shape):
                return None
        content = row.content  # outside of the lock, because it may take long
        with self._finding:
            # Of several rows of the same content, the one that was at the same place.
            for (other,) in self._run(
                "SELECT fingerprint FROM rows WHERE shape = ? AND content = ? ORDER BY place IS NOT ?, id",
                row.shape,
                content,
                row.place,
            ):
                if other not in self._found:
                    self._run(
                        "UPDATE rows SET fingerprint = ?, place = ? WHERE fingerprint = ?",
                        row.fingerprint,
                        row.place,
                        other,
                    )
                    return self.record(row.fingerprint)
        return None

    def replaced(self, row: RowIdentity) -> str:
        """Return the case or job that was made of other values or files at the same place; empty if there is none."""
        found = row.place and self._run(
            "SELECT pk FROM rows WHERE place = ? AND fingerprint != ? AND pk IS NOT NULL ORDER BY id DESC LIMIT 1",
            row.place,
            row.fingerprint,
        )
        return str(found[0][0]) if found else ""

    def note_content(self, row: RowIdentity) -> None:
        """Note the content of a row, before its files are uploaded; they are read, unless an earlier run did."""
        if self._run(
            "SELECT 1 FROM rows WHERE fingerprint = ? AND content IS NULL", row.fingerprint
        ):
            self._run(
                "UPDATE rows SET shape = ?, place = ?, content = ? WHERE fingerprint = ?",
                row.shape,
                row.place,
                row.content,
                row.fingerprint,
            )

    def rows_in(self, state: State) -> set[bytes]:
        """Return the fingerprints of the rows in a state."""
        found = self._run("SELECT fingerprint FROM rows WHERE state = ?", state)
        return {fingerprint for (fingerprint,) in found}

    def owner(self, pk: str) -> bytes | None:
        """Return the fingerprint of the row that a case was made for or filled by, or `None`."""
        found = self._run("SELECT fingerprint FROM rows WHERE pk = ?", pk)
        return found[0][0] if found else None

    def note(
        self,
        fingerprint: bytes,
        state: State,
        *,
        pk: str | None = None,
        before: Mapping[str, Any] | None = None,
    ) -> None:
        """Note how far a row has come.

        Args:
            fingerprint: The row.
            state: Its new state.
            pk: The case or job; `None` to keep the one that is noted.
            before: What there was before the next request; `None` to keep what is noted.
        """
        self._run(
            "INSERT INTO rows (fingerprint, state, pk, before) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (fingerprint) DO"
            " UPDATE SET state = ?2, pk = coalesce(?3, pk), before = coalesce(?4, before)",
            fingerprint,
            state,
            pk,
            None if before is None else json.dumps(before),
        )

    def forget_other(self, fingerprint: bytes, pk: str) -> None:
        """Forget another row that a case was made for, because this row is about to change the case."""
        owner = self.owner(pk)
        if owner is not None and owner != fingerprint:
            self.forget(owner)

    def forget(self, fingerprint: bytes) -> None:
        """Forget a row whose case is no longer on the server, or no longer has its values."""
        self.forget_uploads(fingerprint)
        self._run("DELETE FROM rows WHERE fingerprint = ?", fingerprint)

    # ------------------------------------------------------------ uploads

    def note_upload(
        self, fingerprint: bytes, socket: str, number: int, upload: models.UserUpload
    ) -> None:
        """Note an upload that was created for a file of a row."""
        self._run(
            "INSERT OR REPLACE INTO uploads SELECT id, ?, ?, ?, ? FROM rows WHERE fingerprint = ?",
            socket,
            number,
            upload.pk,
            int(upload.created.timestamp()),
            fingerprint,
        )

    def uploads(self, fingerprint: bytes) -> dict[str, dict[int, NotedUpload]]:
        """Return the uploads of a row, by socket slug and the number of the file."""
        found: dict[str, dict[int, NotedUpload]] = {}
        for socket, number, pk, created in self._run(
            "SELECT socket, number, uploads.pk, begun FROM uploads JOIN rows ON row = id WHERE fingerprint = ?"
            " ORDER BY socket, number",
            fingerprint,
        ):
            found.setdefault(socket, {})[number] = NotedUpload(pk, created)
        return found

    def upload_pks(self) -> set[str]:
        """Return the pks of all noted uploads."""
        return {pk for (pk,) in self._run("SELECT pk FROM uploads")}

    def uploads_of_unmet_rows(self) -> list[tuple[bytes, str]]:
        """Return the fingerprint and the upload of each row that `find` was not asked for, nor has taken over."""
        found = self._run("SELECT fingerprint, uploads.pk FROM uploads JOIN rows ON row = id")
        with self._finding:
            return [
                (fingerprint, pk) for fingerprint, pk in found if fingerprint not in self._found
            ]

    def pending_pks(self) -> set[str]:
        """Return the cases whose files, and the jobs whose end, no run has waited for."""
        found = self._run(
            "SELECT pk FROM rows WHERE state = 'started'"
            " OR (state = 'filled' AND EXISTS (SELECT 1 FROM uploads WHERE row = id))"
        )
        return {pk for (pk,) in found}

    def forget_uploads(self, fingerprint: bytes) -> None:
        """Forget the uploads of a row, which are used or useless."""
        self._run(
            "DELETE FROM uploads WHERE row = (SELECT id FROM rows WHERE fingerprint = ?)",
            fingerprint,
        )


def _listed(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(facts.items()))


# ---------------------------------------------------------------- its place


def journal_path(target: str, pk: str) -> Path:
    """Return the file of the journal of a target."""
    name = re.sub(r"[^\w.-]+", "-", f"{target[:100]}-{pk}", flags=re.ASCII)
    return state_dir() / "journals" / f"{name}.sqlite3"
