"""Finding objects by slug. Each is requested once per client; a miss suggests similar slugs."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from gcapi import models
from gcapi._api.identifiers import slug_of
from gcapi._api.resource_mixins import ReadMixin
from gcapi._api.similar_slugs import similar_slugs
from gcapi._workflows.namespaces import Namespaces
from gcapi.exceptions import ObjectNotFound, SocketNotFound

T = TypeVar("T")


class SlugLookup(Generic[T]):
    """The objects of one namespace by slug.

    Args:
        namespace: Reads the objects.
    """

    def __init__(self, namespace: ReadMixin[T, Any]) -> None:
        self._namespace = namespace
        self._known: dict[str, T] = {}

    def get(self, named: str | T) -> T:
        """Return the object with a slug, which may be given as an object that has it.

        Raises:
            SpecTypeError: It is neither a text nor an object with a slug.
            ObjectNotFound: There is none, or no access to it; the message has similar slugs.
        """
        slug = slug_of(named)
        if slug not in self._known:
            if not slug:
                raise ObjectNotFound(f"'' is not a slug: it cannot name {self._namespace.noun}.")
            page = self._namespace.page(0, 1, {"slug": slug})
            if not page:
                advice = similar_slugs(slug, self._namespace.page)
                raise ObjectNotFound(
                    f"There is no {self._namespace.noun} {slug!r}, or no access to it."
                    f" {advice or 'A slug is the last part of a URL.'}"
                )
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
