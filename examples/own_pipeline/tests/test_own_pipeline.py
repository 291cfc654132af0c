"""The pipeline, tested against a sandbox."""

# SimpleITK has no types.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from pathlib import Path

import pytest
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it
from own_pipeline import Names, run

from gcapi import Client
from gcapi.exceptions import JobFailed
from gcapi_sandbox import Sandbox


def mean_intensity(inputs: Path, outputs: Path) -> None:
    """Do what the algorithm's container does, with the same folders and files."""
    (path,) = (inputs / "images" / "generic-medical-image").iterdir()
    statistics = sitk.StatisticsImageFilter()
    statistics.Execute(sitk.ReadImage(str(path)))
    (outputs / "mean-intensity.json").write_text(json.dumps(statistics.GetMean()))


@pytest.fixture
def names(gcapi_sandbox: Sandbox) -> Names:
    """Add the sockets, the archive and the algorithm to the sandbox."""
    image = gcapi_sandbox.add_socket("Generic Medical Image", "Image")
    measurement = gcapi_sandbox.add_socket("Mean Intensity", "Float")
    archive = gcapi_sandbox.add_archive("Scans")
    algorithm = gcapi_sandbox.add_algorithm(
        "Measure", interfaces=[([image], [measurement])], run=mean_intensity
    )
    return Names(archive, algorithm)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write two small uniform images."""
    made = tmp_path / "scans"
    made.mkdir()
    for name, value in (("dark", 10), ("bright", 200)):
        sitk.WriteImage(sitk.Image([8, 8, 4], sitk.sitkUInt8) + value, str(made / f"{name}.mha"))
    return made


def test_table(gcapi_client: Client, names: Names, folder: Path, tmp_path: Path) -> None:
    """Every image is added to the archive under its name, and the table has its measurement."""
    run(gcapi_client, folder, tmp_path / "table.csv", names)
    assert (tmp_path / "table.csv").read_text().splitlines() == [
        "case,measurement",
        "bright,200.0",
        "dark,10.0",
    ]
    titles = {item.title for item in gcapi_client.archive_items.iterate_all()}
    assert titles == {"bright", "dark"}


def test_failure(
    gcapi_sandbox: Sandbox, gcapi_client: Client, names: Names, folder: Path, tmp_path: Path
) -> None:
    """If the algorithm fails for an image, no table is written."""

    def fail(inputs: Path, outputs: Path) -> None:
        raise ValueError(f"nothing to be seen in {inputs}, nothing for {outputs}")

    failing = gcapi_sandbox.add_algorithm(
        "Fail", interfaces=[([names.image], [names.measurement])], run=fail
    )
    with pytest.raises(JobFailed):
        run(gcapi_client, folder, tmp_path / "table.csv", Names(names.archive, failing))
    assert not (tmp_path / "table.csv").exists()
