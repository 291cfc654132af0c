"""The event stream: how far the files of a call have come, and who may listen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["de-identify", "upload", "import", "download"]


@dataclass(frozen=True)
class ProgressEvent:
    """One step of one file or value.

    Attributes:
        phase: What is being done.
        name: The file, or the socket whose value is being imported.
        done: How far it has come: bytes, or 0 and 1 where there is nothing to count.
        total: What `done` will be at the end; `None` where nobody knows.
    """

    phase: Phase
    name: str
    done: int
    total: int | None


#: Called with each event, from the thread that did the work; it should return quickly.
Listener = Callable[[ProgressEvent], None]


def nobody(_: ProgressEvent) -> None:
    """Listen to nothing."""
