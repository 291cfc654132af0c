"""An API request as the handlers see it, and their replies."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from gcapi_sandbox._http.bodies import parse_body
from gcapi_sandbox._http.errors import NotFoundError
from gcapi_sandbox._http.fields import Fields
from gcapi_sandbox._http.permissions import visible
from gcapi_sandbox._http.routing import API_ROOT

if TYPE_CHECKING:
    from datetime import datetime

    from gcapi_sandbox._database.records import Socket, User
    from gcapi_sandbox._database.store import R, Rows, Store
    from gcapi_sandbox._state import State
    from gcapi_sandbox._util.json_types import Json


@dataclass
class Reply:
    """A status and a JSON body; no body is sent for `None`."""

    status: int
    body: Json = None


@dataclass
class Call:
    """An API request: its user, parameters and body; `began` is the time at which it was read."""

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
        """The database."""
        return self.state.store

    @property
    def user_id(self) -> int:
        """The pk of the user, 0 if anonymous."""
        return self.user.pk if self.user else 0

    @cached_property
    def body(self) -> dict[str, Json]:
        """The body as a JSON object; parsed lazily, as the server does."""
        return parse_body(self.content_type, self.raw)

    @property
    def fields(self) -> Fields:
        """A reader of the body's fields; partial for PATCH."""
        return Fields(self.body, partial=self.method == "PATCH")

    def query_value(self, name: str) -> str:
        """Return the last value of a query parameter, empty if there is none."""
        return next((value for key, value in reversed(self.query) if key == name), "")

    def api_url(self, path: str) -> str:
        """Return the URL of a path below the API's root, with the requested format."""
        requested = self.query_value("format")
        return f"{self.origin}{API_ROOT}{path}{f'?format={requested}' if requested else ''}"

    def site_url(self, path: str) -> str:
        """Return the URL of a page or file of the site."""
        return f"{self.origin}/{path}"

    def visible(self, table: type[R]) -> Rows[R]:
        """Return the rows that are visible to the user."""
        return visible(self.store, table, self.user_id)

    def lookup(self, table: type[R], model: str = "", within: Rows[R] | None = None) -> R:
        """Return the row with the `id` of the path.

        Raises:
            NotFoundError: It does not exist or is not visible; names the `model`, by default
                the table.
        """
        rows = self.visible(table) if within is None else within
        for row in rows.narrow("pk = ?", self._pk(table)).slice(1, 0):
            return row
        raise NotFoundError(model or table.__name__)

    def _pk(self, table: type[R]) -> str | int:
        text = self.params["id"]
        try:
            if table.__annotations__["pk"] != "int":
                return str(uuid.UUID(text))
            number = int(text)
        except ValueError:
            raise NotFoundError from None
        # SQLite integers have 64 bits; no row has the pk 0.
        return number if 0 < number < 2**63 else 0
