"""Dates as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi.cli.session import FC


_AGO = re.compile(r"(\d{1,4}) (minute|hour|day|week|month|year)s? ago")
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})")
_WEEKDAY = re.compile(r"(mon|tues?|wed(nes)?|thu(rs)?|fri|sat(ur)?|sun)(day)?")


def parse_date(text: str, now: datetime) -> datetime:
    """Return the moment that a text names, in this machine's time zone unless it names another.

    Where the year comes first the month follows; else the day stands before the month (``01.07.2026`` and ``1/7/2026``
    are the first of July). Also ``now``, ``today``, ``yesterday``, ``3 days ago``, and the days of the week, which are
    today or in the past.

    Args:
        text: A date, with or without a time, which else is midnight.
        now: The local time, without a time zone; what is left out of a date is taken from it.

    Raises:
        ValueError: It names none.
    """
    words = " ".join(text.split())
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    ago = _AGO.fullmatch(words.lower())
    if words.lower() in named:
        found = named[words.lower()]
    elif ago:
        found = _before(now, **{f"{ago[2]}s": int(ago[1])})
    else:
        found = _written(words, midnight)
    # The offset that holds at that time of the year.
    return found if found.tzinfo else found.astimezone()


def _before(now: datetime, **amount: Any) -> datetime:
    from dateutil.relativedelta import relativedelta

    moment: datetime = now - relativedelta(**amount)
    return moment


def _written(words: str, midnight: datetime) -> datetime:
    year_first = _YEAR_FIRST.match(words)
    if year_first:
        # Not dateutil's: it would take what comes after the year for the day.
        year, month, day = map(int, year_first.groups())
        return datetime.fromisoformat(f"{year}-{month:02}-{day:02}{words[year_first.end() :]}")
    return _as_people_write(words, midnight)


def _as_people_write(words: str, midnight: datetime) -> datetime:
    from dateutil import parser

    is_weekday = _WEEKDAY.fullmatch(words.lower()) is not None
    # A month without a day is its first; a day of the week is looked for from today on.
    default = midnight if is_weekday else midnight.replace(day=1)
    try:
        found = parser.parse(words, dayfirst=True, default=default)
    except OverflowError as error:
        raise ValueError(f"{words!r} is no date") from error
    return found - timedelta(days=7) if is_weekday and found > midnight else found


def date_option(name: str, words: str) -> Callable[[FC], FC]:
    """Return an option that takes a date, in this machine's time zone unless it names another.

    Args:
        name: The option.
        words: Its help.
    """
    return click.option(name, metavar="DATE", callback=_date, help=words)


def _date(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_date(value, datetime.now(UTC).astimezone().replace(tzinfo=None))
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{value!r} is no date. Write 2026-07-01, '1 July 2026', 01.07.2026 (the day first), 'yesterday' or"
            " '3 days ago'.",
            ctx=ctx,
            param=param,
        ) from error
