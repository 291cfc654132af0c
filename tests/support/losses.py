"""Ways to lose the answer to a request, before or after it was carried out."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gcapi import Client
from gcapi_sandbox import Sandbox
from tests.support.data import Acted, relay
from tests.support.loopback import NO_TLS, Answer, Loopback, Seen

#: Seconds that the clients here wait for an answer, and then look for what a lost request did.
PATIENCE = 1.0

CUT = Answer(reset=True)
UNAVAILABLE = Answer(503, b"<html>busy</html>")
SERVER_ERROR = Answer(500, b"<html>Server Error (500)</html>")
ACTED_CUT = Acted(reset=True)
#: An answer is lost in each of these ways after the server did what it was asked.
AFTER = {
    "connection cut": ACTED_CUT,
    "502": Acted(502, b"<html>Bad Gateway</html>"),
    "504": Acted(504, b"<html>Gateway Time-out</html>"),
    "body cut short": Acted(201, b'{"pk": "0fd8', {"Content-Type": "application/json"}, 2000),
    "login page": Acted(200, b"<html>Log in</html>", {"Content-Type": "text/html"}),
}
#: What becomes of one request and its repeats; those that are not listed arrive and are answered.
FATES: dict[str, tuple[Answer, ...]] = {
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


class Fate:
    """A fault: what becomes of the requests of one method and path, in turn.

    Args:
        method: The method,
        path: and a pattern that the path fits.
        answers: What each gets in place of its answer; further ones are let through.
    """

    def __init__(self, method: str, path: str, *answers: Answer) -> None:
        self.seen: list[Seen] = []
        self._method = method
        self._path = re.compile(path)
        self._left = list(answers)
        self._lock = threading.Lock()

    def __call__(self, seen: Seen) -> Answer | None:
        """Decide what becomes of a request."""
        if seen.method != self._method or not self._path.search(seen.path):
            return None
        with self._lock:
            self.seen.append(seen)
            return self._left.pop(0) if self._left else None


def connected(sandbox: Sandbox, server: Loopback, **options: object) -> Client:
    """Make a client whose requests go through a relay, and who is not patient."""
    settings = {"timeout": PATIENCE, "verify": NO_TLS, **options}
    return Client(sandbox.token, server.base_url, **settings)  # type: ignore[arg-type]


@contextmanager
def through(sandbox: Sandbox, *fates: Fate, **options: object) -> Iterator[Client]:
    """Connect a client by way of a relay with faults."""

    def fault(seen: Seen) -> Answer | None:
        return next((answer for fate in fates if (answer := fate(seen)) is not None), None)

    with relay(sandbox, fault) as server, connected(sandbox, server, **options) as client:
        yield client
