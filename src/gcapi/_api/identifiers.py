"""Slugs and primary keys, given as text or as the object that has them."""

from __future__ import annotations

from typing import Any

from gcapi._http.urls import last_segment
from gcapi.exceptions import SpecTypeError


def slug_of(named: Any) -> str:
    """Return a slug, or that of an object.

    Raises:
        SpecTypeError: It is neither a text nor an object with a slug.
    """
    if isinstance(named, str):
        return named
    # Archives have no slug but in the URL of their page.
    slug = getattr(named, "slug", "") or last_segment(getattr(named, "url", ""))
    if not isinstance(slug, str) or not slug:
        raise SpecTypeError(
            f"A slug must be a text or an object that has one, not {_kind_with_article(named)}."
        )
    return slug


def pk_of(named: Any) -> Any:
    """Return the primary key of an object; anything else as it is."""
    return getattr(named, "pk", named) if hasattr(named, "to_dict") else named


def _kind_with_article(named: object) -> str:
    kind = type(named).__name__
    article = "an" if kind[:1] in "AEIOUaeiou" else "a"
    return f"{article} {kind}" if hasattr(named, "to_dict") else f"{named!r} ({kind})"
