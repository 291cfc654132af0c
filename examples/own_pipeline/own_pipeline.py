"""Upload a folder of images to an archive, run an algorithm on each, and write the results to a table."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gcapi import Client, SocketValueSpec
from gcapi.models import ArchiveItemPost


@dataclass(frozen=True)
class Names:
    """The slugs of the objects on the platform."""

    archive: str
    algorithm: str
    image: str = "generic-medical-image"
    measurement: str = "mean-intensity"


def upload(client: Client, folder: Path, names: Names) -> dict[str, str]:
    """Add every image of a folder to the archive; return the images' API addresses by case."""
    added: list[tuple[str, ArchiveItemPost, list[SocketValueSpec]]] = []
    for path in sorted(folder.iterdir()):
        values = [SocketValueSpec(names.image, file=path)]
        item = client.add_case_to_archive(
            archive_slug=names.archive, values=values, title=path.stem, existing="skip"
        )
        added.append((path.stem, item, values))
    images: dict[str, str] = {}
    for title, item, values in added:
        case = client.wait_for_values(item, values=values, timeout=600)
        images[title] = next(str(v.image) for v in case.values if v.interface.slug == names.image)
    return images


def measure(client: Client, images: Mapping[str, str], names: Names) -> dict[str, object]:
    """Run the algorithm on every image; return the measurements by case."""
    jobs = {
        title: client.start_algorithm_job(
            algorithm_slug=names.algorithm,
            inputs=[SocketValueSpec(names.image, existing_image_api_url=image)],
        )
        for title, image in images.items()
    }
    measured: dict[str, object] = {}
    for title, job in jobs.items():
        outputs = client.wait_for_job(job.pk, timeout=3600).outputs
        values = {output.interface.slug: output.value for output in outputs}
        measured[title] = values[names.measurement]
    return measured


def write_table(measured: Mapping[str, object], table: Path) -> None:
    """Write a row for each case."""
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "measurement"])
        writer.writerows(measured.items())


def run(client: Client, folder: Path, table: Path, names: Names) -> None:
    """Run the pipeline, and write the table after all measurements."""
    write_table(measure(client, upload(client, folder, names), names), table)


def main() -> None:
    """Run the pipeline with the token from the environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the images are")
    parser.add_argument("table", type=Path, help="the CSV file to write")
    parser.add_argument("--archive", required=True, help="the archive's slug")
    parser.add_argument("--algorithm", required=True, help="the algorithm's slug")
    options = parser.parse_args()
    names = Names(options.archive, options.algorithm)
    with Client() as client:
        run(client, options.folder, options.table, names)


if __name__ == "__main__":
    main()
