"""One request as the handlers see it, their replies, and the register of handlers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from gcapi_sandbox._http.bodies import parse_body
from gcapi_sandbox._http.errors import Json, NotFound
from gcapi_sandbox._http.fields import Fields
from gcapi_sandbox._http.permissions import visible
from gcapi_sandbox._http.routing import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gcapi_sandbox._database.records import Socket, User
    from gcapi_sandbox._database.state import State
    from gcapi_sandbox._database.store import R, Rows, Store


@dataclass
class Reply:
    """A status and a JSON body; a body of `None` is sent as no body."""

    status: int
    body: Json = None


@dataclass
class Call:
    """One request: who asks, for what, with which parameters and body; `began` is when it was read."""

    state: State
    user: User | None
    method: str
    origin: str
    path: str
    query: list[tuple[str, str]]
    content_type: str
    raw: bytes
    began: datetime
    params: dict[str, str] = field(default_factory=dict[str, str])
    sockets: dict[int, Socket] = field(default_factory=dict[int, "Socket"])

    @property
    def store(self) -> Store:
        """The records."""
        return self.state.store

    @property
    def user_id(self) -> int:
        """The pk of the user, 0 for nobody."""
        return self.user.pk if self.user else 0

    @cached_property
    def body(self) -> dict[str, Json]:
        """The body as an object, parsed when first looked at, as the server does."""
        return parse_body(self.content_type, self.raw)

    @property
    def fields(self) -> Fields:
        """A reader of the body's fields; PATCH makes it partial."""
        return Fields(self.body, partial=self.method == "PATCH")

    def last(self, name: str) -> str:
        """Return the last value of a query parameter, empty when there is none."""
        return next((value for key, value in reversed(self.query) if key == name), "")

    def link(self, path: str) -> str:
        """Return the URL of a path below the API's root, which keeps the format that was asked for."""
        asked = self.last("format")
        return f"{self.origin}{ROOT}{path}{f'?format={asked}' if asked else ''}"

    def site(self, path: str) -> str:
        """Return the URL of a page or file of the site."""
        return f"{self.origin}/{path}"

    def visible(self, table: type[R]) -> Rows[R]:
        """Return the rows that this user may see."""
        return visible(self.store, table, self.user_id)

    def lookup(self, table: type[R], name: str = "", within: Rows[R] | None = None) -> R:
        """Return the row that the path names by `id`, if the user may see it."""
        rows = self.visible(table) if within is None else within
        for row in rows.narrow("pk = ?", self._pk(table)).slice(1, 0):
            return row
        raise NotFound(name or table.__name__)

    def _pk(self, table: type[R]) -> str | int:
        text = self.params["id"]
        try:
            return _integer_pk(text) if _has_integer_pk(table) else str(uuid.UUID(text))
        except ValueError:
            raise NotFound from None


def _integer_pk(text: str) -> int:
    """Return the number of a path, 0 (which nothing has) for one that no column can hold."""
    number = int(text)
    return number if 0 < number < 2**63 else 0


def _has_integer_pk(table: type[R]) -> bool:
    return bool(table.__annotations__["pk"] == "int")


HANDLERS: dict[str, Callable[[Call], Reply]] = {}


def operation(name: str) -> Callable[[Callable[[Call], Reply]], Callable[[Call], Reply]]:
    """Register the function below as the handler of an operation."""

    def register(handler: Callable[[Call], Reply]) -> Callable[[Call], Reply]:
        HANDLERS[name] = handler
        return handler

    return register
