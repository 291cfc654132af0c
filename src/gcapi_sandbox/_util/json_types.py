"""JSON values: a type, type guards and a compact encoding."""

from __future__ import annotations

import json
from typing import Any, TypeGuard

Json = Any


def is_object(value: object) -> TypeGuard[dict[str, Json]]:
    """Return whether a value is a JSON object."""
    return isinstance(value, dict)


def is_array(value: object) -> TypeGuard[list[Json]]:
    """Return whether a value is a JSON array."""
    return isinstance(value, list)


def encode(value: Json) -> bytes:
    """Return a value as compact JSON in UTF-8, as the server writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
