"""Inspection of the files of one DICOM image set; no finding shows a value that can identify a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from gcapi import models
from gcapi._inspect.dicom_extra import keeps_frames, sop_class_name, sop_classes
from gcapi._inspect.dicom_headers import (
    SAME_IN_ALL_FILES,
    STANDARD_SYNTAXES,
    DicomHeader,
    read_dicom_header,
)
from gcapi._inspect.formats import Format, read_head
from gcapi._transfer.local_files import check_local_file
from gcapi.findings import Finding, Level

_COPY_AGAIN = "Copy or export it again"
_LEAVE_OUT = "Leave it out of the image set"
#: After so many findings of one kind, the others are counted.
_SHOWN_FINDINGS = 10
_DICOMDIR = "1.2.840.10008.1.3.10"
#: What the values of these attributes tell apart; the others are named by their keywords.
_GROUPS = {"SeriesInstanceUID": "series", "StudyInstanceUID": "studies", "PatientID": "patients"}
#: The attributes in which the slices of a volume agree.
_SAME_IN_VOLUME = ("ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")
#: The number of coordinates of a point and of a direction.
_COORDINATES = 3
#: The largest difference between numbers that are taken to be equal.
_SPACING_TOLERANCE = 1e-3
#: The largest difference between distances of slices that are taken to be equal: of the shortest distance, and in mm.
_DISTANCE_TOLERANCE = (0.05, 0.01)


def inspect_image_set(
    files: Sequence[Path], _: models.ComponentInterface, deep: bool
) -> list[Finding]:
    """Return the findings about the files of one DICOM image set, in any order; see `inspect_files`.

    Reads once through the element headers of each file, about 1 ms for a slice, and keeps less than 1 KiB of each.
    With `deep`, it also decodes compressed pixel data, one frame at a time, if pydicom has a decoder for them.

    Raises:
        MissingExtra: The extra `dicom` is not installed.
        SpecFileError: A file cannot be read, or is not a regular file.
    """
    taken = sop_classes()
    image_set = _ImageSet()
    findings: list[Finding] = []
    for path in files:
        findings += _inspect_one(path, taken, image_set, deep)
    return [*_limited(findings), *image_set.findings()]


def _limited(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the first findings of each kind, and one that counts the others."""
    seen: Counter[tuple[Level, str, str]] = Counter()
    for finding in findings:
        kind = (finding.level, finding.what, finding.fix)
        seen[kind] += 1
        if seen[kind] <= _SHOWN_FINDINGS:
            yield finding
    for (level, what, fix), count in seen.items():
        if count > _SHOWN_FINDINGS:
            yield Finding(level, f"{what} (and {count - _SHOWN_FINDINGS} more files)", fix)


# ---------------------------------------------------------------- one file


def _inspect_one(
    path: Path, taken: Mapping[str, str], image_set: _ImageSet, deep: bool
) -> Iterator[Finding]:
    if not check_local_file(path).st_size:
        yield Finding("error", "the file is empty", _COPY_AGAIN, path)
        return
    try:
        header = read_dicom_header(path)
    except ValueError as error:
        reason = f"it is not a DICOM file, or damaged ({error})"
        yield Finding("error", reason, f"{_COPY_AGAIN}, or leave it out of the image set", path)
        return
    sop_class = header.text("SOPClassUID")
    if header.media_class == _DICOMDIR:
        fix = "Leave it out, and name the files that it lists"
        yield Finding("error", "it is a DICOMDIR, the index of a disc, not an image", fix, path)
    elif not sop_class:
        yield Finding("error", _not_dicom(path), _LEAVE_OUT, path)
    elif sop_class not in taken:
        what = f"its SOP class is not taken: {sop_class_name(sop_class)}"
        fix = f"{_LEAVE_OUT}, which takes {', '.join(taken.values())}"
        yield Finding("error", what, fix, path)
    else:
        errors = list(_errors(header))
        if deep and not errors and header.is_compressed:
            errors = list(_decoding_errors(path, header))
        yield from (Finding("error", what, _COPY_AGAIN, path) for what in errors)
        yield from (Finding("warning", what, fix, path) for what, fix in _doubts(header))
        yield from image_set.add(path, header)


def _not_dicom(path: Path) -> str:
    found = read_head(path).format
    if found == Format.DICOM:
        return "it has no SOP class (SOPClassUID)"
    return "it is not a DICOM file" + ("" if found == Format.UNKNOWN else f" but {found}")


def _errors(header: DicomHeader) -> Iterator[str]:
    if header.transfer_syntax and not header.transfer_syntax.startswith(STANDARD_SYNTAXES):
        yield "its transfer syntax is not in the standard"
        return
    if not header.text("SOPInstanceUID"):
        yield "it has no SOPInstanceUID"
    sop_class = header.text("SOPClassUID")
    if header.frames > 1 and not keeps_frames(sop_class):
        name = sop_class_name(sop_class)
        yield f"it has {header.frames} frames, and {name} has one; the others would be lost"
    yield from _pixel_errors(header)


