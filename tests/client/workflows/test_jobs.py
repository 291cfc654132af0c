"""Jobs: inputs that match an interface, the wait for the end, the outputs on disk, and every way to fail."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    InterfaceMismatch,
    JobFailed,
    JobTimeout,
    ObjectNotFound,
    PartialImportWarning,
    SocketNotFound,
    SpecError,
    TooManyActiveJobs,
)
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    add_collection,
    found,
    noise,
    nothing_written,
    series,
    unique,
    value_of,
    volume,
    voxels,
    writes,
    written,
)


@dataclass(frozen=True)
class Example:
    """An algorithm that takes an image, or an image and a factor, and gives a mean, a report and an image.

    Attributes:
        slug: Its slug.
        image: Its input image,
        factor: and its input value, a Float.
        mean: Its output value,
        report: its output file,
        scaled: and its output image.
    """

    slug: str
    image: str
    factor: str
    mean: str
    report: str
    scaled: str

    def run(self, inputs: Path, outputs: Path) -> None:
        """Scale the image, with nothing of `tests.support`, which takes longer to import than this."""
        (path,) = (inputs / "images" / self.image).iterdir()
        given = inputs / f"{self.factor}.json"
        factor = json.loads(given.read_text()) if given.exists() else 1.0
        if factor < 0:
            raise ValueError("negative")
        scaled = sitk.Cast(sitk.ReadImage(str(path)), sitk.sitkFloat32) * factor
        target = outputs / "images" / self.scaled
        target.mkdir(parents=True)
        sitk.WriteImage(scaled, str(target / "scaled.mha"))
        mean = float(sitk.GetArrayFromImage(scaled).mean())
        (outputs / f"{self.mean}.json").write_text(json.dumps({"mean": mean}))
        (outputs / "reports" / self.report).mkdir(parents=True)
        (outputs / "reports" / self.report / "report.csv").write_text("scale;ü\n")


@pytest.fixture
def example(sandbox: Sandbox) -> Example:
    """Add an algorithm for this test."""
    report = unique("report")
    made = Example(
        slug=unique("algorithm"),
        image=sandbox.add_socket(unique("in-image")),
        factor=sandbox.add_socket(unique("in-factor"), "Float"),
        mean=sandbox.add_socket(unique("out-mean"), "Anything"),
        report=sandbox.add_socket(report, "CSV file", relative_path=f"reports/{report}/report.csv"),
        scaled=sandbox.add_socket(unique("out-image")),
    )
    outputs = [made.mean, made.report, made.scaled]
    sandbox.add_algorithm(
        made.slug,
        slug=made.slug,
        interfaces=[([made.image], outputs), ([made.image, made.factor], outputs)],
        run=made.run,
    )
    return made


# ---------------------------------------------------------------- which inputs are taken


def _ways_to_miss(example: Example) -> dict[str, tuple[list[str], str]]:
    # Which sockets are given, and what the message says of the nearest interface.
    return {
        "none": ([], f"takes {example.image}: missing: {example.image}."),
        "missing": ([example.factor], f"missing: {example.image}."),
        "extra": ([example.image, example.mean], f"not among them: {example.mean}."),
        "other": (
            [example.factor, example.mean],
            f"missing: {example.image}; not among them: {example.mean}.",
        ),
    }


@pytest.mark.parametrize("way", ["none", "missing", "extra", "other"])
def test_inputs_that_match_no_interface_are_refused(
    sandbox: Sandbox, client: Client, example: Example, tmp_path: Path, way: str
) -> None:
    """The nearest interface and the difference are shown, and nothing is uploaded."""
    slugs, words = _ways_to_miss(example)[way]
    # The values need not fit: what is missing is told first.
    inputs = [SocketValueSpec(slug, file=written(tmp_path / "in.json", "1")) for slug in slugs]

    with nothing_written(sandbox), pytest.raises(InterfaceMismatch) as refused:
        client.start_algorithm_job(algorithm_slug=example.slug, inputs=inputs)

    assert f"match no interface of algorithm {example.slug!r}. The nearest takes" in str(
        refused.value
    )
    assert words in str(refused.value)


def test_an_input_given_twice_is_refused(
    sandbox: Sandbox, client: Client, example: Example
) -> None:
    """Two values for one socket raise an error that names it, because the server would drop one."""
    inputs = [SocketValueSpec(example.image, file=path) for path in (volume(), volume())]

    with nothing_written(sandbox), pytest.raises(SpecError, match="is given twice") as refused:
        client.start_algorithm_job(algorithm_slug=example.slug, inputs=inputs)

    assert example.image in str(refused.value)


def test_an_unknown_socket_is_named_with_those_that_are_near(
    sandbox: Sandbox, client: Client, example: Example
) -> None:
    """A misspelt socket raises an error that is a ValueError too and lists similar slugs."""
    mistyped = example.image.replace("in-image", "in-imgae")

    with nothing_written(sandbox), pytest.raises(SocketNotFound) as missing:
        client.start_algorithm_job(
            algorithm_slug=example.slug, inputs=[SocketValueSpec(mistyped, file=volume())]
        )

    assert isinstance(missing.value, ObjectNotFound)
    assert isinstance(missing.value, ValueError)
    assert missing.value.slug == mistyped
    assert f"Did you mean {example.image!r}" in str(missing.value)
    assert pickle.loads(pickle.dumps(missing.value)).slug == mistyped


def test_an_unknown_algorithm_is_named_with_those_that_are_near(
    sandbox: Sandbox, client: Client, example: Example
) -> None:
    """A misspelt algorithm raises ObjectNotFound, and nothing is uploaded."""
    with nothing_written(sandbox), pytest.raises(ObjectNotFound, match="Did you mean") as missing:
        client.start_algorithm_job(
            algorithm_slug=f"{example.slug}x",
            inputs=[SocketValueSpec(example.image, file=volume())],
        )

    assert repr(example.slug) in str(missing.value)


def test_an_algorithm_without_an_interface_cannot_be_run(sandbox: Sandbox, client: Client) -> None:
    """An algorithm without an interface has an error of its own."""
    slug = sandbox.add_algorithm(unique("bare"), interfaces=[], run=lambda _, __: None)

    with nothing_written(sandbox), pytest.raises(InterfaceMismatch, match="has no interface yet"):
        client.start_algorithm_job(algorithm_slug=slug, inputs=[])


# ---------------------------------------------------------------- runs that succeed


def test_a_job_is_started_waited_for_and_its_outputs_are_on_disk(
    sandbox: Sandbox, client: Client, example: Example, tmp_path: Path
) -> None:
    """A value, a file and an image are downloaded to the relative paths of their sockets."""
    run = client.run_algorithm(
        algorithm_slug=example.slug,
        inputs=[
            SocketValueSpec(example.image, file=volume()),
            SocketValueSpec(example.factor, value=2),
        ],
        output_directory=tmp_path / "new" / "out",
        timeout=DEADLINE,
    )

    out = tmp_path / "new" / "out"
    assert run.job.status == "Succeeded"
    assert set(run.files) == {example.mean, example.report, example.scaled}
    assert run.files[example.mean] == [out / f"{example.mean}.json"]
    assert run.files[example.report] == [out / "reports" / example.report / "report.csv"]
    (image,) = run.files[example.scaled]
    assert image.parent == out / "images" / example.scaled
    np.testing.assert_allclose(voxels(image), voxels(volume()).astype(np.float32) * 2)
    mean = json.loads((out / f"{example.mean}.json").read_text())["mean"]
    assert mean == pytest.approx(2 * voxels(volume()).mean(), rel=1e-4)
    assert (out / "reports" / example.report / "report.csv").read_text() == "scale;ü\n"
    assert {path for path in out.rglob("*") if path.is_file()} == {
        path for files in run.files.values() for path in files
    }
    assert len(found(sandbox, "POST", "/algorithms/jobs/$")) >= 1


@pytest.mark.parametrize("how", ["file", "files", "existing value", "existing image"])
def test_every_source_makes_an_input(
    sandbox: Sandbox, client: Client, example: Example, how: str
) -> None:
    """A job takes its image from a file or from a case that has it, which needs no upload."""
    collection = add_collection(sandbox, client, "archive")
    item = collection.add(SocketValueSpec(example.image, file=volume()))
    value = value_of(collection.filled(item.pk), example.image)
    source: dict[str, Any] = {
        "file": {"file": volume()},
        "files": {"files": [volume()]},
        "existing value": {"existing_socket_value": value},
        "existing image": {"existing_image_api_url": value.image},
    }[how]
    sandbox.requests.clear()

    started = client.start_algorithm_job(
        algorithm_slug=example.slug, inputs=[SocketValueSpec(example.image, **source)]
    )
    job = client.wait_for_job(started, timeout=DEADLINE)

    assert started.status == "Validating inputs"
    assert (job.pk, job.status) == (started.pk, "Succeeded")
    assert bool(found(sandbox, "POST", "/uploads/$")) == (how in {"file", "files"})
    assert writes(sandbox)[-1] == "POST /api/v1/algorithms/jobs/"
    if how.startswith("existing"):
        image_pk = client.images.detail(api_url=value.image).pk
        assert [one.pk for one in client.algorithm_jobs.by_input_image(image_pk)] == [job.pk]


def test_a_job_takes_a_dicom_image_set_and_files(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """Inputs of other kinds reach the algorithm unchanged."""
    dicom = sandbox.add_socket(unique("in-dicom"), "DICOM Image Set")
    table = sandbox.add_socket(unique("in-table"), "CSV file")
    count = sandbox.add_socket(unique("out-count"), "Anything")

    def run(inputs: Path, outputs: Path) -> None:
        slices = len(list((inputs / "images" / dicom).iterdir()))
        text = (inputs / f"{table}.csv").read_text()
        (outputs / f"{count}.json").write_text(json.dumps([slices, text]))

    slug = sandbox.add_algorithm(unique("a"), interfaces=[([dicom, table], [count])], run=run)
    done = client.run_algorithm(
        algorithm_slug=slug,
        inputs=[
            SocketValueSpec(table, value="a;b"),
            SocketValueSpec(dicom, files=series(tmp_path), image_name="CT"),
        ],
        output_directory=tmp_path / "out",
        timeout=DEADLINE,
    )

    assert json.loads(done.files[count][0].read_text()) == [3, "a;b"]


@pytest.mark.parametrize("form", ["as started", "as read", "its pk"])
def test_a_job_can_be_waited_for_in_every_form(client: Client, example: Example, form: str) -> None:
    """A job as it was started, as it is read, and its pk all name the job."""
    started = client.start_algorithm_job(
        algorithm_slug=example.slug, inputs=[SocketValueSpec(example.image, file=volume())]
    )
    job: Any = {
        "as started": started,
        "as read": client.algorithm_jobs.detail(pk=started.pk),
        "its pk": started.pk,
    }[form]

    assert client.wait_for_job(job, timeout=DEADLINE).pk == started.pk


def test_outputs_that_are_there_already_are_not_overwritten(
    client: Client, example: Example, tmp_path: Path
) -> None:
    """An existing file at the path of an output prevents the download, and stays as it is."""
    there = written(tmp_path / f"{example.mean}.json", "mine")

    with pytest.raises(FileExistsError, match="already exists"):
        client.run_algorithm(
            algorithm_slug=example.slug,
            inputs=[SocketValueSpec(example.image, file=volume())],
            output_directory=tmp_path,
            timeout=DEADLINE,
        )

    assert there.read_text() == "mine"
    assert not list(tmp_path.rglob("*.part"))


# ---------------------------------------------------------------- runs that do not


def test_a_job_whose_algorithm_fails_has_failed(
    client: Client, example: Example, tmp_path: Path
) -> None:
    """If a job fails, the error has its status, its pk and its page, and nothing is downloaded."""
    with pytest.raises(JobFailed, match=r"The algorithm failed\.") as failed:
        client.run_algorithm(
            algorithm_slug=example.slug,
            inputs=[
                SocketValueSpec(example.image, file=volume()),
                SocketValueSpec(example.factor, value=-1),
            ],
            output_directory=tmp_path / "out",
            timeout=DEADLINE,
        )

    job = client.algorithm_jobs.detail(pk=failed.value.pk)
    assert (failed.value.status, job.status) == ("Failed", "Failed")
    assert job.url in str(failed.value)
    assert not (tmp_path / "out").exists()
    again = pickle.loads(pickle.dumps(failed.value))
    assert (again.pk, again.status) == (failed.value.pk, "Failed")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["no.nii"], "1 file could not be imported"),
        (["a.mha", "b.mha"], "Image imports should result in a single image"),
    ],
)
def test_a_job_whose_inputs_are_bad_is_cancelled(
    client: Client, example: Example, tmp_path: Path, names: list[str], words: str
) -> None:
    """If an input is not one image, the error has the status of the cancelled job, and the server's words."""
    files = [
        written(tmp_path / name, "no") if name == "no.nii" else noise(tmp_path / name)
        for name in names
    ]
    started = client.start_algorithm_job(
        algorithm_slug=example.slug,
        inputs=[SocketValueSpec(example.image, files=files)],
        inspect="off",
    )

    with pytest.raises(JobFailed, match="The server could not use its inputs") as failed:
        client.wait_for_job(started, timeout=DEADLINE)

    assert (failed.value.pk, failed.value.status) == (started.pk, "Cancelled")
    assert words in str(failed.value)


