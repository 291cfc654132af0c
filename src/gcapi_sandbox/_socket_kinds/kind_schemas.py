"""The JSON schema of each kind of socket.

The server validates charts against the public Vega-Lite v5 schema, which it fetches. The sandbox stays offline and
accepts any object as a chart.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_PROBABILITY: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_POINT: Schema = {
    "type": "array",
    "items": {"type": "number"},
    "minItems": 3,
    "maxItems": 3,
}
_POINTS: Schema = {"type": "array", "items": _POINT}
_UNSIGNED: Schema = {"type": "integer", "minimum": 0}


def _points(number: int) -> Schema:
    return {"type": "array", "items": _POINT, "minItems": number, "maxItems": number}


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


_VERSION = _object({"major": _UNSIGNED, "minor": _UNSIGNED})
_CORNERS = {"corners": _points(4)}
_ENDS = {"start": _POINT, "end": _POINT}
_POLYGON = {
    "seed_point": _POINT,
    "path_points": _POINTS,
    "sub_type": _TEXT,
    "groups": {"type": "array", "items": _TEXT},
}
_LINE = {"seed_points": _POINTS, "path_point_lists": {"type": "array", "items": _POINTS}}
_ANGLE = {"lines": {"type": "array", "items": _points(2), "minItems": 2, "maxItems": 2}}
_ELLIPSE = {"major_axis": _points(2), "minor_axis": _points(2)}
_THREE_POINTS = {"angle": _points(3)}

# Code and type of a single annotation, code and type of several, key of the list, properties.
_ANNOTATIONS: tuple[tuple[str, str, str, str, str, Schema], ...] = (
    ("2DBB", "2D bounding box", "M2DB", "Multiple 2D bounding boxes", "boxes", _CORNERS),
    ("DIST", "Distance measurement", "MDIS", "Multiple distance measurements", "lines", _ENDS),
    ("POIN", "Point", "MPOI", "Multiple points", "points", {"point": _POINT}),
    ("POLY", "Polygon", "MPOL", "Multiple polygons", "polygons", _POLYGON),
    ("LINE", "Line", "MLIN", "Multiple lines", "lines", _LINE),
    ("ANGL", "Angle", "MANG", "Multiple angles", "angles", _ANGLE),
    ("ELLI", "Ellipse", "MELL", "Multiple ellipses", "ellipses", _ELLIPSE),
    ("3ANG", "Three-point angle", "M3AN", "Multiple three-point angles", "angles", _THREE_POINTS),
)


def _one(kind: str, properties: Schema) -> Schema:
    return _object(
        {"type": {"const": kind}, "version": _VERSION, **properties},
        {"name": _TEXT, "probability": _PROBABILITY},
    )


def _many(kind: str, key: str, singular: str, properties: Schema) -> Schema:
    optional = {"name": _TEXT, "probability": _PROBABILITY, "type": {"const": singular}}
    items = {"type": "array", "items": _object(properties, optional)}
    return _object({"type": {"const": kind}, "version": _VERSION, key: items}, {"name": _TEXT})


_ROW: Schema = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
_MATRIX: Schema = {"type": "array", "items": _ROW, "minItems": 4, "maxItems": 4}

JSON_SCHEMAS: dict[str, Schema] = {
    "STR": _TEXT,
    "INT": {"type": "integer"},
    "FLT": {"type": "number"},
    "BOOL": {"type": "boolean"},
    "JSON": {},
    "CHART": {"type": "object"},
    "CHOI": _TEXT,
    "MCHO": {"type": "array", "items": _TEXT},
    "ATRG": _object({"3d_affine_transform": _MATRIX}),
    **{code: _one(kind, properties) for code, kind, _, _, _, properties in _ANNOTATIONS},
    **{
        code: _many(kind, key, singular, properties)
        for _, singular, code, kind, key, properties in _ANNOTATIONS
    },
}
