"""Crashes: `kill -9` of a sandbox at any moment, and rolled back transactions."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

import httpx

from gcapi_sandbox._database.store import Store
from tests.support import sandbox_kills
from tests.support.servers.raw_http import is_alive, wait_until

WAITING = f"""
sockets: [{{title: Number, kind: Integer}}]
algorithms:
  - title: Waiting
    run: [{sys.executable}, waiting.py]
    interfaces: [{{inputs: [number], outputs: [number]}}]
"""


def _pids(folder: Path) -> list[int]:
    path = folder / "pid"
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def test_killed_sandbox_leaves_no_process(tmp_path: Path) -> None:
    """The processes of a job end when the sandbox is killed."""
    (tmp_path / "waiting.py").write_text(
        "import os, time\n"
        "open('pid', 'w').write(f'{os.getppid()} {os.getpid()}')\n"
        "time.sleep(600)\n"
    )
    seed = f"users: [{{name: sandbox, token: {sandbox_kills.TOKEN}}}]\n{WAITING}"
    running = sandbox_kills.SandboxProcess(tmp_path, seed)
    with running.client() as api:
        algorithm = api.get("algorithms/").json()["results"][0]["api_url"]
        inputs = [{"interface": "number", "value": 1}]
        reply = api.post("algorithms/jobs/", json={"algorithm": algorithm, "inputs": inputs})
        assert reply.status_code == httpx.codes.CREATED
        wait_until(lambda: len(_pids(tmp_path)) == 2)
    running.end(signal.SIGKILL)
    wait_until(lambda: not any(is_alive(pid) for pid in _pids(tmp_path)))


def test_acknowledged_changes_survive_kills(tmp_path: Path) -> None:
    """After kills at random moments all acknowledged changes are complete, and no files are left over."""
    rng, changes = Random(5), sandbox_kills.Changes()
    for _ in range(3):
        sandbox_kills.run_and_kill(tmp_path, changes, rng)
    sandbox_kills.check_at_the_end(tmp_path, changes)
    assert changes.answered > 0


def test_files_are_deleted_after_the_commit(tmp_path: Path) -> None:
    """Files are deleted after the outermost commit, and kept after a rollback."""
    store = Store(tmp_path / "store.sqlite3")
    done: list[str] = []
    with suppress(LookupError), store.transaction():
        store.after_commit(lambda: done.append("rolled back"))
        raise LookupError
    with store.transaction():
        with store.transaction():
            store.after_commit(lambda: done.append("committed"))
        assert done == []
    store.close()
    assert done == ["committed"]
