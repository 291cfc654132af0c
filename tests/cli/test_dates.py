"""Parsing dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gcapi.cli.dates import parse_date

#: A Friday.
NOW = datetime(2026, 11, 27, 15, 30)  # noqa: DTZ001 - the local time of wherever the tests run


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-07-01", datetime(2026, 7, 1)),  # noqa: DTZ001
        ("2026-07-01 10:15", datetime(2026, 7, 1, 10, 15)),  # noqa: DTZ001
        ("2026-07-01T10:15:30", datetime(2026, 7, 1, 10, 15, 30)),  # noqa: DTZ001
        ("2026-7-1", datetime(2026, 7, 1)),  # noqa: DTZ001
        ("2026/07/01 10:15", datetime(2026, 7, 1, 10, 15)),  # noqa: DTZ001
        ("01.07.2026", datetime(2026, 7, 1)),  # noqa: DTZ001
        ("1/7/2026", datetime(2026, 7, 1)),  # noqa: DTZ001
        ("31/12/2025", datetime(2025, 12, 31)),  # noqa: DTZ001
        ("1 July 2026", datetime(2026, 7, 1)),  # noqa: DTZ001
        ("July 1, 2026 9 pm", datetime(2026, 7, 1, 21)),  # noqa: DTZ001
        ("  1   jul ", datetime(2026, 7, 1)),  # noqa: DTZ001
        ("July", datetime(2026, 7, 1)),  # noqa: DTZ001
        ("July 2025", datetime(2025, 7, 1)),  # noqa: DTZ001
        ("now", NOW),
        ("today", datetime(2026, 11, 27)),  # noqa: DTZ001
        ("Yesterday", datetime(2026, 11, 26)),  # noqa: DTZ001
        ("3 days ago", NOW - timedelta(days=3)),
        ("1 hour ago", NOW - timedelta(hours=1)),
        ("1 month ago", datetime(2026, 10, 27, 15, 30)),  # noqa: DTZ001
        ("friday", datetime(2026, 11, 27)),  # noqa: DTZ001
        ("Monday", datetime(2026, 11, 23)),  # noqa: DTZ001
        ("sat", datetime(2026, 11, 21)),  # noqa: DTZ001
    ],
)
def test_dates(text: str, expected: datetime) -> None:
    """A date without a time zone is local, the day comes before the month, and a weekday is in the past."""
    assert parse_date(text, NOW) == expected.astimezone()


@pytest.mark.parametrize(
    "text", ["2026-07-01T10:15Z", "2026-07-01 12:15+02:00", "1 July 2026 10:15 UTC"]
)
def test_dates_with_a_zone(text: str) -> None:
    """A time zone in the text is used."""
    assert parse_date(text, NOW) == datetime(2026, 7, 1, 10, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "soon", "32.01.2026", "2026-13-01", "last monday", "99999999999"]
)
def test_what_is_no_date(text: str) -> None:
    """A text that is not a date is refused, not guessed."""
    with pytest.raises(ValueError, match=r".+"):
        parse_date(text, NOW)
