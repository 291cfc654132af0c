"""A local Grand Challenge to try things against; it listens on loopback only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcapi_sandbox._app.request_log import RecordedRequest
    from gcapi_sandbox.faults import Faults, Rule
    from gcapi_sandbox.sandbox import Sandbox

__all__ = ["Faults", "RecordedRequest", "Rule", "Sandbox"]

_HOMES = {
    "Faults": "gcapi_sandbox.faults",
    "RecordedRequest": "gcapi_sandbox._app.request_log",
    "Rule": "gcapi_sandbox.faults",
    "Sandbox": "gcapi_sandbox.sandbox",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
