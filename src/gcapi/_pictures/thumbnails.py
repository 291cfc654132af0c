"""Thumbnails: the middle slice of an image as a small PNG, with what its header says about its geometry.

Of a header, only the shape, the spacing and the modality are kept. Pixels that may show a name are not drawn.
"""

from __future__ import annotations

import array
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gcapi._pictures.dicom_series import Series, find_middle
from gcapi._pictures.simpleitk import detached_headers, load_sitk, read_header
from gcapi._util.owner_locks import private_directory

#: The longer side of a thumbnail in pixels.
MAX_SIDE = 256
#: The largest slice that is drawn, in bytes.
_MAX_SLICE = 2**28
#: The largest image that is read as a whole, in bytes after decompression.
_MAX_WHOLE = 2**29
#: The largest image that is decompressed up to its middle slice, in bytes after decompression.
_MAX_DECOMPRESSED = 2**30
#: Readers of SimpleITK that can read one slice.
_SLICE_READERS = frozenset({"MetaImageIO", "NiftiImageIO"})
#: Readers of formats whose pixels have a size in mm.
_SPACED_READERS = _SLICE_READERS | {"NrrdImageIO", "GDCMImageIO"}
_PLANE, _VOLUME = 2, 3
_COLORS = (3, 4)
#: The quantiles of the pixels that are shown black and white.
_LOW, _HIGH = 0.01, 0.99

