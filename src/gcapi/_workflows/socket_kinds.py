"""What JSON each kind of socket takes, as one table: checked here, because the server tells of a wrong file to nobody.

The shapes are those that the server checks (JSON Schema, draft 7: ``1.0`` is an integer, ``true`` is none). A kind that
is not in the table is newer than this package; its values are left to the server.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gcapi._util.json_types import is_object, is_sequence

#: Yields what is wrong with a value, as (place, words); nothing if it fits.
Shape = Callable[[Any, str], Iterator[str]]

#: Kinds whose files are text that a `str` can be stored as.
TEXT_KINDS = frozenset({"csv file", "newick tree-format file", "obj file"})
#: How much of a wrong value a message shows, in characters.
SHOWN_LIMIT = 60
DICOM_KIND = "dicom image set"
#: What the server's database cannot hold in a text, and how JSON text that may have it looks.
_UNSTORABLE, _SUSPECT = re.compile(r"[\x00\ud800-\udfff]"), re.compile(r"\\u(0000|d[89a-f])")


def _expect(fits: Callable[[Any], bool], words: str) -> Shape:
    def check(value: Any, place: str) -> Iterator[str]:
        if not fits(value):
            yield f"{place} must be {words}, and is {_shown(value)}"

    return check


def _shown(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= SHOWN_LIMIT else text[: SHOWN_LIMIT - 1] + "…"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _list_of(item: Shape, length: int | None = None) -> Shape:
    def check(value: Any, place: str) -> Iterator[str]:
        if not is_sequence(value) or length not in {None, len(value)}:
            size = "a list" if length is None else f"a list of {length}"
            yield f"{place} must be {size}, and is {_shown(value)}"
            return
        for index, member in enumerate(value):
            yield from item(member, f"{place}[{index}]")

    return check


def _record(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    shapes = {**required, **(optional or {})}

    def check(value: Any, place: str) -> Iterator[str]:
        if not is_object(value):
            yield f"{place} must be an object, and is {_shown(value)}"
            return
        for key in required.keys() - value.keys():
            yield f"{place} lacks {key!r}"
        for key, member in value.items():
            shape = shapes.get(key)
            if shape is None:
                yield f"{place} has {key!r}, which is not allowed"
            else:
                yield from shape(member, f"{place}.{key}")

    return check


def _constant(text: str) -> Shape:
    return _expect(lambda value: value == text, repr(text))


ANYTHING = _expect(lambda _: True, "anything")
_TEXT = _expect(lambda value: isinstance(value, str), "a string")
_NUMBER = _expect(_is_number, "a number")
_WHOLE = _expect(_is_whole, "a whole number")
_TRUTH = _expect(lambda value: isinstance(value, bool), "true or false")
_OBJECT = _expect(lambda value: isinstance(value, dict), "an object")
_COUNT = _expect(lambda value: _is_whole(value) and value >= 0, "a whole number from 0")
_PROBABILITY = _expect(lambda value: _is_number(value) and 0 <= value <= 1, "a number from 0 to 1")
_POINT = _list_of(_NUMBER, 3)
_AXIS = _list_of(_POINT, 2)
_VERSION = _record({"major": _COUNT, "minor": _COUNT})

#: Annotations: singular type, plural type, the list's key in the plural, and what the singular needs.
_ANNOTATIONS: tuple[tuple[str, str, str, dict[str, Shape]], ...] = (
    ("2D bounding box", "Multiple 2D bounding boxes", "boxes", {"corners": _list_of(_POINT, 4)}),
    (
        "Distance measurement",
        "Multiple distance measurements",
        "lines",
        {"start": _POINT, "end": _POINT},
    ),
    ("Point", "Multiple points", "points", {"point": _POINT}),
    (
        "Polygon",
        "Multiple polygons",
        "polygons",
        {
            "seed_point": _POINT,
            "path_points": _list_of(_POINT),
            "sub_type": _TEXT,
            "groups": _list_of(_TEXT),
        },
    ),
    (
        "Line",
        "Multiple lines",
        "lines",
        {"seed_points": _list_of(_POINT), "path_point_lists": _list_of(_list_of(_POINT))},
    ),
    ("Angle", "Multiple angles", "angles", {"lines": _list_of(_AXIS, 2)}),
    ("Ellipse", "Multiple ellipses", "ellipses", {"major_axis": _AXIS, "minor_axis": _AXIS}),
    ("Three-point angle", "Multiple three-point angles", "angles", {"angle": _list_of(_POINT, 3)}),
)
_LABELS: dict[str, Shape] = {"name": _TEXT, "probability": _PROBABILITY}


def _annotation_shapes() -> Iterator[tuple[str, Shape]]:
    for singular, plural, key, needs in _ANNOTATIONS:
        yield (
            singular.casefold(),
            _record({"type": _constant(singular), "version": _VERSION, **needs}, _LABELS),
        )
        item = _record(needs, {**_LABELS, "type": _constant(singular)})
        yield (
            plural.casefold(),
            _record(
                {"type": _constant(plural), "version": _VERSION, key: _list_of(item)},
                {"name": _TEXT},
            ),
        )


#: The shape of each JSON kind, by its label in lower case.
JSON_KINDS: dict[str, Shape] = {
    "string": _TEXT,
    "integer": _WHOLE,
    "float": _NUMBER,
    "bool": _TRUTH,
    "anything": ANYTHING,
    # The chart's public schema is large and not at hand; the server holds a chart against it.
    "chart": _OBJECT,
    "choice": _TEXT,
    "multiple choice": _list_of(_TEXT),
    "affine transform registration": _record(
        {"3d_affine_transform": _list_of(_list_of(_NUMBER, 4), 4)}
    ),
    **dict(_annotation_shapes()),
}


def problems(kind: str, value: Any) -> list[str]:
    """Return what keeps a JSON value from being of a kind; empty if it fits, or if the kind is not known here.

    Args:
        kind: The socket's kind, as the server names it.
        value: What `json.loads` gives.
    """
    return list(JSON_KINDS.get(kind.casefold(), ANYTHING)(value, "the value"))


def encode(value: Any) -> bytes:
    """Return a value as JSON text that the server takes.

    Raises:
        ValueError: NaN, an infinity, a NUL character, half a surrogate pair, or no JSON at all.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, RecursionError) as error:
        raise ValueError(f"it is no JSON value: {error}") from error
    except ValueError as error:
        raise ValueError(
            f"JSON has no NaN and no infinity, and no value that holds itself ({error})"
        ) from error
    if _SUSPECT.search(text) and any(_UNSTORABLE.search(part) for part in _texts(value)):
        raise ValueError(
            "it holds a NUL character or half a surrogate pair, which the server cannot store"
        )
    return text.encode()


def decode(content: bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: No JSON, or JSON with NaN, an infinity or a number too large to be finite, which Python would
            take and the server does not.
    """
    try:
        return json.loads(
            content.decode("utf-8-sig"), parse_constant=_refuse_constant, parse_float=_finite
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text: {error}") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse_constant(constant: str) -> Any:
    raise ValueError(f"JSON has no {constant}")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text} is too large")
    return number


def _texts(value: Any) -> Iterator[str]:
    """Yield every string in a JSON value, without recursion: it may be nested deeper than that goes."""
    left = [value]
    while left:
        item = left.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            left += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple):
            left += item
