"""A sandbox that is killed repeatedly while clients use it, and checks of what it must have kept."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.servers.raw_http import DEADLINE, image_bytes

TOKEN = "5e" * 32
SEED = f"""
users: [{{name: sandbox, token: {TOKEN}}}]
limits: {{smallest_part: 1, credits: 1000000, active_jobs_per_user: 100000, uploads_per_user: 100000}}
sockets:
  - {{title: Picture}}
  - {{title: Table, kind: CSV file}}
  - {{title: Number, kind: Integer}}
  - {{title: Copied, kind: Integer}}
archives: [{{title: Cases}}]
algorithms:
  - title: Copy
    run: [{sys.executable}, -c, "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])",
          "{{input}}/number.json", "{{output}}/copied.json"]
    interfaces: [{{inputs: [number], outputs: [copied]}}]
"""


@dataclass
class Change:
    """A requested change: after its response it must be stored, before that it may be."""

    what: str
    expected: Any
    before: Any = None
    answered: bool = False

    def check(self, found: Any) -> None:
        """Check the actual state against the requested change."""
        allowed = [self.expected] if self.answered else [self.expected, self.before]
        assert found in allowed, f"{self.what}: {found!r}, of {allowed!r}"


@dataclass
class Changes:
    """The changes that all clients requested, over all runs of the sandbox."""

    items: dict[str, Change] = field(default_factory=dict)
    values: dict[tuple[str, str], Change] = field(default_factory=dict)
    uploads: dict[str, dict[int, Change]] = field(default_factory=dict)
    jobs: dict[str, Change] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        """The number of changes with a response."""
        changes = [*self.items.values(), *self.values.values(), *self.jobs.values()]
        changes += [change for parts in self.uploads.values() for change in parts.values()]
        return sum(change.answered for change in changes)


class SandboxProcess:
    """One run of a sandbox, in a process of its own."""

    def __init__(self, folder: Path, text: str = SEED) -> None:
        seed = folder / "seed.yaml"
        seed.write_text(text)
        arguments = ["--json", "--data", str(folder / "data"), "--seed", str(seed)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gcapi_sandbox", *arguments], stdout=subprocess.PIPE
        )

    @cached_property
    def base_url(self) -> str:
        """The address, after the sandbox has started."""
        assert self.process.stdout
        return str(json.loads(self.process.stdout.readline())["base_url"])

    def client(self) -> httpx.Client:
        """Return a plain HTTP client."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=DEADLINE)

    def end(self, how: signal.Signals) -> int:
        """Send a signal, and return the exit code."""
        self.process.send_signal(how)
        code = self.process.wait(DEADLINE)
        assert self.process.stdout
        self.process.stdout.close()
        return code


class Worker:
    """A client that adds cases, uploads files and starts jobs until its server is killed."""

    def __init__(self, name: str, changes: Changes, api: httpx.Client) -> None:
        self._rng, self._name, self._changes, self._api = Random(name), name, changes, api
        self._count = 0
        self._image = image_bytes()
        self._archive = self._json("GET", "archives/?slug=cases")["results"][0]["api_url"]
        self._algorithm = self._json("GET", "algorithms/")["results"][0]["api_url"]

    def work(self) -> None:
        """Make changes until the server is gone."""
        acts = (self._add_values, self._add_values, self._leave_parts, self._start_job)
        with suppress(httpx.TransportError):
            while True:
                self._rng.choice(acts)()

    def _json(self, method: str, path: str, body: Any = None) -> Any:
        reply = self._api.request(method, path, json=body)
        assert reply.is_success, (method, path, reply.status_code, reply.text)
        return reply.json()

    def _unique(self) -> str:
        self._count += 1
        return f"{self._name} {self._count}"

    def _item(self) -> str:
        title = self._unique()
        change = self._changes.items[title] = Change(f"item {title}", 1, before=0)
        made = self._json("POST", "archives/items/", {"archive": self._archive, "title": title})
        change.answered = True
        return str(made["pk"])

    def _add_values(self) -> None:
        """Add a case, then its number, its file and its image."""
        item = self._item()
        number = self._rng.randrange(10**9)
        self._patch(item, "number", {"value": number}, number)
        content = self._rng.randbytes(self._rng.randrange(1, 50_000))
        source = {"user_upload": self._uploaded("table.csv", content)}
        self._patch(item, "table", source, _md5(content))
        source = {"user_uploads": [self._uploaded("scan.mha", self._image)]}
        self._patch(item, "picture", source, [2, 3, 4])

    def _patch(self, item: str, socket: str, source: dict[str, Any], expected: Any) -> None:
        change = self._changes.values[item, socket] = Change(f"{socket} of {item}", expected)
        values = [{"interface": socket, **source}]
        self._json("PATCH", f"archives/items/{item}/", {"values": values})
        change.answered = True

    def _uploaded(self, name: str, content: bytes) -> str:
        upload = self._json("POST", "uploads/", {"filename": name})
        path = f"uploads/{upload['pk']}/{upload['s3_upload_id']}/"
        half = len(content) // 2
        parts = [
            {"PartNumber": number, "ETag": self._put(path, number, piece)}
            for number, piece in ((1, content[:half]), (2, content[half:]))
        ]
        self._json("PATCH", f"{path}complete-multipart-upload/", {"parts": parts})
        return str(upload["api_url"])

    def _put(self, path: str, number: int, content: bytes) -> str:
        body = {"part_numbers": [number]}
        url = self._json("PATCH", f"{path}generate-presigned-urls/", body)["presigned_urls"]
        reply = httpx.put(url[str(number)], content=content, timeout=DEADLINE)
        assert reply.is_success, reply.text
        return reply.headers["ETag"]

    def _leave_parts(self) -> None:
        """Upload parts, one of them twice, and leave or abort the upload."""
        upload = self._json("POST", "uploads/", {"filename": "left.bin"})
        path = f"uploads/{upload['pk']}/{upload['s3_upload_id']}/"
        parts = self._changes.uploads[path] = {}
        for number in (1, 2, 1):
            content = self._rng.randbytes(self._rng.randrange(1, 100_000))
            former = parts[number].expected if number in parts else None
            change = parts[number] = Change(f"part {number} of {path}", _md5(content), former)
            self._put(path, number, content)
            change.answered = True
        if self._rng.random() < 0.3:
            for number, change in parts.items():
                parts[number] = Change(change.what, None, before=change.expected)
            self._json("PATCH", f"{path}abort-multipart-upload/")
            for change in parts.values():
                change.answered = True

    def _start_job(self) -> None:
        number = self._rng.randrange(10**9)
        inputs = [{"interface": "number", "value": number}]
        body = {"algorithm": self._algorithm, "inputs": inputs}
        pk = self._json("POST", "algorithms/jobs/", body)["pk"]
        self._changes.jobs[pk] = Change(f"job {pk}", ("Succeeded", number), answered=True)


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def run_and_kill(folder: Path, changes: Changes, rng: Random, workers: int = 3) -> None:
    """Start a sandbox, check the earlier changes, let clients work, and kill it at a random moment."""
    running = SandboxProcess(folder)
    moment = rng.uniform(0.1, 1.5)
    if rng.random() < 0.3:  # while it starts
        time.sleep(moment / 2)
        running.end(signal.SIGKILL)
        return
    with running.client() as api:
        check_at_once(api, changes)
        clients = [Worker(f"{rng.random()}", changes, running.client()) for _ in range(workers)]
        threads = [threading.Thread(target=client.work) for client in clients]
        for thread in threads:
            thread.start()
        time.sleep(moment)
        running.end(signal.SIGKILL)
        for thread in threads:
            thread.join(DEADLINE)
        for client in clients:
            client._api.close()


