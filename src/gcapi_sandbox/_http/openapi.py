"""The OpenAPI documents that ship with the generated client: the published one and the corrected one."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@functools.cache
def published() -> dict[str, Any]:
    """Return the schema as the server publishes it."""
    return _read("schema_published.json")


@functools.cache
def corrected() -> dict[str, Any]:
    """Return the schema after its corrections."""
    return _read("schema.json")


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the path, the method (in capitals) and the description of each operation."""
    for path, methods in document["paths"].items():
        for method, description in methods.items():
            if "operationId" in description:
                yield path, method.upper(), description


def _read(name: str) -> dict[str, Any]:
    text = (files("grand_challenge_api") / name).read_text(encoding="utf-8")
    # The generator's own notes (`x-…`) are not part of the server's schema.
    return {key: value for key, value in json.loads(text).items() if not key.startswith("x-")}
