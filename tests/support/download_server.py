"""A scripted API and a scripted object store that knows ranges, and what tests of downloads look at."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gcapi.models import HyperlinkedComponentInterfaceValue, ImageFile
from tests.support.loopback import Answer, Loopback, Script, Seen, connect

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
#: An entity tag that is no MD5.
TAG = '"first"'
SOCKET: dict[str, Any] = {
    "title": "Age",
    "description": "",
    "slug": "age",
    "kind": "Integer",
    "pk": 12,
    "default_value": None,
    "super_kind": "Value",
    "relative_path": "age.json",
    "overlay_segments": [],
    "look_up_table": None,
}

#: A DICOM image as the server has it.
DICOM_IMAGE: dict[str, Any] = {
    "pk": PK,
    "name": "a",
    "files": [],
    "dicom_image_set": {"image_set_id": "0" * 32},
    "width": None,
    "height": None,
    "depth": None,
    "color_space": "",
    "modality": None,
    "eye_choice": "NA",
    "stereoscopic_choice": None,
    "field_of_view": None,
    "shape_without_color": [None, None],
    "voxel_width_mm": None,
    "voxel_height_mm": None,
    "voxel_depth_mm": None,
    "api_url": f"https://gc.localhost/api/v1/cases/images/{PK}/",
    "window_center": None,
    "window_width": None,
    "segments": None,
}


def image_file(url: str, image_type: str = "MHD") -> ImageFile:
    """Return a file as an image lists it."""
    return ImageFile.from_dict({"pk": PK, "image": PK, "file": url, "image_type": image_type})


def socket_value(relative_path: str, **source: Any) -> HyperlinkedComponentInterfaceValue:
    """Return a value as a case has it."""
    given = {"value": None, "file": None, "image": None, **source}
    return HyperlinkedComponentInterfaceValue.from_dict(
        {"interface": {**SOCKET, "relative_path": relative_path}, "pk": 1, **given}
    )


def everything_below(folder: Path) -> set[str]:
    """Return every file below a folder, by its relative path."""
    return {os.fspath(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def asked(seen: Seen) -> tuple[int, int | None] | None:
    """Return the range that was asked for, the byte after the last included; `None` for the whole file."""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", seen.header("Range"))
    return match and (int(match[1]), int(match[2]) + 1 if match[2] else None)


def answer_of_store(seen: Seen, content: bytes, tag: str = TAG, **headers: str) -> Answer:
    """Return what a good store answers: the range, or all if that is not of the file it was asked of."""
    given = {**({"ETag": tag} if tag else {}), **headers}
    wanted = asked(seen)
    if wanted is None or seen.header("If-Range") not in {"", tag, headers.get("Last-Modified")}:
        return Answer(body=content, headers=given)
    start, end = wanted
    if start >= len(content):
        return Answer(status=416, body=b"<Error><Code>InvalidRange</Code></Error>")
    body = content[start:end]
    where = f"bytes {start}-{start + len(body) - 1}/{len(content)}"
    return Answer(status=206, body=body, headers={**given, "Content-Range": where})


def broken(answer: Answer, after: int) -> Answer:
    """Return an answer whose connection breaks after so many bytes of its body."""
    return replace(answer, body=answer.body[:after], length=len(answer.body))


@dataclass
class Pair:
    """An API whose files are on a store."""

    api: Loopback
    store: Loopback

    def file(self, name: str = "a.mha") -> ImageFile:
        """Return a file that the API leads to the store for."""
        return image_file(f"{self.api.origin}/media/{name}")

    def download(
        self, directory: Path, *names: str, existing: Any = "error", **options: Any
    ) -> Any:
        """Download files as `x` with their suffixes, with a client of these options."""
        files = [self.file(name) for name in names or ("a.mha",)]
        with connect(self.api, **options) as client:
            return client.images.download(
                files=files, output_directory=directory, filename="x", existing=existing
            )

    def ranges(self) -> list[tuple[int, int | None] | None]:
        """Return the ranges that the store was asked for, in the order of their arrival."""
        return [asked(seen) for seen in self.store.seen]


@contextmanager
def served(store_script: Script, api_script: Script | None = None) -> Iterator[Pair]:
    """Run a store, and an API that leads there by signed links."""
    with Loopback(store_script) as store:

        def away(seen: Seen) -> Answer:
            link = f"{store.origin}{seen.path}?X-Amz-Signature=s3cret"
            return Answer(status=302, headers={"Location": link})

        with Loopback(api_script or away) as api:
            yield Pair(api, store)
