"""Requests and responses that a sandbox loses, and the sockets and values of the writes that meet this."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Faults, RecordedRequest, Rule, Sandbox
from tests.support.data import noise, unique, written
from tests.support.servers.loopback import NO_TLS

# ---------------------------------------------------------------- faults

#: The timeout of the clients in seconds, which also bounds their search for the effect of a lost request.
PATIENCE = 1.0
#: The paths of the requests that create cases, and of those that fill or change them.
CREATION = ("*/archives/items/", "*/display-sets/")
CHANGE = ("*/archives/items/*/", "*/display-sets/*/")

CUT = Rule(failure="reset")
UNAVAILABLE = Rule(failure="status", status=503)
SERVER_ERROR = Rule(failure="status", status=500)
REFUSED = Rule(
    failure="status", status=403, body='{"detail": "No."}', content_type="application/json"
)
ACTED_CUT = Rule(failure="reset", when="after")
#: The ways to lose the response to a request that was carried out.
AFTER = {
    "connection cut": ACTED_CUT,
    "502": Rule(failure="status", status=502, when="after"),
    "504": Rule(failure="status", status=504, when="after"),
    "body cut short": Rule(failure="truncate"),
    "login page": Rule(failure="status", status=200, when="after", body="<html>Log in</html>"),
}
#: The faults of a request and of its retries; later retries meet no fault.
LOST_RESPONSES: dict[str, tuple[Rule, ...]] = {
    **{f"done, {name}": (failure,) for name, failure in AFTER.items()},
    "done, lost twice": (ACTED_CUT, ACTED_CUT),
    "done, the repeat lost before": (ACTED_CUT, CUT),
    "done, the repeat too early": (ACTED_CUT, SERVER_ERROR),
    "done, the repeats too early": (ACTED_CUT, SERVER_ERROR, SERVER_ERROR),
    "not done, connection cut": (CUT,),
    "not done, 503": (UNAVAILABLE,),
    "not done, lost twice": (CUT, UNAVAILABLE),
    "not done, then done and lost": (CUT, ACTED_CUT),
}


def always(method: str, paths: tuple[str, ...], failure: Rule) -> tuple[Rule, ...]:
    """Return a failure of all requests of a method and of any of the paths."""
    return tuple(replace(failure, method=method, path=path) for path in paths)


def in_turn(
    method: str, paths: tuple[str, ...], *failures: Rule, skip: int = 0
) -> tuple[Rule, ...]:
    """Return the failures of the requests of a method and path, one after the other.

    Args:
        method: The HTTP method.
        paths: Glob patterns for the path; each is counted apart.
        failures: The failures of the first requests; further requests meet no fault.
        skip: The number of requests that pass before the first failure.
    """
    return tuple(
        replace(rule, skip=skip + number, times=1)
        for number, failure in enumerate(failures)
        for rule in always(method, paths, failure)
    )


def connected(sandbox: Sandbox, **options: Any) -> Client:
    """Return a client of a sandbox, with a short timeout."""
    return Client(
        sandbox.token, sandbox.base_url, **{"timeout": PATIENCE, "verify": NO_TLS, **options}
    )


@contextmanager
def faulty(
    sandbox: Sandbox,
    *rules: Rule,
    on_strike: Callable[[Rule, RecordedRequest], object] | None = None,
    **options: Any,
) -> Iterator[Client]:
    """Clear the request log, set faults inside the block, and yield a client.

    Args:
        sandbox: The sandbox.
        rules: The faults, which other clients meet too.
        on_strike: Called before each fault.
        options: The options of the client.
    """
    sandbox.requests.clear()
    sandbox.faults, sandbox.on_strike = Faults(rules=rules), on_strike
    try:
        with connected(sandbox, **options) as client:
            yield client
    finally:
        sandbox.faults, sandbox.on_strike = Faults(), None


# ---------------------------------------------------------------- sockets and values


@dataclass(frozen=True)
class Sockets:
    """Sockets whose values arrive in different ways.

    Attributes:
        number: A value that is there at once.
        table: A file that is imported in the background.
        image: An image that is imported in the background.
    """

    number: str
    table: str
    image: str


def add_sockets(sandbox: Sandbox) -> Sockets:
    """Add a socket of each kind."""
    return Sockets(
        sandbox.add_socket(unique("number"), "Anything"),
        sandbox.add_socket(unique("table"), "CSV file"),
        sandbox.add_socket(unique("image")),
    )


def make_values(sockets: Sockets, folder: Path) -> dict[str, list[SocketValueSpec]]:
    """Return values that are sent inline, as uploads, and both."""
    number = SocketValueSpec(sockets.number, value={"a": (1, None)})
    table = SocketValueSpec(sockets.table, file=written(folder / "ein (1)+1 Wert.csv", "a;ü"))
    image = SocketValueSpec(sockets.image, file=noise(folder / "noise.mha", 8))
    return {
        "none": [],
        "inline": [number],
        "uploads": [table, image],
        "all": [number, table, image],
    }
