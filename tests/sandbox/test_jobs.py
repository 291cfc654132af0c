"""Algorithms, jobs, endpoints and invocations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.generated import require
from tests.support.servers.raw_http import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gcapi_sandbox import Sandbox
    from tests.support.servers.raw_http import Web


def double(inputs: Path, outputs: Path) -> None:
    """Double a number."""
    (outputs / "twice.json").write_text(
        json.dumps(json.loads((inputs / "number.json").read_text()) * 2)
    )


def everything(inputs: Path, outputs: Path) -> None:
    """Copy an image and write outputs of all kinds."""
    (image,) = (inputs / "images" / "picture").glob("*.mha")
    target = outputs / "images" / "copy"
    target.mkdir(parents=True)
    (target / "result.mha").write_bytes(image.read_bytes())
    (outputs / "log.csv").write_text((inputs / "notes.csv").read_text())
    inputs_shown = json.loads((inputs / "inputs.json").read_text())
    image_shown = next(one["image"] for one in inputs_shown if one["image"])
    (outputs / "details.json").write_text(json.dumps(image_shown))


def wait(inputs: Path, outputs: Path) -> None:
    """Wait until a file says go."""
    (outputs / "started").touch()
    wait_until((outputs / "proceed").exists)
    double(inputs, outputs)


def fail(inputs: Path, outputs: Path) -> None:
    """Raise an exception."""
    raise ValueError(f"{inputs.name} to {outputs.name}")


def nothing(_inputs: Path, _outputs: Path) -> None:
    """Write no output."""


def text(_inputs: Path, outputs: Path) -> None:
    """Write an output of the wrong kind."""
    (outputs / "twice.json").write_text('"text"')


@pytest.fixture(scope="module", autouse=True)
def _algorithms(sandbox: Sandbox) -> None:
    """Add sockets and algorithms."""
    for title, kind in (
        ("Number", "Float"),
        ("Twice", "Float"),
        ("Picture", "Image"),
        ("Copy", "Image"),
    ):
        sandbox.add_socket(title, kind)
    for title, kind in (("Notes", "CSV file"), ("Log", "CSV file")):
        sandbox.add_socket(title, kind)
    sandbox.add_socket("Details", "Anything", store_in_database=False)
    for run in (double, wait, fail, nothing, text):
        sandbox.add_algorithm(run.__name__.title(), interfaces=[(["number"], ["twice"])], run=run)
    interface = (["picture", "notes"], ["copy", "log", "details"])
    sandbox.add_algorithm(
        "Everything", interfaces=[(["number"], ["twice"]), interface], run=everything
    )


@pytest.fixture
def limits(web: Web) -> Iterator[Any]:
    """Yield generous limits, and restore them afterwards."""
    before = vars(web.sandbox.limits).copy()
    yield web.sandbox.limits
    vars(web.sandbox.limits).update(before)


def algorithm(web: Web, slug: str) -> str:
    """Return the URL of an algorithm."""
    (found,) = web.get("algorithms/", slug=slug)["results"]
    return found["api_url"]


def start(web: Web, slug: str, *values: dict[str, Any]):
    """Create a job."""
    return web.api.post(
        "algorithms/jobs/", json={"algorithm": algorithm(web, slug), "inputs": values}
    )


def number(value: float) -> dict[str, Any]:
    """Return a posted number."""
    return {"interface": "number", "value": value}


def job(web: Web, slug: str, *values: dict[str, Any]) -> Any:
    """Run a job until it is finished and return it."""
    reply = start(web, slug, *values)
    assert reply.status_code == 201, reply.text
    web.sandbox.wait_idle()
    return web.get(f"algorithms/jobs/{reply.json()['pk']}/")


def test_algorithms(web: Web) -> None:
    """An algorithm shows its interfaces with full sockets."""
    one = web.get(algorithm(web, "everything"))
    shown = [
        (
            [socket["slug"] for socket in pair["inputs"]],
            [socket["slug"] for socket in pair["outputs"]],
        )
        for pair in one["interfaces"]
    ]
    assert shown == [
        (["number"], ["twice"]),
        (["picture", "notes"], ["copy", "log", "details"]),
    ]
    (image,) = web.get("algorithms/images/", algorithm=one["pk"])["results"]
    assert (image["algorithm"], image["import_status"]) == (one["api_url"], "Completed")
    assert web.get(image["api_url"]) == image


def test_reply_to_a_new_job(web: Web) -> None:
    """The reply to a new job has its pk, inputs and status, but no URL."""
    with web.sandbox.hold_background():
        reply = start(web, "double", number(1.25)).json()
        assert reply.keys() == {"pk", "inputs", "status"}
        assert reply["status"] == "Validating inputs"
        assert [(one["interface"], one["value"]) for one in reply["inputs"]] == [("number", 1.25)]


def test_successful_job(web: Web) -> None:
    """Outputs appear when the job succeeds, and durations are in ISO 8601."""
    done = job(web, "double", number(21))
    assert done["status"] == "Succeeded"
    assert [(one["interface"]["slug"], one["value"]) for one in done["outputs"]] == [("twice", 42)]
    assert done["exec_duration"].startswith("P0DT00H00M00")
    assert done["algorithm"] == algorithm(web, "double")
    assert web.get(done["api_url"]) == done


def test_jobs_with_files_and_images(web: Web, scan: bytes) -> None:
    """Uploaded inputs are absent during validation, and outputs of all kinds are returned."""
    uploads = {
        "picture": {"user_uploads": [web.upload("in.mha", scan)]},
        "notes": {"user_upload": web.upload("notes.csv", b"a,b")},
    }
    values = [{"interface": name, **source} for name, source in uploads.items()]
    with web.sandbox.hold_background():
        reply = start(web, "everything", *values).json()
        pending = web.get(f"algorithms/jobs/{reply['pk']}/")
        assert (reply["inputs"], pending["inputs"], pending["status"]) == (
            [],
            [],
            "Validating inputs",
        )
        assert pending["exec_duration"] is None
    web.sandbox.wait_idle()
    done = web.get(f"algorithms/jobs/{reply['pk']}/")
    assert done["status"] == "Succeeded"
    outputs = {one["interface"]["slug"]: one for one in done["outputs"]}
    image = web.get(outputs["copy"]["image"])
    assert (image["name"], image["shape"]) == ("result.mha", [2, 3, 4])
    table = web.storage.get(web.api.get(outputs["log"]["file"]).headers["Location"])
    assert (table.content, table.headers["Content-Type"]) == (b"a,b", "text/plain")
    shown = web.storage.get(web.api.get(outputs["details"]["file"]).headers["Location"]).json()
    assert shown.keys() == {"pk", "name"}  # of the image in inputs.json
    assert shown["name"] == "in.mha"
    source = next(one["image"] for one in done["inputs"] if one["image"])
    pk = source.rstrip("/").rpartition("/")[2]
    assert [one["pk"] for one in web.get("algorithms/jobs/", input_image=pk)["results"]] == [
        done["pk"]
    ]
    assert web.get("algorithms/jobs/", output_image=pk)["count"] == 0
    assert web.get("cases/images/", job_output=done["pk"])["results"] == [image]


def test_status_while_running(web: Web) -> None:
    """A job is Executing while its algorithm runs, and has no outputs yet."""
    reply = start(web, "wait", number(3)).json()
    work = web.sandbox.folder / "work"
    wait_until(lambda: bool(list(work.glob("*/output/started"))))
    running = web.get(f"algorithms/jobs/{reply['pk']}/")
    (beginning,) = work.glob("*/output/started")
    beginning.with_name("proceed").touch()
    assert (running["status"], running["outputs"]) == ("Executing", [])
    web.sandbox.wait_idle()
    assert web.get(f"algorithms/jobs/{reply['pk']}/")["status"] == "Succeeded"


@pytest.mark.parametrize("slug", ["fail", "nothing", "text"])
def test_failed_job(web: Web, slug: str) -> None:
    """A run that raises or lacks a valid output is Failed, and the API shows no reason."""
    done = job(web, slug, number(1))
    assert (done["status"], done["outputs"]) == ("Failed", [])
    assert "error_message" not in done


def test_invalid_inputs_cancel_the_job(web: Web) -> None:
    """A job whose inputs cannot be imported is Cancelled."""
    values = (
        {"interface": "picture", "user_uploads": [web.upload("in.mha", b"junk")]},
        {"interface": "notes", "user_upload": web.upload("notes.csv")},
    )
    assert job(web, "everything", *values)["status"] == "Cancelled"


@pytest.mark.parametrize(
    "values",
    [[], [{"interface": "twice", "value": 1}], [number(1), {"interface": "twice", "value": 1}]],
)
def test_interfaces_match_exactly(web: Web, values: list[dict[str, Any]]) -> None:
    """Inputs must match one interface exactly; the error lists all interfaces."""
    (message,) = start(web, "double", *values).json()["non_field_errors"]
    assert message == (
        "The set of inputs provided does not match any of the algorithm's interfaces. This "
        "algorithm supports the following input combinations: Interface 1: Number (Float)"
    )


def test_duplicate_jobs_are_refused(web: Web) -> None:
    """The same inputs are not run twice, unless a socket is given twice."""
    job(web, "double", number(1000))
    reply = start(web, "double", number(1000))
    assert (reply.status_code, reply.json()) == (
        400,
        {
            "non_field_errors": [
                "A result for these inputs with the current image and model already exists."
            ]
        },
    )
    assert start(web, "double", number(1000), number(1000)).status_code == 201


def test_job_limits(web: Web, limits) -> None:
    """Active jobs and credits are limited, and credits are checked first."""
    limits.active_jobs_per_user = 0
    assert start(web, "double", number(-1)).json() == {
        "non_field_errors": [
            "You have too many active jobs, please try again after they have completed"
        ]
    }
    limits.credits = limits.free_jobs_for_editors = 0
    assert start(web, "double", number(-1)).json() == {
        "non_field_errors": ["You have run out of algorithm credits"]
    }


def test_roles_of_algorithms(web: Web, stranger: Web) -> None:
    """Only members can run an algorithm, and jobs are visible to their creator only."""
    done = job(web, "double", number(77))
    assert stranger.get("algorithms/jobs/")["count"] == 0
    assert stranger.api.get(done["api_url"]).status_code == 404
    reply = stranger.api.post(
        "algorithms/jobs/", json={"algorithm": algorithm(web, "double"), "inputs": [number(5)]}
    )
    assert reply.json() == {"algorithm": ["Invalid hyperlink - Object does not exist."]}


def test_input_errors_are_nested(web: Web) -> None:
    """Errors in inputs are nested under their field."""
    assert start(web, "double", {"interface": "number"}).json()["inputs"][0]
    assert web.api.post("algorithms/jobs/", json={}).json() == {
        "algorithm": ["This field is required."],
        "inputs": ["This field is required."],
    }


def test_listing_jobs(web: Web) -> None:
    """Jobs are listed in order of creation, can be filtered by algorithm, and ignore unknown filters."""
    first, second = (job(web, "double", number(value))["pk"] for value in (501, 502))
    pk = algorithm(web, "double").split("/")[-2]
    listed = [
        one["pk"] for one in web.get("algorithms/jobs/", algorithm_image__algorithm=pk)["results"]
    ]
    assert listed.index(first) < listed.index(second)
    assert web.get("algorithms/jobs/", status="Nothing", image="x")["count"] >= len(listed)


def test_endpoints_and_invocations(web: Web) -> None:
    """An invocation runs the algorithm of an endpoint and shows its error."""
    require("algorithms_endpoints_retrieve", "algorithms_invocations_create")
    endpoint = web.get(f"algorithms/endpoints/{web.sandbox.add_endpoint('double')}/")
    assert (endpoint["status"], endpoint["algorithm"]) == ("Running", algorithm(web, "double"))
    assert isinstance(endpoint["remaining_lifetime"], str)
    assert web.api.patch(f"{endpoint['api_url']}keep_alive/").status_code == 200
    body = {"endpoint": endpoint["api_url"], "inputs": [number(4)]}
    reply = web.post("algorithms/invocations/", body)
    assert reply.keys() == {"pk", "endpoint", "inputs", "status"}
    web.sandbox.wait_idle()
    done = web.get(f"algorithms/invocations/{reply['pk']}/")
    assert (done["status"], done["outputs"][0]["value"], done["error_message"]) == (
        "Succeeded",
        8,
        "",
    )
    failing = web.post("algorithms/endpoints/", {"algorithm": algorithm(web, "fail")})
    broken = web.post("algorithms/invocations/", {**body, "endpoint": failing["api_url"]})
    web.sandbox.wait_idle()
    assert "ValueError" in web.get(f"algorithms/invocations/{broken['pk']}/")["error_message"]
    assert web.api.get(f"algorithms/jobs/{reply['pk']}/").status_code == 404
    assert web.get("algorithms/endpoints/", status="Stopped")["count"] == 0
