"""The modules that register handlers of operations or of background tasks when they are imported."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

from gcapi_sandbox import _background, _resources
from gcapi_sandbox._http.operations import HANDLERS

if TYPE_CHECKING:
    from collections.abc import Iterable


def import_handlers() -> None:
    """Import all modules of the packages that hold handlers."""
    for package in (_background, _resources):
        for module in pkgutil.iter_modules(package.__path__):
            import_module(f"{package.__name__}.{module.name}")


def check_handlers(operations: Iterable[str]) -> None:
    """Raise LookupError for operations without a handler."""
    if missing := set(operations) - HANDLERS.keys():
        raise LookupError(f"The sandbox has no handler for {', '.join(sorted(missing))}")
