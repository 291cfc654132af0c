"""Headers of NIfTI-1, of NIfTI pairs and of Analyze 7.5, which NIfTI extends."""

from __future__ import annotations

import math
import struct

from gcapi._inspect.formats import Format, Head
from gcapi._inspect.image_data import HeaderError, ImageData

_HEADER_BYTES = 348
#: The number of dimensions of the format.
_MAX_DIMENSIONS = 7
#: The length of a voxel in bytes, by the code of its type.
_VOXEL_BYTES = {
    **dict.fromkeys((2, 256), 1),
    **dict.fromkeys((4, 512), 2),
    **dict.fromkeys((128,), 3),
    **dict.fromkeys((8, 16, 768, 2304), 4),
    **dict.fromkeys((32, 64, 1024, 1280), 8),
    **dict.fromkeys((1536, 1792), 16),
    **dict.fromkeys((2048,), 32),
}


def read_nifti(head: Head) -> list[ImageData]:
    """Return the data that a NIfTI or Analyze header declares.

    Raises:
        HeaderError: It cannot be read, or SimpleITK, with which images are imported, does not read it.
    """
    content = head.content
    if content[4:8] in {b"n+2\0", b"ni2\0"}:
        raise HeaderError(
            "it is NIfTI-2, which the server's reader does not know", "Save it as NIfTI-1"
        )
    if len(content) < _HEADER_BYTES:
        raise HeaderError(f"it ends within its header, which has {_HEADER_BYTES} bytes")
    order = "<" if content[0] else ">"
    count, *sizes = struct.unpack_from(f"{order}8h", content, 40)
    (code,) = struct.unpack_from(f"{order}h", content, 70)
    (offset,) = struct.unpack_from(f"{order}f", content, 108)
    if not 1 <= count <= _MAX_DIMENSIONS:
        raise HeaderError(f"its header declares {count} dimensions, and 1 to 7 are possible")
    voxel = _VOXEL_BYTES.get(code)
    start = int(offset) if math.isfinite(offset) and offset > 0 else 0
    length = voxel and math.prod(max(1, size) for size in sizes[:count]) * voxel
    if content[344:348] != b"n+1\0":
        return [_pair(head, start, length)]
    start = max(start, _HEADER_BYTES)
    if head.format == Format.GZIP:
        return [ImageData(length=length and start + length, compression="gzip")]
    return [ImageData(start=start, length=length)]


def _pair(head: Head, start: int, length: int | None) -> ImageData:
    """Return the data of a header whose data are in a file with the suffix ``.img`` or ``.img.gz``."""
    stem = head.path.name.removesuffix(".gz")[: -len(".hdr")]
    name, compressed = f"{stem}.img", f"{stem}.img.gz"
    if (head.path.parent / compressed).exists() and not (head.path.parent / name).exists():
        return ImageData(compressed, 0, length and start + length, compression="gzip")
    return ImageData(name, start, length)
