"""Pushes that meet the server's quotas of uploads and of bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from gcapi import Client
from gcapi.bulk._push.upload_quota import UploadQuota
from gcapi.exceptions import LimitWarning
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    unique,
)
from tests.support.push import (
    Sockets,
    check_cases,
    parts_sent,
    pushed,
    told,
    write_cases,
)


def test_rows_wait_for_room_and_say_so() -> None:
    """A row whose files exceed the limit of uploads waits, with a warning, until the server has fewer."""
    counts = [2000, 2000, 1990]
    room = UploadQuota(lambda: counts.pop(0), "wait")
    with pytest.warns(LimitWarning, match="earlier uploads of yours to be used"):
        fill(room, 5)
    assert counts == []
    fill(room, 6)


def fill(room: UploadQuota, number: int) -> None:
    """Create a number of uploads."""
    with room.reserve(number) as used:
        for _ in range(number):
            used()


def test_rows_without_new_uploads_do_not_wait() -> None:
    """A row that needs no new uploads goes ahead of one that waits for the quota, which may need its end."""
    is_full, used = threading.Event(), threading.Event()

    def count() -> int:
        is_full.set()
        return 0 if used.is_set() else 2001

    quota = UploadQuota(count, "wait")

    def wait_for_five() -> None:
        with quota.reserve(5):
            pass

    with pytest.warns(LimitWarning), ThreadPoolExecutor(2) as pool:  # noqa: PT031
        waiting = pool.submit(wait_for_five)
        assert is_full.wait(DEADLINE)
        try:
            pool.submit(fill, quota, 0).result(5)
        finally:
            used.set()
        waiting.result(DEADLINE)


def test_the_limit_is_the_servers_where_nobody_waits() -> None:
    """A client that does not wait lets the server refuse."""
    with UploadQuota(lambda: 3000, "raise").reserve(5) as used:
        used()


@pytest.fixture
def own_archive(sandbox: Sandbox) -> Iterator[CaseCollection]:
    """Return an archive of a user without uploads."""
    user = unique("user")
    with Client(sandbox.add_user(user), sandbox.base_url) as client:
        yield CaseCollection(
            client, sandbox, sandbox.add_archive(unique("archive"), editors=[user]), True
        )


def test_rows_wait_for_room_for_their_bytes(
    own_archive: CaseCollection, push_sockets: Sockets, tmp_path: Path
) -> None:
    """If uploads take all the space of a user, rows wait until earlier ones are used, and nothing is sent twice."""
    manifest = write_cases(tmp_path, push_sockets, 6)
    sandbox = own_archive.sandbox
    sandbox.requests.clear()
    before, sandbox.limits.upload_bytes = sandbox.limits.upload_bytes, 60
    held = ExitStack()
    held.enter_context(sandbox.hold_background())

    def release() -> None:
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and not any(one.status == 403 for one in sandbox.requests):
            time.sleep(0.01)
        held.close()

    watcher = threading.Thread(target=release)
    watcher.start()
    try:
        with pytest.warns(LimitWarning, match="bytes of earlier uploads of yours to be used"):
            report = pushed(own_archive, manifest, workers=1)
    finally:
        watcher.join()
        sandbox.limits.upload_bytes = before
    assert told(report) == (6, 0, 0, 0)
    check_cases(own_archive, push_sockets, 6)
    assert max(parts_sent(sandbox).values()) == 1
