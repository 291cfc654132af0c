"""Add two cases to an archive, run an algorithm on each, and download the outputs.

Run it with `make demo`. It uses a sandbox on a loopback port, so nothing leaves this machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi import Client, SocketValueSpec
from gcapi.progress import ProgressEvent

#: The default output directory.
OUTPUT = Path(__file__).parent.parent / "demo-output"
#: The slugs of the sandbox's default objects.
ARCHIVE, ALGORITHM, IMAGE_SOCKET = "demo-archive", "demo-algorithm", "generic-medical-image"


def sample_images(folder: Path) -> dict[str, Path]:
    """Return two real images from the test data of packages: a CT slice and a volume.

    Args:
        folder: The slice is written to it in another format than DICOM, which an image socket does not take.
    """
    import nibabel
    import SimpleITK as sitk  # noqa: N813 - the usual alias
    from pydicom.data import get_testdata_file

    ct = folder / "CT_small.mha"
    image: Any = sitk.ReadImage(str(get_testdata_file("CT_small.dcm")))
    for key in image.GetMetaDataKeys():
        image.EraseMetaData(key)  # the format cannot hold all of it
    sitk.WriteImage(image, str(ct))
    nifti = Path(nibabel.__file__).parent / "tests" / "data" / "anatomical.nii"
    return {"CT slice": ct, "MR volume": nifti}


@contextmanager
def running_sandbox() -> Generator[dict[str, str]]:
    """Run a sandbox on a free port."""
    command = [sys.executable, "-m", "gcapi_sandbox", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise SystemExit(f"The sandbox did not start (exit code {process.wait()}).")
            yield json.loads(line)
        finally:
            process.terminate()


def show(event: ProgressEvent) -> None:
    """Print a line for each completed file or value."""
    if event.total is not None and event.done == event.total:
        size = f"{event.total:>9,} bytes" if event.phase in {"upload", "download"} else ""
        print(f"  {event.phase:<9} {event.name:<45} {size}", flush=True)


@dataclass(frozen=True)
class Result:
    """The outputs of one case.

    Attributes:
        title: The title of the case.
        files: The downloaded files of each output, by socket.
        previews: The input image and the output images as PNG.
    """

    title: str
    files: dict[str, list[Path]]
    previews: list[bytes]


def main_job(client: Client, samples: Path, output: Path) -> list[Result]:
    """Process the images, and return the outputs of each."""
    results: list[Result] = []
    for title, path in sample_images(samples).items():
        print(f"{title}: {path.name}")
        values = [SocketValueSpec(IMAGE_SOCKET, file=path)]
        item = client.add_case_to_archive(archive_slug=ARCHIVE, values=values, title=title)
        case = client.wait_for_values(item, values=values, timeout=60)
        run = client.run_algorithm(
            algorithm_slug=ALGORITHM,
            inputs=[SocketValueSpec(IMAGE_SOCKET, existing_socket_value=case.values[0])],
            output_directory=output / title.replace(" ", "-"),
            timeout=60,
        )
        print(f"  job       {run.job.pk:<45} {run.job.status}")
        images = [value.image for value in [*case.values, *run.job.outputs] if value.image]
        previews = [client.images.preview(image, max_side=256).png for image in images]
        results.append(Result(title, run.files, previews))
    return results


def print_table(results: list[Result], output: Path) -> None:
    """Print a table of at most 80 columns, with the files below the output directory."""
    print(f"\n{'case':<10} {'output':<18} {'bytes':>8}  file in {output.name}")
    for result in results:
        for slug, files in result.files.items():
            for file in files:
                folder = file.relative_to(output).parts[0]
                # Images are named after their pks, which are too long for the table.
                name = f"…/{file.name[:8]}…{file.suffix}" if file.suffix == ".mha" else file.name
                place = f"{folder}/{name}"
                print(f"{result.title:<10.10} {slug:<18.18} {file.stat().st_size:>8,}  {place}")


def write_contact_sheet(results: list[Result], path: Path) -> None:
    """Write one picture: a row for each case, with its input and its output."""
    sitk: Any = import_module("SimpleITK")
    tiles: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        for png in (png for result in results for png in result.previews):
            tile = Path(folder) / f"{len(tiles)}.png"
            tile.write_bytes(png)
            tiles.append(sitk.ReadImage(str(tile), sitk.sitkUInt8))
    columns = max(len(result.previews) for result in results)
    sitk.WriteImage(sitk.Tile(tiles, [columns, 0]), str(path))


def main() -> None:
    """Run the demo; an argument names the output directory."""
    began = time.monotonic()
    output = Path(sys.argv[1]).absolute() if len(sys.argv) > 1 else OUTPUT
    if output == OUTPUT:
        shutil.rmtree(OUTPUT, ignore_errors=True)  # what an earlier demo left
    with running_sandbox() as sandbox, tempfile.TemporaryDirectory() as samples:
        os.environ["GCAPI_CACHE_DIR"] = str(Path(samples) / "cache")  # it is of no use later
        print(f"A sandbox is running at {sandbox['base_url']}")
        with Client(sandbox["token"], sandbox["base_url"], progress=show) as client:
            results = main_job(client, Path(samples), output)
    print_table(results, output)
    sheet = output / "contact-sheet.png"
    write_contact_sheet(results, sheet)
    print(f"\nInputs and outputs side by side: {os.path.relpath(sheet)}")
    print(f"Done in {time.monotonic() - began:.1f} s. What next:")
    print("  make sandbox   look at archives, reader studies and jobs in a browser")
    print("  make docs      build the documentation; site/index.html is the first page")


if __name__ == "__main__":
    main()
