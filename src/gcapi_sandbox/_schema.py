"""Check JSON against the part of JSON Schema (draft 7) that sockets use."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _is_number(data: Any) -> bool:
    return isinstance(data, int | float) and not isinstance(data, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda data: isinstance(data, str),
    "integer": lambda data: _is_number(data) and float(data).is_integer(),
    "number": _is_number,
    "boolean": lambda data: isinstance(data, bool),
    "null": lambda data: data is None,
    "array": lambda data: isinstance(data, list),
    "object": lambda data: isinstance(data, dict),
}


def same(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 equals 1.0 and nothing else equals true."""
    return canonical(one) == canonical(other)


def canonical(data: Any) -> str:
    """Return one text for all JSON that means the same."""
    return json.dumps(_whole(data), sort_keys=True)


def _whole(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _whole(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_whole(value) for value in data]
    return int(data) if isinstance(data, float) and data.is_integer() else data


def problems(data: Any, schema: Any) -> Iterator[str]:
    """Yield what is wrong with the data, each as a clause without the data itself."""
    if schema is False:
        yield "is not allowed"
    if not isinstance(schema, dict):
        return
    for keyword, expected in schema.items():
        if check := _CHECKS.get(keyword):
            yield from check(data, expected, schema)


def _type(data: Any, expected: Any, _: Any) -> Iterator[str]:
    names = expected if isinstance(expected, list) else [expected]
    if not any(_TYPES[name](data) for name in names):
        yield f"is not of type {', '.join(map(repr, names))}"


def _const(data: Any, expected: Any, _: Any) -> Iterator[str]:
    if not same(data, expected):
        yield f"was expected to be {expected!r}"


def _enum(data: Any, expected: Any, _: Any) -> Iterator[str]:
    if not any(same(data, choice) for choice in expected):
        yield f"is not one of {expected!r}"


def _bound(
    wrong: Callable[[Any, Any], bool], measure: Callable[[Any], Any], says: str
) -> Callable[[Any, Any, Any], Iterator[str]]:
    def check(data: Any, expected: Any, _: Any) -> Iterator[str]:
        size = measure(data)
        if size is not None and wrong(size, expected):
            yield says.format(expected)

    return check


def _number(data: Any) -> Any:
    return data if _is_number(data) else None


def _length(kind: type[str | list[Any]]) -> Callable[[Any], int | None]:
    return lambda data: len(data) if isinstance(data, kind) else None


def _pattern(data: Any, expected: Any, _: Any) -> Iterator[str]:
    if isinstance(data, str) and not re.search(expected, data):
        yield f"does not match {expected!r}"


def _items(data: Any, expected: Any, _: Any) -> Iterator[str]:
    for element in data if isinstance(data, list) else ():
        yield from problems(element, expected)


def _required(data: Any, expected: Any, _: Any) -> Iterator[str]:
    if isinstance(data, dict):
        yield from (f"{name!r} is a required property" for name in expected if name not in data)


def _properties(data: Any, expected: Any, _: Any) -> Iterator[str]:
    for name, schema in expected.items():
        if isinstance(data, dict) and name in data:
            yield from problems(data[name], schema)


def _additional(data: Any, expected: Any, schema: Any) -> Iterator[str]:
    if not isinstance(data, dict):
        return
    for name in data.keys() - schema.get("properties", {}).keys():
        if expected is False:
            yield f"has the unexpected property {name!r}"
        else:
            yield from problems(data[name], expected)


def _any_of(data: Any, expected: Any, _: Any) -> Iterator[str]:
    if not any(not list(problems(data, schema)) for schema in expected):
        yield "is not valid under any of the given schemas"


def _all_of(data: Any, expected: Any, _: Any) -> Iterator[str]:
    for schema in expected:
        yield from problems(data, schema)


_CHECKS: dict[str, Callable[[Any, Any, Any], Iterator[str]]] = {
    "type": _type,
    "const": _const,
    "enum": _enum,
    "minimum": _bound(lambda a, b: a < b, _number, "is less than the minimum of {}"),
    "maximum": _bound(lambda a, b: a > b, _number, "is greater than the maximum of {}"),
    "minLength": _bound(lambda a, b: a < b, _length(str), "is too short"),
    "maxLength": _bound(lambda a, b: a > b, _length(str), "is too long"),
    "minItems": _bound(lambda a, b: a < b, _length(list), "is too short"),
    "maxItems": _bound(lambda a, b: a > b, _length(list), "is too long"),
    "pattern": _pattern,
    "items": _items,
    "required": _required,
    "properties": _properties,
    "additionalProperties": _additional,
    "anyOf": _any_of,
    "oneOf": _any_of,
    "allOf": _all_of,
}
