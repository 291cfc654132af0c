"""Interrupted calls in a program that continues, such as a notebook: nothing of them is left."""

from __future__ import annotations

import io
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import pull, push
from gcapi.exceptions import GCAPIError
from gcapi_sandbox import Sandbox
from gcapi_sandbox.faults import Faults, Rule
from tests.support.data import DEADLINE, noise, series, unique
from tests.support.push import Sockets, make_sockets, write_cases
from tests.support.servers.loopback import NO_TLS

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="elsewhere Ctrl-C does not interrupt a wait for a lock"
)

#: The number of cases, files and objects that a call deals with.
COUNT = 12
#: Seconds for which the server holds the requests that are under way when a call is interrupted.
HELD = 0.2
#: Seconds within which threads end after their current read or write.
PROMISED = 1.0


@dataclass(frozen=True)
class Stage:
    """The objects that the calls use.

    Attributes:
        sandbox: The server.
        client: A client of it.
        folder: An empty folder.
        sockets: A socket of values, and one of files.
        archive: The slug of an archive of `COUNT` cases.
        image: The pk of a DICOM image set of `COUNT` files.
        algorithm: The slug of an algorithm with a file as its input, whose jobs never end.
    """

    sandbox: Sandbox
    client: Client
    folder: Path
    sockets: Sockets
    archive: str
    image: str
    algorithm: str

    def values(self, count: int) -> list[SocketValueSpec]:
        """Return values of as many new sockets of files."""
        paths = [self.folder / f"{number}.csv" for number in range(count)]
        for path in paths:
            path.write_text("a;b\n")
        return [
            SocketValueSpec(self.sandbox.add_socket(unique("file"), "CSV file"), file=path)
            for path in paths
        ]


@dataclass(frozen=True)
class Fixed:
    """The objects that all tests share."""

    sockets: Sockets
    archive: str
    image: str
    algorithm: str


@pytest.fixture(scope="module")
def fixed(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Fixed:
    """Give an archive of imported cases, and an algorithm."""
    folder = tmp_path_factory.mktemp("images")
    sockets, image = make_sockets(sandbox), sandbox.add_socket(unique("image"))
    archive = sandbox.add_archive(unique("archive"))
    with Client(sandbox.token, sandbox.base_url) as client:
        for number in range(COUNT):
            client.add_case_to_archive(
                archive_slug=archive,
                values=[SocketValueSpec(image, file=noise(folder / f"{number}.mha"))],
                title=f"case {number}",
            )
        dicom = sandbox.add_socket(unique("dicom"), "DICOM Image Set")
        slices = SocketValueSpec(dicom, files=series(folder, COUNT), image_name="A series")
        other = sandbox.add_archive(unique("archive"))
        client.add_case_to_archive(archive_slug=other, values=[slices])
        sandbox.wait_idle(DEADLINE)
        (found,) = client.images.iterate_all({"archive": client.archives.detail(slug=other).pk})
    output = sandbox.add_socket(unique("output"), "Integer")
    algorithm = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([sockets.file], [output])], run=lambda *_: {}
    )
    return Fixed(sockets, archive, found.pk, algorithm)


@pytest.fixture
def stage(fixed: Fixed, sandbox: Sandbox, tmp_path: Path) -> Iterator[Stage]:
    """Give what a call works on; no job begins meanwhile."""
    with (
        sandbox.hold_background(),
        Client(sandbox.token, sandbox.base_url, max_concurrent_uploads=4) as client,
    ):
        client.archives.count()  # the version check
        yield Stage(
            sandbox,
            client,
            tmp_path,
            fixed.sockets,
            fixed.archive,
            fixed.image,
            fixed.algorithm,
        )
        sandbox.faults = Faults()


Call = Callable[[], object]


def push_cases(stage: Stage) -> Call:
    """Push a manifest of cases with a value and a file each."""
    manifest = write_cases(stage.folder, stage.sockets, COUNT)
    target = f"archive:{stage.sandbox.add_archive(unique('archive'))}"
    journal = stage.folder / "journal"
    return lambda: push(stage.client, manifest, target, workers=4, journal=journal)


def pull_cases(stage: Stage) -> Call:
    """Pull an archive of images."""
    return lambda: pull(
        stage.client, f"archive:{stage.archive}", stage.folder / "pulled", workers=4
    )


def add_case(stage: Stage) -> Call:
    """Add a case of many files."""
    archive, values = stage.sandbox.add_archive(unique("archive")), stage.values(COUNT)
    return lambda: stage.client.add_case_to_archive(archive_slug=archive, values=values)


def upload(stage: Stage) -> Call:
    """Upload file objects."""
    return lambda: stage.client.uploads.upload_multiple_fileobj(
        file_objects=[io.BytesIO(b"content") for _ in range(COUNT)],
        filenames=[f"{number}.bin" for number in range(COUNT)],
    )


def download(stage: Stage) -> Call:
    """Download the files of an image."""
    return lambda: stage.client.images.download(
        pk=stage.image, output_directory=stage.folder / "images"
    )


def iterate(stage: Stage) -> Call:
    """Iterate over a list of several pages."""
    return lambda: list(stage.client.archive_items.iterate_all())


def run_algorithm(stage: Stage) -> Call:
    """Upload the input of a job, start it, and wait for it."""
    file = stage.folder / "input.csv"
    file.write_text("a;b\n")
    return lambda: stage.client.run_algorithm(
        algorithm_slug=stage.algorithm,
        inputs=[SocketValueSpec(stage.sockets.file, file=file)],
        output_directory=stage.folder / "outputs",
    )


