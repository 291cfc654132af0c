"""Many concurrent clients of a sandbox in a process of its own, whose memory is measured."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.servers.raw_http import image_bytes

DEADLINE = 120
#: One of this many items gets an image, and one of twenty of those a job.
EVERY = 50


@dataclass
class LoadResult:
    """The result of a run: seconds, failures, and the sandbox's memory in MiB after a tenth and at the end."""

    items: int
    seconds: float
    requests: int
    failures: list[str]
    warm: float
    end: float
    images: int
    jobs: int


@contextmanager
def sandbox_process() -> Iterator[tuple[int, dict[str, str]]]:
    """Run a sandbox in a process; yield its pid and its output."""
    command = [sys.executable, "-m", "gcapi_sandbox", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            yield process.pid, json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(DEADLINE)


def memory(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    listed = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True
    )
    return int(listed.stdout) / 1024


class _Clients:
    """An HTTP client for each thread, and a count of their requests."""

    def __init__(self, ready: dict[str, str]) -> None:
        self._ready = ready
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: list[httpx.Client] = []
        self.requests = 0
        self.failures: list[str] = []

    def ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Send a request, and record it if it fails."""
        reply = self._client().request(method, url, **options)
        with self._lock:
            self.requests += 1
            if not reply.is_success:
                self.failures.append(f"{method} {url}: {reply.status_code} {reply.text[:200]}")
        return reply

    def _client(self) -> httpx.Client:
        if not hasattr(self._local, "client"):
            headers = {"Authorization": f"Bearer {self._ready['token']}"}
            self._local.client = httpx.Client(
                base_url=self._ready["base_url"], headers=headers, timeout=DEADLINE
            )
            with self._lock:
                self._all.append(self._local.client)
        return self._local.client

    def close(self) -> None:
        """Close all clients."""
        for client in self._all:
            client.close()


def run_load(items: int, at_once: int) -> LoadResult:
    """Fill an archive with concurrent requests; every item gets a value, some get an image and a job."""
    with sandbox_process() as (pid, ready):
        clients = _Clients(ready)
        fill = _filler(clients)
        begin = time.monotonic()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(fill, range(items // 10)))
            warm = memory(pid)
            list(pool.map(fill, range(items // 10, items)))
        pages = _wait_until_done(clients, items)
        seconds = time.monotonic() - begin
        end = memory(pid)
        clients.close()
    return LoadResult(items, seconds, clients.requests, clients.failures, warm, end, *pages)


def _filler(clients: _Clients) -> Callable[[int], None]:
    archive = clients.ask("GET", "archives/").json()["results"][0]
    algorithm = clients.ask("GET", "algorithms/").json()["results"][0]["api_url"]
    image = image_bytes((64, 64, 16))

    def upload() -> str:
        made = clients.ask("POST", "uploads/", json={"filename": "scan.mha"}).json()
        path = f"uploads/{made['pk']}/{made['s3_upload_id']}/"
        signed = clients.ask(
            "PATCH", f"{path}generate-presigned-urls/", json={"part_numbers": [1]}
        ).json()
        put = httpx.put(signed["presigned_urls"]["1"], content=image, timeout=DEADLINE)
        parts = [{"PartNumber": 1, "ETag": put.headers["ETag"]}]
        clients.ask("PATCH", f"{path}complete-multipart-upload/", json={"parts": parts})
        return str(made["api_url"])

    def fill(number: int) -> None:
        body = {"archive": archive["api_url"], "title": f"case {number}"}
        pk = clients.ask("POST", "archives/items/", json=body).json()["pk"]
        values: list[dict[str, Any]] = [{"interface": "nodule-count", "value": number}]
        if number % EVERY == 0:
            values.append({"interface": "ct-image", "user_uploads": [upload()]})
        clients.ask("PATCH", f"archives/items/{pk}/", json={"values": values})
        if number % (EVERY * 20) == 0:
            inputs = [{"interface": "generic-medical-image", "user_uploads": [upload()]}]
            job = {"algorithm": algorithm, "inputs": inputs}
            clients.ask("POST", "algorithms/jobs/", json=job)
        if number % 10 == 0:
            clients.ask("GET", "archives/items/", params={"limit": 20, "archive": archive["pk"]})

    return fill


def _wait_until_done(clients: _Clients, items: int) -> tuple[int, int]:
    """Wait for the imports and jobs; return the number of images and of finished jobs."""
    images, jobs = -(-items // EVERY), -(-items // (EVERY * 20))
    deadline = time.monotonic() + DEADLINE
    while True:
        # Each job adds two images: its input and its output.
        found = clients.ask("GET", "cases/images/", params={"limit": 1}).json()["count"]
        done = clients.ask("GET", "algorithms/jobs/").json()["results"]
        if found >= images + 2 * jobs and all(one["status"] == "Succeeded" for one in done):
            break
        assert time.monotonic() < deadline, (found, [one["status"] for one in done])
        time.sleep(0.2)
    titles = set()
    for offset in range(0, items, 1000):
        page = clients.ask("GET", "archives/items/", params={"limit": 1000, "offset": offset})
        titles |= {one["title"] for one in page.json()["results"]}
    assert titles == {f"case {number}" for number in range(items)}
    return found, len(done)