def test_an_input_without_some_of_its_files_is_warned_of(
    client: Client, example: Example, tmp_path: Path
) -> None:
    """A job that ran without a file which the server could not import succeeds with a warning."""
    files = [noise(tmp_path / "x.mha"), written(tmp_path / "readme.txt", "text")]
    started = client.start_algorithm_job(
        algorithm_slug=example.slug,
        inputs=[SocketValueSpec(example.image, files=files)],
        inspect="off",
    )

    with pytest.warns(PartialImportWarning, match=r"1 file could not be imported \(x.mha, readme"):
        client.wait_for_job(started, timeout=DEADLINE)


def test_a_job_that_takes_long_goes_on(sandbox: Sandbox, client: Client, example: Example) -> None:
    """After the timeout, the error has the job's status and the call that continues to wait, which works."""
    with sandbox.hold_background():
        started = client.start_algorithm_job(
            algorithm_slug=example.slug, inputs=[SocketValueSpec(example.image, file=volume())]
        )
        with pytest.raises(JobTimeout, match="keeps running") as late:
            client.wait_for_job(started, timeout=0.3)

    assert isinstance(late.value, TimeoutError)
    assert (late.value.pk, late.value.status) == (started.pk, "Validating inputs")
    assert f"client.wait_for_job({started.pk!r})" in str(late.value)
    assert pickle.loads(pickle.dumps(late.value)).status == "Validating inputs"
    assert client.wait_for_job(started.pk, timeout=DEADLINE).status == "Succeeded"


