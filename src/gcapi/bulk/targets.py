"""Where cases go to or come from, as one writes it: ``archive:slug``, ``study:slug`` or ``algorithm:slug``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from gcapi.exceptions import SpecError

TargetKind = Literal["archive", "study", "algorithm"]

_SLUG = re.compile(r"[-\w]+", re.ASCII)


class TargetError(SpecError):
    """Raise for a target that is not written in one of its three forms."""


@dataclass(frozen=True)
class Target:
    """An archive, a reader study or an algorithm.

    Attributes:
        kind: Which of the three.
        slug: As in the address of its page.
    """

    kind: TargetKind
    slug: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the target that a text names.

        Raises:
            TargetError: With the three forms.
        """
        kind, _, slug = text.strip().partition(":")
        if kind not in get_args(TargetKind) or not _SLUG.fullmatch(slug):
            raise TargetError(
                f"{text!r} is no target. Write archive:SLUG, study:SLUG or algorithm:SLUG, where SLUG is as in the"
                " address of its page."
            )
        checked: Any = kind
        return cls(checked, slug)

    @classmethod
    def of(cls, target: Self | str) -> Self:
        """Return a target that may be given as a text.

        Raises:
            TargetError: With the three forms.
        """
        return cls.parse(target) if isinstance(target, str) else target

    def __str__(self) -> str:
        return f"{self.kind}:{self.slug}"
