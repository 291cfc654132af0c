"""10,000 items by 50 requests at once."""

from __future__ import annotations

import pytest

from tests.support.loading import load

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
#: MiB; the last 20,000 requests that are remembered take 10 of them, and every thread a little.
BOUND = 60


def test_ten_thousand_items() -> None:
    """No request fails, all imports and jobs come to their end, and the memory stays flat."""
    run = load(10_000, 50)
    print(run)  # noqa: T201 - figures for who runs it with -s
    assert run.failures == []
    assert (run.images, run.jobs) == (220, 10)
    assert run.end - run.warm < BOUND
