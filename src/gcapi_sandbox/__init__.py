"""A local Grand Challenge for development and tests, which listens on loopback only.

It imports nothing of gcapi, so that an error in one of the two shows as a disagreement. Only the pytest plugin uses
both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcapi_sandbox._app.request_log import RecordedRequest
    from gcapi_sandbox.faults import Faults, Rule
    from gcapi_sandbox.sandbox import Sandbox

__all__ = ["Faults", "RecordedRequest", "Rule", "Sandbox"]

_MODULES = {
    "Faults": "gcapi_sandbox.faults",
    "RecordedRequest": "gcapi_sandbox._app.request_log",
    "Rule": "gcapi_sandbox.faults",
    "Sandbox": "gcapi_sandbox.sandbox",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
