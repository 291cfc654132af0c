"""Parsing dates in common notations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from dateutil import parser
from dateutil.relativedelta import relativedelta

_AGO = re.compile(r"(\d{1,4}) (minute|hour|day|week|month|year)s? ago")
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_WEEKDAY = re.compile(r"(mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?")


def parse_date(text: str, now: datetime) -> datetime:
    """Return the time that a text names, in the local time zone unless the text names another.

    The month follows a year that comes first; otherwise the day comes before the month (``01.07.2026`` and ``1/7/2026``
    are 1 July). Other forms are ``now``, ``today``, ``yesterday``, ``3 days ago``, and weekdays, which are today or in
    the past.

    Args:
        text: A date with an optional time; the default time is midnight.
        now: The local time without a time zone, which completes a partial date.

    Raises:
        ValueError: The text is not a date.
    """
    text = " ".join(text.split())
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if text.lower() in named:
        found = named[text.lower()]
    elif ago := _AGO.fullmatch(text.lower()):
        amount: dict[str, Any] = {f"{ago[2]}s": int(ago[1])}
        found = now - relativedelta(**amount)
    elif year_first := _YEAR_FIRST.match(text):
        # dateutil with dayfirst=True would read the day after the year.
        year, month, day = map(int, year_first.groups())
        found = datetime.fromisoformat(f"{year}-{month:02}-{day:02}{text[year_first.end() :]}")
    else:
        found = _parse_day_first(text, midnight)
    # astimezone uses the UTC offset of that time of the year.
    return found if found.tzinfo else found.astimezone()


def _parse_day_first(text: str, midnight: datetime) -> datetime:
    is_weekday = _WEEKDAY.fullmatch(text.lower()) is not None
    # A month without a day is its first day; dateutil looks for a weekday from the default on.
    default = midnight if is_weekday else midnight.replace(day=1)
    try:
        found = parser.parse(text, dayfirst=True, default=default)
    except OverflowError as error:
        raise ValueError(f"{text!r} is not a date") from error
    return found - timedelta(days=7) if is_weekday and found > midnight else found


def local_date(text: str) -> datetime:
    """Parse the value of an option, with the local time zone as the default.

    Raises:
        click.BadParameter: The text is not a date.
    """
    try:
        return parse_date(text, datetime.now(UTC).astimezone().replace(tzinfo=None))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{text!r} is not a date. Write 2026-07-01, '1 July 2026', 01.07.2026 (day first), 'yesterday' or"
            " '3 days ago'."
        ) from error
