"""The selection of a pull: patterns for the titles of cases and for sockets."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Self

from gcapi.bulk.manifest import SOCKET_PREFIX


@dataclass(frozen=True)
class Patterns:
    """Patterns with ``*``, ``?`` and ``[…]``, as the shell has them.

    Attributes:
        titles: The patterns for the titles of cases, or their pks.
        sockets: The patterns for the slugs of sockets.
    """

    titles: tuple[str, ...]
    sockets: tuple[str, ...]

    @classmethod
    def of(cls, patterns: Iterable[str]) -> Self:
        """Return the patterns of a list; those that begin with ``socket:`` are for sockets."""
        given = list(patterns)
        return cls(
            titles=tuple(one for one in given if not one.startswith(SOCKET_PREFIX)),
            sockets=tuple(
                one[len(SOCKET_PREFIX) :] for one in given if one.startswith(SOCKET_PREFIX)
            ),
        )

    def unmatched(self, titles: set[str], sockets: set[str]) -> list[str]:
        """Return the patterns that match none of the titles, or none of the sockets."""
        return [
            *(one for one in self.titles if not _matches((one,), titles)),
            *(f"{SOCKET_PREFIX}{one}" for one in self.sockets if not _matches((one,), sockets)),
        ]


@dataclass(frozen=True)
class Selection:
    """The cases and values that a pull downloads.

    Attributes:
        include: What is downloaded; without patterns for titles all cases, without patterns for sockets all values.
        exclude: What of that is not downloaded.
    """

    include: Patterns
    exclude: Patterns

    @classmethod
    def of(cls, include: Iterable[str], exclude: Iterable[str]) -> Self:
        """Return the selection of two lists of patterns."""
        return cls(Patterns.of(include), Patterns.of(exclude))

    def has_case(self, title: str, pk: str) -> bool:
        """Return whether a case is selected; a case without a title is known by its pk."""
        names = {title, pk} - {""}
        return _selects(self.include.titles, self.exclude.titles, names)

    def has_socket(self, slug: str) -> bool:
        """Return whether the values of a socket are selected."""
        return _selects(self.include.sockets, self.exclude.sockets, {slug})


EVERYTHING: Final = Selection.of((), ())


def _selects(include: tuple[str, ...], exclude: tuple[str, ...], names: set[str]) -> bool:
    return (not include or _matches(include, names)) and not _matches(exclude, names)


def _matches(patterns: tuple[str, ...], names: set[str]) -> bool:
    # A title that contains brackets matches itself.
    return any(
        name == pattern or fnmatchcase(name, pattern)
        for pattern in map(_composed, patterns)
        for name in map(_composed, names)
    )


def _composed(text: str) -> str:
    """Return a text in the form in which texts that look alike are equal."""
    return unicodedata.normalize("NFC", text)
