"""Pushes that are interrupted in a program that goes on: nothing is sent afterwards, and the threads end."""

from __future__ import annotations

import itertools
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gcapi import Client
from gcapi.bulk import JournalError, PushProgress, push
from gcapi_sandbox import Rule, Sandbox
from tests.support.data import DEADLINE, CaseCollection, add_collection, found
from tests.support.lost_responses import ACTED_CUT, CUT, faulty, in_turn
from tests.support.push import (
    Sockets,
    check_cases,
    make_sockets,
    parts_sent,
    start_push,
    target,
    told,
    write_cases,
)

ROWS, WORKERS = 12, 4
CREATION = Rule(method="POST", path="*/archives/items/")


class HeldCreations:
    """Creations of cases that wait until they are told to pass; called with each of them."""

    def __init__(self) -> None:
        self.are_held = threading.Event()
        self.release = threading.Event()
        self._counted = itertools.count(1)

    def __call__(self, *_: object) -> None:
        """Hold a creation."""
        if next(self._counted) == WORKERS:
            self.are_held.set()
        self.release.wait(15)


def push_threads() -> list[threading.Thread]:
    """Return the running threads of pushes."""
    return [each for each in threading.enumerate() if each.name.startswith("gcapi-")]


@pytest.fixture
def creations() -> Iterator[HeldCreations]:
    """Yield the held creations, and let everything pass at the end."""
    held = HeldCreations()
    yield held
    held.release.set()


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
    with faulty(sandbox, CREATION, on_strike=creations, timeout=20.0) as slow:
        presser = threading.Thread(target=interrupt, args=(creations,))
        presser.start()
        with pytest.raises(KeyboardInterrupt) as interrupted:
            push(slow, manifest, target, journal=journal, workers=WORKERS)
        presser.join()
        assert "Run the same command again" in interrupted.value.__notes__[0]
        sent = len(sandbox.requests)

        with pytest.raises(JournalError, match="is just ending"):
            push(slow, manifest, target, journal=journal)
        creations.release.set()
        released = time.monotonic()
        while push_threads():
            assert time.monotonic() < released + 2.0
            time.sleep(0.01)

        assert sandbox.requests[sent:] == []
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
    client.archives.count()  # what was sent before this request has arrived when it is answered
    assert len(sandbox.requests) == count + 1
    finish(collection, manifest, target, journal)


def finish(collection: CaseCollection, manifest: Path, target: str, journal: Path) -> None:
    """Check that the same command makes every case once."""
    report = push(collection.client, manifest, target, journal=journal)
    assert report.is_complete
    assert sorted(case.title for case in collection.all()) == [f"case {n:05}" for n in range(ROWS)]


#: The steps of a push.
STEPS = (
    Rule(method="GET", path="*/archives/items/"),
    Rule(method="POST", path="*/uploads/"),
    Rule(method="PATCH", path="*/generate-presigned-urls/"),
    Rule(method="PATCH", path="*/complete-multipart-upload/"),
    CREATION,
    Rule(method="PATCH", path="*/archives/items/*/"),
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
    step: Rule,
    number: int,
    *,
    is_carried_out: bool,
) -> None:
    """Wherever Ctrl-C comes, the same command run at once waits for its lock at most, and fails no row."""
    sockets = make_sockets(sandbox)
    manifest = write_cases(tmp_path, sockets, ROWS)
    collection = add_collection(sandbox, client, "archive")
    target, journal = f"archive:{collection.slug}", tmp_path / "journal"
    failure = ACTED_CUT if is_carried_out else CUT
    (lost,) = in_turn(step.method, (step.path,), failure, skip=number - 1)

    def press(*_: object) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with faulty(sandbox, lost, on_strike=press, timeout=5.0) as hasty:
        with pytest.raises(KeyboardInterrupt):
            push(hasty, manifest, target, journal=journal, workers=WORKERS)
        again = CaseCollection(hasty, sandbox, collection.slug, True)
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


def test_an_interrupted_push_says_how_to_go_on(
    empty_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """After Ctrl-C the program ends at once and says to run the same command again, which continues."""
    manifest = write_cases(tmp_path, push_sockets, 30)
    empty_archive.sandbox.requests.clear()
    process = start_push(empty_archive.sandbox, manifest, target(empty_archive), tmp_path / "j")
    end = time.monotonic() + DEADLINE
    while not found(empty_archive.sandbox, "PATCH", r"/archives/items/[^/]+/$"):
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)

    assert "KeyboardInterrupt" in errors
    assert "Run the same command again" in errors
    report = push(empty_archive.client, manifest, target(empty_archive), journal=tmp_path / "j")
    assert told(report)[2:] == (0, 0)
    check_cases(empty_archive, push_sockets, 30)
    assert max(parts_sent(empty_archive.sandbox).values()) == 1
