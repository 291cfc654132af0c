"""Programs that are suspended for longer than the server keeps unused uploads, while the server's clock goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi_sandbox import Faults, Rule, Sandbox
from tests.support.data import DEADLINE, CaseCollection, add_collection, content_of, unique, written
from tests.support.programs.suspension import suspended
from tests.support.push import (
    check_cases,
    make_sockets,
    push_until_complete,
    start_push,
    target,
    write_cases,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="SIGSTOP")

HOUR, DAY = 3600, 86_400
#: The seconds that the client looks for the effect of a lost request.
PATIENCE = 1.0
ROWS = 3
#: Add a case, and print how that ended.
ADD = """
import sys
from pathlib import Path
from gcapi import Client, SocketValueSpec
from gcapi.exceptions import IncompleteCase

base_url, slug, socket, path, timeout = sys.argv[1:]
with Client(base_url=base_url, timeout=float(timeout)) as client:
    try:
        client.add_case_to_archive(
            archive_slug=slug,
            values=[SocketValueSpec(socket, file=Path(path))],
            title="P-0001",
            existing="skip",
        )
    except IncompleteCase as error:
        print(type(error.__cause__).__name__)
    else:
        print("done")
"""
#: What a suspended process finds: the jump of the server's clock, whether its uploads are gone, and the offset from the
#: clock of the client.
SLEEPS = [
    pytest.param(DAY + HOUR, True, 0, id="a day"),
    pytest.param(DAY + HOUR, True, -30 * DAY, id="a day, a client ahead of the server"),
    pytest.param(DAY + HOUR, True, 30 * DAY, id="a day, a client behind the server"),
    pytest.param(DAY - HOUR, False, 0, id="less than a day"),
    pytest.param(-DAY, False, 0, id="a server whose clock is set back"),
]


@pytest.fixture
def archive(sandbox: Sandbox, client: Client) -> Iterator[CaseCollection]:
    """Return an archive; end all faults afterwards."""
    yield add_collection(sandbox, client, "archive")
    sandbox.faults, sandbox.on_strike = Faults(), None


def run_suspended(
    archive: CaseCollection,
    start: Callable[[], subprocess.Popen[str]],
    jump: float,
    offset: float,
) -> tuple[str, set[str]]:
    """Run a program that sleeps while its first filling of a case is lost.

    Args:
        archive: The archive that it adds cases to.
        start: Starts the program.
        jump: Seconds that pass by the server's clock.
        offset: Seconds by which the server's clock is ahead of the program's.

    Returns:
        The output of the program, and the file names of the uploads that are left while it sleeps.
    """
    left: list[set[str]] = []

    def suspend(*_: object) -> None:
        with suspended(process.pid):
            left.append({upload.filename for upload in archive.client.uploads.iterate_all()})

    lost = Rule(
        method="PATCH", path="*/archives/items/*/", failure="reset", times=1, clock_jump=jump
    )
    archive.sandbox.faults = Faults(rules=(lost,), clock_offset=offset)
    archive.sandbox.on_strike = suspend
    process = start()
    output, _ = process.communicate(timeout=DEADLINE)
    (names,) = left
    return output, names


def contents(archive: CaseCollection) -> list[list[bytes]]:
    """Return the contents of the files of all cases, after all background work."""
    archive.sandbox.wait_idle(DEADLINE)
    return [
        [content_of(archive.client, value) for value in case.values if value.file]
        for case in archive.all()
    ]


@pytest.mark.parametrize(("jump", "is_gone", "offset"), SLEEPS)
def test_a_suspended_program_never_takes_an_empty_case_for_filled(
    archive: CaseCollection, tmp_path: Path, jump: float, offset: float, *, is_gone: bool
) -> None:
    """If uploads may have expired while a program slept, their absence does not show that its case was filled."""
    socket = archive.sandbox.add_socket(unique("file"), "CSV file")
    path = written(tmp_path / f"{unique('case')}.csv", "a;b")

    def start() -> subprocess.Popen[str]:
        arguments = (archive.sandbox.base_url, archive.slug, socket, str(path), str(PATIENCE))
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", ADD, *arguments],
            env={**os.environ, "GRAND_CHALLENGE_AUTHORIZATION": archive.sandbox.token},
            stdout=subprocess.PIPE,
            text=True,
        )

    output, names = run_suspended(archive, start, jump, offset)

    assert path.name not in names if is_gone else path.name in names
    assert output == ("AmbiguousWriteError\n" if is_gone else "done\n")
    assert contents(archive) == ([[]] if is_gone else [[b"a;b"]])
    output, _ = start().communicate(timeout=DEADLINE)
    assert (output, contents(archive)) == ("done\n", [[b"a;b"]])


@pytest.mark.parametrize(("jump", "is_gone", "offset"), SLEEPS)
def test_a_suspended_push_never_takes_an_empty_case_for_filled(
    archive: CaseCollection, tmp_path: Path, jump: float, offset: float, *, is_gone: bool
) -> None:
    """A row whose uploads may have expired while a push slept is not done, and the same command completes it."""
    sockets = make_sockets(archive.sandbox)
    manifest = write_cases(tmp_path, sockets, ROWS)

    def start() -> subprocess.Popen[str]:
        journal = tmp_path / "journal"
        return start_push(
            archive.sandbox, manifest, target(archive), journal, workers=1, patience=PATIENCE
        )

    output, _ = run_suspended(archive, start, jump, offset)

    report: dict[str, Any] = json.loads(output)
    filled = [files for files in contents(archive) if files]
    assert report["done"] == len(filled)
    assert (report["done"] < ROWS) == is_gone
    again = push_until_complete(start)
    assert again["failed"] == again["ambiguous"] == []
    check_cases(archive, sockets, ROWS)
