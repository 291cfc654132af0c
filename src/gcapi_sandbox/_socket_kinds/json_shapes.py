"""What the JSON of each kind must look like, as schemas in the style of the kinds' table.

A chart must fulfil the public Vega-Lite v5 schema, which the server fetches. The sandbox stays offline, so it takes any
object for a chart.
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
_WHOLE: Schema = {"type": "integer", "minimum": 0}


def _points(number: int) -> Schema:
    return {"type": "array", "items": _POINT, "minItems": number, "maxItems": number}


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


_VERSION = _object({"major": _WHOLE, "minor": _WHOLE})
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

# code and type of one, code and type of many, the list's key, what one needs
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


def _one(kind: str, needs: Schema) -> Schema:
    return _object(
        {"type": {"const": kind}, "version": _VERSION, **needs},
        {"name": _TEXT, "probability": _PROBABILITY},
    )


def _many(kind: str, key: str, singular: str, needs: Schema) -> Schema:
    optional = {"name": _TEXT, "probability": _PROBABILITY, "type": {"const": singular}}
    items = {"type": "array", "items": _object(needs, optional)}
    return _object({"type": {"const": kind}, "version": _VERSION, key: items}, {"name": _TEXT})


_ROW: Schema = {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4}
_MATRIX: Schema = {"type": "array", "items": _ROW, "minItems": 4, "maxItems": 4}

SHAPES: dict[str, Schema] = {
    "STR": _TEXT,
    "INT": {"type": "integer"},
    "FLT": {"type": "number"},
    "BOOL": {"type": "boolean"},
    "JSON": {},
    "CHART": {"type": "object"},
    "CHOI": _TEXT,
    "MCHO": {"type": "array", "items": _TEXT},
    "ATRG": _object({"3d_affine_transform": _MATRIX}),
    **{code: _one(kind, needs) for code, kind, _, _, _, needs in _ANNOTATIONS},
    **{
        code: _many(kind, key, singular, needs)
        for _, singular, code, kind, key, needs in _ANNOTATIONS
    },
}
