"""Packages that are not installed with gcapi."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_extra(module: str, missing: ImportError) -> Any:
    """Return a module of another package.

    Args:
        module: Its name.
        missing: The exception if it cannot be imported, which says what to install.

    Raises:
        ImportError: It cannot be imported; this is `missing`.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing from error
