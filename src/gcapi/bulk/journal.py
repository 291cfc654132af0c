"""The journal of a push: what was begun, made and filled, so that the same command goes on after any end.

One SQLite file for each server, target and manifest, in the user's state directory and not beside the data, which may
lie on a share where locks do not hold (where the home directory does too, name a local file). It has no token in it.
Every change is a transaction of its own, made before the next step that depends on it.

*Durability.* What a process has written stays when it is killed, since the system has it. What a power failure may take
with ``synchronous=NORMAL`` in WAL mode are the last transactions, never the file's consistency. For cases that is
enough: their titles are unique on the server, so that a forgotten one is found there. A job has nothing of the kind, so
journals of algorithms are written with ``synchronous=FULL``, a few milliseconds a job.

*One at a time.* The connection holds SQLite's exclusive lock for as long as it is open; the system takes it back from a
process that dies.

*Size.* Some 150 bytes a row, and 80 an upload until the row's values were seen on the server.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from gcapi._util.user_dirs import state_dir
from gcapi.exceptions import GCAPIError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: How far a row has come. A case: uploading → uploaded → creating → created → filling → filled → imported; a job:
#: uploading → uploaded → posting → started → ended.
State = Literal[
    "uploading",
    "uploaded",
    "creating",
    "created",
    "filling",
    "filled",
    "imported",
    "posting",
    "started",
    "ended",
]
FORMAT = "1"
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (
    id INTEGER PRIMARY KEY,
    fingerprint BLOB NOT NULL UNIQUE,
    state TEXT NOT NULL,
    pk TEXT,
    before TEXT,
    error TEXT
);
CREATE INDEX IF NOT EXISTS rows_pk ON rows (pk);
CREATE TABLE IF NOT EXISTS uploads (
    row INTEGER NOT NULL,
    socket TEXT NOT NULL,
    number INTEGER NOT NULL,
    pk TEXT NOT NULL,
    begun INTEGER NOT NULL,
    PRIMARY KEY (row, socket, number)
) WITHOUT ROWID;
"""
_READ = "SELECT fingerprint, state, pk, before, error FROM rows"


class JournalError(GCAPIError):
    """Raise for a journal that is in use, of something else, or broken."""


@dataclass(frozen=True)
class Record:
    """What is known of a row.

    Attributes:
        fingerprint: What makes it the row that it is.
        state: How far it has come.
        pk: The case or the job; empty while there is none.
        before: What there was before the write that it is at, in words of who wrote it.
        error: Why it did not get further, the last time; empty if nothing went wrong.
    """

    fingerprint: bytes
    state: State
    pk: str = ""
    before: Mapping[str, Any] = field(default_factory=dict[str, Any])
    error: str = ""


@dataclass(frozen=True)
class Begun:
    """An upload.

    Attributes:
        pk: The upload.
        begun: When, in seconds since 1970.
    """

    pk: str
    begun: int


