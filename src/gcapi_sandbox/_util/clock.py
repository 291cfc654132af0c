"""The clock of a server, which can differ from that of the machine."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass
class Clock:
    """The clock of the machine, moved by an offset.

    Attributes:
        offset: Seconds by which it is ahead of the machine's; negative if it is behind.
    """

    offset: float = 0.0

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC) + timedelta(seconds=self.offset)

    def timestamp(self) -> float:
        """Return the time in seconds since 1970."""
        return self.now().timestamp()

    def text(self) -> str:
        """Return the time as the API writes it."""
        return format_time(self.now())


def format_time(moment: datetime) -> str:
    """Return a time as the API writes it: in UTC with `Z`, without a fraction of zero."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
