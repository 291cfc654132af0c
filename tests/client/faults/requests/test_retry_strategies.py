"""Retry strategies of the user's own."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from gcapi._api.operations import Calls
from gcapi._http.transport import Transport
from gcapi.models import ImageFile
from gcapi.retries import BaseRetryStrategy
from grand_challenge_api import api
from tests.support.retried_calls import (
    EMPTY,
    HARMLESS,
    PK,
    READS,
    WRITES,
    Eager,
    NoRetries,
    attempts,
    failed_attempts,
    settings_of,
)
from tests.support.servers.loopback import Answer, Loopback, connect, in_turn


def test_strategy_that_always_says_none_turns_everything_off() -> None:
    """A strategy that always returns None turns all retries off."""

    class Never(NoRetries):
        def get_error_delay(self, error: httpx.TransportError) -> None:  # noqa: ARG002
            return None

    for call in (READS["namespace"], HARMLESS["presign"][0]):
        assert failed_attempts(call, Answer(status=503), EMPTY, strategy=Never) == 1
        assert (
            failed_attempts(
                call, Answer(reset=True), EMPTY, strategy=Never, error=httpx.TransportError
            )
            == 1
        )


def test_strategy_may_wait_for_longer_than_the_default() -> None:
    """A custom strategy can retry responses without limits of number or time."""
    waited: list[float] = []

    class Documented(BaseRetryStrategy):
        def get_delay(self, latest_response: httpx.Response) -> float | None:
            return 300.0 if latest_response.status_code == 400 else None

    with Loopback(in_turn(*[Answer(status=400)] * 50, EMPTY)) as server:
        transport = Transport(settings_of(server), Documented, sleep=waited.append)
        Calls(transport).call(api.archives_list)
        transport.close()
    assert waited == [300.0] * 50


@pytest.mark.parametrize("factory", [NoRetries, partial(NoRetries)])
def test_no_retries(factory: Callable[[], BaseRetryStrategy]) -> None:
    """The documented strategy without retries works."""
    assert failed_attempts(READS["namespace"], Answer(status=503), EMPTY, strategy=factory) == 1


def test_strategy_is_made_for_each_request() -> None:
    """Every request has a strategy of its own."""
    made: list[Eager] = []

    def make() -> Eager:
        made.append(Eager())
        return made[-1]

    with Loopback(in_turn(EMPTY)) as server, connect(server, retry_strategy=make) as client:
        before = len(made)
        client.archive_items.count()
        client.archive_items.count()
    assert len(made) == before + 3


def test_strategy_sees_the_body() -> None:
    """A strategy can read the body of a response."""

    class TooMany(BaseRetryStrategy):
        def get_delay(self, latest_response: httpx.Response) -> float | None:
            return 0.0 if "too many active jobs" in latest_response.text else None

    call, good = WRITES["job"]
    busy = Answer(status=400, body={"non_field_errors": ["You have too many active jobs"]})
    assert attempts(call, busy, busy, good, strategy=TooMany) == 3


def test_strategy_sees_the_body_of_streams(tmp_path: Any) -> None:
    """A strategy can read the body of a failed download."""

    class Words(BaseRetryStrategy):
        def get_delay(self, latest_response: httpx.Response) -> float | None:
            return 0.0 if latest_response.is_error and "later" in latest_response.text else None

    with Loopback(in_turn(Answer(status=400, body=b"later"), Answer(body=b"x"))) as server:
        file = ImageFile.from_dict(
            {"pk": PK, "image": PK, "file": f"{server.origin}/media/a.mha", "image_type": "MHD"}
        )
        with connect(server, retry_strategy=Words) as client:
            (path,) = client.images.download(files=[file], output_directory=tmp_path)
    assert path.read_bytes() == b"x"


def test_strategy_that_fails_is_not_hidden() -> None:
    """An error in a strategy is raised."""

    class Broken(BaseRetryStrategy):
        pass

    with pytest.raises(NotImplementedError):
        attempts(READS["namespace"], Answer(status=503), strategy=Broken)


def test_delays_are_waited() -> None:
    """The client waits the seconds that the strategy returns."""
    waited: list[float] = []

    class Twice(BaseRetryStrategy):
        def __init__(self) -> None:
            self.delays = [1.5, 2.5]

        def get_delay(self, latest_response: httpx.Response) -> float | None:
            return self.delays.pop(0) if latest_response.is_error and self.delays else None

    with Loopback(in_turn(Answer(status=503), Answer(status=503), EMPTY)) as server:
        transport = Transport(settings_of(server), Twice, sleep=waited.append)
        Calls(transport).call(api.archives_list)
        transport.close()
    assert waited == [1.5, 2.5]


def test_body_is_sent_again_whole() -> None:
    """A retried request has the same body."""
    with (
        Loopback(in_turn(Answer(status=400), Answer(body={}))) as server,
        connect(server, retry_strategy=Eager) as client,
    ):
        client("POST", path="x/", data={"a": "b"}, files={"f": ("n", io.BytesIO(b"content"))})
    assert server.seen[0].body == server.seen[1].body
    assert b"content" in server.seen[1].body
