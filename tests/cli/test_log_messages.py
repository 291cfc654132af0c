"""Messages about requests and retries: the options -v and -vv, and retries after some silence."""

from __future__ import annotations

import logging

import pytest

from gcapi.cli.log_messages import LogMessages
from tests.support.programs.cli_program import Program
from tests.support.retried_calls import EMPTY
from tests.support.servers.loopback import TOKEN, Answer, Loopback, in_turn

BUSY = Answer(status=503, headers={"Retry-After": "0"})


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        ([], []),
        (["-v"], ["answers 503; retry 1 of 8 in 0 s"]),
        (["-vv"], ["/gcapi/: 200", "/archives/: 503", "retry 1 of 8", "/archives/: 200"]),
    ],
)
def test_verbose_output(gcapi: Program, options: list[str], lines: list[str]) -> None:
    """-v shows each retry and -vv each request on standard error, before or after the command."""
    for before, after in ((options, []), ([], options)):
        with Loopback(in_turn(BUSY, EMPTY)) as server:
            line = ["archives", "list", "--base-url", server.base_url, "--token", TOKEN]
            run = gcapi(*before, *line, *after)
        assert run.code == 0
        shown = [each for each in run.err.splitlines() if "503" in each or " 200 " in each]
        assert len(shown) == len(lines)
        assert all(words in each for words, each in zip(lines, shown, strict=True))
        assert TOKEN not in run.err
    assert logging.getLogger("gcapi").handlers == []


def test_retries_are_shown_after_some_silence(capsys: pytest.CaptureFixture[str]) -> None:
    """Without -v, a retry that ends five seconds of silence is shown, and not more than one in five seconds."""
    now = 100.0
    handler = LogMessages(0, clock=lambda: now)

    def retry(silence: float) -> str:
        record = logging.LogRecord("gcapi", logging.INFO, "", 0, "gc is down", (), None)
        record.gcapi_silence = silence
        handler.handle(record)
        return capsys.readouterr().err

    assert retry(4.9) == ""
    assert retry(5.0) == "gcapi: gc is down\n"
    now += 4
    assert retry(9.0) == ""
    now += 1
    assert retry(10.0) == "gcapi: gc is down\n"
