"""Thumbnails: the middle slice of an image as a small PNG."""

from __future__ import annotations

import array
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._database.records import Image, ImageFile, Instance
from gcapi_sandbox._imaging.simpleitk import load_sitk

if TYPE_CHECKING:
    from gcapi_sandbox._state import State

_MAX_SIDE = 256  # pixels
MAX_VOXELS = 2**28  # half a gigabyte of CT
_PLANE, _VOLUME = 2, 3
_COLOR_COMPONENTS = (3, 4)
_LOW, _HIGH = 0.01, 0.99  # quantiles that are shown black and white


class Thumbnails:
    """A cache of thumbnails of at most `max_bytes`; renders one at a time."""

    def __init__(self, state: State, max_bytes: int = 32 * 1024**2) -> None:
        self._state = state
        self._max_bytes = max_bytes
        self._rendering = threading.Lock()
        self._lock = threading.Lock()
        self._cache: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def get(self, pk: str) -> bytes:
        """Return the thumbnail of an image, empty if it cannot be rendered."""
        found = self._find(pk)
        if found is None:
            with self._rendering:
                found = self._find(pk)
                if found is None:
                    found = _render(self._state, pk)
                    if found:
                        self._add(pk, found)
        return found

    def _find(self, pk: str) -> bytes | None:
        with self._lock:
            if pk in self._cache:
                self._cache.move_to_end(pk)
            return self._cache.get(pk)

    def _add(self, pk: str, content: bytes) -> None:
        with self._lock:
            self._cache[pk] = content
            self._size += len(content)
            while self._size > self._max_bytes:
                self._size -= len(self._cache.popitem(last=False)[1])


def _render(state: State, pk: str) -> bytes:
    path = _source(state, pk)
    if path is None:
        return b""
    try:
        return _draw(path, state.work)
    except RuntimeError:  # SimpleITK's error for every file that it cannot read
        return b""


def _source(state: State, pk: str) -> Path | None:
    """Return the file of an image, or the middle file of a DICOM image set."""
    file = state.store.find(ImageFile, "image = ?", pk)
    if file is not None:
        return state.objects / file.key
    image = state.store.find(Image, "pk = ?", pk)
    if image is None:
        return None
    instances = state.store.rows(Instance, "image_set_id = ?", image.image_set_id)
    middle = instances.slice(1, instances.count() // 2)
    return state.objects / middle[0].key if middle else None


def _draw(path: Path, work: Path) -> bytes:
    sitk = load_sitk()
    if count_voxels(sitk, str(path)) > MAX_VOXELS:
        return b""
    plane = resize(sitk, _middle_slice(sitk, sitk.ReadImage(str(path))), _MAX_SIDE)
    with tempfile.TemporaryDirectory(dir=work) as folder:
        target = Path(folder) / "thumbnail.png"
        sitk.WriteImage(_to_bytes(sitk, plane, Path(folder)), str(target), useCompression=True)
        return target.read_bytes()


def count_voxels(sitk: Any, path: str) -> int:
    """Return the number of values of an image, from its header."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    reader.ReadImageInformation()
    count: int = reader.GetNumberOfComponents()
    for size in reader.GetSize():
        count *= size
    return count


def _middle_slice(sitk: Any, image: Any) -> Any:
    """Return the middle slice in the plane of acquisition, in radiological orientation."""
    while image.GetDimension() > _VOLUME:
        image = image[..., 0]
    if image.GetDimension() == _PLANE:
        return image
    middle = image.GetDepth() // 2
    slab = sitk.DICOMOrient(image[:, :, middle : middle + 1], "LPS")
    across = slab.GetSize().index(1)
    if across != _PLANE:  # show the head at the top of coronal and sagittal slices
        slab = slab[:, :, ::-1]
    return slab[tuple(0 if axis == across else slice(None) for axis in range(_VOLUME))]


def resize(sitk: Any, plane: Any, max_side: int) -> Any:
    """Return a slice with square pixels, whose longer side is `max_side`."""
    extent = [
        size * spacing for size, spacing in zip(plane.GetSize(), plane.GetSpacing(), strict=True)
    ]
    pixel = max(extent) / max_side
    size = [max(1, round(length / pixel)) for length in extent]
    shrink = [max(1, old // new) for old, new in zip(plane.GetSize(), size, strict=True)]
    grid = sitk.Image(plane.GetSize(), sitk.sitkUInt8)
    grid.SetSpacing(plane.GetSpacing())
    plane.CopyInformation(grid)  # reset origin and direction
    if max(shrink) > 1:
        plane = sitk.BinShrink(plane, shrink)
    corner = [(pixel - spacing) / 2 for spacing in grid.GetSpacing()]
    return sitk.Resample(
        plane,
        size,
        sitk.Transform(_PLANE, sitk.sitkIdentity),
        sitk.sitkLinear,
        corner,
        [pixel] * _PLANE,
        [1.0, 0.0, 0.0, 1.0],
        0.0,
        plane.GetPixelID(),
        True,
    )


def _to_bytes(sitk: Any, plane: Any, folder: Path) -> Any:
    """Return the slice with 8 bits per component, in grey scaled by percentiles."""
    parts = plane.GetNumberOfComponentsPerPixel()
    if parts in _COLOR_COMPONENTS and plane.GetPixelID() == sitk.sitkVectorUInt8:
        return plane
    if parts > 1:
        plane = sitk.VectorMagnitude(plane)
    plane = sitk.Cast(plane, sitk.sitkFloat32)
    low, high = window(sitk, plane, folder / "plane.mha")
    return sitk.Cast(sitk.IntensityWindowing(plane, low, high, 0.0, 255.0), sitk.sitkUInt8)


def window(sitk: Any, plane: Any, path: Path) -> tuple[float, float]:
    """Return the values shown black and white; a file is the fast way to the pixels without NumPy."""
    sitk.WriteImage(plane, str(path))
    count = plane.GetNumberOfPixels()
    pixels = array.array("f", path.read_bytes()[-4 * count :])
    ordered = sorted(pixel for pixel in pixels if pixel - pixel == 0)  # finite
    if not ordered:
        return 0.0, 1.0
    low, high = (ordered[int(share * (len(ordered) - 1))] for share in (_LOW, _HIGH))
    if low == high:  # a small object on a uniform background
        low, high = ordered[0], ordered[-1]
    return low, high if high > low else low + 1.0