def test_a_refused_job_says_why(sandbox: Sandbox, example: Example) -> None:
    """A refused job raises an error with the server's message."""
    limit, sandbox.limits.active_jobs_per_user = sandbox.limits.active_jobs_per_user, 0
    try:
        with (
            Client(sandbox.token, sandbox.base_url, on_limit="raise") as client,
            pytest.raises(TooManyActiveJobs, match="You have too many active jobs"),
        ):
            client.start_algorithm_job(
                algorithm_slug=example.slug,
                inputs=[SocketValueSpec(example.image, file=volume())],
            )
    finally:
        sandbox.limits.active_jobs_per_user = limit


def test_an_unknown_job_is_not_found(client: Client) -> None:
    """Waiting for a job that does not exist ends at once."""
    with pytest.raises(ObjectNotFound, match="Not found, or no access"):
        client.wait_for_job("00000000-0000-4000-8000-000000000000", timeout=DEADLINE)


# ---------------------------------------------------------------- endpoints


def test_an_endpoint_is_invoked(sandbox: Sandbox, client: Client, example: Example) -> None:
    """An algorithm that is kept running takes inputs like a job, and its outputs can be read."""
    endpoint = sandbox.add_endpoint(example.slug)

    invocation = client.invoke_algorithm_endpoint(
        endpoint_pk=endpoint,
        inputs=[
            SocketValueSpec(example.image, file=volume()),
            SocketValueSpec(example.factor, value=0.5),
        ],
    )
    sandbox.wait_idle(DEADLINE)

    ended = client.algorithm_invocations.detail(pk=invocation.pk)
    assert ended.status == "Succeeded"
    assert {value.interface.slug for value in ended.outputs} == {
        example.mean,
        example.report,
        example.scaled,
    }


