"""The programs of algorithms: functions and commands in separate processes."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gcapi_sandbox import Sandbox
from tests.support.servers.raw_http import DEADLINE, Web, is_alive, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOCK = threading.Lock()


@pytest.fixture(scope="module", autouse=True)
def _sockets(sandbox: Sandbox) -> None:
    """Add the sockets of all algorithms of this module."""
    sandbox.add_socket("Number", "Float")
    sandbox.add_socket("Result", "Anything")
    sandbox.add_socket("Notes", "CSV file")
    sandbox.limits.credits = 10**6


@pytest.fixture
def run(sandbox: Sandbox, web: Web) -> Iterator[Callable[..., Any]]:
    """Return a function that runs a program on a number and returns the invocation."""

    def run_once(program: Any, number: float = 1, **options: Any) -> Any:
        return _finished(sandbox, _started(web, program, number, **options), web)

    yield run_once
    sandbox.wait_idle()


def _started(web: Web, program: Any, number: float, output: str = "result", **options: Any) -> str:
    slug = f"a-{time.monotonic_ns()}"
    interface = (["number"], [output])
    web.sandbox.add_algorithm(slug, slug=slug, interfaces=[interface], run=program, **options)
    endpoint = f"{web.sandbox.base_url}algorithms/endpoints/{web.sandbox.add_endpoint(slug)}/"
    inputs = [{"interface": "number", "value": number}]
    return web.post("algorithms/invocations/", {"endpoint": endpoint, "inputs": inputs})["pk"]


def _finished(sandbox: Sandbox, pk: str, web: Web) -> Any:
    sandbox.wait_idle(DEADLINE)
    return web.get(f"algorithms/invocations/{pk}/")


def _result(invocation: Any) -> Any:
    assert invocation["status"] == "Succeeded", invocation
    return invocation["outputs"][0]["value"]


def test_a_closure_runs_in_another_process(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closure runs with its variables in another process, without the token of the environment."""
    monkeypatch.setenv("GRAND_CHALLENGE_AUTHORIZATION", "secret")
    word = "closed over"

    def write_result(inputs: Path, outputs: Path) -> None:
        number = json.loads((inputs / "number.json").read_text())
        secret = "GRAND_CHALLENGE_AUTHORIZATION" in os.environ
        result = [word, number, os.getpid(), secret]
        (outputs / "result.json").write_text(json.dumps(result))

    result = _result(run(write_result, 5))
    assert result[:2] == ["closed over", 5]
    assert result[2] != os.getpid()
    assert result[3] is False


@pytest.mark.parametrize("where", ["placeholders", "environment"])
def test_a_command_finds_its_folders(run: Callable[..., Any], tmp_path: Path, where: str) -> None:
    """A command runs in its folder, and gets the input and output folders as arguments and variables."""
    (tmp_path / "program.py").write_text(
        "import json, os, sys\n"
        "given = sys.argv[1:] or [os.environ['SANDBOX_INPUT'], os.environ['SANDBOX_OUTPUT']]\n"
        "number = json.load(open(given[0] + '/number.json'))\n"
        "json.dump([number, os.getcwd()], open(given[1] + '/result.json', 'w'))\n"
    )
    words = ["{input}", "{output}"] if where == "placeholders" else []
    result = _result(run([sys.executable, "program.py", *words], 6, folder=tmp_path))
    assert result == [6, str(tmp_path)]


def test_inputs_json_describes_the_inputs(run: Callable[..., Any]) -> None:
    """`inputs.json` lists the inputs as the API shows values."""

    def write_result(inputs: Path, outputs: Path) -> None:
        (outputs / "result.json").write_text((inputs / "inputs.json").read_text())

    (value,) = _result(run(write_result, 7))
    assert (value["interface"]["slug"], value["value"]) == ("number", 7)
    assert (value["file"], value["image"]) == (None, None)
    assert value["interface"]["relative_path"] == "number.json"


