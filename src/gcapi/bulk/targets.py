"""Targets of a push and sources of a pull, written as ``archive:SLUG``, ``study:SLUG`` or ``algorithm:SLUG``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Self, cast, get_args

from gcapi._util.near_names import did_you_mean
from gcapi.exceptions import SpecError

TargetKind = Literal["archive", "study", "algorithm"]

_SLUG = re.compile(r"[-\w]+", re.ASCII)


class TargetError(SpecError):
    """Raised when a target is not written in one of its three forms."""


@dataclass(frozen=True)
class Target:
    """An archive, a reader study or an algorithm.

    Attributes:
        kind: Which of the three.
        slug: The last part of its URL.
    """

    kind: TargetKind
    slug: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the target that a text names.

        Raises:
            TargetError: The text has none of the three forms.
        """
        kind, _, slug = text.strip().partition(":")
        if kind not in get_args(TargetKind) or not _SLUG.fullmatch(slug):
            near = did_you_mean(text.strip(), [f"{one}:{slug}" for one in get_args(TargetKind)])
            raise TargetError(
                f"{text!r} is not a target. Write archive:SLUG, study:SLUG or algorithm:SLUG, where SLUG is the last"
                f" part of its URL. {near if _SLUG.fullmatch(slug) else ''}".rstrip()
            )
        return cls(cast("TargetKind", kind), slug)

    @classmethod
    def of(cls, target: Self | str) -> Self:
        """Return a target, parsed if it is a text.

        Raises:
            TargetError: The text has none of the three forms.
        """
        return cls.parse(target) if isinstance(target, str) else target

    def __str__(self) -> str:
        return f"{self.kind}:{self.slug}"
