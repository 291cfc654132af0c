"""The tracebacks of errors in IPython and notebooks."""

from __future__ import annotations

import traceback

import httpx
import pytest

from gcapi import Client
from gcapi.exceptions import GCAPIError, UnreachableHostError
from gcapi.retries import SelectiveBackoffStrategy


def refused() -> None:
    """Connect to a port where nothing listens."""
    with Client("token", "http://127.0.0.1:9/api/v1/", retry_strategy=no_retries) as client:
        client.archives.page()


def no_retries() -> SelectiveBackoffStrategy:
    """Return a strategy without retries."""
    return SelectiveBackoffStrategy(0, 0)


def test_refused_connection() -> None:
    """The traceback ends at the user's call, without causes; `traceback` shows all, and the cause is kept."""
    with pytest.raises(UnreachableHostError) as caught:
        refused()
    caught.value.add_note("A note.")
    lines = caught.value._render_traceback_()
    assert len(lines) <= 10
    assert "    client.archives.page()" in lines
    assert lines[-2].startswith("UnreachableHostError: 127.0.0.1:9 could not be reached")
    assert lines[-1] == "A note."
    assert not any("/gcapi/" in line for line in lines)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)
    assert len(traceback.format_exception(caught.value)) > 20


def test_many_frames_of_the_user() -> None:
    """Of the user's own frames, the last three are shown."""

    def call(depth: int) -> None:
        if depth:
            call(depth - 1)
        raise GCAPIError("broken")

    with pytest.raises(GCAPIError) as caught:
        call(9)
    lines = caught.value._render_traceback_()
    assert (lines[0], lines[-1]) == ("Traceback (most recent call last):", "GCAPIError: broken")
    assert sum(line.startswith('  File "') for line in lines) == 3


def test_error_that_was_not_raised() -> None:
    """An error without a traceback has its words."""
    assert GCAPIError("broken")._render_traceback_()[-1] == "GCAPIError: broken"
