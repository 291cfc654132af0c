"""A small load test; the large one is in tests/long/."""

from __future__ import annotations

from gcapi_sandbox import RecordedRequest
from gcapi_sandbox._app.request_log import RequestLog
from tests.support.sandbox_load import run_load


def test_many_requests_at_once() -> None:
    """300 items added by 20 concurrent requests cause no error."""
    run = run_load(300, 20)
    assert run.failures == []
    assert (run.images, run.jobs) == (8, 1)
    assert run.end - run.warm < 100


def test_request_log_is_bounded() -> None:
    """Only the last 20,000 requests are kept."""
    log = RequestLog()
    for number in range(20_010):
        log.append(RecordedRequest("api", "GET", f"/{number}", "", ""))
    assert (len(log), log[0].path, log[-1].path) == (20_000, "/10", "/20009")
