"""Finding objects by slug. Each is requested once per client; a miss suggests similar slugs."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from gcapi import models
from gcapi._api.page import MAX_PAGE_SIZE
from gcapi._api.resource_mixins import ReadMixin
from gcapi._http.urls import last_segment
from gcapi._util.scheduler import Scheduler
from gcapi._workflows.namespaces import Namespaces
from gcapi.exceptions import ObjectNotFound, SocketNotFound
from gcapi.sockets import SocketValueSpec

T = TypeVar("T")

#: The number of pages, of 1,000 entries and one request each, in which similar slugs are searched for.
SUGGESTION_PAGES = 3
#: The longest time to search for similar slugs, in seconds; retries included.
SUGGESTION_SECONDS = 5.0
#: The number of similar slugs that a message lists.
MAX_SUGGESTIONS = 3


class SlugLookup(Generic[T]):
    """The objects of one namespace by slug.

    Args:
        namespace: Reads the objects.
        noun: The name of one in messages.
    """

    def __init__(self, namespace: ReadMixin[T, Any], noun: str) -> None:
        self._namespace = namespace
        self._noun = noun
        self._known: dict[str, T] = {}

    def get(self, slug: str) -> T:
        """Return the object with a slug.

        Raises:
            ObjectNotFound: There is none, or no access to it; the message has similar slugs.
        """
        if slug not in self._known:
            if not isinstance(slug, str) or not slug:
                raise ObjectNotFound(f"{slug!r} is not a slug: it cannot name a {self._noun}.")
            page = self._namespace.page(0, 1, {"slug": slug})
            if not page:
                raise self._not_found(slug)
            self._known[slug] = page[0]
        return self._known[slug]

    def _not_found(self, slug: str) -> ObjectNotFound:
        advice = "A slug is the last part of a URL."
        similar = difflib.get_close_matches(slug, self._some_slugs(), n=MAX_SUGGESTIONS)
        if similar:
            advice = f"Did you mean {' or '.join(map(repr, similar))}?"
        return ObjectNotFound(f"There is no {self._noun} {slug!r}, or no access to it. {advice}")

    def _some_slugs(self) -> list[str]:
        """Return the slugs that can be listed within the bounds: the miss is reported, whatever becomes of the list."""
        slugs: list[str] = []

        def collect() -> None:
            for number in range(SUGGESTION_PAGES):
                page = self._namespace.page(number * MAX_PAGE_SIZE, MAX_PAGE_SIZE)
                slugs.extend(map(_slug_of, page[:MAX_PAGE_SIZE]))
                if (number + 1) * MAX_PAGE_SIZE >= page.total_count:
                    break

        try:
            with Scheduler(1, "gcapi-similar-slugs") as scheduler:
                scheduler.submit(collect).result(SUGGESTION_SECONDS)
        except Exception:  # noqa: BLE001, S110 - any failure of the list, and the timeout
            pass
        return list(slugs)


def _slug_of(model: Any) -> str:
    # Archives have no slug but in their URL.
    return str(getattr(model, "slug", "") or last_segment(model.url))


class Lookup:
    """The objects that calls name by slug.

    Args:
        resources: Reads the objects.
    """

    def __init__(self, resources: Namespaces) -> None:
        self.archives: SlugLookup[models.Archive] = SlugLookup(resources.archives, "archive")
        self.reader_studies: SlugLookup[models.ReaderStudy] = SlugLookup(
            resources.reader_studies, "reader study"
        )
        self.algorithms: SlugLookup[models.Algorithm] = SlugLookup(
            resources.algorithms, "algorithm"
        )
        self._sockets = SlugLookup(resources.interfaces, "socket")

    def socket(self, slug: str) -> models.ComponentInterface:
        """Return the socket with a slug.

        Raises:
            SocketNotFound: There is none; the message has similar slugs.
        """
        try:
            return self._sockets.get(slug)
        except ObjectNotFound as error:
            raise SocketNotFound(*error.args, slug=slug) from None

    def sockets(self, specs: Iterable[SocketValueSpec]) -> dict[str, models.ComponentInterface]:
        """Return the socket of each specification, by slug."""
        return {spec.socket_slug: self.socket(spec.socket_slug) for spec in specs}
