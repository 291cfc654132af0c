"""From a slug to the object that it names, each asked for once per client; near names on a miss."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gcapi._http.urls import last_segment
from gcapi._util.fork_safety import Lock
from gcapi.exceptions import ObjectNotFound, SocketNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcapi import models
    from gcapi._api.resource_mixins import ReadMixin
    from gcapi.resources import Algorithms, Archives, Interfaces, ReaderStudies
    from gcapi.sockets import SocketValueSpec

T = TypeVar("T")

#: How many near names a message lists.
NEAR_NAMES = 3


class Slugs(Generic[T]):
    """The objects of one namespace by their slugs.

    Args:
        namespace: Where they are looked up.
        noun: What a message calls one.
    """

    def __init__(self, namespace: ReadMixin[T], noun: str) -> None:
        self._namespace = namespace
        self._noun = noun
        self._known: dict[str, T] = {}
        self._lock = Lock()

    def get(self, slug: str) -> T:
        """Return the object of a slug.

        Raises:
            ObjectNotFound: With the slugs that are nearest to it.
        """
        with self._lock:
            if slug in self._known:
                return self._known[slug]
        found = self._find(slug)
        with self._lock:
            return self._known.setdefault(slug, found)

    def _find(self, slug: str) -> T:
        if not isinstance(slug, str) or not slug:
            raise ObjectNotFound(f"{slug!r} is no slug of {self._noun}.")
        page = self._namespace.page(0, 1, {"slug": slug})
        if not page:
            raise ObjectNotFound(self._miss(slug))
        return page[0]

    def _miss(self, slug: str) -> str:
        words = f"There is no {self._noun} {slug!r}, or no access to it."
        near = difflib.get_close_matches(slug, self._all_slugs(), n=NEAR_NAMES)
        return f"{words} Did you mean {' or '.join(map(repr, near))}?" if near else words

    def _all_slugs(self) -> list[str]:
        return [slug_of(item) for item in self._namespace.iterate_all()]


def slug_of(model: Any) -> str:
    """Return the slug of an object; archives show theirs in nothing but the address of their page."""
    return str(getattr(model, "slug", "") or last_segment(model.url))


class Lookup:
    """Everything that a call finds by slug."""

    def __init__(
        self,
        *,
        interfaces: Interfaces,
        archives: Archives,
        reader_studies: ReaderStudies,
        algorithms: Algorithms,
    ) -> None:
        self.archives = Slugs(archives, "archive")
        self.reader_studies = Slugs(reader_studies, "reader study")
        self.algorithms = Slugs(algorithms, "algorithm")
        self._sockets = Slugs(interfaces, "socket")

    def socket(self, slug: str) -> models.ComponentInterface:
        """Return the socket of a slug.

        Raises:
            SocketNotFound: With the slugs that are nearest to it.
        """
        try:
            return self._sockets.get(slug)
        except ObjectNotFound as error:
            raise SocketNotFound(*error.args, slug=slug) from None

    def sockets(self, specs: Iterable[SocketValueSpec]) -> dict[str, models.ComponentInterface]:
        """Return the socket of each specification, by slug."""
        return {spec.socket_slug: self.socket(spec.socket_slug) for spec in specs}
