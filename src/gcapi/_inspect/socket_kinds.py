"""The storage kind of each socket, and the JSON shape of each kind.

Shapes are checked client-side, because the server never reports an invalid file. They are those that the server checks
(JSON Schema, draft 7: ``1.0`` is an integer, ``true`` is not). Values of a kind that is missing from the table, because
it is newer than this package, are left to the server.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from gcapi import models
from gcapi._util.json_types import is_object, is_sequence
from gcapi.exceptions import UnexpectedAnswer

#: Yields what is wrong with a value; takes the value and the place that messages call it by.
Shape = Callable[[Any, str], Iterator[str]]

#: Kinds that store a text file, which can be made from a `str`.
TEXT_KINDS = frozenset({"csv file", "newick tree-format file", "obj file"})
#: The longest part of an invalid value that a message shows, in characters.
SHOWN_LIMIT = 60
#: What the server's database cannot store, in a JSON text: unpaired surrogates, and NUL after whole escapes only.
_UNSTORABLE = re.compile(r"[\ud800-\udfff]|(?<!\\)(?:\\\\)*\\u0000")
#: What every JSON text with such characters has if it is ASCII; valid texts may have it too.
_SUSPECT = re.compile(r"\\u(0000|d[89a-f])")

# ---------------------------------------------------------------- storage


class StorageKind(StrEnum):
    """A kind of storage; the value is its name in messages."""

    VALUE = "a value"
    JSON = "a JSON file"
    TEXT = "a text file"
    BINARY = "a file"
    IMAGE = "an image"
    DICOM = "a DICOM image set"


def storage_kind(socket: models.ComponentInterface) -> StorageKind:
    """Return how a socket stores its values.

    The super kind decides, since some kinds are stored either as a value or as a file.
    """
    if not isinstance(socket.kind, str) or not isinstance(socket.super_kind, str):
        raise UnexpectedAnswer(f"The server does not report the kind of socket {socket.slug!r}.")
    kind, super_kind = socket.kind.casefold(), socket.super_kind.casefold()
    if super_kind == "value":
        return StorageKind.VALUE
    if super_kind == "image":
        return StorageKind.DICOM if kind == "dicom image set" else StorageKind.IMAGE
    if kind in JSON_KINDS or (socket.relative_path or "").lower().endswith(".json"):
        return StorageKind.JSON
    return StorageKind.TEXT if kind in TEXT_KINDS else StorageKind.BINARY


# ---------------------------------------------------------------- shapes


def _matching(fits: Callable[[Any], bool], description: str) -> Shape:
    def check(value: Any, place: str) -> Iterator[str]:
        if not fits(value):
            yield _mismatch(place, description, value)

    return check


def _mismatch(place: str, expected: str, value: Any) -> str:
    return f"{place} must be {expected}, not {shortened(json.dumps(value, default=repr))}"


def shortened(text: str) -> str:
    """Return the beginning of a text that is fit for a message."""
    return text if len(text) <= SHOWN_LIMIT else text[: SHOWN_LIMIT - 1] + "…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _list_of(item: Shape, length: int | None = None) -> Shape:
    description = "a list" if length is None else f"a list of {length}"

    def check(value: Any, place: str) -> Iterator[str]:
        if not is_sequence(value) or length not in {None, len(value)}:
            yield _mismatch(place, description, value)
            return
        for index, member in enumerate(value):
            yield from item(member, f"{place}[{index}]")

    return check


def _object_with(
    required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None
) -> Shape:
    shapes = {**required, **(optional or {})}

    def check(value: Any, place: str) -> Iterator[str]:
        if not is_object(value):
            yield _mismatch(place, "an object", value)
            return
        for key in required:
            if key not in value:
                yield f"{place} lacks {key!r}"
        for key, member in value.items():
            if key in shapes:
                yield from shapes[key](member, f"{place}.{key}")
            else:
                yield f"{place} has {key!r}, which is not allowed"

    return check


def _constant(text: str) -> Shape:
    return _matching(lambda value: value == text, repr(text))


ANYTHING = _matching(lambda _: True, "anything")
_STRING = _matching(lambda value: isinstance(value, str), "a string")
_NUMBER = _matching(_is_number, "a number")
_COUNT = _matching(lambda value: _is_integer(value) and value >= 0, "a whole number from 0")
_PROBABILITY = _matching(
    lambda value: _is_number(value) and 0 <= value <= 1, "a number from 0 to 1"
)
_POINT = _list_of(_NUMBER, 3)
_AXIS = _list_of(_POINT, 2)
_VERSION_SHAPE = _object_with({"major": _COUNT, "minor": _COUNT})
_LABELS: dict[str, Shape] = {"name": _STRING, "probability": _PROBABILITY}

_POLYGON: dict[str, Shape] = {
    "seed_point": _POINT,
    "path_points": _list_of(_POINT),
    "sub_type": _STRING,
    "groups": _list_of(_STRING),
}
_LINE = {"seed_points": _list_of(_POINT), "path_point_lists": _list_of(_list_of(_POINT))}

#: Annotations by their type: the plural, the list's key in the plural, and the required fields of the singular.
_ANNOTATIONS: dict[str, tuple[str, str, Mapping[str, Shape]]] = {
    "2D bounding box": ("2D bounding boxes", "boxes", {"corners": _list_of(_POINT, 4)}),
    "Distance measurement": ("distance measurements", "lines", {"start": _POINT, "end": _POINT}),
    "Point": ("points", "points", {"point": _POINT}),
    "Polygon": ("polygons", "polygons", _POLYGON),
    "Line": ("lines", "lines", _LINE),
    "Angle": ("angles", "angles", {"lines": _list_of(_AXIS, 2)}),
    "Ellipse": ("ellipses", "ellipses", {"major_axis": _AXIS, "minor_axis": _AXIS}),
    "Three-point angle": ("three-point angles", "angles", {"angle": _list_of(_POINT, 3)}),
}


def _annotation_shapes() -> Iterator[tuple[str, Shape]]:
    for singular, (plural, key, fields) in _ANNOTATIONS.items():
        types = _constant(singular), _constant(f"Multiple {plural}")
        item = _object_with(fields, {**_LABELS, "type": types[0]})
        one = {"type": types[0], "version": _VERSION_SHAPE, **fields}
        many = {"type": types[1], "version": _VERSION_SHAPE, key: _list_of(item)}
        yield singular.casefold(), _object_with(one, _LABELS)
        yield f"multiple {plural}".casefold(), _object_with(many, {"name": _STRING})


#: The shape of each JSON kind, by its lowercase label.
JSON_KINDS: dict[str, Shape] = {
    "string": _STRING,
    "integer": _matching(_is_integer, "a whole number"),
    "float": _NUMBER,
    "bool": _matching(lambda value: isinstance(value, bool), "true or false"),
    "anything": ANYTHING,
    # The schema of charts is large, and the API does not expose it; the server checks them.
    "chart": _matching(lambda value: isinstance(value, dict), "an object"),
    "choice": _STRING,
    "multiple choice": _list_of(_STRING),
    "affine transform registration": _object_with(
        {"3d_affine_transform": _list_of(_list_of(_NUMBER, 4), 4)}
    ),
    **dict(_annotation_shapes()),
}


def shape_problems(kind: str, value: Any) -> Iterator[str]:
    """Yield what is wrong with the shape of a JSON value, in the same order in every process.

    Args:
        kind: The socket's kind, as the server names it.
        value: A value as `json.loads` returns it.
    """
    return JSON_KINDS.get(kind.casefold(), ANYTHING)(value, "the value")


# ---------------------------------------------------------------- JSON text


def encode(value: Any) -> bytes:
    """Return a value as JSON text that the server can store.

    Raises:
        ValueError: The value has NaN, an infinity, a NUL character or an unpaired surrogate, or is not JSON at all.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it is not a JSON value: {error}") from error
    except ValueError as error:
        raise ValueError(
            f"JSON has no NaN, no infinity and no circular references ({error})"
        ) from error
    if _SUSPECT.search(text) and _UNSTORABLE.search(json.dumps(value, ensure_ascii=False)):
        raise ValueError(
            "it has a NUL character or an unpaired surrogate, which the server cannot store"
        )
    return text.encode()


def decode(content: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: The text is not JSON, or has NaN, an infinity or a number that overflows, which Python reads and
            the server refuses.
    """
    try:
        text = content.decode("utf-8-sig")
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number
