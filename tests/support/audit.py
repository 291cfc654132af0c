"""Recording of the system calls of a test with an audit hook."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

Event = tuple[str, tuple[Any, ...]]

_recording = threading.local()


def _record(event: str, arguments: tuple[Any, ...]) -> None:
    events: list[Event] | None = getattr(_recording, "events", None)
    if events is not None:
        events.append((event, arguments))


sys.addaudithook(_record)  # for the rest of the process: a hook cannot be removed


@contextmanager
def recorded_events() -> Iterator[list[Event]]:
    """Record the audit events of this thread while the block runs."""
    events: list[Event] = []
    _recording.events = events
    try:
        yield events
    finally:
        _recording.events = None
