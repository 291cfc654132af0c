"""The queries behind the pages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

from gcapi_sandbox._database.records import (
    Archive,
    ArchiveItem,
    DisplaySet,
    Image,
    ReaderStudy,
    Socket,
    User,
)
from gcapi_sandbox._http.errors import HtmlError
from gcapi_sandbox._socket_values.stored_values import values_of
from gcapi_sandbox._socket_values.validation import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gcapi_sandbox._database.records import Value
    from gcapi_sandbox._database.store import R, Rows, Store
    from gcapi_sandbox._imaging.slices import Slices
    from gcapi_sandbox._state import State

T = TypeVar("T")
PAGE_SIZE = 50
_FIRST_ROWS = 5  # of each table on the overview
_MAX_TEXT_LENGTH = 300


@dataclass(frozen=True)
class Page(Generic[T]):
    """The rows of page `number` of `last`; `count` is the total number of rows."""

    rows: list[T]
    number: int
    last: int
    count: int

    def map(self, show: Callable[[T], Any]) -> Page[Any]:
        """Return the page with a function applied to its rows."""
        return Page([show(row) for row in self.rows], self.number, self.last, self.count)


@dataclass(frozen=True)
class ShownValue:
    """A value of a socket: JSON or a file name as text, or an image; `file` is the pk of the value of a file."""

    socket: Socket
    kind: str
    text: str
    image: Image | None
    file: int | None


@dataclass(frozen=True)
class ViewContext:
    """The state of the sandbox, the parameters of the path, the query, and the requested page number."""

    state: State
    params: dict[str, str]
    number: int
    query: Mapping[str, str]
    slices: Slices

    @property
    def store(self) -> Store:
        """The database."""
        return self.state.store

    def by_slug(self, table: type[R]) -> R:
        """Return the row with the slug of the path."""
        return self.one(table, "slug = ?", self.params["slug"])

    def one(self, table: type[R], where: str, *params: Any) -> R:
        """Return the row that matches `where`; raise a 404 if there is none."""
        found = self.store.find(table, where, *params)
        if found is None:
            raise HtmlError(404)
        return found

    def page(self, rows: Rows[R]) -> Page[R]:
        """Return the requested page, or the last one."""
        count = rows.count()
        last = max(1, -(-count // PAGE_SIZE))
        number = min(max(1, self.number), last)
        return Page(rows.slice(PAGE_SIZE, PAGE_SIZE * (number - 1)), number, last, count)

    def first_rows(self, rows: Rows[R]) -> Page[R]:
        """Return the first rows only."""
        return Page(rows.slice(_FIRST_ROWS, 0), 1, 1, rows.count())

    def values(self, owner: str, role: str = "values") -> list[ShownValue]:
        """Return the values of a role, images first, sorted by socket."""
        shown = [self._shown(value) for value in values_of(self.store, owner, role)]
        return sorted(shown, key=lambda one: (one.image is None, one.socket.slug))

    def _shown(self, value: Value) -> ShownValue:
        socket = self.store.get(Socket, value.socket)
        image = self.store.get(Image, value.image) if value.image else None
        text = value.filename if value.key else json.dumps(value.value, ensure_ascii=False)
        return ShownValue(
            socket,
            kind_of(socket).label,
            "" if image else shorten(text or ""),
            image,
            value.pk if value.key else None,
        )

    def case(self, pk: str) -> tuple[str, str] | None:
        """Return the address and the name of an archive item or a display set."""
        item = self.store.find(ArchiveItem, "pk = ?", pk)
        if item is not None:
            slug = self.store.get(Archive, item.archive).slug
            return f"/archives/{quote(slug)}/items/{pk}/", item.title or f"Untitled {pk[:8]}"
        found = self.store.find(DisplaySet, "pk = ?", pk)
        if found is None:
            return None
        slug = self.store.get(ReaderStudy, found.reader_study).slug
        address = f"/reader-studies/{quote(slug)}/display-sets/{pk}/"
        return address, found.title or f"Untitled {pk[:8]}"

    def username(self, pk: int) -> str:
        """Return the name of a user."""
        return self.store.get(User, pk).username

    def count(self, table: type[R], where: str, *params: Any) -> int:
        """Count the rows that match `where`."""
        return self.store.rows(table, where, *params).count()


def shorten(text: str) -> str:
    """Return a text shortened to the length that a page shows."""
    return text if len(text) <= _MAX_TEXT_LENGTH else f"{text[:_MAX_TEXT_LENGTH]}…"
