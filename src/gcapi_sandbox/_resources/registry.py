"""Every module that answers operations or does background work."""

from __future__ import annotations

import importlib

from gcapi_sandbox._http.handlers import HANDLERS
from gcapi_sandbox._http.routing import routes

_MODULES = (
    "_background.import_tasks",
    "_background.job_runner",
    "_resources.algorithms",
    "_resources.answers",
    "_resources.archives",
    "_resources.display_sets",
    "_resources.endpoints",
    "_resources.evaluations",
    "_resources.images",
    "_resources.reader_studies",
    "_resources.site",
    "_resources.sockets",
    "_resources.upload_sessions",
    "_resources.uploads",
    "_resources.viewers",
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
