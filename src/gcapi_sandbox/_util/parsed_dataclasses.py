"""Parsing of user input into dataclasses, with errors that name the key path and the allowed values."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard, TypeVar

from gcapi_sandbox._util.json_types import is_array

T = TypeVar("T")

_TYPE_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}


class ParseError(ValueError):
    """Raised when the input is invalid at a key path, such as `rules[0].status`."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}" if where else problem)


def parse_dataclass(kind: type[T], data: object, where: str = "") -> T:
    """Return a dataclass for a mapping, with the mappings and lists in it.

    Raises:
        ParseError: A key is unknown or missing, a value does not match its annotation, or the
            dataclass raises ValueError.
    """
    parsed: T = _value(kind, data, where)
    return parsed


def _value(hint: Any, data: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if hint in (Any, None, type(None)):
        return data
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, data, where)
    return _PARSERS.get(origin, _plain)(hint, data, where)


def _plain(hint: Any, data: object, where: str) -> Any:
    allowed = (int, float) if hint is float else hint
    if not isinstance(data, allowed) or (isinstance(data, bool) and hint is not bool):
        raise ParseError(where, f"must be {_TYPE_NAMES[hint]}, is {data!r}")
    if isinstance(data, float) and not math.isfinite(data):
        raise ParseError(where, "must be finite")
    return data


def _literal(hint: Any, data: object, where: str) -> Any:
    choices = typing.get_args(hint)
    if data not in choices:
        raise ParseError(where, f"must be one of {', '.join(map(repr, choices))}, is {data!r}")
    return data


def _union(hint: Any, data: object, where: str) -> Any:
    parts = [part for part in typing.get_args(hint) if part is not type(None)]
    if data is None and len(parts) < len(typing.get_args(hint)):
        return None
    # The type of the input chooses between `str` and `list`, or `str` and a mapping.
    nested = isinstance(data, list | Mapping)
    plain = len(parts) == 1 or not nested
    return _value(parts[0 if plain else -1], data, where)


def _tuple(hint: Any, data: object, where: str) -> Any:
    if not is_array(data):
        raise ParseError(where, f"must be a list, is {data!r}")
    item = typing.get_args(hint)[0]
    return tuple(_value(item, one, f"{where}[{index}]") for index, one in enumerate(data))


def _dict(hint: Any, data: object, where: str) -> Any:
    item = typing.get_args(hint)[1]
    return {
        key: _value(item, one, _below(where, key)) for key, one in _mapping(data, where).items()
    }


_PARSERS: dict[Any, Callable[[Any, object, str], Any]] = {
    typing.Literal: _literal,
    types.UnionType: _union,
    tuple: _tuple,
    dict: _dict,
}


def _mapping(data: object, where: str) -> dict[str, object]:
    if not _is_mapping(data):
        raise ParseError(where, f"must be a mapping, is {data!r}")
    for key in data:
        if not isinstance(key, str):
            raise ParseError(where, f"has the key {key!r}, which must be a string")
    return dict(data)


def _is_mapping(data: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(data, Mapping)


def _below(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _dataclass(kind: Any, data: object, where: str) -> Any:
    given = _mapping(data, where)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in given.keys() - fields.keys():
        raise ParseError(_below(where, name), f"is unknown; known are {', '.join(fields)}")
    missing = (dataclasses.MISSING, dataclasses.MISSING)
    for name, field in fields.items():
        if name not in given and (field.default, field.default_factory) == missing:
            raise ParseError(_below(where, name), "is missing")
    hints = typing.get_type_hints(kind)
    values = {name: _value(hints[name], one, _below(where, name)) for name, one in given.items()}
    try:
        return kind(**values)
    except ParseError:
        raise
    except ValueError as error:
        raise ParseError(where, str(error)) from error
