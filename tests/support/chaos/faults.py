"""Seeded schedules of faults, and the relays that apply them to the requests of a client.

The fault of the n-th request of a kind depends only on the seed, so that a failing seed reproduces.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random

import httpx

from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import Answer, Loopback, Seen
from tests.support.servers.relay import forward

#: A client tolerates this many faults wherever they occur: a lost write is retried four times.
TOLERATED_FAULTS = 4
#: The most faults of a run that may end with an error.
MOST_FAULTS = 14
#: Faults before a request is carried out, and after it.
BEFORE = ("reset", "502", "503", "504")
AFTER = ("acted, reset", "acted, cut short", "acted, 502", "acted, 503", "acted, 504")
DELAY = "late"
#: Faults that no retry hides: 500 after the request was carried out, half a body that ends like a whole one, a request
#: that is delivered after its connection broke, and the response to the same request as it was before.
UNTOLERATED = ("acted, 500", "half, closed", "reset, delivered late", "stale")
#: The parts of a path that differ between two requests of a kind: primary keys, unique names and signatures.
_PARTICULAR = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|-[0-9a-f]{10}|\?.*|/[0-9a-f]{2}(?=/)|[^/]{40,}|\d+"
)
#: The writes that must happen exactly once.
_DECIDING = re.compile(r"(POST|PATCH) .*/(items|display-sets|jobs|answers)/(\*/)?$")


@dataclass
class Schedule:
    """The faults of the requests of a run.

    Attributes:
        seed: The seed that all decisions derive from.
        log: Descriptions of the faults that occurred.
    """

    seed: int
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = Random(f"schedule {self.seed}")
        self.is_hard = rng.random() < 0.4
        self._left = (
            rng.randint(TOLERATED_FAULTS + 1, MOST_FAULTS)
            if self.is_hard
            else rng.randint(1, TOLERATED_FAULTS)
        )
        self._usually = rng.uniform(0.02, 0.2)
        # In a run, some kinds of requests have no faults, so that faults are left for later requests.
        self._at_deciding = (0.0, 0.6, 0.98) if self.is_hard else (0.0, 0.4, 0.8)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def draw(self, origin: str, seen: Seen) -> tuple[str, float]:
        """Return the fault of a request, if any, and its delay in seconds."""
        sort = f"{origin} {seen.method} {_PARTICULAR.sub('*', seen.path)}"
        with self._lock:
            self._counts[sort] += 1
            number = self._counts[sort]
            rng = Random(f"{self.seed} {sort} {number}")
            likely = self._usually
            if _DECIDING.search(sort):
                likely = Random(f"{self.seed} {sort}").choice(self._at_deciding)
            if not self._left or rng.random() > likely:
                return "", 0.0
            hidden = [*BEFORE, *AFTER, *AFTER, DELAY]
            fault = rng.choice([*hidden, *UNTOLERATED] if self.is_hard else hidden)
            if fault == "acted, 500" and _DECIDING.search(sort):
                fault = "acted, 502"  # of a 500, the client believes that nothing was done
            if fault != DELAY:
                self._left -= 1
            self.log.append(f"{sort} #{number}: {fault}")
            return fault, rng.uniform(0.005, 0.05) if "late" in fault else 0.0


@dataclass
class _Relays:
    """The relays of both origins of a sandbox.

    Attributes:
        upstream: Sends the requests to the sandbox.
        schedule: The faults.
        storage: The address of the sandbox's store.
        own_storage: The address of its relay.
    """

    upstream: httpx.Client
    schedule: Schedule
    storage: str
    own_storage: str = ""
    _earlier: dict[str, Answer] = field(default_factory=dict[str, Answer])
    _deliveries: list[threading.Timer] = field(default_factory=list[threading.Timer])

    def answer(self, origin: str, root: str, seen: Seen) -> Answer:
        """Return the answer to a request, with its fault."""
        fault, delay = self.schedule.draw(origin, seen)
        if fault == "reset, delivered late":
            delivery = threading.Timer(delay, forward, (self.upstream, root, seen))
            self._deliveries.append(delivery)
            delivery.start()
            return Answer(reset=True)
        time.sleep(delay)
        if fault in BEFORE:
            return _broken(fault)
        request = f"{origin} {seen.method} {seen.path}"
        stale = self._earlier.get(request) if fault == "stale" else None
        return stale or self._forwarded(fault, origin, root, seen)

    def _forwarded(self, fault: str, origin: str, root: str, seen: Seen) -> Answer:
        answer = forward(self.upstream, root, seen)
        content = answer.content()
        if fault == "acted, 500" or (
            fault in AFTER and not (fault == "acted, cut short" and content)
        ):
            return _broken(fault.removeprefix("acted, "))
        headers = {
            name: value.replace(self.storage, self.own_storage)
            for name, value in answer.headers.items()
        }
        if origin == "api":
            content = content.replace(self.storage.encode(), self.own_storage.encode())
        half = content[: len(content) // 2]
        if fault in AFTER:
            return Answer(answer.status, half, headers, len(content))
        if fault == "half, closed" and origin == "api":
            return Answer(answer.status, half, headers)
        whole = Answer(answer.status, content, headers)
        if seen.method == "GET" and answer.status == httpx.codes.OK:
            self._earlier[f"{origin} GET {seen.path}"] = whole
        return whole

    def deliver(self) -> None:
        """Wait for the requests that are delivered late."""
        for delivery in self._deliveries:
            delivery.join()


@contextmanager
def faulty_relays(sandbox: Sandbox, upstream: httpx.Client, schedule: Schedule) -> Iterator[str]:
    """Run relays with scheduled faults for both origins of a sandbox; yield the API's address."""
    api = sandbox.base_url.removesuffix("/api/v1/")
    storage = sandbox.storage_url.rstrip("/")
    relays = _Relays(upstream, schedule, storage)
    with (
        Loopback(partial(relays.answer, "storage", storage), with_version=False) as store,
        Loopback(partial(relays.answer, "api", api), with_version=False) as server,
    ):
        relays.own_storage = store.origin
        try:
            yield server.base_url
        finally:
            relays.deliver()


def _broken(fault: str) -> Answer:
    if fault.isdigit():
        return Answer(int(fault), b"<html>not now</html>", {"Content-Type": "text/html"})
    return Answer(reset=True)