def test_an_endpoint_wants_an_interface_matched_too(
    sandbox: Sandbox, client: Client, example: Example
) -> None:
    """Inputs that match no interface of the endpoint's algorithm are refused before anything is uploaded."""
    endpoint = sandbox.add_endpoint(example.slug)

    with nothing_written(sandbox), pytest.raises(InterfaceMismatch, match=example.image):
        client.invoke_algorithm_endpoint(
            endpoint_pk=endpoint, inputs=[SocketValueSpec(example.factor, value=1)]
        )


def test_an_unknown_endpoint_is_not_found(
    sandbox: Sandbox, client: Client, example: Example
) -> None:
    """Nothing is uploaded for an endpoint that does not exist."""
    with nothing_written(sandbox), pytest.raises(ObjectNotFound):
        client.invoke_algorithm_endpoint(
            endpoint_pk="00000000-0000-4000-8000-000000000000",
            inputs=[SocketValueSpec(example.image, file=volume())],
        )


# ---------------------------------------------------------------- a full disk

#: Runs in a process that can write no file of more than 64 KiB, which is what a full disk looks like.
_ON_A_FULL_DISK = """
import json, os, resource, sys
from pathlib import Path
from gcapi import Client
base_url, token, job_pk, out = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, 65_536))
with Client(token=token, base_url=base_url) as client:
    (value,) = client.algorithm_jobs.detail(pk=job_pk).outputs
    try:
        client.download_socket_value(value, output_directory=out)
    except OSError as error:
        print(json.dumps({"errno": error.errno, "notes": error.__notes__}))
"""


