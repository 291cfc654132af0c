"""Differences between a pulled folder, its manifest and the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: A file is missing, was changed or is in neither the manifest nor the answers; or something changed, or exists only
#: in the folder ("only here") or only on the server ("only there"); or a name was changed, since another is the same.
DifferenceKind = Literal[
    "missing", "changed", "unexpected", "only here", "only there", "renamed", "unwritten"
]


@dataclass(frozen=True)
class Difference:
    """A difference between two places.

    Attributes:
        kind: The kind of the difference.
        subject: The path of the file below the folder, or the title or pk of the case.
        what: A description of the difference.
    """

    kind: DifferenceKind
    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.what}"
