"""The programs in examples/, run as a user would run them."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import JobFailed
from tests.support.data import noise
from tests.support.documentation.blocks import ROOT
from tests.support.documentation.public_server import PublicServer

EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))


def start(
    public_server: PublicServer, name: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run an example."""
    return subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        cwd=public_server.folder,
        env=public_server.environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def cases(public_server: PublicServer) -> dict[str, Any]:
    """Return the cases of the archive, by title."""
    with Client(public_server.sandbox.token, public_server.sandbox.base_url) as client:
        archive = client.archives.detail(slug="my-archive")
        found = client.archive_items.iterate_all({"archive": archive.pk})
        return {case.title: case for case in found}


def test_folder_of_cts_is_uploaded_once(public_server: PublicServer) -> None:
    """Files become cases once, however often the program runs; a bad file is reported and stops no other."""
    noise(public_server.folder / "cases" / "packed.nii.gz")
    arguments = ("cases", "--archive", "my-archive")
    first = start(public_server, "upload_cts.py", *arguments)
    assert first.returncode == 0, first.stderr
    made = cases(public_server)
    assert made.keys() == {"Earlier case", "case-1", "case-2", "packed"}
    (public_server.folder / "cases" / "broken.mha").write_text("no image")
    second = start(public_server, "upload_cts.py", *arguments)
    assert second.returncode == 1
    assert "broken: " in second.stderr
    again = cases(public_server)
    assert {title: again[title].pk for title in made} == {
        title: case.pk for title, case in made.items()
    }


def test_dicom_series_becomes_an_image_set(public_server: PublicServer) -> None:
    """A DICOM image set is named after its folder."""
    (public_server.folder / "patients").mkdir()
    shutil.move(public_server.folder / "series", public_server.folder / "patients" / "Patient 8")
    socket = ("--archive", "my-archive", "--socket", "dicom-image-set")
    run = start(public_server, "upload_cts.py", "patients", *socket)
    assert run.returncode == 0, run.stderr
    (value,) = cases(public_server)["Patient 8"].values
    with Client(public_server.sandbox.token, public_server.sandbox.base_url) as client:
        assert client.images.detail(api_url=value.image).name == "Patient 8"


def test_algorithm_runs_over_an_archive_once(public_server: PublicServer) -> None:
    """Each case with the inputs gets one job and a folder of outputs, however often the program runs."""
    arguments = ("my-archive", "my-algorithm", "results")
    for _ in range(2):
        run = start(public_server, "run_over_archive.py", *arguments)
        assert run.returncode == 0, run.stderr
    pk = cases(public_server)["Earlier case"].pk
    jobs = json.loads((public_server.folder / "results" / "jobs.json").read_text())
    assert jobs.keys() == {pk}
    assert isinstance(
        json.loads((public_server.folder / "results" / pk / "mean-intensity.json").read_text()),
        float,
    )
    with Client(public_server.sandbox.token, public_server.sandbox.base_url) as client:
        assert [job.pk for job in client.algorithm_jobs.iterate_all()] == list(jobs.values())


def test_failed_jobs_of_one_algorithm_are_listed(public_server: PublicServer) -> None:
    """The failed job of the algorithm is listed, and neither a job that succeeded nor one of another algorithm."""
    sandbox, sockets = public_server.sandbox, [(["lung-volume"], ["mean-intensity"])]
    copy = ["cp", "{input}/lung-volume.json", "{output}/mean-intensity.json"]
    sandbox.add_algorithm("Copies", interfaces=sockets, run=copy)
    sandbox.add_algorithm("Fails", interfaces=sockets, run=["false"])
    inputs = [SocketValueSpec("lung-volume", value=2.5)]
    with Client(sandbox.token, sandbox.base_url) as client:
        client.wait_for_job(client.start_algorithm_job(algorithm_slug="copies", inputs=inputs))
        job = client.start_algorithm_job(algorithm_slug="fails", inputs=inputs)
        with pytest.raises(JobFailed):
            client.wait_for_job(job)
    for slug, listed in (("copies", []), ("fails", [job.pk])):
        run = start(public_server, "failed_jobs.py", slug)
        assert run.returncode == 0, run.stderr
        assert [line.split()[0] for line in run.stdout.splitlines()] == listed


def test_reader_study_is_exported(public_server: PublicServer) -> None:
    """The answers are exported as text, and the values to a folder for each display set."""
    run = start(public_server, "export_reader_study.py", "my-study", "export", "--values")
    assert run.returncode == 0, run.stderr
    with (public_server.folder / "export" / "answers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [list(row.values())[:5] for row in rows] == [
        ["Answered case", "sandbox", "Is there a nodule?", "No", "False"],
        ["Answered case", "sandbox", "How good is the image?", "Usable", "False"],
    ]
    (volume,) = (public_server.folder / "export" / "values").rglob("*.json")
    assert (volume.name, volume.read_text()) == ("lung-volume.json", "2.5")


def test_notebook_runs_from_top_to_bottom(public_server: PublicServer) -> None:
    """Every cell of the notebook runs."""
    environment = {**public_server.environment, "PYTHONWARNINGS": "default"}
    for notebook in NOTEBOOKS:
        shutil.copy(notebook, public_server.folder)
        subprocess.run(
            [
                str(Path(sys.executable).parent / "jupyter-execute"),
                str(public_server.folder / notebook.name),
            ],
            env=environment,
            check=True,
            timeout=100,
        )
    assert list((public_server.folder / "results").rglob("mean-intensity.json"))


def test_notebook_is_kept_without_outputs() -> None:
    """The notebook is checked in without outputs."""
    assert NOTEBOOKS
    kept = [
        cell
        for notebook in NOTEBOOKS
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        if cell.get("outputs") or cell.get("execution_count")
    ]
    assert kept == []
