"""Local images as objects of SimpleITK and as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcapi._pictures.simpleitk import detached_headers, load_sitk
from gcapi._util.extras import import_extra
from gcapi.exceptions import MissingExtra


@dataclass(frozen=True, eq=False)
class ImageArray:
    """The pixels of an image.

    `numpy.asarray` takes it too.

    Attributes:
        pixels: A `numpy.ndarray` with the axes z, y and x (y and x of a plane), and one for components if a pixel has
            several.
        spacing: The distances of pixels in mm, in the order of the axes of `pixels`.
    """

    pixels: Any
    spacing: tuple[float, ...]

    def __array__(self, *arguments: Any, **options: Any) -> Any:
        return self.pixels.__array__(*arguments, **options)

    def __repr__(self) -> str:
        return f"<ImageArray of {self.pixels.shape} {self.pixels.dtype}, spacing {self.spacing} mm>"


def read_volume(files: Sequence[Path]) -> Any:
    """Return an image as a `SimpleITK.Image`.

    Args:
        files: The files of one image: one file, a header with its data, or a DICOM series in any order.

    Raises:
        MissingExtra: SimpleITK is not installed.
        RuntimeError: SimpleITK cannot read it.
    """
    sitk = load_sitk()
    headers = detached_headers(files)
    if headers or len(files) == 1:
        return sitk.ReadImage(str((headers or files)[0]))
    folder = str(files[0].parent)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)
    if len(names) != len(files):
        raise RuntimeError(f"{len(files)} files are not one series")
    return sitk.ReadImage(names)


def as_array(image: Any) -> ImageArray:
    """Return the pixels of a `SimpleITK.Image`.

    Raises:
        MissingExtra: NumPy is not installed.
    """
    missing = MissingExtra(
        "Arrays need NumPy. Install it from the checkout of gcapi: pip install '.[images]'"
    )
    import_extra("numpy", missing)
    return ImageArray(load_sitk().GetArrayFromImage(image), tuple(reversed(image.GetSpacing())))
