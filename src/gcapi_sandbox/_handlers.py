"""Every module that answers operations or does background work."""

from __future__ import annotations

import importlib

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
    """Import them, which registers their handlers."""
    for module in _MODULES:
        importlib.import_module(f"gcapi_sandbox.{module}")