class Journal:
    """A journal that is open; any thread may use it.

    Args:
        path: The file; made if missing, with its folder.
        facts: What it is of: another journal's file is refused.
        durable: Whether every transaction is brought to the disk before the next step.

    Raises:
        JournalError: Another process has it open, or it is of something else.
    """

    def __init__(self, path: Path, facts: Mapping[str, str], *, durable: bool) -> None:
        self.path = path
        self._lock = threading.Lock()
        # Errors that are noted name files, whose names may hold a patient's.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._connection = sqlite3.connect(
            path, timeout=0.0, isolation_level=None, check_same_thread=False
        )
        try:
            self._set_up(facts, durable=durable)
        except sqlite3.OperationalError as error:
            self._connection.close()
            if "locked" not in str(error):
                raise JournalError(f"The journal {path} cannot be used: {error}.") from error
            raise JournalError(
                f"Another process is pushing this manifest to this target: it has the journal {path} open. Wait for"
                " its end, or end it, and run the same command again."
            ) from error
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise JournalError(
                f"{path} is no journal, or broken ({error}). Move it away: what is on the server is found there again."
            ) from error
        except BaseException:
            self._connection.close()
            raise

    def _set_up(self, facts: Mapping[str, str], *, durable: bool) -> None:
        # Without this, a second process could read and write between the transactions of the first.
        self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._connection.execute("BEGIN IMMEDIATE")
        for statement in _TABLES.split(";"):
            self._connection.execute(statement)
        known = dict(self._connection.execute("SELECT name, value FROM facts"))
        wanted = {"format": FORMAT, **facts}
        if not known:
            self._connection.executemany("INSERT INTO facts VALUES (?, ?)", wanted.items())
        self._connection.execute("COMMIT")
        if known and known != wanted:
            raise JournalError(
                f"The journal {self.path} is of {_told(known)}, not of {_told(wanted)}. Choose another file."
            )

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _do(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    # ------------------------------------------------------------ rows

    def record(self, fingerprint: bytes) -> Record | None:
        """Return what is known of a row."""
        found = self._do(f"{_READ} WHERE fingerprint = ?", fingerprint)
        return _record(found[0]) if found else None

    def records(self, *states: State) -> Iterator[Record]:
        """Yield the rows that are in one of these states."""
        marks = ", ".join("?" * len(states))
        for found in self._do(f"{_READ} WHERE state IN ({marks})", *states):
            yield _record(found)

    def owner(self, pk: str) -> bytes | None:
        """Return the fingerprint of the row that a case was made for or filled by, or `None`."""
        found = self._do("SELECT fingerprint FROM rows WHERE pk = ?", pk)
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
            state: Where it is now.
            pk: The case or job, once there is one; `None` to leave what is noted.
            before: What there was before the write that comes next; `None` to leave what is noted.
        """
        self._do(
            "INSERT INTO rows (fingerprint, state, pk, before) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (fingerprint) DO"
            " UPDATE SET state = ?2, pk = coalesce(?3, pk), before = coalesce(?4, before), error = NULL",
            fingerprint,
            state,
            pk,
            None if before is None else json.dumps(before),
        )

    def note_error(self, fingerprint: bytes, error: str) -> None:
        """Note why a row got no further."""
        self._do("UPDATE rows SET error = ? WHERE fingerprint = ?", error[:1000], fingerprint)

    def forget_other(self, fingerprint: bytes, pk: str) -> None:
        """Forget the row that a case was made for, as another row is about to change it."""
        owner = self.owner(pk)
        if owner is not None and owner != fingerprint:
            self.forget(owner)

    def forget(self, fingerprint: bytes) -> None:
        """Forget a row whose case is gone from the server, or is no longer what the row says."""
        self.forget_uploads(fingerprint)
        self._do("DELETE FROM rows WHERE fingerprint = ?", fingerprint)

    # ------------------------------------------------------------ uploads

    def note_upload(self, fingerprint: bytes, socket: str, number: int, pk: str) -> None:
        """Note an upload that was begun for a file of a row."""
        self._do(
            "INSERT OR REPLACE INTO uploads SELECT id, ?, ?, ?, ? FROM rows WHERE fingerprint = ?",
            socket,
            number,
            pk,
            int(time.time()),
            fingerprint,
        )

    def uploads(self, fingerprint: bytes) -> dict[str, dict[int, Begun]]:
        """Return the uploads of a row, by socket slug and the number of the file."""
        found: dict[str, dict[int, Begun]] = {}
        for socket, number, pk, begun in self._do(
            "SELECT socket, number, uploads.pk, begun FROM uploads JOIN rows ON row = id WHERE fingerprint = ?"
            " ORDER BY socket, number",
            fingerprint,
        ):
            found.setdefault(socket, {})[number] = Begun(pk, begun)
        return found

    def upload_pks(self) -> set[str]:
        """Return the pks of all uploads that are noted."""
        return {pk for (pk,) in self._do("SELECT pk FROM uploads")}

    def forget_uploads(self, fingerprint: bytes) -> None:
        """Forget the uploads of a row: they are used, or of no use."""
        self._do(
            "DELETE FROM uploads WHERE row = (SELECT id FROM rows WHERE fingerprint = ?)",
            fingerprint,
        )


def _record(found: tuple[Any, ...]) -> Record:
    fingerprint, state, pk, before, error = found
    return Record(fingerprint, state, pk or "", json.loads(before) if before else {}, error or "")


def _told(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(facts.items()))


# ---------------------------------------------------------------- where it lies


def journal_path(facts: Mapping[str, str]) -> Path:
    """Return the file of a journal: readable, and another for each server, target and manifest."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
    host = re.sub(r"^\w+://|/api/v1/?$", "", facts["server"])
    words = f"{host}-{facts['target']}-{Path(facts['manifest']).stem}"
    name = re.sub(r"[^\w.-]+", "-", words, flags=re.ASCII)[:100].strip("-.")
    return state_dir() / "journals" / f"{name}-{digest}.sqlite3"
