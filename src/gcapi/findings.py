"""Findings: what is wrong, or doubtful, about local files before they are sent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gcapi._util.html import ShownAsTable

#: An error means that the server, or the next reader, cannot use the file; a warning that a person should look at it.
Level = Literal["error", "warning"]
#: What to do about findings: raise `FileInspectionError` for errors and warn of warnings, warn of both, or not inspect.
InspectMode = Literal["error", "warn", "off"]


@dataclass(frozen=True, repr=False)
class Finding(ShownAsTable):
    """One remark about the files of a socket value.

    Attributes:
        level: ``"error"`` or ``"warning"``.
        what: What was found, without the name of the file and without a full stop at the end.
        fix: What to do about it, a sentence without a full stop at the end.
        file: The file that it is about; `None` if it is about all of them.
    """

    level: Level
    what: str
    fix: str
    file: Path | None = None

    def __str__(self) -> str:
        place = "" if self.file is None else f"{self.file}: "
        return f"{place}{self.what}. {self.fix}."
