"""The kinds of sockets: code, label, super kind, file suffix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SuperKind = Literal["Value", "File", "Image"]


@dataclass(frozen=True)
class Kind:
    """One kind of socket; a Value kind holds JSON, in the database or in a file."""

    code: str
    label: str
    super_kind: SuperKind
    suffix: str = ".json"
    rank: int = 0  # where its values stand in a case

    @property
    def is_json(self) -> bool:
        """Tell whether its values are JSON."""
        return self.suffix == ".json"

    @property
    def is_dicom(self) -> bool:
        """Tell whether it takes DICOM image sets."""
        return self.code == "DCMIS"


_THUMBNAIL, _CHART, _FILE, _IMAGE = 1, 2, 3, 4


def _value(code: str, label: str, rank: int = 0) -> Kind:
    return Kind(code, label, "Value", rank=rank)


def _many(code: str, label: str) -> Kind:
    return Kind(code, label, "File")


def _file(code: str, label: str, suffix: str, rank: int = _FILE) -> Kind:
    return Kind(code, label, "File", suffix, rank)


def _image(code: str, label: str) -> Kind:
    return Kind(code, label, "Image", "", _IMAGE)


KINDS: tuple[Kind, ...] = (
    _value("STR", "String"),
    _value("INT", "Integer"),
    _value("FLT", "Float"),
    _value("BOOL", "Bool"),
    _value("JSON", "Anything"),
    _value("CHART", "Chart", _CHART),
    _value("2DBB", "2D bounding box"),
    _value("DIST", "Distance measurement"),
    _value("POIN", "Point"),
    _value("POLY", "Polygon"),
    _value("LINE", "Line"),
    _value("ANGL", "Angle"),
    _value("ELLI", "Ellipse"),
    _value("3ANG", "Three-point angle"),
    _many("M2DB", "Multiple 2D bounding boxes"),
    _many("MDIS", "Multiple distance measurements"),
    _many("MPOI", "Multiple points"),
    _many("MPOL", "Multiple polygons"),
    _many("MLIN", "Multiple lines"),
    _many("MANG", "Multiple angles"),
    _many("MELL", "Multiple ellipses"),
    _many("M3AN", "Multiple three-point angles"),
    _value("ATRG", "Affine transform registration"),
    _value("CHOI", "Choice"),
    _value("MCHO", "Multiple choice"),
    _image("IMG", "Image"),
    _image("SEG", "Segmentation"),
    _image("HMAP", "Heat Map"),
    _image("DSPF", "Displacement field"),
    _image("DCMIS", "DICOM Image Set"),
    _file("PDF", "PDF file", ".pdf"),
    _file("SQREG", "SQREG file", ".sqreg"),
    _file("JPEG", "Thumbnail jpg", ".jpeg", _THUMBNAIL),
    _file("PNG", "Thumbnail png", ".png", _THUMBNAIL),
    _file("OBJ", "OBJ file", ".obj"),
    _file("MP4", "MP4 file", ".mp4"),
    _file("NEWCK", "Newick tree-format file", ".newick"),
    _file("BIOM", "BIOM format", ".biom"),
    _file("CSV", "CSV file", ".csv"),
    _file("ZIP", "ZIP file", ".zip"),
)

BY_CODE = {kind.code: kind for kind in KINDS}
BY_LABEL = {kind.label: kind for kind in KINDS}


def super_kind(kind: Kind, *, store_in_database: bool) -> SuperKind:
    """Return the super kind of a socket: JSON that is not stored in the database is a File."""
    return "File" if kind.super_kind == "Value" and not store_in_database else kind.super_kind


def relative_path(kind: Kind, slug: str) -> str:
    """Return where a container finds the values of a socket by default."""
    return f"images/{slug}" if kind.super_kind == "Image" else f"{slug}{kind.suffix}"
