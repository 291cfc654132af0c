"""Small image files, whole and damaged, each with the finding of the inspection that is right."""

from __future__ import annotations

import gzip
import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it

from gcapi.findings import Level
from tests.support.data import ct_slice

_SIZE = (4, 8, 8)
_PIXELS = np.random.default_rng(4711).integers(0, 60_000, _SIZE, dtype=np.uint16)
_RAW = _PIXELS.tobytes()
_SHORT = _RAW[:300]
_SLICES = {f"s{number}.raw": _PIXELS[number].tobytes() for number in range(4)}


@dataclass(frozen=True)
class ImageCase:
    """Files of one image.

    Attributes:
        name: What is special about them.
        files: The contents of the files of the value, by name.
        level: The level of the right finding; `None` if there is none.
        what: A part of the finding's text.
        beside: The contents of files in the same folder that are not given.
        imports: Whether the sandbox imports them, if that is not what the level says.
    """

    name: str
    files: dict[str, bytes]
    level: Level | None = None
    what: str = ""
    beside: dict[str, bytes] = field(default_factory=dict[str, bytes])
    imports: bool | None = None

    @property
    def is_imported(self) -> bool:
        """Return whether the sandbox imports the files."""
        return self.level != "error" if self.imports is None else self.imports

    def write(self, folder: Path) -> list[Path]:
        """Write the files into a folder and return those of the value."""
        folder.mkdir(exist_ok=True)
        for name, content in {**self.beside, **self.files}.items():
            (folder / name).write_bytes(content)
        return [folder / name for name in self.files]


@cache
def image_cases() -> tuple[ImageCase, ...]:
    """Return all cases."""
    return tuple(
        case
        for cases in (
            _whole,
            _metaimages,
            _detached,
            _nifti,
            _nrrd,
            _pictures,
            _tiff,
            _names,
            _values,
        )
        for case in cases()
    )


# ---------------------------------------------------------------- writing


