"""A store of dataclasses in SQLite: a dataclass is a table, a field is a column."""

# ruff: noqa: S608  # table and column names come from dataclasses, values are bound

from __future__ import annotations

import dataclasses
import json
import sqlite3
import threading
import types
import typing
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast

from gcapi_sandbox._util.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path


class Record:
    """Base of the stored dataclasses; `pk` is a text, or an integer that SQLite assigns."""

    __slots__ = ()
    indexes: ClassVar[tuple[str, ...]] = ()
    pk: Any


R = TypeVar("R", bound=Record)

#: A time that the store replaces by that of its clock when the record is added.
NOW = "(now)"

_AFFINITY = {str: "TEXT", int: "INTEGER", bool: "INTEGER", float: "REAL"}


@dataclasses.dataclass(frozen=True)
class _Column:
    """A column, and the conversion of its values."""

    name: str
    kind: Any

    @property
    def definition(self) -> str:
        affinity = _AFFINITY.get(self.kind, "TEXT")
        # AUTOINCREMENT never reuses a pk, even after the row with the highest one is deleted.
        unique = " AUTOINCREMENT" if self.kind is int else ""
        return f'"{self.name}" {affinity}' + (f" PRIMARY KEY{unique}" if self.name == "pk" else "")

    def to_cell(self, value: Any) -> Any:
        return value if value is None or self.kind in _AFFINITY else json.dumps(value)

    def from_cell(self, cell: Any) -> Any:
        if cell is None or self.kind in (str, int, float):
            return cell
        return bool(cell) if self.kind is bool else json.loads(cell)


def _without_none(hint: Any) -> Any:
    """Return `str` for the annotation `str | None`."""
    if isinstance(hint, types.UnionType):
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    return hint


_columns_cache: dict[type[Record], tuple[_Column, ...]] = {}


def _columns(table: type[Record]) -> tuple[_Column, ...]:
    """Return the columns of a table."""
    if table not in _columns_cache:
        hints = typing.get_type_hints(table)
        fields = dataclasses.fields(cast("Any", table))
        _columns_cache[table] = tuple(_Column(f.name, _without_none(hints[f.name])) for f in fields)
    return _columns_cache[table]


