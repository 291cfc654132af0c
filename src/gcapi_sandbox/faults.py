"""The fault dial: what goes wrong between a client and the sandbox, on purpose and by a seed.

A `Faults` is set as `sandbox.faults` in Python, or as JSON at `/_sandbox/faults` of the API origin: POST sets, GET
shows it with how often each rule struck, DELETE clears it. Whether a rule strikes the n-th request that it selects is
drawn from the seed, the rule's place and n alone, so the same seed and the same sequence of requests meet the same
faults. What is set is forgotten when the sandbox ends.

The path asks for no token, since it opens nothing but this dial, but a web page must not turn it. So a request is
refused whose Host is not a loopback name (a name that was rebound to this machine), which has an Origin or comes from a
page (browsers say so), or whose body is not declared as JSON; and nothing here answers a CORS preflight.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from gcapi_sandbox._database.state import Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUSES = range(400, 600)
_LIMITS = tuple(one.name for one in fields(Limits))


def _at_least(name: str, value: float | None, least: float) -> None:
    if value is not None and value < least:
        raise ValueError(f"{name} must be at least {least:g}, is {value:g}")


def check_limits(limits: Mapping[str, int]) -> None:
    """Raise ValueError if there is no such limit, or one is below zero."""
    for name, number in limits.items():
        if name not in _LIMITS:
            raise ValueError(f"limits.{name} is unknown; known are {', '.join(_LIMITS)}")
        _at_least(f"limits.{name}", number, 0)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A sort of request, and what happens to it.

    Several rules may strike one request: latencies add up, the lowest rate counts, and the
    first failure.

    Attributes:
        origin: The origin that is asked.
        method: The method, in capitals; empty for every one.
        path: A pattern of the whole path, such as `*/uploads/*`; `*` stands for anything.
        skip: How many of these requests pass first.
        times: How many are struck; None for all.
        probability: How likely each of them is struck.
        latency: Seconds by which the request is late.
        rate: Bytes a second of the request's body and of the answer's; None is without bound.
        failure: `status` answers with `status`; `reset` resets the connection instead of an
            answer, `reset midway` after half of the answer's body, `truncate` closes it there.
            Where there is no half, the connection ends without an answer.
        when: Whether `status` and `reset` come before the request is carried out or after.
        status: The status, of 4xx or 5xx, that a failure `status` answers with, as a page of HTML.
        retry_after: Its `Retry-After` in seconds; None for none.
        links: `expired` has the signed links in the answer be over already.
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
        for name, least in (("skip", 0), ("times", 0), ("probability", 0), ("latency", 0)):
            _at_least(name, getattr(self, name), least)
        _at_least("rate", self.rate, 1)
        _at_least("retry_after", self.retry_after, 0)
        if self.probability > 1:
            raise ValueError(f"probability must be at most 1, is {self.probability:g}")
        if self.status not in _STATUSES:
            raise ValueError(f"status must be from 400 to 599, is {self.status}")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Everything that goes wrong.

    Attributes:
        seed: Decides which requests are struck.
        rules: What happens to which requests.
        import_seconds: Seconds that each import of images waits before it begins.
        limits: Other numbers for fields of `sandbox.limits`, for as long as this is set.
    """

    seed: int = 0
    rules: tuple[Rule, ...] = ()
    import_seconds: float = 0.0
    limits: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        _at_least("import_seconds", self.import_seconds, 0)
        check_limits(self.limits)

    def as_json(self) -> dict[str, Any]:
        """Return what can be posted to set this."""
        return {**asdict(self), "rules": [asdict(rule) for rule in self.rules]}
