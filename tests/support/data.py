"""Sample files, values of every kind, and checks of the state of a sandbox."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import nibabel
import numpy as np
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import RecordedRequest, Sandbox

#: The seconds after which a test gives up waiting.
DEADLINE = 30.0

# ---------------------------------------------------------------- names and files


def unique(word: str) -> str:
    """Return a name that no other test uses."""
    return f"{word}-{uuid4().hex[:10]}"


def ct_slice() -> Path:
    """Return a real CT slice."""
    return Path(str(get_testdata_file("CT_small.dcm")))


def mr_slice() -> Path:
    """Return a real MR slice, of another series than the CT slice."""
    return Path(str(get_testdata_file("MR_small.dcm")))


def volume() -> Path:
    """Return a real MR volume."""
    return Path(nibabel.__file__).parent / "tests" / "data" / "anatomical.nii"


def series(directory: Path, count: int = 3, **tags: Any) -> list[Path]:
    """Write a DICOM series of copies of a real slice, with changed tags."""
    paths = []
    for number in range(count):
        dataset = dcmread(ct_slice())
        dataset.SOPInstanceUID = generate_uid()
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber = number + 1
        dataset.ImagePositionPatient[2] = float(number)
        for name, value in tags.items():
            setattr(dataset, name, value)
        paths.append(directory / f"slice-{number}.dcm")
        dataset.save_as(paths[-1])
    return paths


def written(path: Path, content: bytes | str) -> Path:
    """Write a file and return it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def everything_below(folder: Path) -> set[str]:
    """Return the relative paths of all files below a folder."""
    return {os.fspath(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def noise(path: Path, size: int = 64) -> Path:
    """Write an incompressible image in the format of the suffix."""
    numbers = np.random.default_rng(4711).integers(0, 60_000, (size, size), dtype=np.uint16)
    sitk.WriteImage(sitk.GetImageFromArray(numbers), str(path))
    return path


def voxels(path: Path) -> NDArray[Any]:
    """Return the voxels of an image, without dimensions of length 1."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))).squeeze()


# ---------------------------------------------------------------- values of every kind

_VERSION = {"major": 1, "minor": 0}
_A, _B, _C, _D = [0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]
_POLYGON = {"seed_point": _A, "path_points": [_A, _B, _C], "sub_type": "brush", "groups": ["a"]}
_ANNOTATIONS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("2D bounding box", "Multiple 2D bounding boxes", "boxes", {"corners": [_A, _B, _C, _D]}),
    ("Distance measurement", "Multiple distance measurements", "lines", {"start": _A, "end": _B}),
    ("Point", "Multiple points", "points", {"point": _A}),
    ("Polygon", "Multiple polygons", "polygons", _POLYGON),
    ("Line", "Multiple lines", "lines", {"seed_points": [_A], "path_point_lists": [[_A, _B]]}),
    ("Angle", "Multiple angles", "angles", {"lines": [[_A, _B], [_A, _C]]}),
    ("Ellipse", "Multiple ellipses", "ellipses", {"major_axis": [_A, _B], "minor_axis": [_A, _D]}),
    ("Three-point angle", "Multiple three-point angles", "angles", {"angle": [_A, _B, _C]}),
)
_IDENTITY = [[float(row == column) for column in range(4)] for row in range(4)]

#: A valid value for each kind that can be stored inline.
INLINE_VALUES: dict[str, Any] = {
    "String": "Größe ≥ 3 mm",
    "Integer": 7,
    "Float": 1.25,
    "Bool": False,
    "Anything": {"nested": [1, None, {"deep": "ja"}]},
    "Chart": {"mark": "bar", "data": {"values": [{"a": 1}]}, "encoding": {}},
    "Choice": "left",
    "Multiple choice": ["left", "right"],
    "Affine transform registration": {"3d_affine_transform": _IDENTITY},
    **{
        singular: {"type": singular, "version": _VERSION, "name": "here", **needs}
        for singular, _, _, needs in _ANNOTATIONS
    },
}
#: A valid value for each kind that is always stored as a JSON file.
FILED_VALUES: dict[str, Any] = {
    plural: {"type": plural, "version": _VERSION, key: [{"probability": 0.5, **needs}]}
    for _, plural, key, needs in _ANNOTATIONS
}
#: A valid text for each kind of text file.
TEXTS = {
    "CSV file": "a;b\n1;ü\n",
    "Newick tree-format file": "(A:0.1,B:0.2);",
    "OBJ file": "v 0.0 0.0 0.0\n",
}
#: The beginning, or the whole, of a file of each binary kind.
BINARY_FILES = {
    "PDF file": b"%PDF-1.7\n",
    "SQREG file": b"SQREG",
    "Thumbnail jpg": b"\xff\xd8\xff\xe0",
    "Thumbnail png": b"\x89PNG\r\n\x1a\n",
    "MP4 file": b"\0\0\0\x18ftypmp42",
    "BIOM format": b"\x89HDF\r\n\x1a\n",
    "ZIP file": b"PK\5\6" + bytes(18),  # of no files
}

# ---------------------------------------------------------------- the state of a sandbox

_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def writes(sandbox: Sandbox) -> list[str]:
    """Return the requests that could change something, in order."""
    return [f"{one.method} {one.path}" for one in sandbox.requests if one.method in _WRITES]


@contextmanager
def nothing_written(sandbox: Sandbox) -> Iterator[None]:
    """Check that a block uploads, creates and changes nothing."""
    sandbox.requests.clear()
    yield
    assert writes(sandbox) == []


def found(sandbox: Sandbox, method: str, pattern: str) -> list[RecordedRequest]:
    """Return the requests of a method whose path matches a pattern, in order."""
    return [
        one for one in sandbox.requests if one.method == method and re.search(pattern, one.path)
    ]


def value_of(case: Any, slug: str) -> Any:
    """Return the value of a case in a socket."""
    (value,) = [value for value in case.values if value.interface.slug == slug]
    return value


def content_of(client: Client, value: Any) -> bytes:
    """Return the content of a file value on the server."""
    response = client(url=value.file, follow_redirects=True)
    # The raw call parses JSON.
    return (
        response.content if isinstance(response, httpx.Response) else json.dumps(response).encode()
    )


@dataclass(frozen=True)
class Sockets:
    """One socket of each storage kind."""

    number: str
    json: str
    text: str
    pdf: str
    image: str
    dicom: str


def add_each_socket(sandbox: Sandbox) -> Sockets:
    """Make a socket of each storage kind."""
    return Sockets(
        number=sandbox.add_socket(unique("number"), "Float"),
        json=sandbox.add_socket(unique("json"), "Anything", store_in_database=False),
        text=sandbox.add_socket(unique("text"), "CSV file"),
        pdf=sandbox.add_socket(unique("pdf"), "PDF file"),
        image=sandbox.add_socket(unique("image")),
        dicom=sandbox.add_socket(unique("dicom"), "DICOM Image Set"),
    )


@dataclass
class CaseCollection:
    """An archive or a reader study, with a common interface.

    Attributes:
        client: A client of a user who can change it.
        sandbox: The sandbox that it is in.
        slug: Its slug.
        is_archive: Whether it is an archive.
    """

    client: Client
    sandbox: Sandbox
    slug: str
    is_archive: bool

    @property
    def cases(self) -> Any:
        """The namespace of its cases."""
        return (
            self.client.archive_items
            if self.is_archive
            else self.client.reader_studies.display_sets
        )

    def add(self, *values: SocketValueSpec, **fields: Any) -> Any:
        """Add a case."""
        if self.is_archive:
            return self.client.add_case_to_archive(
                archive_slug=self.slug, values=list(values), **fields
            )
        return self.client.add_case_to_reader_study(
            reader_study_slug=self.slug, values=list(values), **fields
        )

    def update(self, pk: str, *values: SocketValueSpec, **fields: Any) -> Any:
        """Change a case."""
        if self.is_archive:
            return self.client.update_archive_item(
                archive_item_pk=pk, values=list(values), **fields
            )
        return self.client.update_display_set(display_set_pk=pk, values=list(values), **fields)

    def filled(self, pk: str) -> Any:
        """Return a case after all background work."""
        self.sandbox.wait_idle(DEADLINE)
        return self.cases.detail(pk=pk)

    def all(self) -> list[Any]:
        """Return all its cases."""
        if self.is_archive:
            parent = {"archive": self.client.archives.detail(slug=self.slug).pk}
        else:
            parent = {"reader_study": self.client.reader_studies.detail(slug=self.slug).pk}
        return list(self.cases.iterate_all(parent))


def add_collection(sandbox: Sandbox, client: Client, kind: str) -> CaseCollection:
    """Add an archive or a reader study."""
    is_archive = kind == "archive"
    add = sandbox.add_archive if is_archive else sandbox.add_reader_study
    return CaseCollection(client, sandbox, add(unique(kind)), is_archive)
