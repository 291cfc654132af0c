"""Inspection of the files of plans, before the first of their bytes is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gcapi import models
from gcapi._inspect.inspector import inspect_files
from gcapi._util.choices import check_choice
from gcapi._util.user_warnings import warn_user
from gcapi._workflows.plans import Plan, Upload
from gcapi.exceptions import FileInspectionError, FileWarning
from gcapi.findings import Finding, InspectMode

#: The number of findings that a message lists.
SHOWN_FINDINGS = 10


def warn_at_calling_line(socket: models.ComponentInterface, finding: Finding) -> None:
    """Warn of a finding, at the user's line of code."""
    warn_user(message_of(socket, finding), FileWarning)


def message_of(socket: models.ComponentInterface, finding: Finding) -> str:
    """Return a finding as a message."""
    return f"Socket {socket.slug!r} ({socket.kind}): {finding}"


@dataclass(frozen=True)
class Inspection:
    """The way in which the files of plans are inspected.

    Attributes:
        mode: What to do about findings.
        deep: Whether to read all of the files' content.
        warn: Called with each finding that does not stop the value.

    Raises:
        ValueError: There is no such mode.
    """

    mode: InspectMode = "error"
    deep: bool = False
    warn: Callable[[models.ComponentInterface, Finding], None] = warn_at_calling_line

    def __post_init__(self) -> None:
        check_choice("inspect", self.mode, InspectMode)

    def inspect(
        self, plans: Iterable[Plan], sockets: Mapping[str, models.ComponentInterface]
    ) -> None:
        """Inspect the local files of plans.

        Args:
            plans: The plans.
            sockets: Their sockets, by slug.

        Raises:
            FileInspectionError: They have errors, and the mode is ``"error"``; the error has those of all plans.
            SpecFileError: A file cannot be read.
        """
        if self.mode == "off":
            return
        errors: list[tuple[models.ComponentInterface, Finding]] = []
        for plan in plans:
            files = plan.files if isinstance(plan, Upload) else ()
            paths = [file for file in files if isinstance(file, Path)]
            socket = sockets[plan.slug]
            for finding in inspect_files(paths, socket, deep=self.deep) if paths else ():
                if finding.level == "error" and self.mode == "error":
                    errors.append((socket, finding))
                else:
                    self.warn(socket, finding)
        if errors:
            lines = [message_of(socket, finding) for socket, finding in errors[:SHOWN_FINDINGS]]
            if len(errors) > SHOWN_FINDINGS:
                lines.append(f"And {len(errors) - SHOWN_FINDINGS} more.")
            raise FileInspectionError("\n".join(lines), findings=(each for _, each in errors))
