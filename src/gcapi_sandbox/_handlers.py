"""Every module that answers operations or does background work."""

from __future__ import annotations

import importlib

from gcapi_sandbox._call import HANDLERS
from gcapi_sandbox._routes import routes

_MODULES = (
    "_algorithms",
    "_answers",
    "_archives",
    "_display_sets",
    "_endpoints",
    "_evaluations",
    "_images",
    "_reader_studies",
    "_running",
    "_sessions",
    "_site",
    "_sockets",
    "_tasks",
    "_uploads",
    "_workstations",
)


def load() -> None:
    """Import them, which registers their handlers; an operation of the schema without one is refused."""
    for module in _MODULES:
        importlib.import_module(f"gcapi_sandbox.{module}")
    check({name for route in routes() for name in route.operations.values()})


def check(operations: set[str]) -> None:
    """Raise LookupError if an operation has no handler."""
    if missing := operations - HANDLERS.keys():
        raise LookupError(f"The sandbox has no handler for {', '.join(sorted(missing))}")
