"""Slices of images along an axis as PNG, with the same window for all slices of an image."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._database.records import Image, ImageFile, Instance
from gcapi_sandbox._imaging.simpleitk import load_sitk
from gcapi_sandbox._imaging.thumbnails import MAX_VOXELS, count_voxels, resize, window

if TYPE_CHECKING:
    from gcapi_sandbox._state import State

_MAX_SIDE = 640  # pixels
_PLANE, _VOLUME = 2, 3
#: The axes across the slices, in radiological orientation.
AXES = {"axial": 2, "coronal": 1, "sagittal": 0}


@dataclass(frozen=True)
class _Loaded:
    """An image in memory, in radiological orientation; a plane has one slice."""

    pk: str
    image: Any
    low: float
    high: float


class Slices:
    """Draws slices; keeps the image that was drawn last."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._loaded: _Loaded | None = None

    def counts(self, pk: str) -> dict[str, int]:
        """Return the number of slices along each axis; empty if the image cannot be drawn."""
        loaded = self._load(pk)
        if loaded is None:
            return {}
        size = loaded.image.GetSize()
        if size[_PLANE] == 1:
            return {"axial": 1}
        return {name: size[axis] for name, axis in AXES.items()}

    def draw(self, pk: str, axis: str, index: int) -> bytes:
        """Return a slice as PNG; empty if there is none."""
        loaded = self._load(pk)
        if loaded is None or not 0 <= index < self.counts(pk).get(axis, 0):
            return b""
        sitk = load_sitk()
        volume = loaded.image
        if axis != "axial":  # the head is at the top
            volume = volume[:, :, ::-1]
        across = AXES[axis]
        plane = volume[tuple(index if each == across else slice(None) for each in range(_VOLUME))]
        plane = resize(sitk, plane, _MAX_SIDE)
        if plane.GetNumberOfComponentsPerPixel() == 1:
            scaled = sitk.IntensityWindowing(
                sitk.Cast(plane, sitk.sitkFloat32), loaded.low, loaded.high, 0.0, 255.0
            )
            plane = sitk.Cast(scaled, sitk.sitkUInt8)
        with tempfile.TemporaryDirectory(dir=self._state.work) as folder:
            target = Path(folder) / "slice.png"
            sitk.WriteImage(plane, str(target))
            return target.read_bytes()

    def _load(self, pk: str) -> _Loaded | None:
        with self._lock:
            if self._loaded is None or self._loaded.pk != pk:
                try:
                    self._loaded = self._read(pk)
                except RuntimeError:  # SimpleITK's error for every file that it cannot read
                    self._loaded = None
            return self._loaded

    def _read(self, pk: str) -> _Loaded | None:
        sitk = load_sitk()
        paths = [str(path) for path in self._paths(pk)]
        if not paths or count_voxels(sitk, paths[0]) * len(paths) > MAX_VOXELS:
            return None
        image = sitk.ReadImage(paths if len(paths) > 1 else paths[0])
        while image.GetDimension() > _VOLUME:
            image = image[..., 0]
        image = (
            sitk.JoinSeries(image)
            if image.GetDimension() == _PLANE
            else sitk.DICOMOrient(image, "LPS")
        )
        low, high = 0.0, 1.0
        if image.GetNumberOfComponentsPerPixel() == 1:
            middle = sitk.Cast(image[:, :, image.GetDepth() // 2], sitk.sitkFloat32)
            with tempfile.TemporaryDirectory(dir=self._state.work) as folder:
                low, high = window(sitk, middle, Path(folder) / "plane.mha")
        return _Loaded(pk, image, low, high)

    def _paths(self, pk: str) -> list[Path]:
        store, objects = self._state.store, self._state.objects
        file = store.find(ImageFile, "image = ?", pk)
        if file is not None:
            return [objects / file.key]
        image = store.find(Image, "pk = ?", pk)
        if image is None or not image.image_set_id:
            return []
        instances = store.rows(Instance, "image_set_id = ?", image.image_set_id)
        return [objects / one.key for one in instances]
