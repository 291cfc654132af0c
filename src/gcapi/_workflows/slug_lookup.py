"""Finding objects by slug. Each is requested once per client; a miss suggests similar slugs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from gcapi import models
from gcapi._api.identifiers import slug_of
from gcapi._api.resource_mixins import ReadMixin
from gcapi._api.similar_slugs import similar_slugs
from gcapi._util.fork_safety import Lock
from gcapi._util.scheduler import Scheduler
from gcapi._workflows.namespaces import Namespaces
from gcapi.exceptions import ObjectNotFound, SocketNotFound

T = TypeVar("T")
#: How many objects are requested at once.
PARALLEL_LOOKUPS = 8


class SlugLookup(Generic[T]):
    """The objects of one namespace by slug.

    Args:
        namespace: Reads the objects.
    """

    def __init__(self, namespace: ReadMixin[T, Any]) -> None:
        self._namespace = namespace
        self._known: dict[str, T] = {}
        #: One for each slug, so that threads that look for the same object send one request.
        self._locks: dict[str, Lock] = {}

    def get(self, named: str | T) -> T:
        """Return the object with a slug, which may be given as an object that has it.

        Raises:
            SpecTypeError: It is neither a text nor an object with a slug.
            ObjectNotFound: There is none, or no access to it; the message has similar slugs.
        """
        slug = slug_of(named)
        if not slug:
            raise ObjectNotFound(f"'' is not a slug: it cannot name {self._namespace.noun}.")
        found = self._find(slug)
        if found is None:
            advice = similar_slugs(slug, self._namespace.page)
            raise ObjectNotFound(
                f"There is no {self._namespace.noun} {slug!r}, or no access to it."
                f" {advice or 'A slug is the last part of a URL.'}"
            )
        return found

    def prefetch(self, slugs: Iterable[str]) -> None:
        """Request objects at once that are asked for next; `get` reports those that are missing."""
        unknown = [slug for slug in slugs if slug and slug not in self._known]
        if len(unknown) > 1:
            with Scheduler(PARALLEL_LOOKUPS, "gcapi-lookup") as scheduler:
                scheduler.run_all(self._find, unknown)

    def _find(self, slug: str) -> T | None:
        with self._locks.setdefault(slug, Lock()):
            if slug not in self._known:
                page = self._namespace.page(0, 1, {"slug": slug})
                if not page:
                    return None
                self._known[slug] = page[0]
            return self._known[slug]


class Lookup:
    """The objects that calls name by slug.

    Args:
        resources: Reads the objects.
    """

    def __init__(self, resources: Namespaces) -> None:
        self.archives: SlugLookup[models.Archive] = SlugLookup(resources.archives)
        self.reader_studies: SlugLookup[models.ReaderStudy] = SlugLookup(resources.reader_studies)
        self.algorithms: SlugLookup[models.Algorithm] = SlugLookup(resources.algorithms)
        self._sockets = SlugLookup(resources.interfaces)

    def socket(self, slug: str) -> models.ComponentInterface:
        """Return the socket with a slug.

        Raises:
            SocketNotFound: There is none; the message has similar slugs.
        """
        try:
            return self._sockets.get(slug)
        except ObjectNotFound as error:
            raise SocketNotFound(*error.args, slug=slug) from None

    def sockets(self, slugs: Iterable[str]) -> dict[str, models.ComponentInterface]:
        """Return sockets by slug, which are requested at the same time.

        Raises:
            SocketNotFound: There is none; of several that are missing, the first is named.
        """
        slugs = [*slugs]
        self._sockets.prefetch(slugs)
        return {slug: self.socket(slug) for slug in slugs}