@pytest.mark.skipif(os.name != "posix", reason="a file size limit is set by resource.setrlimit")
@pytest.mark.parametrize("kind", ["image", "file", "value"])
def test_a_full_disk_leaves_no_half_of_an_output(
    sandbox: Sandbox, client: Client, tmp_path: Path, kind: str
) -> None:
    """If an output cannot be written completely, the error says so and nothing incomplete is left."""
    number = sandbox.add_socket(unique("in"), "Integer")
    output = {
        "image": lambda: sandbox.add_socket(unique("out")),
        "file": lambda: sandbox.add_socket(unique("out"), "ZIP file"),
        "value": lambda: sandbox.add_socket(unique("out"), "Anything"),
    }[kind]()

    def run(_: Path, outputs: Path) -> None:
        if kind == "image":
            (outputs / "images" / output).mkdir(parents=True)
            blank = sitk.Image(512, 512, sitk.sitkUInt8)
            image = sitk.AdditiveGaussianNoise(blank, standardDeviation=40.0, mean=128.0, seed=1)
            sitk.WriteImage(image, str(outputs / "images" / output / "noise.mha"))
        elif kind == "file":
            (outputs / f"{output}.zip").write_bytes(bytes(200_000))
        else:
            (outputs / f"{output}.json").write_text(json.dumps("x" * 200_000))

    slug = sandbox.add_algorithm(unique("big"), interfaces=[([number], [output])], run=run)
    started = client.start_algorithm_job(
        algorithm_slug=slug, inputs=[SocketValueSpec(number, value=1)]
    )
    job = client.wait_for_job(started, timeout=DEADLINE)
    out = tmp_path / "out"

    arguments = [sandbox.base_url, sandbox.token, job.pk, str(out)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _ON_A_FULL_DISK, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )

    told = json.loads(done.stdout)
    assert os.strerror(told["errno"]) == "File too large"
    assert "no partial file is left" in told["notes"][0]
    assert [path for path in out.rglob("*") if path.is_file()] == []
    (value,) = job.outputs
    assert client.download_socket_value(value, output_directory=out)
