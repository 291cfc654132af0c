"""Pushes that are interrupted in a program that goes on: nothing is sent afterwards, and the threads end."""

from __future__ import annotations

import itertools
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcapi import Client
from gcapi.bulk import JournalError, PushProgress, push
from gcapi_sandbox import Sandbox
from tests.support.data import CaseCollection, add_collection
from tests.support.push import check_cases, make_sockets, write_cases
from tests.support.servers.loopback import Answer, Seen
from tests.support.servers.relay import AfterRequest, connected, relay

ROWS, WORKERS = 12, 4
CREATION = re.compile(r"/archives/items/$")


class HeldCreations:
    """A fault that holds back the creation of cases until it is told to let them pass."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.held = 0
        self.are_held = threading.Event()
        self.release = threading.Event()

    def __call__(self, seen: Seen) -> Answer | None:
        """Note a request, and hold a creation."""
        self.seen.append(f"{seen.method} {seen.path}")
        if seen.method == "POST" and CREATION.search(seen.path) and not self.release.is_set():
            self.held += 1
            if self.held == WORKERS:
                self.are_held.set()
            self.release.wait(15)
        return None


def push_threads() -> list[threading.Thread]:
    """Return the running threads of pushes."""
    return [each for each in threading.enumerate() if each.name.startswith("gcapi-")]


@pytest.fixture
def creations() -> Iterator[HeldCreations]:
    """Yield the fault, and let everything pass at the end."""
    fault = HeldCreations()
    yield fault
    fault.release.set()


def interrupt(creations: HeldCreations) -> None:
    """Press Ctrl-C once every worker waits for the response to a creation."""
    creations.are_held.wait(15)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_nothing_is_sent_after_ctrl_c(
    sandbox: Sandbox, client: Client, creations: HeldCreations, tmp_path: Path
) -> None:
    """After Ctrl-C the call returns at once, nothing of it is sent, and its threads end when their read does."""
    collection = add_collection(sandbox, client, "archive")
    manifest = write_cases(tmp_path, make_sockets(sandbox), ROWS)
    target, journal = f"archive:{collection.slug}", tmp_path / "journal"
    with relay(sandbox, creations) as server, connected(sandbox, server, timeout=20.0) as slow:
        presser = threading.Thread(target=interrupt, args=(creations,))
        presser.start()
        with pytest.raises(KeyboardInterrupt) as interrupted:
            push(slow, manifest, target, journal=journal, workers=WORKERS)
        presser.join()
        assert "Run the same command again" in interrupted.value.__notes__[0]
        sent = len(creations.seen)

        with pytest.raises(JournalError, match="is just ending"):
            push(slow, manifest, target, journal=journal)
        creations.release.set()
        released = time.monotonic()
        while push_threads():
            assert time.monotonic() < released + 2.0
            time.sleep(0.01)

        assert creations.seen[sent:] == []
        finish(CaseCollection(slow, sandbox, collection.slug, True), manifest, target, journal)


def test_nothing_is_sent_after_ctrl_c_in_the_listener(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """If Ctrl-C comes while the caller's own code runs, the threads end too, and the same command continues."""
    collection = add_collection(sandbox, client, "archive")
    manifest = write_cases(tmp_path, make_sockets(sandbox), ROWS)
    target, journal = f"archive:{collection.slug}", tmp_path / "journal"

    def fail(_: PushProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push(client, manifest, target, journal=journal, workers=WORKERS, progress=fail)
    end = time.monotonic() + 2.0
    while push_threads():
        assert time.monotonic() < end
        time.sleep(0.01)
    count = len(sandbox.requests)
    time.sleep(0.3)
    assert len(sandbox.requests) == count
    finish(collection, manifest, target, journal)


def finish(collection: CaseCollection, manifest: Path, target: str, journal: Path) -> None:
    """Check that the same command makes every case once."""
    report = push(collection.client, manifest, target, journal=journal)
    assert report.is_complete
    assert sorted(case.title for case in collection.all()) == [f"case {n:05}" for n in range(ROWS)]


#: The steps of a push, by method and path.
STEPS = (
    r"GET .*/archives/items/$",
    r"POST .*/uploads/$",
    r"PATCH .*/generate-presigned-urls/$",
    r"PATCH .*/complete-multipart-upload/$",
    r"POST .*/archives/items/$",
    r"PATCH .*/archives/items/[^/]+/$",
)


@pytest.mark.parametrize(
    ("step", "number", "is_carried_out"),
    [
        pytest.param(
            step, number, after, marks=[] if (number, after) == (5, True) else pytest.mark.long
        )
        for step in STEPS
        for number in ((1,) if step == STEPS[0] else (1, 5))
        for after in (False, True)
    ],
)
def test_a_rerun_at_once_finds_every_state_of_an_interruption(
    sandbox: Sandbox,
    client: Client,
    tmp_path: Path,
    step: str,
    number: int,
    *,
    is_carried_out: bool,
) -> None:
    """Wherever Ctrl-C comes, the same command run at once waits for its lock at most, and fails no row."""
    sockets = make_sockets(sandbox)
    manifest = write_cases(tmp_path, sockets, ROWS)
    collection = add_collection(sandbox, client, "archive")
    target, journal = f"archive:{collection.slug}", tmp_path / "journal"
    pressed = threading.Event()
    counted = itertools.count(1)

    def press(seen: Seen) -> Answer | None:
        request = f"{seen.method} {seen.path.partition('?')[0]}"
        if pressed.is_set() or not re.search(step, request) or next(counted) < number:
            return None
        pressed.set()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return AfterRequest(reset=True) if is_carried_out else Answer(reset=True)

    with relay(sandbox, press) as server, connected(sandbox, server, timeout=5.0) as relayed:
        with pytest.raises(KeyboardInterrupt):
            push(relayed, manifest, target, journal=journal, workers=WORKERS)
        again = CaseCollection(relayed, sandbox, collection.slug, True)
        end = time.monotonic() + 10
        while True:
            try:
                finish(again, manifest, target, journal)
                break
            except JournalError:
                # The lock is held until the last writer has ended.
                assert push_threads()
                assert time.monotonic() < end
                time.sleep(0.01)
    check_cases(collection, sockets, ROWS)
