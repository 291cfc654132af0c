"""Warnings that point at the user's line of code rather than at a line of this package."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from gcapi._util.messages import printable_lines

#: What the modules begin with whose frames are not the user's.
_OWN_FRAMES = ("gcapi.", "contextlib.")


def warn_user(message: str, category: type[Warning]) -> None:
    """Issue a warning that points at the line outside of this package that led here.

    Args:
        message: The text of the warning.
        category: The class of the warning.
    """
    _, level = _calling_frame()
    warnings.warn(printable_lines(message), category, stacklevel=level)


def calling_line() -> tuple[str, int]:
    """Return the file and line outside of this package that led here, for a `warn_at` in another thread."""
    frame, _ = _calling_frame()
    return ("<unknown>", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def warn_at(line: tuple[str, int], message: str, category: type[Warning]) -> None:
    """Issue a warning that points at a file and line, as `calling_line` returned them."""
    warnings.warn_explicit(printable_lines(message), category, *line)


def _calling_frame() -> tuple[FrameType | None, int]:
    """Return the innermost frame outside of this package, and its stack level as seen by the caller."""
    frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - inspect.stack() reads every source file
    level = 2
    # Frames of contextlib lie between those of this package that use a context manager and its code.
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith(_OWN_FRAMES):
        frame = frame.f_back
        level += 1
    return frame, level