def wait_for_job(stage: Stage) -> Call:
    """Wait for a job that does not end."""
    file = stage.folder / "input.csv"
    file.write_text("a;b\n")
    job = stage.client.start_algorithm_job(
        algorithm_slug=stage.algorithm, inputs=[SocketValueSpec(stage.sockets.file, file=file)]
    )
    return lambda: stage.client.wait_for_job(job)


def wait_for_values(stage: Stage) -> Call:
    """Wait for values that are not imported."""
    archive, values = stage.sandbox.add_archive(unique("archive")), stage.values(2)
    item = stage.client.add_case_to_archive(archive_slug=archive, values=values)
    return lambda: stage.client.wait_for_values(item, values=values)


def own_threads() -> list[str]:
    """Return the names of the client's threads."""
    return [one.name for one in threading.enumerate() if one.name.startswith("gcapi")]


class CtrlC:
    """Interrupts the main thread at one of the requests of a call.

    The server holds this request and all later ones, so that it is under way when the call is interrupted.

    Attributes:
        pressed_at: The time of the interrupt, by the monotonic clock; 0 before it.

    Args:
        sandbox: The server.
        number: The number of the request, from 1.
    """

    def __init__(self, sandbox: Sandbox, number: int) -> None:
        self.pressed_at = 0.0
        self._sandbox = sandbox
        self._at = Rule(skip=number - 1, times=1)
        self._held = Rule(skip=number - 1, latency=HELD)

    def _press(self, rule: Rule, _: object) -> None:
        if rule == self._at:
            self.pressed_at = time.monotonic()
            main = threading.main_thread().ident
            assert main is not None
            signal.pthread_kill(main, signal.SIGINT)

    def __enter__(self) -> Self:
        self._sandbox.requests.clear()
        self._sandbox.faults = Faults(rules=(self._at, self._held))
        self._sandbox.on_strike = self._press
        return self

    def __exit__(self, *_: object) -> None:
        self._sandbox.on_strike = None


@pytest.fixture
def ctrl_c(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], CtrlC]]:
    """Give a function that presses Ctrl-C at a request."""
    # The grace period ends before the held requests do: what is checked does not depend on waiting for them.
    monkeypatch.setattr("gcapi._util.scheduler.GRACE_SECONDS", HELD / 8)
    # A larger page would hold the whole list.
    monkeypatch.setattr("gcapi._api.pagination.ITERATED_PAGE_SIZE", 2)
    former = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda number: CtrlC(sandbox, number)
    signal.signal(signal.SIGINT, former)


#: Each call, with the numbers of the requests at which it is interrupted.
CALLS: list[tuple[Callable[[Stage], Call], int]] = [
    *((push_cases, number) for number in (3, 10, 20, 40)),
    *((pull_cases, number) for number in (2, 8, 16)),
    *((add_case, number) for number in (2, 8, 30)),
    *((upload, number) for number in (1, 10, 25)),
    *((download, number) for number in (1, 5, 10)),
    *((iterate, number) for number in (1, 2, 4)),
    *((run_algorithm, number) for number in (2, 6, 10)),
    *((wait_for_job, number) for number in (1, 2)),
    *((wait_for_values, number) for number in (1, 2)),
]


@pytest.mark.parametrize(
    ("prepare", "number"), CALLS, ids=[f"{call.__name__}-{number}" for call, number in CALLS]
)
def test_nothing_of_an_interrupted_call_goes_on(
    prepare: Callable[[Stage], Call],
    number: int,
    stage: Stage,
    ctrl_c: Callable[[int], CtrlC],
) -> None:
    """After Ctrl-C has ended a call, it sends nothing more, and its threads end with their current read or write."""
    call = prepare(stage)
    with ctrl_c(number) as interrupt, pytest.raises(KeyboardInterrupt):
        call()
    assert time.monotonic() - interrupt.pressed_at < HELD + PROMISED
    check_that_nothing_goes_on(stage)


@pytest.mark.parametrize("prepare", [add_case, upload, download], ids=lambda call: call.__name__)
@pytest.mark.parametrize("number", [4, 11])
def test_nothing_of_a_failed_call_goes_on(
    prepare: Callable[[Stage], Call],
    number: int,
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After an error has ended a call, it sends nothing more, and its threads end with their current read or write."""
    monkeypatch.setattr("gcapi._util.scheduler.GRACE_SECONDS", HELD / 8)
    call = prepare(stage)
    stage.sandbox.requests.clear()
    stage.sandbox.faults = Faults(
        rules=(
            Rule(skip=number - 1, times=1, failure="status", status=400),
            Rule(origin="storage", latency=HELD),
        )
    )
    with pytest.raises(GCAPIError, match="400"):
        call()
    check_that_nothing_goes_on(stage)


def check_that_nothing_goes_on(stage: Stage) -> None:
    """Check that a call that has ended sends nothing more and ends its threads, and that its client can be used."""
    # What was sent before this request, which is not delayed, has arrived when it is answered.
    control = stage.sandbox.base_url.replace("/api/v1/", "/_sandbox/faults")
    httpx.get(control, trust_env=False, verify=NO_TLS).raise_for_status()
    sent = len(stage.sandbox.requests)
    deadline = time.monotonic() + HELD + PROMISED
    while left := own_threads():
        assert time.monotonic() < deadline, left
        time.sleep(0.005)
    assert [f"{one.method} {one.path}" for one in stage.sandbox.requests[sent:]] == []
    # The program, and the client, go on.
    stage.sandbox.faults = Faults()
    assert stage.client.archives.count() > 0
