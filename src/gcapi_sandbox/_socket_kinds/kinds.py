"""The kinds of sockets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SuperKind = Literal["Value", "File", "Image"]


@dataclass(frozen=True)
class Kind:
    """A kind of socket; the values of a Value kind are JSON, in the database or in a file."""

    code: str
    label: str
    super_kind: SuperKind
    suffix: str = ".json"
    rank: int = 0  # sort key of its values within a case

    @property
    def is_json(self) -> bool:
        """True if its values are JSON."""
        return self.suffix == ".json"

    @property
    def is_dicom(self) -> bool:
        """True if its values are DICOM image sets."""
        return self.code == "DCMIS"


_THUMBNAIL, _CHART, _FILE, _IMAGE = 1, 2, 3, 4


def _value(code: str, label: str, rank: int = 0) -> Kind:
    return Kind(code, label, "Value", rank=rank)


def _json_file(code: str, label: str) -> Kind:
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
    _json_file("M2DB", "Multiple 2D bounding boxes"),
    _json_file("MDIS", "Multiple distance measurements"),
    _json_file("MPOI", "Multiple points"),
    _json_file("MPOL", "Multiple polygons"),
    _json_file("MLIN", "Multiple lines"),
    _json_file("MANG", "Multiple angles"),
    _json_file("MELL", "Multiple ellipses"),
    _json_file("M3AN", "Multiple three-point angles"),
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

KINDS_BY_CODE = {kind.code: kind for kind in KINDS}
KINDS_BY_LABEL = {kind.label: kind for kind in KINDS}


def super_kind(kind: Kind, *, store_in_database: bool) -> SuperKind:
    """Return the super kind of a socket; JSON outside the database is a File."""
    return "File" if kind.super_kind == "Value" and not store_in_database else kind.super_kind


def relative_path(kind: Kind, slug: str) -> str:
    """Return the default path of a socket's value in a container."""
    return f"images/{slug}" if kind.super_kind == "Image" else f"{slug}{kind.suffix}"
