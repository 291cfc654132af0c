"""Archives to pull, and checks of the pulled folders."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it

from gcapi import Client, SocketValueSpec
from gcapi.findings import InspectMode
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, noise, series, unique, volume

#: The temporary files of a download.
LEFTOVERS = "*.part"


@dataclass(frozen=True)
class Sockets:
    """A socket for each way of storing a value."""

    image: str
    dicom: str
    table: str
    boxes: str
    text: str
    number: str
    anything: str


def add_sockets(sandbox: Sandbox) -> Sockets:
    """Add a socket for each way of storing a value."""
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
    """Return cases with real images and with values in all sockets, by title."""
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


def add_archive(
    sandbox: Sandbox,
    client: Client,
    cases: dict[str, list[SocketValueSpec]],
    *,
    inspect: InspectMode = "error",
) -> str:
    """Add an archive with cases, and return its slug after all imports."""
    slug = sandbox.add_archive(unique("archive"))
    for title, values in cases.items():
        client.add_case_to_archive(archive_slug=slug, values=values, title=title, inspect=inspect)
    sandbox.wait_idle(DEADLINE)
    return slug


def many_cases(folder: Path, sockets: Sockets, count: int) -> dict[str, list[SocketValueSpec]]:
    """Return cases with a small table and a number, by title."""
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
    """Copy the image and increment the number; fail if the number is negative."""
    number = json.loads((inputs / "number.json").read_text())
    if number < 0:
        raise ValueError("negative")
    (outputs / "number.json").write_text(json.dumps(number + 1))
    (image,) = (inputs / "images" / "scan").iterdir()
    (outputs / "images" / "scan").mkdir(parents=True)
    (outputs / "images" / "scan" / "scan.mha").write_bytes(image.read_bytes())


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of the cases, by relative path."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in cases_below(folder)
    }


def cases_below(folder: Path) -> Iterator[Path]:
    """Yield all files in subfolders of a folder."""
    return (
        path
        for one in folder.iterdir()
        if one.is_dir()
        for path in one.rglob("*")
        if path.is_file()
    )


def leftovers(folder: Path) -> list[Path]:
    """Return the temporary files below a folder."""
    return [*folder.rglob(LEFTOVERS), *folder.rglob(".gcapi-writing.json")]


def from_storage(sandbox: Sandbox) -> int:
    """Return the number of requests to the object store."""
    return sum(request.origin == "storage" for request in sandbox.requests)


def archive_items(client: Client, slug: str) -> dict[str, Any]:
    """Return the items of an archive, by title."""
    pk = client.archives.detail(slug=slug).pk
    return {item.title: item for item in client.archive_items.iterate_all({"archive": pk})}


def change_number(client: Client, sockets: Sockets, slug: str, title: str, number: float) -> None:
    """Change the number of a case."""
    client.update_archive_item(
        archive_item_pk=archive_items(client, slug)[title].pk,
        values=[SocketValueSpec(sockets.number, value=number)],
    )
