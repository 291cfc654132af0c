"""Requests that are passed on to a sandbox, for what its fault rules cannot do.

A relay records the bytes of requests, changes responses, and serves a sandbox under another name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import Answer, Loopback, Seen

#: Headers of a single connection, and those that the relay's own server sends.
_HOP_HEADERS = frozenset(
    {"content-length", "transfer-encoding", "content-encoding", "connection", "date", "server"}
)
#: Called with a request and its answer; returns the answer to send.
Change = Callable[[Seen, Answer], Answer]


def forward(upstream: httpx.Client, root: str, seen: Seen, **headers: str) -> Answer:
    """Send a request to another server and return its response."""
    response = upstream.request(
        seen.method, root + seen.path, content=seen.body, headers={**seen.headers, **headers}
    )
    kept = {
        name: value for name, value in response.headers.items() if name.lower() not in _HOP_HEADERS
    }
    return Answer(response.status_code, response.content, kept)


def unchanged(_: Seen, answer: Answer) -> Answer:
    """Return an answer as it is."""
    return answer


@contextmanager
def relay(sandbox: Sandbox, change: Change = unchanged) -> Iterator[Loopback]:
    """Forward requests to a sandbox's API, and change its answers."""
    root = sandbox.base_url.removesuffix("/api/v1/")
    with (
        httpx.Client(trust_env=False) as upstream,
        Loopback(lambda seen: change(seen, forward(upstream, root, seen))) as server,
    ):
        yield server
