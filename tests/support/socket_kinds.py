"""The kinds of sockets of the server, with valid and invalid values for each JSON kind."""

from collections.abc import Iterator
from typing import Any

POINT = [1, 2.5, -3]
VERSION = {"major": 1, "minor": 0}
MATRIX = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]

POLYGON = {
    "seed_point": POINT,
    "path_points": [POINT, POINT],
    "sub_type": "brush",
    "groups": ["manual"],
}
#: Singular, plural, the key of the list in the plural, and the fields besides type and version.
ANNOTATIONS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("2D bounding box", "Multiple 2D bounding boxes", "boxes", {"corners": [POINT] * 4}),
    (
        "Distance measurement",
        "Multiple distance measurements",
        "lines",
        {"start": POINT, "end": POINT},
    ),
    ("Point", "Multiple points", "points", {"point": POINT}),
    ("Polygon", "Multiple polygons", "polygons", POLYGON),
    (
        "Line",
        "Multiple lines",
        "lines",
        {"seed_points": [POINT], "path_point_lists": [[POINT, POINT]]},
    ),
    ("Angle", "Multiple angles", "angles", {"lines": [[POINT, POINT]] * 2}),
    (
        "Ellipse",
        "Multiple ellipses",
        "ellipses",
        {"major_axis": [POINT] * 2, "minor_axis": [POINT] * 2},
    ),
    ("Three-point angle", "Multiple three-point angles", "angles", {"angle": [POINT] * 3}),
]

SINGLE = [singular for singular, *_ in ANNOTATIONS]
MULTIPLE = [plural for _, plural, *_ in ANNOTATIONS]


def singular(kind: str) -> dict[str, Any]:
    """Return an annotation of a singular kind."""
    needs = next(needs for name, _, _, needs in ANNOTATIONS if name == kind)
    return {"type": kind, "version": VERSION, **needs}


def plural(kind: str, **changes: Any) -> dict[str, Any]:
    """Return an annotation of a plural kind with one changed item."""
    key, needs = next((key, needs) for _, name, key, needs in ANNOTATIONS if name == kind)
    return {"type": kind, "version": VERSION, key: [{**needs, **changes}]}


def items_key(kind: str) -> str:
    """Return the key of the list in a plural kind."""
    return next(key for _, name, key, _ in ANNOTATIONS if name == kind)


def of(kind: str, *values: Any) -> list[tuple[str, Any]]:
    """Return pairs of a kind and each of its values."""
    return [(kind, value) for value in values]


#: A valid value of each JSON kind.
VALID: dict[str, Any] = {
    "String": "words",
    "Integer": 3,
    "Float": 1.9,
    "Bool": False,
    "Anything": {"any": ["thing", None]},
    "Chart": {"mark": "bar", "data": {"values": []}},
    "Choice": "left",
    "Multiple choice": ["left", "right"],
    "Affine transform registration": {"3d_affine_transform": MATRIX},
    **{kind: singular(kind) for kind in SINGLE},
    **{kind: plural(kind) for kind in MULTIPLE},
}

#: More valid values.
ALSO_VALID: list[tuple[str, Any]] = [
    ("String", ""),
    ("Integer", 1.0),
    ("Integer", -7),
    ("Integer", 10**400),
    ("Float", 3),
    ("Bool", True),
    *of("Anything", None, True, 0, "", [], {}),
    ("Multiple choice", []),
    *[(kind, {**singular(kind), "name": "n", "probability": p}) for kind in SINGLE for p in (0, 1)],
    *[(kind, {**plural(kind), "name": "n"}) for kind in MULTIPLE],
    *[(kind, {**plural(kind), items_key(kind): []}) for kind in MULTIPLE],
    *[
        (many, plural(many, name="n", probability=0.5, type=one))
        for one, many in zip(SINGLE, MULTIPLE, strict=True)
    ],
    ("Polygon", {**singular("Polygon"), "path_points": [], "groups": []}),
    ("Point", {**singular("Point"), "version": {"major": 1.0, "minor": 0}}),
]