class Store:
    """One SQLite file in WAL mode, shared by all threads, one transaction at a time.

    Args:
        path: The file.
        clock: The clock of the times of new records; `None` for that of the machine.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._clock = clock or Clock()
        self._lock = threading.RLock()
        self._depth = 0
        self._callbacks: list[Callable[[], object]] = []
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def close(self) -> None:
        """Close the file; the store cannot be used afterwards."""
        with self._lock:
            self._connection.close()

    def create(self, *tables: type[Record]) -> None:
        """Create missing tables and indexes; raise RuntimeError if an existing table differs."""
        with self.transaction():
            for table in tables:
                columns = ", ".join(column.definition for column in _columns(table))
                self.execute(f'CREATE TABLE IF NOT EXISTS "{table.__name__}" ({columns})')
                self._check_columns(table)
                for number, index in enumerate(table.indexes):
                    self.execute(
                        f'CREATE INDEX IF NOT EXISTS "{table.__name__}_{number}" '
                        f'ON "{table.__name__}" ({index})'
                    )

    def _check_columns(self, table: type[Record]) -> None:
        found = [row[1] for row in self.execute(f'PRAGMA table_info("{table.__name__}")')]
        if found != [column.name for column in _columns(table)]:
            raise RuntimeError(
                "Another version of the sandbox wrote this folder. Empty it with --reset."
            )

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call a function after the transaction is committed, but not if it is rolled back."""
        with self._lock:
            self._callbacks.append(callback)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """Commit at the end of the outermost block, or roll back if it raises."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self._connection.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                if outermost:
                    self._callbacks.clear()
                    self._connection.execute("ROLLBACK")
                raise
            else:
                if outermost:
                    self._connection.execute("COMMIT")
                    callbacks, self._callbacks = self._callbacks, []
                    for callback in callbacks:
                        callback()
            finally:
                self._depth -= 1

    def execute(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """Execute a statement and return all its rows."""
        with self._lock:
            return self._connection.execute(sql, params).fetchall()

    def add(self, record: R) -> R:
        """Insert a record; the pk 0 is replaced by the next integer, and `NOW` by the time."""
        columns = _columns(type(record))
        for column in columns:
            if getattr(record, column.name) is NOW:
                setattr(record, column.name, self._clock.text())
        cells = [column.to_cell(getattr(record, column.name)) for column in columns]
        if record.pk == 0:
            cells[[column.name for column in columns].index("pk")] = None
        marks = ", ".join("?" * len(cells))
        with self._lock:
            sql = f'INSERT INTO "{type(record).__name__}" VALUES ({marks})'
            cursor = self._connection.execute(sql, cells)
            if record.pk == 0:
                record.pk = cursor.lastrowid
        return record

    def save(self, record: Record) -> None:
        """Update all columns of an existing record."""
        columns = _columns(type(record))
        names = ", ".join(f'"{column.name}" = ?' for column in columns)
        cells = [column.to_cell(getattr(record, column.name)) for column in columns]
        self.execute(
            f'UPDATE "{type(record).__name__}" SET {names} WHERE pk = ?',
            *cells,
            record.pk,
        )

    def delete(self, table: type[Record], where: str, *params: Any) -> None:
        """Delete the rows that match `where`."""
        self.execute(f'DELETE FROM "{table.__name__}" WHERE {where}', *params)

    def rows(self, table: type[R], where: str = "1", *params: Any, order: str = "rowid") -> Rows[R]:
        """Return the rows that match `where`, as a lazy query."""
        return Rows(self, table, where, params, order)

    def find(self, table: type[R], where: str, *params: Any) -> R | None:
        """Return the first row that matches `where`, or None."""
        found = self.rows(table, where, *params).slice(1, 0)
        return found[0] if found else None

    def get(self, table: type[R], pk: str | int) -> R:
        """Return the row with this pk; raise LookupError if there is none."""
        found = self.find(table, "pk = ?", pk)
        if found is None:
            raise LookupError(f"No {table.__name__} {pk}")
        return found


@dataclasses.dataclass(frozen=True)
class Rows(Generic[R]):
    """A lazy query for the rows of a table: a condition and an order."""

    store: Store
    table: type[R]
    where: str
    params: tuple[Any, ...]
    order: str

    def narrow(self, where: str, *params: Any) -> Rows[R]:
        """Return the rows that also match `where`."""
        condition = f"({self.where}) AND ({where})"
        return dataclasses.replace(self, where=condition, params=(*self.params, *params))

    def sorted(self, order: str) -> Rows[R]:
        """Return the same rows in another order."""
        return dataclasses.replace(self, order=order)

    def count(self) -> int:
        """Count the rows."""
        sql = f'SELECT count(*) FROM "{self.table.__name__}" WHERE {self.where}'
        return int(self.store.execute(sql, *self.params)[0][0])

    def slice(self, limit: int, offset: int) -> list[R]:
        """Return `limit` rows (all if negative) after the first `offset`."""
        columns = _columns(self.table)
        names = ", ".join(f'"{column.name}"' for column in columns)
        sql = (
            f'SELECT {names} FROM "{self.table.__name__}" WHERE {self.where} '
            f"ORDER BY {self.order} LIMIT ? OFFSET ?"
        )
        return [
            self.table(**{c.name: c.from_cell(cell) for c, cell in zip(columns, row, strict=True)})
            for row in self.store.execute(sql, *self.params, limit, offset)
        ]

    def __iter__(self) -> Iterator[R]:
        return iter(self.slice(-1, 0))

    def __bool__(self) -> bool:
        return bool(self.slice(1, 0))
