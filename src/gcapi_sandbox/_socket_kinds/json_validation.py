"""Validation against JSON schemas (draft 7), and comparison of JSON values."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, cast

from gcapi_sandbox._util.json_types import is_array, is_object

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator


def canonical(data: Any) -> str:
    """Return the same text for equal JSON values; 1 equals 1.0 but not true."""
    return json.dumps(_normalized(data), sort_keys=True)


def _normalized(data: Any) -> Any:
    if is_object(data):
        return {key: _normalized(value) for key, value in data.items()}
    if is_array(data):
        return [_normalized(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


def schema_problem(data: Any, schema: Any) -> str | None:
    """Return the most relevant violation of a schema, which quotes the data."""
    from jsonschema.exceptions import best_match  # pyright: ignore[reportUnknownVariableType]

    error = cast(
        "ValidationError | None", best_match(_validator(json.dumps(schema)).iter_errors(data))
    )
    return None if error is None else f"instance {error.message}"


def check_schema(schema: Any) -> None:
    """Raise ValueError for an invalid JSON schema."""
    from jsonschema import Draft7Validator, SchemaError

    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"This is not a valid JSON schema (draft 7): {error.message}") from None


@functools.lru_cache(maxsize=1024)
def _validator(schema: str) -> Validator:
    from jsonschema import Draft7Validator
    from referencing import Registry

    # With its own registry the validator fetches no remote references.
    return Draft7Validator(json.loads(schema), registry=Registry())