def _pixel_errors(header: DicomHeader) -> Iterator[str]:
    pixels = header.pixels
    missing = [name for name in ("Rows", "Columns", "BitsAllocated") if not header.integer(name)]
    if pixels is None:
        yield "it has no pixel data, or ends before them"
    elif missing:
        yield f"it has no {' and no '.join(missing)}"
    elif (pixels.fragments is not None) != header.is_compressed:
        yield "its pixel data do not match its transfer syntax"
    elif pixels.is_cut:
        yield "the file ends inside its compressed pixel data"
    elif pixels.fragments is not None and pixels.fragments < header.frames:
        yield f"it has {pixels.fragments} of {header.frames} frames that it declares"
    elif pixels.length is not None and pixels.length < header.declared_bytes:
        declared = f"{header.declared_bytes:,} bytes that it declares"
        yield f"its pixel data are cut: {pixels.length:,} of {declared}"


def _decoding_errors(path: Path, header: DicomHeader) -> Iterator[str]:
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import iter_pixels

    try:
        if get_decoder(header.transfer_syntax).is_available:
            for _ in iter_pixels(path):
                pass
    except (AttributeError, ImportError, NotImplementedError):
        pass  # NumPy is not installed, or pydicom needs attributes that other readers do not
    except Exception as error:  # noqa: BLE001 - decoders raise various errors
        yield f"its pixel data cannot be decoded ({type(error).__name__})"


def _doubts(header: DicomHeader) -> Iterator[tuple[str, str]]:
    look = "Look at it: de-identification does not change pixels"
    image_type = header.text("ImageType").upper().replace(" ", "").replace("_", "")
    if header.text("BurnedInAnnotation").upper() == "YES":
        yield "it has text in its pixels (BurnedInAnnotation is YES)", look
    if "SCREENSAVE" in image_type:
        yield "it is a screen save (ImageType), which often shows names", look
    is_label = "LABEL" in image_type.split("\\")
    if is_label or header.text("SpecimenLabelInImage").upper() == "YES":
        yield "it shows the label of the slide, which often has names and numbers", look
    missing = [name for name in ("StudyInstanceUID", "SeriesInstanceUID") if not header.text(name)]
    if missing:
        yield f"it has no {' and no '.join(missing)}", "Export it again if a viewer needs it"


# ---------------------------------------------------------------- all files


@dataclass
class _ImageSet:
    """Attributes of the files of one image set, to compare them."""

    count: int = 0
    shared: dict[str, set[str]] = field(
        default_factory=lambda: {name: set[str]() for name in SAME_IN_ALL_FILES}
    )
    instances: dict[str, Path] = field(default_factory=dict[str, Path])
    geometry: dict[str, tuple[float, ...]] = field(default_factory=dict[str, "tuple[float, ...]"])
    different: Counter[str] = field(default_factory=Counter[str])
    slices: int = 0
    positions: list[tuple[float, ...]] = field(default_factory=list["tuple[float, ...]"])

    def add(self, path: Path, header: DicomHeader) -> Iterator[Finding]:
        """Add a file, and yield what is wrong with it beside the others."""
        self.count += 1
        for name, values in self.shared.items():
            values.add(header.shared(name))
        uid = header.text("SOPInstanceUID")
        first = self.instances.setdefault(uid, path)
        if uid and first is not path:
            what = f"it has the same SOPInstanceUID as {first}"
            yield Finding("error", what, "Leave one of them out", path)
        position = header.numbers("ImagePositionPatient")
        if len(position) == _COORDINATES:
            self._add_slice(header, position)

    def _add_slice(self, header: DicomHeader, position: tuple[float, ...]) -> None:
        self.slices += 1
        self.positions.append(position)
        for name in _SAME_IN_VOLUME:
            is_size = name in {"Rows", "Columns"}
            numbers = (float(header.integer(name)),) if is_size else header.numbers(name)
            if not _are_equal(numbers, self.geometry.setdefault(name, numbers)):
                self.different[name] += 1

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with the set as a whole."""
        counts = {name: len(values) for name, values in self.shared.items() if len(values) > 1}
        groups = [
            f"{counts[name]} {noun} ({name})" for name, noun in _GROUPS.items() if name in counts
        ]
        if groups:
            what = f"the files are of {' and '.join(groups)}"
            yield Finding("error", what, "Make an image set of each series")
            return  # their slices have nothing to do with each other
        if counts:
            what = f"the files differ in {' and '.join(counts)}"
            yield Finding("error", what, "Make an image set of those that agree")
        for name, count in self.different.items():
            what = f"{count} of {self.slices} files differ from the first in {name}"
            fix = "Check that they are of one scan; localizers and reformatted slices are sets of their own"
            yield Finding("warning", what, fix)
        if not self.different:
            yield from self._gaps()

    def _gaps(self) -> Iterator[Finding]:
        orientation = self.geometry.get("ImageOrientationPatient", ())
        if len(orientation) != 2 * _COORDINATES:
            return
        normal = _cross(orientation[:_COORDINATES], orientation[_COORDINATES:])
        heights = {
            round(sum(a * b for a, b in zip(normal, position, strict=True)), 3)
            for position in self.positions
        }
        ordered = sorted(heights)
        distances = [upper - lower for lower, upper in pairwise(ordered)]
        if not distances:
            return
        shortest, longest = min(distances), max(distances)
        relative, absolute = _DISTANCE_TOLERANCE
        if longest - shortest > relative * shortest + absolute:
            what = f"the distances between slices are from {shortest:.3g} to {longest:.3g} mm"
            yield Finding("warning", what, "Check that no slice is missing")


def _are_equal(numbers: Sequence[float], others: Sequence[float]) -> bool:
    return len(numbers) == len(others) and all(
        abs(one - other) <= _SPACING_TOLERANCE for one, other in zip(numbers, others, strict=True)
    )


def _cross(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])