def check_at_once(api: httpx.Client, changes: Changes) -> None:
    """Check the cases and parts, which must be complete as soon as a sandbox responds."""
    titles = [one["title"] for one in _all(api, "archives/items/")]
    for title, change in list(changes.items.items()):
        change.check(titles.count(title))
    for path, parts in changes.uploads.items():
        reply = api.get(f"{path}list-parts/")
        stored = reply.json()["parts"] if reply.is_success else []
        etags = {part["PartNumber"]: part["ETag"].strip('"') for part in stored}
        for number, change in parts.items():
            change.check(etags.get(number))


def _all(api: httpx.Client, path: str) -> list[Any]:
    found: list[Any] = []
    url = f"{path}?limit=1000"
    while url:
        page = api.get(url).json()
        found += page["results"]
        url = page["next"]
    return found


def check_at_the_end(folder: Path, changes: Changes) -> None:
    """Let a last sandbox finish all work, and check every change and the folder."""
    running = SandboxProcess(folder)
    with running.client() as api:
        check_at_once(api, changes)
        _wait_until_done(api, changes)
        items = {one["pk"]: one for one in _all(api, "archives/items/")}
        for (item, socket), change in changes.values.items():
            change.check(_content(api, items[item], socket))
        for pk, change in changes.jobs.items():
            change.check(_outcome(api.get(f"algorithms/jobs/{pk}/").json()))
    assert running.end(signal.SIGTERM) == 0
    check_folder(folder / "data")


def _wait_until_done(api: httpx.Client, changes: Changes) -> None:
    deadline = time.monotonic() + DEADLINE
    wanted = {place for place, change in changes.values.items() if change.answered}
    while True:
        present = {
            (one["pk"], value["interface"]["slug"])
            for one in _all(api, "archives/items/")
            for value in one["values"]
        }
        jobs = {one["status"] for one in _all(api, "algorithms/jobs/")}
        if wanted <= present and jobs <= {"Succeeded", "Failed", "Cancelled"}:
            return
        assert time.monotonic() < deadline, (wanted - present, jobs)
        time.sleep(0.1)


def _content(api: httpx.Client, item: Any, socket: str) -> Any:
    for value in item["values"]:
        if value["interface"]["slug"] != socket:
            continue
        if value["image"]:
            image = api.get(value["image"]).json()
            assert _download(api, image["files"][0]["file"])
            return image["shape"]
        return _md5(_download(api, value["file"])) if value["file"] else value["value"]
    return None


def _download(api: httpx.Client, url: str) -> bytes:
    reply = httpx.get(api.get(urlsplit(url)._replace(query="").geturl()).headers["Location"])
    assert reply.is_success
    return reply.content


def _outcome(job: Any) -> tuple[str, Any]:
    return job["status"], job["outputs"][0]["value"] if job["outputs"] else None


def check_folder(data: Path) -> None:
    """Check that records and files correspond, that files are unchanged, and that nothing else is left."""
    with sqlite3.connect(data / "sandbox.sqlite3") as store:
        records = {
            data / "objects" / key: etag
            for key, etag in store.execute("SELECT pk, etag FROM StoredObject")
        }
        for upload, number, etag in store.execute("SELECT upload, number, etag FROM Part"):
            records[data / "parts" / upload / f"{number:05}-{etag.strip(chr(34))}"] = etag
        tasks = store.execute("SELECT * FROM Task").fetchall()
    store.close()
    files = {path for path in data.rglob("*") if path.is_file() and path.parent != data}
    assert files == records.keys()
    for path, etag in records.items():
        assert f'"{_md5(path.read_bytes())}"' == etag
    assert tasks == []