def _wrong_annotations() -> Iterator[tuple[str, Any]]:
    for one, many in zip(SINGLE, MULTIPLE, strict=True):
        for kind, good in ((one, singular(one)), (many, plural(many))):
            yield kind, {**good, "extra": 1}
            yield from (
                (kind, {key: value for key, value in good.items() if key != missing})
                for missing in good
            )
            yield from ((kind, {**good, "type": word}) for word in (kind.upper(), "Blob", None))
            yield kind, {**good, "name": 7}
            yield kind, {**good, "version": "1.0"}
            yield kind, {**good, "version": {"major": 1}}
            yield kind, {**good, "version": {"major": 1, "minor": -1}}
            yield kind, {**good, "version": {"major": True, "minor": 0}}
            yield kind, {**good, "version": {**VERSION, "patch": 0}}
            yield from ((kind, value) for value in ([good], "words", 1, None))
        yield from ((one, {**singular(one), "probability": p}) for p in (1.1, -0.1, True, "1"))
        yield many, {**plural(many), "probability": 0.5}
        yield many, plural(many, version=VERSION)
        yield many, plural(many, extra=1)
        yield many, plural(many, type=many)
        yield many, plural(many, probability=1.1)
        yield many, {**plural(many), items_key(many): {}}
        yield many, {**plural(many), items_key(many): [POINT]}


def _wrong_points() -> Iterator[tuple[str, Any]]:
    """Yield values with invalid points in each position."""
    wrong: list[Any] = [
        [1, 2],
        [1, 2, 3, 4],
        [1, 2, True],
        [1, 2, "3"],
        [1, 2, None],
        "123",
        {},
        None,
    ]
    for point in wrong:
        yield "Point", {**singular("Point"), "point": point}
        yield "Multiple points", plural("Multiple points", point=point)
        yield "2D bounding box", {**singular("2D bounding box"), "corners": [POINT] * 3 + [point]}
        yield "Distance measurement", {**singular("Distance measurement"), "end": point}
        yield "Polygon", {**singular("Polygon"), "seed_point": point}
        yield "Polygon", {**singular("Polygon"), "path_points": [point]}
        yield "Line", {**singular("Line"), "seed_points": [point]}
        yield "Line", {**singular("Line"), "path_point_lists": [[POINT, point]]}
        yield "Angle", {**singular("Angle"), "lines": [[POINT, POINT], [POINT, point]]}
        yield "Ellipse", {**singular("Ellipse"), "minor_axis": [POINT, point]}
        yield "Three-point angle", {**singular("Three-point angle"), "angle": [POINT] * 2 + [point]}


#: Invalid values.
INVALID: list[tuple[str, Any]] = [
    *of("String", 1, None, True, ["a"], {}),
    *of("Integer", 1.5, True, "1", None, float("inf"), float("nan"), []),
    *of("Float", True, "1.9", None, [], {}),
    *of("Bool", 0, 1, "true", None),
    *of("Chart", [], "words", None, 1),
    *of("Choice", 1, None, ["left"]),
    *of("Multiple choice", "left", [1], [None], {}, ["left", 1]),
    *of(
        "Affine transform registration",
        MATRIX,
        {},
        {"3d_affine_transform": MATRIX[:3]},
        {"3d_affine_transform": [row[:3] for row in MATRIX]},
        {"3d_affine_transform": [[True] * 4] * 4},
        {"3d_affine_transform": MATRIX, "extra": 1},
    ),
    *_wrong_annotations(),
    *_wrong_points(),
    ("2D bounding box", {**singular("2D bounding box"), "corners": [POINT] * 3}),
    ("2D bounding box", {**singular("2D bounding box"), "corners": [POINT] * 5}),
    ("Angle", {**singular("Angle"), "lines": [[POINT, POINT]]}),
    ("Angle", {**singular("Angle"), "lines": [[POINT], [POINT, POINT]]}),
    ("Ellipse", {**singular("Ellipse"), "major_axis": [POINT]}),
    ("Three-point angle", {**singular("Three-point angle"), "angle": [POINT] * 2}),
    ("Polygon", {**singular("Polygon"), "sub_type": 1}),
    ("Polygon", {**singular("Polygon"), "groups": "manual"}),
    ("Polygon", {**singular("Polygon"), "groups": [1]}),
]

IMAGE_KINDS = ["Image", "Segmentation", "Heat Map", "Displacement field"]
DICOM_KIND = "DICOM Image Set"
#: Kinds of text files and of binary files, with their suffixes.
TEXT_SUFFIXES = {
    "CSV file": ".csv",
    "Newick tree-format file": ".newick",
    "OBJ file": ".obj",
}
BINARY_SUFFIXES = {
    "PDF file": ".pdf",
    "SQREG file": ".sqreg",
    "Thumbnail jpg": ".jpeg",
    "Thumbnail png": ".png",
    "MP4 file": ".mp4",
    "BIOM format": ".biom",
    "ZIP file": ".zip",
}
