"""The workloads, written with the common public API of both clients.

`run.py` runs this program with the interpreter of a client, in a new process for each measurement: `workloads.py NAME`,
with a `Place` as JSON on standard input and the `Cost` as JSON on standard output.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi import Client


#: A token that occurs nowhere else in the traffic.
TOKEN = "bec4" * 16


@dataclass(frozen=True)
class Place:
    """The server and the files.

    Attributes:
        base_url: The API's address.
        verify: A CA bundle.
        large: The large file.
        small: The directory of the files of one case.
        cases: The directory of the files of many cases.
        slices: The directory of a DICOM set.
        output: An empty directory.
        objects: The names of the server's objects, by role.
    """

    base_url: str
    verify: str
    large: str
    small: str
    cases: str
    slices: str
    output: str
    objects: dict[str, str]


@dataclass(frozen=True)
class Cost:
    """The cost of a workload.

    Attributes:
        seconds: The elapsed seconds.
        cpu: The seconds of user and system time of this process, and of those that it started.
        peak: The peak memory of this process in bytes.
        growth: The growth of the peak during the workload.
        result: The result of the workload, for checks.
        versions: The versions of the client and of httpx.
    """

    seconds: float
    cpu: float
    peak: int
    growth: int
    result: int
    versions: dict[str, str]


def upload_large(client: Client, place: Place) -> int:
    """Add a case with a large file."""
    return _add_case(client, place, socket=place.objects["file_socket"], file=place.large)


def upload_small(client: Client, place: Place) -> int:
    """Add a case with an image of many files."""
    files = [str(path) for path in sorted(Path(place.small).iterdir())]
    return _add_case(client, place, socket=place.objects["image_socket"], files=files)


def upload_object(client: Client, place: Place) -> int:
    """Upload a large file from an open file object."""
    path = Path(place.large)
    with path.open("rb") as file:
        client.uploads.upload_fileobj(fileobj=file, filename=path.name)
    return 1


def upload_dicom(client: Client, place: Place) -> int:
    """Add a case with a DICOM set, which is de-identified first."""
    files = [str(path) for path in sorted(Path(place.slices).iterdir())]
    return _add_case(
        client, place, socket=place.objects["dicom_socket"], files=files, image_name="Set"
    )


def _add_case(client: Client, place: Place, *, socket: str, **source: Any) -> int:
    import gcapi

    values = [gcapi.SocketValueSpec(socket_slug=socket, **source)]
    client.add_case_to_archive(archive_slug=place.objects["archive"], values=values)
    return 1


def push_cases(client: Client, place: Place) -> int:
    """Add many cases with a file and a value: by a push, or by a loop with the published client."""
    files = sorted(Path(place.cases).iterdir())
    if find_spec("gcapi.bulk") is None:
        return _loop_over_cases(client, place, files)
    from gcapi.bulk import Manifest, Row, push

    rows = tuple(Row(line, cells=_cells(place, file)) for line, file in enumerate(files))
    target = f"archive:{place.objects['case_archive']}"
    manifest = Manifest(rows, Path(place.cases))
    return len(push(client, manifest, target, journal=Path(place.output) / "journal").done)


def _cells(place: Place, file: Path) -> dict[str, Any]:
    return {place.objects["file_socket"]: file.name, place.objects["value_socket"]: 0.5}


def loop(client: Client, place: Place) -> int:
    """Add many cases with a file and a value, one by one."""
    return _loop_over_cases(client, place, sorted(Path(place.cases).iterdir()))


def _loop_over_cases(client: Client, place: Place, files: list[Path]) -> int:
    import gcapi

    for file in files:
        values = [
            gcapi.SocketValueSpec(socket_slug=place.objects["file_socket"], file=str(file)),
            gcapi.SocketValueSpec(socket_slug=place.objects["value_socket"], value=0.5),
        ]
        client.add_case_to_archive(archive_slug=place.objects["case_archive"], values=values)
    return len(files)


def download_large(client: Client, place: Place) -> int:
    """Download an image of one large file."""
    return _download(client, place, place.objects["image"])


def download_dicom(client: Client, place: Place) -> int:
    """Download the instances of a DICOM image set."""
    return _download(client, place, place.objects["dicom_image"])


def _download(client: Client, place: Place, pk: str) -> int:
    return len(client.images.download(pk=pk, output_directory=Path(place.output)))


def iterate(client: Client, _: Place) -> int:
    """Iterate over a long list and keep the pks."""
    return len({item.pk for item in client.archive_items.iterate_all()})


WORKLOADS: dict[str, Callable[[Client, Place], int]] = {
    "upload": upload_large,
    "object": upload_object,
    "dicom-upload": upload_dicom,
    "loop": loop,
    "files": upload_small,
    "cases": push_cases,
    "download": download_large,
    "dicom": download_dicom,
    "iterate": iterate,
}


def measure(name: str, place: Place) -> Cost:
    """Create a client and run a workload; imports are not measured."""
    import gcapi

    # The class may be imported lazily, and imports are measured by another row.
    client_class = gcapi.Client

    def work() -> int:
        # The published client does not declare paths, but httpx accepts them.
        verify: Any = place.verify
        client = client_class(token=TOKEN, base_url=place.base_url, verify=verify)
        return WORKLOADS[name](client, place)

    return _cost(work)


def import_client() -> int:
    """Import the client and its main class."""
    import gcapi

    return len([gcapi.Client])


def import_http() -> int:
    """Import httpx, which both clients use."""
    import httpx

    return len([httpx.Client])


#: An archive item with two values.
_SOCKET = {
    "title": "Score",
    "description": "",
    "slug": "score",
    "kind": "Float",
    "pk": 7,
    "default_value": None,
    "super_kind": "Value",
    "relative_path": "score.json",
    "overlay_segments": [],
    "look_up_table": None,
}
_VALUE = {"interface": _SOCKET, "socket": _SOCKET, "value": 0.5, "file": None, "image": None}
_ITEM: dict[str, Any] = {
    "pk": "5f0c4a3e-6d4b-4c57-9a51-2f1f3f0f9f10",
    "title": "A case",
    "view_content": {},
    "archive": "https://example.invalid/api/v1/archives/1/",
    "hanging_protocol": None,
    "optional_hanging_protocols": [],
    "values": [{**_VALUE, "pk": pk} for pk in (1, 2)],
}
#: The number of items to parse.
PARSED = 100_000


def parsing() -> Callable[[], int]:
    """Load the model of an archive item, and return a function that parses many of them."""
    import gcapi.models

    model: Any = gcapi.models.ArchiveItem
    make = getattr(model, "from_dict", None) or (lambda data: model(**data))
    make(_ITEM)
    return lambda: sum(make(_ITEM) is not None for _ in range(PARSED))


IMPORTS = {"import": import_client, "import-httpx": import_http}


def _cost(work: Callable[[], int]) -> Cost:
    held, before, started = peak(), _cpu(), time.perf_counter()
    result = work()
    seconds, after, most = time.perf_counter() - started, _cpu(), peak()
    return Cost(
        seconds=seconds,
        cpu=after - before,
        peak=most,
        growth=most - held,
        result=result,
        versions=_versions(),
    )


def peak() -> int:
    """Return the peak memory of this process in bytes."""
    # On Linux ru_maxrss starts at the peak of the parent process, which would hide growth.
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _cpu() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("gcapi", "httpx")}


def _measured(name: str, place: dict[str, Any]) -> Cost:
    if name == "parse":
        return _cost(parsing())
    return _cost(IMPORTS[name]) if name in IMPORTS else measure(name, Place(**place))


def main() -> None:
    """Measure the workload that the command line names."""
    name, place = sys.argv[1], json.load(sys.stdin)
    print(json.dumps(asdict(_measured(name, place))))


if __name__ == "__main__":
    main()
