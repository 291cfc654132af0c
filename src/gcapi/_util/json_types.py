"""Type guards for JSON values, and arrays as JSON values."""

from __future__ import annotations

import operator
from typing import Any, TypeGuard


def is_object(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether a value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Any]]:
    """Return whether a value is a JSON array."""
    return isinstance(value, list)


def is_sequence(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Return whether a value is a list or tuple, which both become JSON arrays."""
    return isinstance(value, list | tuple)


def without_arrays(value: Any) -> Any:
    """Return a value in which NumPy's scalars and arrays, and their like, are numbers, texts and lists.

    Containers without any are returned as they are.
    """
    if value is None or type(value) in {str, int, float, bool}:
        return value
    if hasattr(value, "__array__") and hasattr(value, "tolist"):
        return without_arrays(value.tolist())
    if is_object(value):
        entries = {key: without_arrays(item) for key, item in value.items()}
        return entries if any(entries[key] is not value[key] for key in value) else value
    if is_sequence(value):
        items = [without_arrays(item) for item in value]
        return items if any(map(operator.is_not, items, value)) else value
    return value