def _written(name: str, *, flat: bool = False, compressed: bool = False) -> bytes:
    """Return an image that SimpleITK writes in the format of the suffix."""
    image = sitk.GetImageFromArray((_PIXELS[0] >> 8).astype(np.uint8) if flat else _PIXELS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        sitk.WriteImage(image, str(path), useCompression=compressed)
        return path.read_bytes()


def _nibabel(kind: Any, suffix: str, **header: Any) -> dict[str, bytes]:
    """Return the files that nibabel writes, by their suffixes."""
    image = kind(_PIXELS.view(np.int16).T, np.eye(4))
    for name, value in header.items():
        image.header[name] = value
    with tempfile.TemporaryDirectory() as folder:
        image.to_filename(str(Path(folder) / f"a{suffix}"))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def metaimage(*first: str, data: bytes = _RAW, file: str = "LOCAL", **fields: str) -> bytes:
    """Return a MetaImage header after some first lines, with its data if they are in it."""
    known = {"ObjectType": "Image", "NDims": "3", "BinaryData": "True", "DimSize": "8 8 4"}
    known |= {"ElementType": "MET_USHORT", **fields, "ElementDataFile": file}
    lines = [*first, *(f"{key} = {value}" for key, value in known.items() if value)]
    return "\n".join(lines).encode() + b"\n" + (data if file.lower() == "local" else b"")


def nrrd(*, data: bytes = _RAW, **fields: str) -> bytes:
    """Return an NRRD header with its data."""
    known = {"type": "uint16", "dimension": "3", "sizes": "8 8 4", "endian": "little"}
    known |= {"encoding": "raw", **fields}
    lines = [
        "NRRD0004",
        *(f"{key.replace('_', ' ')}: {value}" for key, value in known.items() if value),
    ]
    return "\n".join(lines).encode() + b"\n\n" + data


def tiff(order: str = "<", *, is_big: bool = False, strips: int = 1) -> bytes:
    """Return a TIFF file of 32 × 32 pixels with its directory before its strips."""
    count, width, entry = ("Q", "Q", 20) if is_big else ("H", "I", 12)
    rows = 32 // strips
    offsets, lengths = [0] * strips, [rows * 32] * strips
    fields = {256: [32], 257: [32], 258: [8], 259: [1], 262: [1], 273: offsets, 277: [1]}
    fields |= {278: [rows], 279: lengths}
    start = 16 if is_big else 8
    end = start + struct.calcsize(f"={count}") + entry * len(fields) + struct.calcsize(f"={width}")
    tables = b""
    if strips > 1:  # the tables are behind the directory, and the strips behind the tables
        first = end + 8 * strips
        offsets[:] = [first + rows * 32 * number for number in range(strips)]
        tables = struct.pack(f"{order}{2 * strips}I", *offsets, *lengths)
    else:
        offsets[0] = end
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if is_big else struct.pack(f"{order}HI", 42, 8)
    body = struct.pack(f"{order}{count}", len(fields))
    for tag, values in fields.items():
        table = end + (4 * strips if tag == 279 else 0)
        value = struct.pack(f"{order}I", table if len(values) > 1 else values[0])
        body += struct.pack(f"{order}HH{width}", tag, 4, len(values))
        body += value.ljust(struct.calcsize(f"={width}"), b"\0")
    body += struct.pack(f"{order}{width}", 0)
    pixels = bytes(range(256)) * 4
    return (b"II" if order == "<" else b"MM") + head + body + tables + pixels


# ---------------------------------------------------------------- cases


def _whole() -> Iterator[ImageCase]:
    """Yield images as programs write them, which have no findings."""
    for name in ("a.mha", "a.nii", "a.nii.gz", "a.nrrd", "a.tif"):
        yield ImageCase(f"SimpleITK {name}", {name: _written(name)})
    for name in ("a.mha", "a.nrrd"):
        yield ImageCase(f"SimpleITK {name}, compressed", {name: _written(name, compressed=True)})
    for name in ("a.png", "a.jpg", "a.jpeg", "a.tiff"):
        yield ImageCase(f"SimpleITK {name}", {name: _written(name, flat=True)})
    yield ImageCase("nibabel a.nii", _nibabel(nibabel.Nifti1Image, ".nii"))
    yield ImageCase("nibabel a.nii.gz", _nibabel(nibabel.Nifti1Image, ".nii.gz"))
    yield ImageCase("nibabel a.nii, scaled", _nibabel(nibabel.Nifti1Image, ".nii", scl_slope=2))


def _metaimages() -> Iterator[ImageCase]:
    firsts = {
        "CompressedData": "CompressedData = False",
        "BinaryData": "BinaryData = True",
        "Name": "Name = A scan",
        "ID": "ID = 3",
        "Modality": "Modality = MET_MOD_CT",
        "Comment": "Comment = NDims and others follow",
        "a blank line": "",
        "a byte order mark": "\ufeffComment = marked",
    }
    for name, line in firsts.items():
        yield ImageCase(f"MetaImage that begins with {name}", {"a.mha": metaimage(line)})
    yield ImageCase(
        "MetaImage with CRLF", {"a.mha": metaimage(data=b"").replace(b"\n", b"\r\n") + _RAW}
    )
    yield ImageCase(
        "MetaImage with colons", {"a.mha": metaimage(data=b"").replace(b" =", b":") + _RAW}
    )
    yield ImageCase("MetaImage as text", {"a.mha": metaimage(BinaryData="False", data=b"1 " * 256)})
    yield ImageCase("attached .mhd", {"a.mhd": metaimage(file="Local")})
    yield ImageCase("MetaImage with more bytes", {"a.mha": metaimage(data=_RAW + b"end")})
    wide = metaimage(ElementNumberOfChannels="3", data=_RAW * 3)
    yield ImageCase("MetaImage in colour", {"a.mha": wide})
    yield ImageCase("cut MetaImage in colour", {"a.mha": wide[:-1]}, "error", "1,535 of the 1,536")
    yield ImageCase("cut MetaImage", {"a.mha": metaimage(data=_SHORT)}, "error", "300 of the 512")
    cut = _written("a.mha", compressed=True)[:-20]
    yield ImageCase(
        "cut compressed MetaImage", {"a.mha": cut}, "error", "bytes of data that its header"
    )
    yield ImageCase(
        "MetaImage without data", {"a.mha": metaimage(data=b"")}, "error", "0 of the 512"
    )
    yield ImageCase(
        "MetaImage cut in its header", {"a.mha": metaimage()[:60]}, "error", "no ElementDataFile"
    )
    yield ImageCase(
        "MetaImage without sizes", {"a.mha": metaimage(DimSize="")}, "error", "no DimSize"
    )
    yield ImageCase(
        "MetaImage with few sizes", {"a.mha": metaimage(DimSize="8 8")}, "error", "DimSize"
    )
    yield ImageCase(
        "MetaImage without type", {"a.mha": metaimage(ElementType="")}, "error", "no ElementType"
    )
    yield ImageCase(
        "MetaImage of no type", {"a.mha": metaimage(ElementType="MET_IT")}, "error", "'IT'"
    )
    yield ImageCase(
        "MetaImage without NDims", {"a.mha": metaimage(NDims="")}, "error", "unknown format"
    )


def _detached() -> Iterator[ImageCase]:
    """Yield MetaImage headers with data in other files."""
    for name in ("a.raw", "ct.bin", "data", "ct 1.dat"):
        yield ImageCase(f"data in {name}", {"a.mhd": metaimage(file=name), name: _RAW})
    yield ImageCase("data in ./a.raw", {"a.mhd": metaimage(file="./a.raw"), "a.raw": _RAW})
    headed = metaimage(file="a.raw", HeaderSize="100")
    yield ImageCase("data after 100 bytes", {"a.mhd": headed, "a.raw": b"h" * 100 + _RAW})
    last = metaimage(file="a.raw", HeaderSize="-1")
    yield ImageCase("data at the end", {"a.mhd": last, "a.raw": b"h" * 100 + _RAW})
    header = {"a.mhd": metaimage(file="a.raw")}
    yield ImageCase(
        "data cut", header | {"a.raw": _SHORT}, "error", "300 of the 512 bytes of data that a.mhd"
    )
    yield ImageCase("data cut after 100 bytes", {"a.mhd": headed, "a.raw": _RAW}, "error", "412 of")
    yield ImageCase("data empty", header | {"a.raw": b""}, "error", "empty")
    yield ImageCase("data too long", header | {"a.raw": _RAW * 2}, "warning", "512 bytes more")
    yield ImageCase("data missing", header, "error", "'a.raw' does not exist")
    yield ImageCase("data not given", header, "error", "not among the files", {"a.raw": _RAW})
    away = {"a.mhd": metaimage(file="sub/a.raw"), "a.raw": _RAW}
    yield ImageCase("data in a folder", away, "error", "another folder")
    yield ImageCase("data without header", {"a.raw": _RAW}, "error", "header is missing")
    listed = {"a.mhd": metaimage(file="LIST\n" + "\n".join(_SLICES)), **_SLICES}
    yield ImageCase("data in a list", listed, "warning", "in other files")
    pattern = {"a.mhd": metaimage(file="s%d.raw 0 3 1"), **_SLICES}
    yield ImageCase("data in a pattern", pattern, "warning", "in other files")
    endless = {"a.mhd": metaimage(file="s%d.raw 0 999999999999"), **_SLICES}
    yield ImageCase("data in a pattern of many files", endless, "warning", "in other files")
    wrong = {"a.mhd": metaimage(file="s%q.raw 0 3 1"), **_SLICES}
    yield ImageCase("data in a wrong pattern", wrong, "error", "'s%q.raw 0 3 1'")
    partly = {name: data for name, data in listed.items() if name != "s2.raw"}
    yield ImageCase("a list with a missing file", partly, "error", "'s2.raw' does not exist")


def _nifti() -> Iterator[ImageCase]:
    whole = _written("a.nii")
    packed = gzip.compress(whole)
    members = gzip.compress(whole[:400]) + gzip.compress(whole[400:])
    yield ImageCase("gzip of two members", {"a.nii.gz": members})
    yield ImageCase("cut NIfTI", {"a.nii": whole[:-1]}, "error", "511 of the 512")
    yield ImageCase("NIfTI cut in its header", {"a.nii": whole[:200]}, "error", "within its header")
    yield ImageCase("NIfTI without voxels", {"a.nii": whole[:352]}, "error", "0 of the 512")
    yield ImageCase(
        "cut .nii.gz", {"a.nii.gz": packed[: len(packed) // 2]}, "error", "of the 864 bytes"
    )
    yield ImageCase(
        "gzip of a cut file", {"a.nii.gz": gzip.compress(whole[:600])}, "error", "600 of the 864"
    )
    yield ImageCase("gzip without its trailer", {"a.nii.gz": packed[:-8]})
    damaged = packed[:-8] + b"1234" + packed[-4:]
    yield ImageCase(
        "gzip with a wrong checksum", {"a.nii.gz": damaged}, "error", "gzip data are damaged"
    )
    yield ImageCase("gzip called .nii", {"a.nii": packed}, "error", "compressed with gzip")
    yield ImageCase("NIfTI called .nii.gz", {"a.nii.gz": whole}, "warning", "not compressed")
    yield ImageCase("NIfTI-2", _nibabel(nibabel.Nifti2Image, ".nii"), "error", "NIfTI-2")
    for kind in (nibabel.Nifti1Pair, nibabel.AnalyzeImage):
        pair = _nibabel(kind, ".hdr")
        name = f"{kind.__name__} pair"
        yield ImageCase(name, pair, "warning", "in other files")
        yield ImageCase(f"{name}, cut", pair | {"a.img": _SHORT}, "error", "300 of the 512")
        yield ImageCase(
            f"{name}, header only", {"a.hdr": pair["a.hdr"]}, "error", "'a.img' does not exist"
        )
        yield ImageCase(
            f"{name}, data only", {"a.img": pair["a.img"]}, "error", "header is missing"
        )


def _nrrd() -> Iterator[ImageCase]:
    yield ImageCase("NRRD by hand", {"a.nrrd": nrrd()})
    packed = gzip.compress(_RAW)
    yield ImageCase("cut NRRD", {"a.nrrd": nrrd(data=_SHORT)}, "error", "300 of the 512")
    cut = nrrd(encoding="gzip", data=packed[:-100])
    yield ImageCase("cut NRRD with gzip", {"a.nrrd": cut}, "error", "of the 512")
    yield ImageCase("NRRD without sizes", {"a.nrrd": nrrd(sizes="")}, "error", "no 'sizes'")
    header = {"a.nhdr": nrrd(data_file="a.raw", data=b"")}
    yield ImageCase("detached NRRD", header | {"a.raw": _RAW}, "warning", "in other files")
    packed_header = {"a.nhdr": nrrd(data_file="a.raw.gz", encoding="gzip", data=b"")}
    yield ImageCase(
        "detached NRRD with gzip", packed_header | {"a.raw.gz": packed}, "warning", "in other files"
    )
    yield ImageCase("detached NRRD, cut", header | {"a.raw": _SHORT}, "error", "300 of the 512")
    yield ImageCase("detached NRRD, not given", header, "error", "not among", {"a.raw": _RAW})
    yield ImageCase("detached NRRD, missing", header, "error", "does not exist")


def _pictures() -> Iterator[ImageCase]:
    png, jpeg = (_written(f"a.{suffix}", flat=True) for suffix in ("png", "jpg"))
    yield ImageCase("cut PNG", {"a.png": png[: len(png) // 2]}, "error", "bytes of data")
    yield ImageCase("PNG without its last byte", {"a.png": png[:-1]}, "error", "bytes of data")
    yield ImageCase("PNG with more bytes", {"a.png": png + b"end"})
    yield ImageCase("cut JPEG", {"a.jpg": jpeg[:-50]}, "error", "end-of-image marker")
    yield ImageCase("JPEG cut in its header", {"a.jpg": jpeg[:60]}, "error", "header")
    yield ImageCase("JPEG with many more bytes", {"a.jpg": jpeg + b"end" * 3000})


def _tiff() -> Iterator[ImageCase]:
    for order in ("<", ">"):
        for is_big in (False, True):
            name = f"TIFF {order}{' big' * is_big}"
            whole = tiff(order, is_big=is_big)
            yield ImageCase(name, {"a.tif": whole})
            yield ImageCase(f"{name}, cut", {"a.tif": whole[:-10]}, "error", "bytes of data")
    strips = tiff(strips=8)
    yield ImageCase("TIFF of 8 strips", {"a.tif": strips})
    yield ImageCase("TIFF of 8 strips, cut", {"a.tif": strips[:-10]}, "error", "bytes of data")
    yield ImageCase("TIFF cut in its tables", {"a.tif": strips[:140]}, "error", "bytes of data")
    last = _written("a.tif", flat=True)  # with its directory at the end
    yield ImageCase(
        "TIFF without its directory", {"a.tif": last[: len(last) // 2]}, "error", "bytes of data"
    )
    yield ImageCase("slide", {"a.svs": tiff()})
    yield ImageCase("cut slide", {"a.svs": tiff()[:-10]}, "error", "bytes of data")


def _names() -> Iterator[ImageCase]:
    """Yield files whose suffix is not one of their content."""
    png, jpeg = (_written(f"a.{suffix}", flat=True) for suffix in ("png", "jpg"))
    yield ImageCase("PNG called .mha", {"a.mha": png}, "warning", "content is PNG")
    yield ImageCase("TIFF called .png", {"a.png": tiff()}, "warning", "content is TIFF")
    yield ImageCase("JPEG called .png", {"a.png": jpeg}, "error", "content is JPEG")
    yield ImageCase(
        "MetaImage called .nii", {"a.nii": metaimage()}, "error", "content is MetaImage"
    )
    yield ImageCase("NIfTI called .mha", {"a.mha": _written("a.nii")}, "error", "content is NIfTI")
    yield ImageCase("NRRD without suffix", {"a": nrrd()}, "error", "suffix is missing")
    yield ImageCase("MetaImage called .MHA", {"a.MHA": metaimage()}, "error", "lower case")
    yield ImageCase("NIfTI called .NII", {"a.NII": _written("a.nii")}, "warning", "lower case")
    for suffix in (".mha", ".mhd", ".nii", ".nrrd", ".png", ".jpg", ".tif"):
        yield ImageCase(f"text called {suffix}", {f"a{suffix}": b"text"}, "error", "unknown format")
    yield ImageCase("PDF called .tif", {"a.tif": b"%PDF-1.4"}, "error", "content is PDF")
    yield ImageCase("text called .nii.gz", {"a.nii.gz": b"text"}, "error", "unknown format")


def _values() -> Iterator[ImageCase]:
    """Yield values of several files, of none that is an image, and of what only the server knows."""
    for suffix in (".mha", ".nii.gz", ".png", ".svs"):
        yield ImageCase(f"empty {suffix}", {f"a{suffix}": b""}, "error", "empty")
    two = {"a.mha": metaimage(), "b.nrrd": nrrd()}
    yield ImageCase("two images", two, "error", "2 images for one socket")
    for name in ("readme.txt", "a.raw", "notes"):
        files = {"a.mha": metaimage(), name: b"text"}
        yield ImageCase(f"an image and {name}", files, "warning", "belongs to no image")
    yield ImageCase("only a text", {"readme.txt": b"text"}, "error", "not an image")
    yield ImageCase("only a PDF", {"report.pdf": b"%PDF-1.4"}, "error", "not an image")
    # The sandbox imports what SimpleITK reads, and the server more.
    slide = {
        "a.mrxs": _written("a.jpg", flat=True),
        "Slidedat.ini": b"[GENERAL]",
        "Data0000.dat": b"d",
    }
    yield ImageCase("slide of several files", slide, imports=False)
    yield ImageCase("unknown format", {"a.e2e": b"CMDb"}, imports=False)
    yield ImageCase("packed files", {"a.zip": b"PK\3\4"}, imports=False)
    # Patients' data, which the server imports.
    sent = "identifying elements found"
    yield ImageCase("DICOM", {"a.dcm": ct_slice().read_bytes()}, "error", sent, imports=True)
    yield ImageCase(
        "DICOM without suffix", {"IM1": ct_slice().read_bytes()}, "error", sent, imports=True
    )
