"""How a folder, its manifest and the server differ, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: A file or case that is not where it should be; that is not as it was pulled; that nothing tells of; or that only the
#: folder, or only the server has.
DifferenceKind = Literal["missing", "changed", "unexpected", "only here", "only there"]


@dataclass(frozen=True)
class Difference:
    """Something that is not the same in two places.

    Attributes:
        kind: Which way it differs.
        subject: The file below the folder, or the case by its title or pk.
        what: The difference, in words.
    """

    kind: DifferenceKind
    subject: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}: {self.what}"
