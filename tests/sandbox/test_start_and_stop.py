"""Start, stop and restart of a sandbox, and the command line."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from gcapi_sandbox import Sandbox
from tests.support.servers.raw_http import Web, image_bytes


def test_import_is_cheap() -> None:
    """Importing the package loads neither the web framework nor SimpleITK."""
    code = (
        "import sys, gcapi_sandbox; "
        "print([m for m in ('starlette', 'uvicorn', 'SimpleITK', 'sqlite3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_missing_extra_is_one_line() -> None:
    """Without its extra the sandbox fails with one line that says what to install."""
    code = (
        "import importlib.util as u; u.find_spec = lambda name: None\n"
        "from gcapi_sandbox import Sandbox; Sandbox().start()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install '.[sandbox]'" in done.stderr.strip().splitlines()[-1]


def test_nothing_of_the_client_is_imported() -> None:
    """The sandbox imports neither the client nor its HTTP library."""
    code = (
        "import sys\nfrom gcapi_sandbox import Sandbox\n"
        "with Sandbox(): print([m for m in ('gcapi', 'httpx', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_restart(tmp_path: Path) -> None:
    """Another sandbox with the same folder has all objects, and runs pending tasks."""
    data = tmp_path / "data"
    with Sandbox(data) as first:
        first.add_socket("Picture")
        first.add_socket("Mean Intensity", "Float")
        web = Web(first)
        path, token = web.item(), first.token
        done = web.upload("done.mha", image_bytes())
        upload, parts = web.create_upload("half.bin")
        etag = web.put(web.presign(parts, 1)["1"], b"half")
        with first.hold_background():
            web.patch(path, {"interface": "picture", "user_uploads": [done]})
            web.close()
            first.stop()
    with Sandbox(data) as second:
        assert second.token == token
        web = Web(second)
        assert web.values(path).keys() == {"picture"}
        image = web.get(web.values(path)["picture"]["image"])
        location = web.api.get(image["files"][0]["file"]).headers["Location"]
        assert web.storage.get(location).status_code == 200
        assert web.complete(parts, (1, etag)).json()["pk"] == upload["pk"]
        web.close()


CRASH = """
import os, signal, sys
from pathlib import Path
from gcapi_sandbox import Sandbox
from tests.support.servers.raw_http import Web, image_bytes

with Sandbox(Path(sys.argv[1])) as sandbox:
    sandbox.add_socket("Picture")
    web = Web(sandbox)
    path, upload = web.item(), web.upload("scan.mha", image_bytes())
    with sandbox.hold_background():
        web.patch(path, {"interface": "picture", "user_uploads": [upload]})
        print(path, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_tasks_survive_a_crash(tmp_path: Path) -> None:
    """The next sandbox runs the tasks that were pending when the process was killed."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", CRASH, str(tmp_path)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Sandbox(tmp_path) as sandbox:
        web = Web(sandbox)
        assert web.values(killed.stdout.strip()).keys() == {"picture"}
        web.close()


def test_named_functions_survive_a_restart(tmp_path: Path) -> None:
    """After a restart an algorithm given by name runs, and one given as an object does not."""
    with Sandbox(tmp_path) as first:
        for title in ("Generic Medical Image", "Thresholded Image"):
            first.add_socket(title)
        first.add_socket("Mean Intensity", "Float")
        interface = (["generic-medical-image"], ["mean-intensity", "thresholded-image"])
        first.add_algorithm("Named", interfaces=[interface], run="gcapi_sandbox.demo_algorithm:run")
        first.add_algorithm("Object", interfaces=[interface], run=lambda *_: None)
        web = Web(first)
        image = web.image("generic-medical-image")["api_url"]
        web.close()
    with Sandbox(tmp_path) as second:
        web = Web(second)
        statuses = {}
        for algorithm in web.get("algorithms/")["results"]:
            inputs = [{"interface": "generic-medical-image", "image": image}]
            body = {"algorithm": algorithm["api_url"], "inputs": inputs}
            pk = web.post("algorithms/jobs/", body)["pk"]
            second.wait_idle()
            statuses[algorithm["slug"]] = web.get(f"algorithms/jobs/{pk}/")["status"]
        web.close()
    assert statuses == {"named": "Succeeded", "object": "Failed"}


def test_one_sandbox_per_folder(tmp_path: Path) -> None:
    """A second sandbox in the same folder is refused until the first one has stopped."""
    with Sandbox(tmp_path), pytest.raises(RuntimeError, match="Another sandbox uses"):
        Sandbox(tmp_path).start()
    with Sandbox(tmp_path) as again:
        assert again.token


def test_folder_of_another_version(tmp_path: Path) -> None:
    """A folder with different tables is refused with the solution, and stays unchanged."""
    with Sandbox(tmp_path) as first:
        first.add_archive("Cases")
    with closing(sqlite3.connect(tmp_path / "sandbox.sqlite3")) as store:
        store.execute("ALTER TABLE Algorithm ADD COLUMN colour TEXT")
    with pytest.raises(RuntimeError, match="--reset"):
        Sandbox(tmp_path).start()
    with closing(sqlite3.connect(tmp_path / "sandbox.sqlite3")) as store:
        assert store.execute("SELECT count(*) FROM Archive").fetchone() == (1,)


def test_stopped_sandbox() -> None:
    """A sandbox that is not running says so, and can be stopped twice."""
    sandbox = Sandbox()
    with pytest.raises(RuntimeError, match="is not running"):
        sandbox.add_archive("x")
    with sandbox, pytest.raises(RuntimeError, match="already running"):
        sandbox.start()
    sandbox.stop()


@pytest.mark.parametrize(
    ("add", "message"),
    [
        (lambda one: [one.add_socket("Twice") for _ in range(2)], "already"),
        (lambda one: one.add_socket("Other", "Nonsense"), "Unknown kind"),
        (
            lambda one: one.add_socket("Odd", "Anything", schema={"type": 1}),
            "not a valid JSON schema",
        ),
        (lambda one: one.add_reader_study("Odd", extra={"colour": 1}), "has no field colour"),
        (
            lambda one: one.add_algorithm("A", interfaces=[(["nope"], [])], run=print),
            "socket 'nope' does not exist",
        ),
        (lambda one: one.add_archive("!!!"), "no characters for a slug"),
    ],
)
def test_invalid_additions_are_refused(sandbox: Sandbox, add, message: str) -> None:
    """An object that cannot be added is refused with the reason."""
    with pytest.raises(ValueError, match=message):
        add(sandbox)


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_command_line(tmp_path: Path, stop: signal.Signals) -> None:
    """The command prints one line of JSON, serves a seeded sandbox, and exits cleanly."""
    command = [sys.executable, "-m", "gcapi_sandbox", "--json", "--data", str(tmp_path), "--reset"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        ready = json.loads(process.stdout.readline())
        headers = {"Authorization": f"Bearer {ready['token']}"}
        slugs = {
            path: [
                one["slug"]
                for one in httpx.get(f"{ready['base_url']}{path}/", headers=headers).json()[
                    "results"
                ]
            ]
            for path in ("algorithms", "reader-studies", "components/interfaces")
        }
        process.send_signal(stop)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    assert ready.keys() == {"base_url", "storage_url", "token"}
    assert (slugs["algorithms"], slugs["reader-studies"]) == (["demo-algorithm"], ["demo-study"])
    assert {"generic-medical-image", "dicom-image-set", "findings"} < set(
        slugs["components/interfaces"]
    )
