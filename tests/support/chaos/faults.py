"""Seeded schedules of faults, as rules of the sandbox."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from gcapi_sandbox import Faults, RecordedRequest, Rule
from gcapi_sandbox.limits import Limits
from tests.support.lost_responses import always

#: A client tolerates this many faults wherever they occur: a lost write is retried four times.
TOLERATED_FAULTS = 4
#: The most faults of a run that may end with an error.
MOST_FAULTS = 14
#: Fields of a rule.
Failure = Mapping[str, Any]
_INSTEAD: tuple[Failure, ...] = (
    {"failure": "reset"},
    {"failure": "status", "status": 502},
    {"failure": "status", "status": 503},
    {"failure": "status", "status": 504},
)
#: Faults before and after a request is carried out.
TOLERATED: tuple[Failure, ...] = (
    *({"when": "before", **failure} for failure in _INSTEAD),
    *({"when": "after", **failure} for failure in _INSTEAD),
    {"failure": "truncate"},
)
#: Faults that no retry hides: half a body that ends like a whole one, and a request that is carried out after its
#: connection broke.
UNTOLERATED: tuple[Failure, ...] = (
    {"failure": "half", "origin": "api"},
    {"failure": "reset", "when": "later", "latency": 0.03},
)
#: The same, but not at deciding writes: of a 500, the client believes that nothing was done.
UNTOLERATED_ELSEWHERE: tuple[Failure, ...] = (
    {"failure": "stale", "method": "GET"},
    {"failure": "status", "status": 500, "when": "after", "method": "GET"},
    {"failure": "status", "status": 500, "when": "after", "path": "*/uploads/*"},
)
#: The writes that must happen exactly once.
DECIDING = (
    ("POST", "*/items/"),
    ("PATCH", "*/items/*/"),
    ("POST", "*/display-sets/"),
    ("PATCH", "*/display-sets/*/"),
    ("POST", "*/jobs/"),
    ("POST", "*/answers/"),
)
UPLOAD_LIFETIME = Limits().upload_seconds
HOUR = 3600


class Schedule:
    """The faults of a run.

    Attributes:
        is_hard: Whether a call may raise a documented exception.
        suspensions: The rules at which the client's process is suspended for longer than the server keeps unused
            uploads; at most one of them strikes.
        faults: The faults of the sandbox.
    """

    def __init__(self, seed: int) -> None:
        rng = Random(f"schedule {seed}")
        self.is_hard = rng.random() < 0.4
        usually = rng.uniform(0.02, 0.2)
        untolerated = UNTOLERATED if self.is_hard else ()
        rules: list[Rule] = []
        for method, path in DECIDING:
            # In a run, some deciding writes have few faults, so that faults are left for later requests.
            likely = rng.choice((0.0, 0.6, 0.98) if self.is_hard else (0.0, 0.4, 0.8))
            failures = [*TOLERATED, *untolerated]
            rules += _one_of(rng, failures, likely, {"method": method, "path": path})
        elsewhere = UNTOLERATED_ELSEWHERE if self.is_hard else ()
        rules += _one_of(rng, [*TOLERATED, *untolerated, *elsewhere], usually, {})
        rules.append(Rule(latency=rng.uniform(0.005, 0.05), probability=0.1, per="kind"))
        # Less than the lifetime of an upload in total, and only once more than that of a URL.
        for jump in (rng.uniform(60, 10 * HOUR), -rng.uniform(60, 10 * HOUR)):
            if rng.random() < 0.2:
                rules.append(Rule(clock_jump=jump, skip=rng.randint(0, 20), times=1))
        can_suspend = hasattr(signal, "SIGSTOP")
        self.suspensions = _suspensions(rng) if can_suspend and rng.random() < 0.25 else ()
        self.is_hard = self.is_hard or bool(self.suspensions)
        self.faults = Faults(
            seed=seed,
            rules=(*self.suspensions, *rules),
            budget=rng.randint(TOLERATED_FAULTS + 1, MOST_FAULTS)
            if self.is_hard
            else rng.randint(1, TOLERATED_FAULTS),
            # What the client sees of a server whose clock is right, if its own is wrong.
            clock_offset=rng.choice((0, 0, -30 * 24 * HOUR, -HOUR, HOUR, 30 * 24 * HOUR)),
        )


def _one_of(
    rng: Random, failures: Sequence[Failure], likely: float, selected: Failure
) -> Iterator[Rule]:
    """Yield rules of which one applies with a probability, each as likely as the others.

    The first failure applies, so the probability of a rule is that among the rules that are left.
    """
    share = likely / len(failures)
    for index, failure in enumerate(rng.sample(failures, len(failures))):
        probability = share / (1 - index * share)
        yield Rule(**{**selected, **failure}, per="kind", probability=probability)


def _suspensions(rng: Random) -> tuple[Rule, ...]:
    """Return the loss of a connection whose client sleeps for more than a day."""
    method, paths, most_before = rng.choice(
        (
            ("", ("*",), 20),
            ("POST", ("*/items/", "*/display-sets/", "*/jobs/"), 0),
            ("PATCH", ("*/items/*", "*/display-sets/*"), 0),
            ("PATCH", ("*/complete-multipart-upload/",), 1),
        )
    )
    lost = Rule(
        skip=rng.randint(0, most_before),
        times=1,
        clock_jump=UPLOAD_LIFETIME + 12 * HOUR,  # also after a jump back
        failure="reset",
        when=rng.choice(("before", "after", "later")),
    )
    return always(method, paths, lost)


def fails(request: RecordedRequest) -> bool:
    """Return whether a rule made a request fail."""
    return any(rule.failure != "none" for rule in request.faults)


def describe(request: RecordedRequest) -> str:
    """Return a request with what rules did to it."""
    failing = next((rule for rule in request.faults if rule.failure != "none"), None)
    words = [f"{request.method} {request.path}:"]
    if failing:
        words += [failing.failure, failing.when]
        words += [str(failing.status)] if failing.failure == "status" else []
    words += [f"clock {rule.clock_jump:+.0f} s" for rule in request.faults if rule.clock_jump]
    return " ".join(words)
