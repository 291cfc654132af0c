"""JSON against JSON schemas (draft 7), and JSON that means the same."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any, cast

from gcapi_sandbox._http.json_types import is_array, is_object

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator


def canonical(data: Any) -> str:
    """Return one text for all JSON that means the same: 1 equals 1.0 and nothing else equals true."""
    return json.dumps(_whole(data), sort_keys=True)


def _whole(data: Any) -> Any:
    if is_object(data):
        return {key: _whole(value) for key, value in data.items()}
    if is_array(data):
        return [_whole(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


def problem(data: Any, schema: Any) -> str | None:
    """Return the gravest thing that is wrong with the data, without the data themselves."""
    from jsonschema.exceptions import best_match  # pyright: ignore[reportUnknownVariableType]

    error = cast(
        "ValidationError | None", best_match(_validator(json.dumps(schema)).iter_errors(data))
    )
    if error is None:
        return None
    return f"instance {error.message.removeprefix(repr(error.instance)).strip()}"


def check_schema(schema: Any) -> None:
    """Raise ValueError for what is no JSON schema."""
    from jsonschema import Draft7Validator, SchemaError

    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        raise ValueError(f"This is no JSON schema (draft 7): {error.message}") from None


@functools.lru_cache(maxsize=1024)
def _validator(schema: str) -> Validator:
    from jsonschema import Draft7Validator
    from referencing import Registry

    # With a registry of its own the validator fetches nothing from elsewhere.
    return Draft7Validator(json.loads(schema), registry=Registry())
