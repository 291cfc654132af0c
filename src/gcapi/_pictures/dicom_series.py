"""The middle file of a DICOM series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gcapi._pictures.simpleitk import read_header

#: The largest number of headers that are read, each in 2 to 10 ms.
MAX_HEADERS = 100
#: The largest difference between distances that are taken to be equal.
_TOLERANCE = 0.01


@dataclass(frozen=True)
class Series:
    """A DICOM series.

    Attributes:
        middle: The file in the middle.
        count: The number of files.
        distance: The distance of neighbouring slices in mm; 0 if it is unknown.
    """

    middle: Path
    count: int
    distance: float = 0.0


def find_middle(sitk: Any, files: Sequence[Path]) -> Series:
    """Return a series with its middle file: by position, otherwise by name.

    Of more than `MAX_HEADERS` files, so many are compared, at equal intervals by name.
    """
    by_name = sorted(files)
    count = len(by_name)
    chosen = min(count, MAX_HEADERS)
    indices = [number * (count - 1) // max(1, chosen - 1) for number in range(chosen)]
    heights = [(_height(sitk, by_name[index]), index) for index in indices]
    known = [(height, index) for height, index in heights if height is not None]
    if len({height for height, _ in known}) <= 1:
        return Series(by_name[count // 2], count)
    ordered = sorted(known)
    rates = [(high - low) / (j - i) for (low, i), (high, j) in pairwise(ordered)]
    distance = 0.0
    if len(known) == count:
        distance = (ordered[-1][0] - ordered[0][0]) / (count - 1)
    elif max(rates) - min(rates) <= _TOLERANCE * abs(rates[0]):  # names are in the order of slices
        distance = abs(rates[0])
    return Series(by_name[ordered[len(ordered) // 2][1]], count, distance)


def _height(sitk: Any, path: Path) -> float | None:
    """Return the position of a slice along its normal in mm; `None` if it has none."""
    try:
        reader = read_header(sitk, path)
    except (RuntimeError, ValueError):
        return None
    if not reader.HasMetaDataKey("0020|0032"):  # ImagePositionPatient
        return None
    normal = reader.GetDirection()[2::3]
    return float(sum(a * b for a, b in zip(normal, reader.GetOrigin(), strict=True)))