def test_linked_output_is_copied(run: Callable[..., Any], web: Web, tmp_path: Path) -> None:
    """The target of a symbolic link becomes an output, and stays in its place."""
    source = tmp_path / "own.csv"
    source.write_text("a;b")
    done = run(["ln", "-s", str(source), "{output}/notes.csv"], output="notes")
    location = web.api.get(done["outputs"][0]["file"]).headers["Location"]
    assert (web.storage.get(location).text, source.read_text()) == ("a;b", "a;b")


def _raise(_inputs: Path, _outputs: Path) -> None:
    raise ValueError("of its own")


def _exit(_inputs: Path, _outputs: Path) -> None:
    os._exit(3)


def _crash(_inputs: Path, _outputs: Path) -> None:
    os.kill(os.getpid(), 11)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (_raise, "ValueError: of its own"),
        (_exit, "exit code 3"),
        (_crash, "signal 11"),
        ([sys.executable, "-c", "import sys; sys.exit('sorry')"], "exit code 1: sorry"),
        ([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], "ended with signal 9"),
    ],
)
def test_failed_process_fails_only_its_job(
    run: Callable[..., Any], program: Any, message: str
) -> None:
    """A job whose process fails is Failed with the last line of output, and the next job runs."""
    failed = run(program)
    assert (failed["status"], failed["outputs"]) == ("Failed", [])
    assert message in failed["error_message"]
    assert _result(run(["cp", "{input}/number.json", "{output}/result.json"], 8)) == 8


@pytest.mark.parametrize("ending", ["time limit", "end"])
def test_child_processes_are_killed(run: Callable[..., Any], tmp_path: Path, ending: str) -> None:
    """The whole process group is killed at the time limit and when the algorithm ends."""
    pids = tmp_path / "pids"
    wait = "time.sleep(600)" if ending == "time limit" else "0"
    program = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pids)!r}, 'w').write(str(child.pid)); {wait}\n"
    )
    failed = run([sys.executable, "-c", program], time_limit=1.5 if ending == "time limit" else 600)
    assert failed["status"] == "Failed"
    if ending == "time limit":
        assert "time limit of 1.5 s exceeded" in failed["error_message"]
    if pids.exists():  # on a slow machine the time limit may end before it starts
        pid = int(pids.read_text())
        wait_until(lambda: not is_alive(pid))


def test_jobs_are_interrupted_and_run_again(tmp_path: Path) -> None:
    """A running job does not delay the stop of a sandbox; the next one runs it again."""
    program = tmp_path / "waiting.py"
    program.write_text(
        "import os, pathlib, sys, time\n"
        "def run(inputs, outputs):\n"
        f"    here = pathlib.Path({str(tmp_path)!r})\n"
        "    (here / 'pid').write_text(str(os.getpid()))\n"
        "    while not (here / 'proceed').exists(): time.sleep(0.01)\n"
        "    (outputs / 'result.json').write_text('1')\n"
    )
    with Sandbox(tmp_path / "data") as first:
        first.add_socket("Number", "Float")
        first.add_socket("Result", "Anything")
        web = Web(first)
        pk = _started(web, "waiting:run", 1, folder=tmp_path)
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        pid = int((tmp_path / "pid").read_text())
        web.close()
    assert not is_alive(pid)
    (tmp_path / "proceed").touch()
    with Sandbox(tmp_path / "data") as second:
        web = Web(second)
        assert _result(_finished(second, pk, web)) == 1
        web.close()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("json", "not of the form module:function"),
        ("no_such_module:run", "No module named 'no_such_module'"),
        ("json:no_such_function", "no attribute 'no_such_function'"),
        ([], "list of strings"),
        (["./no-such-program"], "'./no-such-program' does not exist"),
        (lambda *_: LOCK.locked(), "cannot be pickled"),
    ],
)
def test_invalid_programs_are_refused(sandbox: Sandbox, program: Any, message: str) -> None:
    """A name, a command or an object that cannot run is a ValueError when it is added."""
    with pytest.raises(ValueError, match=message):
        sandbox.add_algorithm("Never", interfaces=[], run=program)
