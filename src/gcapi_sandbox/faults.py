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

_ERROR_STATUSES = range(400, 600)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A selection of requests and the fault that they meet.

    If several rules strike a request, their latencies add up, and the lowest rate and the first
    failure apply.

    Attributes:
        origin: The origin that receives the request.
        method: The method in capitals; empty for any method.
        path: A glob pattern for the whole path, such as `*/uploads/*`.
        skip: Number of selected requests that pass before the first one is struck.
        times: Maximum number of requests to strike; None for no maximum.
        probability: Probability that a selected request is struck.
        latency: Delay of the request in seconds.
        rate: Maximum bytes per second of the request body and of the response body; None for no
            maximum.
        failure: `status` responds with `status`; `reset` resets the connection instead of
            responding, `reset midway` does so after half of the response body, `truncate` closes
            the connection there. A response without a body is not sent at all.
        when: Whether `status` and `reset` happen before or after the request is carried out.
        status: Status code (4xx or 5xx) of a failure `status`, which has an HTML body.
        retry_after: `Retry-After` of a failure `status` in seconds; None for no such header.
        links: `expired` makes the presigned URLs in the response expired from the start.
    """

    origin: Literal["any", "api", "storage"] = "any"
    method: str = ""
    path: str = "*"
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    latency: float = 0.0
    rate: int | None = None
    failure: Literal["none", "status", "reset", "reset midway", "truncate"] = "none"
    when: Literal["before", "after"] = "before"
    status: int = 503
    retry_after: int | None = None
    links: Literal["valid", "expired"] = "valid"

    def __post_init__(self) -> None:
        for name in ("skip", "times", "probability", "latency", "retry_after"):
            check_minimum(name, getattr(self, name), 0)
        check_minimum("rate", self.rate, 1)
        if self.probability > 1:
            raise ValueError(f"probability must be at most 1, is {self.probability:g}")
        if self.status not in _ERROR_STATUSES:
            raise ValueError(f"status must be from 400 to 599, is {self.status}")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """All faults that a sandbox injects.

    Attributes:
        seed: Seed of the random choice of requests.
        rules: Which requests meet which fault.
        import_seconds: Delay before each import of images, in seconds.
        limits: Values for fields of `sandbox.limits` while these faults are set.
    """

    seed: int = 0
    rules: tuple[Rule, ...] = ()
    import_seconds: float = 0.0
    limits: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        check_minimum("import_seconds", self.import_seconds, 0)
        check_limits(self.limits)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that sets these faults over HTTP."""
        return {**asdict(self), "rules": [asdict(rule) for rule in self.rules]}