_MODALITY = "0008|0060"
_PIXEL_SPACING = "0028|0030"
#: The code of a modality, in DICOM and in MetaImage; longer or other text could be anything.
_MODALITY_CODE = re.compile(r"(?:MET_MOD_(?!UNKNOWN|OTHER))?([A-Z]{2,8})")
#: SOP classes whose pixels usually include text: secondary capture and ultrasound.
_CLASSES_WITH_TEXT = re.compile(r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(?:7|6\.[12]|3\.1)(?:\.\d+)?")


@dataclass(frozen=True)
class Thumbnail:
    """A thumbnail of an image.

    Attributes:
        png: The picture; empty if there is none.
        reason: Why there is no picture; empty if there is one.
        shape: The number of pixels along each axis; empty if it is unknown.
        spacing: The distances of pixels along the first three axes in mm; empty if they are unknown.
        components: The number of values of each pixel.
        modality: The code of the modality, such as ``"CT"``; empty if it is unknown.
    """

    png: bytes = field(default=b"", repr=False)
    reason: str = ""
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    components: int = 1
    modality: str = ""

    def _repr_png_(self) -> bytes | None:
        return self.png or None


def draw_thumbnail(files: Sequence[Path], max_side: int = MAX_SIDE) -> Thumbnail:
    """Return the thumbnail of an image.

    Uncompressed MetaImage and NIfTI files cost the reading of one slice, compressed ones the decompression up to the
    middle slice (about 2 s for 300 MiB), and other formats the reading of the whole image. Of a DICOM series, at most
    100 headers and one file are read. Larger images than 1 GiB, or 512 MiB if the whole is read, get no picture, nor do
    slices of more than 256 MiB. The memory is that of the slice, or at most twice that of an image that is read as a
    whole.

    Args:
        files: The files of one image: one file, a header with its data, or a DICOM series in any order.
        max_side: The longer side in pixels.

    Raises:
        MissingExtra: SimpleITK is not installed.
    """
    sitk = load_sitk()
    headers = detached_headers(files)
    series = None if headers or len(files) == 1 else find_middle(sitk, files)
    path = headers[0] if headers else files[0] if series is None else series.middle
    try:
        return _draw(sitk, path, files, series, max_side)
    except (
        RuntimeError,
        TypeError,
        ValueError,
    ):  # what SimpleITK raises for files and names that it cannot read
        return Thumbnail(reason="SimpleITK cannot read it")


def _draw(
    sitk: Any, path: Path, files: Sequence[Path], series: Series | None, max_side: int
) -> Thumbnail:
    reader = read_header(sitk, path)
    thumbnail = _described(reader, series)
    reason = _obstacle(sitk, reader, sum(file.stat().st_size for file in {path, *files}))
    if reason:
        return replace(thumbnail, reason=reason)
    with private_directory() as folder:
        target = folder / "thumbnail.png"
        plane = _fitted(sitk, _middle_slice(sitk, reader), max_side)
        shown = _as_bytes(sitk, plane, folder)
        sitk.WriteImage(shown, str(target), useCompression=True, compressionLevel=9)
        return replace(thumbnail, png=target.read_bytes())


# ---------------------------------------------------------------- headers


def _described(reader: Any, series: Series | None) -> Thumbnail:
    """Return what the header of an image says, without a picture."""
    shape, spacing = tuple(reader.GetSize()), tuple(reader.GetSpacing())[:_VOLUME]
    if not _has_spacing(reader):
        spacing = ()
    if shape[_PLANE:] == (1,):  # one file of a series, or a single slice
        shape = (*shape[:_PLANE], *([] if series is None else [series.count]))
        spacing = (*spacing[:_PLANE], *([series.distance] if series and series.distance else []))
    code = _MODALITY_CODE.fullmatch(_tag(reader, _MODALITY) or _tag(reader, "Modality"))
    return Thumbnail(
        shape=shape,
        spacing=spacing,
        components=reader.GetNumberOfComponents(),
        modality=code[1] if code else "",
    )


def _has_spacing(reader: Any) -> bool:
    name = reader.GetImageIOFromFileName(reader.GetFileName())
    if name == "GDCMImageIO" and not reader.HasMetaDataKey(_PIXEL_SPACING):
        return tuple(reader.GetSpacing()[:_PLANE]) != (1.0, 1.0)  # the default
    return name in _SPACED_READERS


def _tag(reader: Any, key: str) -> str:
    """Return the text of an element of the header; empty if there is none."""
    text: str = reader.GetMetaData(key).strip(" \0") if reader.HasMetaDataKey(key) else ""
    return text


def _obstacle(sitk: Any, reader: Any, file_bytes: int) -> str:
    """Return why an image is not drawn; empty if it can be."""
    if _may_show_names(reader):
        return "its pixels may include text, such as a name"
    width, height, *others = reader.GetSize()
    pixel = sitk.Image([1, 1], reader.GetPixelID(), reader.GetNumberOfComponents())
    plane = width * height * pixel.GetSizeOfPixelComponent() * reader.GetNumberOfComponents()
    whole = plane * math.prod(others)
    limit = _MAX_WHOLE
    if reader.GetImageIOFromFileName(reader.GetFileName()) in _SLICE_READERS:
        limit = _MAX_DECOMPRESSED if file_bytes < whole else whole
    return "it is too large" if plane > _MAX_SLICE or whole > limit else ""


def _may_show_names(reader: Any) -> bool:
    """Return whether the pixels of a DICOM file may include text that identifies a person."""
    image_type = re.sub(r"[ _]", "", _tag(reader, "0008|0008").upper()).split("\\")
    burned_in = _tag(reader, "0028|0301").upper()
    return (
        burned_in == "YES"
        or _tag(reader, "0048|0010").upper() == "YES"  # SpecimenLabelInImage
        or not {"SCREENSAVE", "LABEL", "OVERVIEW"}.isdisjoint(image_type)
        or (burned_in != "NO" and bool(_CLASSES_WITH_TEXT.fullmatch(_tag(reader, "0008|0016"))))
    )


# ---------------------------------------------------------------- pixels


def _middle_slice(sitk: Any, reader: Any) -> Any:
    """Return the middle slice in the plane of acquisition, in radiological orientation."""
    width, height, *others = reader.GetSize()
    index = [0] * len(others)
    if others:
        index[0] = others[0] // 2
        reader.SetExtractIndex([0, 0, *index])
        reader.SetExtractSize([width, height, *(1 for _ in others)])
    image = reader.Execute()
    while image.GetDimension() > _VOLUME:
        image = image[..., 0]
    if image.GetDimension() == _PLANE:
        return image
    oriented = sitk.DICOMOrient(image, "LPS")
    axis = oriented.GetSize().index(1)
    if axis != _PLANE:  # the head is at the top of coronal and sagittal slices
        oriented = oriented[:, :, ::-1]
    return oriented[tuple(0 if each == axis else slice(None) for each in range(_VOLUME))]


def _fitted(sitk: Any, plane: Any, max_side: int) -> Any:
    """Return a slice with square pixels, whose longer side is `max_side`."""
    spacing = plane.GetSpacing()
    extent = [count * step for count, step in zip(plane.GetSize(), spacing, strict=True)]
    pixel = max(extent) / max_side
    size = [max(1, round(length / pixel)) for length in extent]
    corner = [(pixel - step) / 2 for step in spacing]
    plane.SetOrigin([0.0, 0.0])
    plane.SetDirection([1.0, 0.0, 0.0, 1.0])
    factors = [max(1, count // new) for count, new in zip(plane.GetSize(), size, strict=True)]
    if max(factors) > 1:  # averages, where the interpolation below would skip pixels
        plane = sitk.BinShrink(plane, factors)
    grid = sitk.Image(size, plane.GetPixelID(), plane.GetNumberOfComponentsPerPixel())
    grid.SetSpacing([pixel, pixel])
    grid.SetOrigin(corner)
    method = sitk.sitkNearestNeighbor if pixel <= min(spacing) else sitk.sitkLinear
    return sitk.Resample(plane, grid, sitk.Transform(), method, 0.0, plane.GetPixelID(), True)


def _as_bytes(sitk: Any, plane: Any, folder: Path) -> Any:
    """Return a slice with 8 bits for each component: colors as they are, all else in grey."""
    components = plane.GetNumberOfComponentsPerPixel()
    if components in _COLORS and plane.GetPixelID() == sitk.sitkVectorUInt8:
        # Without transparency, behind which everything could be hidden.
        return sitk.Compose([sitk.VectorIndexSelectionCast(plane, part) for part in range(3)])
    if components > 1:
        plane = sitk.VectorMagnitude(plane)
    plane = sitk.Cast(plane, sitk.sitkFloat32)
    low, high = _window(sitk, plane, folder / "plane.mha")
    return sitk.Cast(sitk.IntensityWindowing(plane, low, high, 0.0, 255.0), sitk.sitkUInt8)


def _window(sitk: Any, plane: Any, path: Path) -> tuple[float, float]:
    """Return the values that are shown black and white.

    Without NumPy, the pixels of a file are read 50 times faster than those of an image of SimpleITK.
    """
    sitk.WriteImage(plane, str(path))
    pixels = array.array("f", path.read_bytes()[-4 * plane.GetNumberOfPixels() :])
    ordered = sorted(pixel for pixel in pixels if pixel - pixel == 0)  # finite
    if not ordered:
        return 0.0, 1.0
    low, high = (ordered[int(share * (len(ordered) - 1))] for share in (_LOW, _HIGH))
    if low == high:  # a small object on a uniform background
        low, high = ordered[0], ordered[-1]
    return low, high if high > low else low + 1.0
