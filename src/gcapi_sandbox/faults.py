"""Fault injection: which requests to a sandbox are delayed, slowed down or failed, on purpose and reproducibly.

Set a `Faults` as `sandbox.faults` in Python, or as JSON at `/_sandbox/faults` of the API origin: POST sets it, GET
returns it with the number of requests that each rule struck, DELETE clears it. Whether a rule strikes the n-th request
that it selects is drawn from the seed, the index of the rule and n, so the same seed and the same sequence of requests
meet the same faults. Faults are not stored; they end with the sandbox.

The path needs no token, since it gives access to nothing else, but web pages must not use it. A request is refused if
its Host is not a loopback name (DNS rebinding), if it has an Origin header or, according to the
browser, comes from a page, or if its body is not declared as JSON. No CORS preflight is answered.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from gcapi_sandbox.limits import check_limits, check_minimum

_STATUSES = range(200, 600)
_MAX_CLOCK_SECONDS = 10**9


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A selection of requests and the fault that they meet.

    If several rules strike a request, their latencies and clock jumps add up, and the lowest rate
    and the first failure apply.

    Attributes:
        origin: The origin that receives the request.
        method: The method in capitals; empty for any method.
        path: A glob pattern for the whole path, such as `*/uploads/*`.
        per: What `skip`, `times` and the choice by `probability` count: all requests of the `rule`,
            or each `kind` of them apart: those with the same origin, method and path, in which
            every part that has a digit counts as the same. Requests of different kinds then meet
            the same faults in whatever order they arrive.
        skip: Number of selected requests that pass before the first one is struck.
        times: Maximum number of requests to strike; None for no maximum.
        probability: Probability that a selected request is struck.
        latency: Delay of the request in seconds.
        rate: Maximum bytes per second of the request body and of the response body; None for no
            maximum.
        clock_jump: Seconds by which the server's clock jumps, back if negative, before the request.
        failure: `status` responds with `status`; `reset` resets the connection instead of
            responding, `reset midway` does so after half of the response body, `truncate` closes
            the connection there. A response without a body is then not sent at all. `half` sends
            half of the response body as if it were the whole. `stale` sends the last successful
            response to the same GET request instead of a new one, if there was one since the
            faults were set.
        when: Whether `status` and `reset` happen before or after the request is carried out; with
            `later`, it is carried out after them, delayed by the latency.
        status: Status code (200 to 599) of a failure `status`.
        retry_after: `Retry-After` of a failure `status` in seconds; None for no such header.
        body: Body of a failure `status`; empty for a short HTML page.
        content_type: Media type of a failure `status`.
        links: `expired` makes the presigned URLs in the response expired from the start.
    """

    origin: Literal["any", "api", "storage"] = "any"
    method: str = ""
    path: str = "*"
    per: Literal["rule", "kind"] = "rule"
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    latency: float = 0.0
    rate: int | None = None
    clock_jump: float = 0.0
    failure: Literal["none", "status", "reset", "reset midway", "truncate", "half", "stale"] = (
        "none"
    )
    when: Literal["before", "after", "later"] = "before"
    status: int = 503
    retry_after: int | None = None
    body: str = ""
    content_type: str = "text/html"
    links: Literal["valid", "expired"] = "valid"

    def __post_init__(self) -> None:
        for name in ("skip", "times", "probability", "latency", "retry_after"):
            check_minimum(name, getattr(self, name), 0)
        check_minimum("rate", self.rate, 1)
        if self.probability > 1:
            raise ValueError(f"probability must be at most 1, is {self.probability:g}")
        if self.status not in _STATUSES:
            raise ValueError(f"status must be from 200 to 599, is {self.status}")
        _check_clock("clock_jump", self.clock_jump)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """All faults that a sandbox injects.

    Attributes:
        seed: Seed of the random choice of requests.
        rules: Which requests meet which fault.
        budget: Maximum number of requests that fail, by all rules together; None for no maximum.
        import_seconds: Delay before each import of images, in seconds.
        clock_offset: Seconds by which the server's clock is ahead of the machine's; negative if it
            is behind.
        limits: Values for fields of `sandbox.limits` while these faults are set.
    """

    seed: int = 0
    rules: tuple[Rule, ...] = ()
    budget: int | None = None
    import_seconds: float = 0.0
    clock_offset: float = 0.0
    limits: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        check_minimum("budget", self.budget, 0)
        check_minimum("import_seconds", self.import_seconds, 0)
        _check_clock("clock_offset", self.clock_offset)
        check_limits(self.limits)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that sets these faults over HTTP."""
        return {**asdict(self), "rules": [asdict(rule) for rule in self.rules]}


def _check_clock(name: str, seconds: float) -> None:
    if abs(seconds) > _MAX_CLOCK_SECONDS:
        raise ValueError(
            f"{name} must be at most {_MAX_CLOCK_SECONDS} s either way, is {seconds:g}"
        )
