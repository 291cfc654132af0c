"""A relay between a client and a sandbox that loses requests and responses as a test says."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from gcapi import Client
from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import NO_TLS, Answer, Loopback, Seen

#: Headers of a single connection, and those that the relay's own server sends.
_HOP_HEADERS = frozenset(
    {"content-length", "transfer-encoding", "content-encoding", "connection", "date", "server"}
)


class AfterRequest(Answer):
    """An answer that replaces the sandbox's own after the sandbox has carried out the request."""


def forward(upstream: httpx.Client, root: str, seen: Seen, **headers: str) -> Answer:
    """Send a request to another server and return its response."""
    response = upstream.request(
        seen.method, root + seen.path, content=seen.body, headers={**seen.headers, **headers}
    )
    kept = {
        name: value for name, value in response.headers.items() if name.lower() not in _HOP_HEADERS
    }
    return Answer(response.status_code, response.content, kept)


@contextmanager
def relay(sandbox: Sandbox, fault: Callable[[Seen], Answer | None]) -> Iterator[Loopback]:
    """Forward requests to a sandbox's API, except where a fault replaces the response.

    If the fault returns an answer, the request does not reach the sandbox, unless the answer is an `AfterRequest`.
    """
    root = sandbox.base_url.removesuffix("/api/v1/")
    with httpx.Client(trust_env=False) as upstream:

        def script(seen: Seen) -> Answer:
            answer = fault(seen)
            if answer is not None and not isinstance(answer, AfterRequest):
                return answer
            forwarded = forward(upstream, root, seen)
            return answer or forwarded

        with Loopback(script) as server:
            yield server


#: The timeout of the clients in seconds, which also bounds their search for the effect of a lost request.
PATIENCE = 1.0

CUT = Answer(reset=True)
UNAVAILABLE = Answer(503, b"<html>busy</html>")
SERVER_ERROR = Answer(500, b"<html>Server Error (500)</html>")
ACTED_CUT = AfterRequest(reset=True)
#: The ways to lose the response to a request that was carried out.
AFTER = {
    "connection cut": ACTED_CUT,
    "502": AfterRequest(502, b"<html>Bad Gateway</html>"),
    "504": AfterRequest(504, b"<html>Gateway Time-out</html>"),
    "body cut short": AfterRequest(
        201, b'{"pk": "0fd8', {"Content-Type": "application/json"}, 2000
    ),
    "login page": AfterRequest(200, b"<html>Log in</html>", {"Content-Type": "text/html"}),
}
#: The faults of a request and of its retries; later retries meet no fault.
LOST_RESPONSES: dict[str, tuple[Answer, ...]] = {
    **{f"done, {name}": (answer,) for name, answer in AFTER.items()},
    "done, lost twice": (ACTED_CUT, ACTED_CUT),
    "done, the repeat lost before": (ACTED_CUT, CUT),
    "done, the repeat too early": (ACTED_CUT, SERVER_ERROR),
    "done, the repeats too early": (ACTED_CUT, SERVER_ERROR, SERVER_ERROR),
    "not done, connection cut": (CUT,),
    "not done, 503": (UNAVAILABLE,),
    "not done, lost twice": (CUT, UNAVAILABLE),
    "not done, then done and lost": (CUT, ACTED_CUT),
}


class FaultScript:
    """The faults of the requests of one method and path, one after the other.

    Args:
        method: The HTTP method.
        path: A regular expression for the path.
        answers: The answers to the first requests; further requests meet no fault.
    """

    def __init__(self, method: str, path: str, *answers: Answer) -> None:
        self.seen: list[Seen] = []
        self._method = method
        self._path = re.compile(path)
        self._left = list(answers)
        self._lock = threading.Lock()

    def __call__(self, seen: Seen) -> Answer | None:
        """Return the fault of a request, if any."""
        if seen.method != self._method or not self._path.search(seen.path):
            return None
        with self._lock:
            self.seen.append(seen)
            return self._left.pop(0) if self._left else None


def connected(sandbox: Sandbox, server: Loopback, **options: object) -> Client:
    """Return a client of a relay, with a short timeout."""
    settings = {"timeout": PATIENCE, "verify": NO_TLS, **options}
    return Client(sandbox.token, server.base_url, **settings)  # type: ignore[arg-type]


@contextmanager
def through(sandbox: Sandbox, *faults: FaultScript, **options: object) -> Iterator[Client]:
    """Run a relay with the given faults and yield a client of it."""

    def first(seen: Seen) -> Answer | None:
        return next((answer for fault in faults if (answer := fault(seen)) is not None), None)

    with relay(sandbox, first) as server, connected(sandbox, server, **options) as client:
        yield client
