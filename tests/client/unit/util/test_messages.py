"""Durations in messages."""

import pytest

from gcapi._util.messages import format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.05, "0.05 s"),
        (59.9, "59.9 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600.4, "1 h"),
        (23 * 3600, "23 h"),
        (3661, "1 h 1 min 1 s"),
        (200_000, "55 h 33 min 20 s"),
    ],
)
def test_durations_have_units(seconds: float, text: str) -> None:
    """A duration is written with the units that it has, and without those that it lacks."""
    assert format_duration(seconds) == text
