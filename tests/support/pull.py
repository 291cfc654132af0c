"""Archives, reader studies and jobs to be pulled, and what tests of pulling look at."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, noise, series, unique, volume

#: What a killed or failed run must not leave.
LEFTOVERS = "*.part"


@dataclass(frozen=True)
class Sockets:
    """A socket of each sort."""

    image: str
    dicom: str
    table: str
    boxes: str
    text: str
    number: str
    anything: str


def add_sockets(sandbox: Sandbox) -> Sockets:
    """Make a socket of each sort."""
    return Sockets(
        image=sandbox.add_socket(unique("image")),
        dicom=sandbox.add_socket(unique("dicom"), "DICOM Image Set"),
        table=sandbox.add_socket(unique("table"), "CSV file"),
        boxes=sandbox.add_socket(unique("boxes"), "Anything", store_in_database=False),
        text=sandbox.add_socket(unique("text"), "String"),
        number=sandbox.add_socket(unique("number"), "Float"),
        anything=sandbox.add_socket(unique("anything"), "Anything"),
    )


def real_cases(sockets: Sockets, folder: Path) -> dict[str, list[SocketValueSpec]]:
    """Return cases of real images and values of each sort, by their titles."""
    slices = series(folder, 3)
    table = folder / "a b.csv"
    table.write_text("a;b\n1;ü\n")
    boxes = folder / "boxes.json"
    boxes.write_text(json.dumps([{"corner": [1, 2]}]))
    return {
        "Größe ≥ 3 mm, left": [
            SocketValueSpec(sockets.image, file=volume()),
            SocketValueSpec(sockets.text, value="Größe: 7"),
            SocketValueSpec(sockets.number, value=1.25),
        ],
        "DICOM": [
            SocketValueSpec(sockets.dicom, files=slices, image_name="A series"),
            SocketValueSpec(sockets.table, file=table),
        ],
        "Values": [
            SocketValueSpec(sockets.boxes, file=boxes),
            SocketValueSpec(sockets.anything, value={"nested": [1, None, "ü"]}),
        ],
        "Nothing": [],
    }


def add_archive(sandbox: Sandbox, client: Client, cases: dict[str, list[SocketValueSpec]]) -> str:
    """Make an archive of cases, and return its slug once all of them are imported."""
    slug = sandbox.add_archive(unique("archive"))
    for title, values in cases.items():
        client.add_case_to_archive(archive_slug=slug, values=values, title=title)
    sandbox.wait_idle(DEADLINE)
    return slug


def many_cases(folder: Path, sockets: Sockets, count: int) -> dict[str, list[SocketValueSpec]]:
    """Return cases of a small table and a number."""
    made = {}
    for index in range(count):
        table = folder / f"case-{index}.csv"
        table.write_text(f"{index};ü\n" * 50)
        made[f"case-{index}"] = [
            SocketValueSpec(sockets.table, file=table),
            SocketValueSpec(sockets.number, value=float(index)),
        ]
    return made


def image_of(folder: Path, name: str = "noise.mha") -> Path:
    """Write a small image."""
    return noise(folder / name, 16)


def mask_of(folder: Path) -> Path:
    """Write a small mask."""
    path = folder / "mask.mha"
    sitk.WriteImage(sitk.Image(4, 4, sitk.sitkUInt8), str(path))
    return path


def copy_image(inputs: Path, outputs: Path) -> None:
    """Give the image back, and a number; fail where there is none."""
    number = json.loads((inputs / "number.json").read_text())
    if number < 0:
        raise ValueError("negative")
    (outputs / "number.json").write_text(json.dumps(number + 1))
    (image,) = (inputs / "images" / "scan").iterdir()
    (outputs / "images" / "scan").mkdir(parents=True)
    (outputs / "images" / "scan" / "scan.mha").write_bytes(image.read_bytes())


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of the cases, by its path below the folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in cases_below(folder)
    }


def cases_below(folder: Path) -> Iterator[Path]:
    """Yield the files in folders of a folder."""
    return (
        path
        for one in folder.iterdir()
        if one.is_dir()
        for path in one.rglob("*")
        if path.is_file()
    )


def leftovers(folder: Path) -> list[Path]:
    """Return what is half-written."""
    return list(folder.rglob(LEFTOVERS))


def from_storage(sandbox: Sandbox) -> int:
    """Count the requests that reached the object store."""
    return sum(request.origin == "storage" for request in sandbox.requests)


def archive_items(client: Client, slug: str) -> dict[str, Any]:
    """Return the items of an archive by their titles."""
    pk = client.archives.detail(slug=slug).pk
    return {item.title: item for item in client.archive_items.iterate_all({"archive": pk})}
