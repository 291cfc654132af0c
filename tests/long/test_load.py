"""10,000 items with 50 concurrent requests."""

from __future__ import annotations

import pytest

from tests.support.sandbox_load import run_load

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
#: The allowed growth in MiB; the log of the last 20,000 requests takes 10 of it, and threads the rest.
BOUND = 60


def test_ten_thousand_items() -> None:
    """No request fails, all imports and jobs end, and memory does not grow."""
    run = run_load(10_000, 50)
    print(run)  # noqa: T201 - visible with -s
    assert run.failures == []
    assert (run.images, run.jobs) == (220, 10)
    assert run.end - run.warm < BOUND
