"""Workflows that check their own result: afterwards there is what was asked for, once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx

from gcapi import Client, SocketValueSpec
from gcapi.bulk import push
from gcapi.exceptions import (
    AmbiguousWriteError,
    IncompleteCase,
    StatusError,
    TransferError,
    UnexpectedAnswer,
    UploadInterrupted,
)
from gcapi_sandbox import Sandbox
from tests.support.chaos.clients import apply
from tests.support.chaos.faults import MOST_FAULTS
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    add_collection,
    content_of,
    noise,
    unique,
    value_of,
    voxels,
    written,
)
from tests.support.push import Sockets, check_cases, target, write_cases
from tests.support.servers.loopback import NO_TLS

#: The exceptions that a call may raise after network faults.
DOCUMENTED = (
    AmbiguousWriteError,
    IncompleteCase,
    UploadInterrupted,
    TransferError,
    UnexpectedAnswer,
    StatusError,
    httpx.TransportError,
)
#: The statuses of faults, and of uploads that are gone.
TRANSIENT, EXPIRED = {500, 502, 503, 504}, {400, 403, 404}


class WrongResultError(AssertionError):
    """Raised when the server's state is not what was asked for."""


def must(holds: object, message: str) -> None:
    """Raise `WrongResultError` unless something holds."""
    if not holds:
        raise WrongResultError(message)


@dataclass
class World:
    """A sandbox with the sockets that all runs use.

    Attributes:
        sandbox: The sandbox.
        clean: A client for what happens between the faults.
        faults: The number of requests that failed.
        suspensions: The number of times that a client was suspended.
    """

    sandbox: Sandbox
    clean: Client
    number: str
    record: str
    table: str
    image: str
    result: str
    picture: str
    faults: int = 0
    suspensions: int = 0

    def specs(self, rng: Random, folder: Path, *, least: int = 0) -> list[SocketValueSpec]:
        """Return some specs: inline values, files and images."""
        value = {"seed": rng.random(), "deep": [1, None, "ü"]}
        all_of_them = [
            SocketValueSpec(self.number, value=value),
            SocketValueSpec(self.record, value={"record": value}),
            SocketValueSpec(self.table, file=written(folder / f"{unique('table')}.csv", "a;ü")),
            SocketValueSpec(self.image, file=noise(folder / f"{unique('noise')}.mha", 8)),
        ]
        return rng.sample(all_of_them, rng.randint(least, len(all_of_them)))

    def check_value(self, value: Any, spec: SocketValueSpec, folder: Path) -> None:
        """Check that a value on the server equals its spec."""
        slug = spec.socket_slug
        if slug == self.number:
            must(value.value == spec.value, f"{slug} is {value.value!r}, not {spec.value!r}")
        elif slug == self.record:
            stored = json.loads(content_of(self.clean, value))
            must(stored == spec.value, f"{slug} holds {stored!r}, not {spec.value!r}")
        elif slug == self.table:
            must(content_of(self.clean, value) == "a;ü".encode(), f"{slug} holds something else")
        else:
            (path, *_) = self.clean.images.download(
                url=value.image, output_directory=folder / unique("clean")
            )
            (source,) = [spec.file] if isinstance(spec.file, str | Path) else spec.files or ()
            must((voxels(path) == voxels(Path(source))).all(), f"{slug} is another image")

    def check_case(self, case: Any, specs: list[SocketValueSpec], folder: Path) -> None:
        """Check that a case has the specified values and no others."""
        slugs = sorted(value.interface.slug for value in case.values)
        expected = sorted(spec.socket_slug for spec in specs)
        must(slugs == expected, f"{case.pk} has values of {slugs}, not of {expected}")
        for spec in specs:
            self.check_value(value_of(case, spec.socket_slug), spec, folder)


@contextmanager
def new_world() -> Iterator[World]:
    """Start a sandbox with the sockets that all runs use."""
    with (
        Sandbox() as sandbox,
        Client(sandbox.token, sandbox.base_url, verify=NO_TLS) as clean,
    ):
        sandbox.limits.credits = 10**9
        yield World(
            sandbox,
            clean,
            number=sandbox.add_socket(unique("number"), "Anything"),
            record=sandbox.add_socket(unique("record"), "Anything", store_in_database=False),
            table=sandbox.add_socket(unique("table"), "CSV file"),
            image=sandbox.add_socket(unique("image")),
            result=sandbox.add_socket(unique("result"), "Anything"),
            picture=sandbox.add_socket(unique("picture")),
        )


@dataclass
class Run:
    """The environment of one workflow.

    Attributes:
        world: The sandbox.
        client: A client whose requests meet the faults during `attempt`.
        rng: The source of all choices.
        folder: A scratch folder.
        log: Descriptions of the outcomes of calls.
        may_fail: Whether there are enough faults for a call to raise a documented exception.
        may_expire: Whether uploads can expire during a call, so that the server refuses them.
    """

    world: World
    client: Any
    rng: Random
    folder: Path
    log: list[str]
    may_fail: bool
    may_expire: bool

    def attempt(self, call: Callable[[], Any]) -> tuple[Any, Exception | None]:
        """Make a call with faults; return its result and its documented exception, one of them `None`.

        Other exceptions are raised.
        """
        self.world.sandbox.are_faults_paused = False
        try:
            given = call()
        except DOCUMENTED as error:
            self.log.append(f"raised {type(error).__name__}: {error}")
            if not self.may_fail:
                raise
            expired = EXPIRED if self.may_expire else set()
            if isinstance(error, StatusError) and error.status_code not in TRANSIENT | expired:
                raise
            return None, error
        finally:
            self.world.sandbox.are_faults_paused = True
        self.log.append("returned")
        return given, None

    def collection(self, kind: str) -> CaseCollection:
        """Create an archive or a reader study, without faults."""
        return add_collection(self.world.sandbox, self.world.clean, kind)

    def faulty(self, collection: CaseCollection) -> CaseCollection:
        """Return the same collection with the client that meets the faults."""
        return CaseCollection(
            self.client, collection.sandbox, collection.slug, collection.is_archive
        )

    def all_of(self, collection: CaseCollection) -> list[Any]:
        """Return all cases after all background work."""
        self.world.sandbox.wait_idle(DEADLINE)
        return collection.all()


# ---------------------------------------------------------------- workflows


def add_a_case(run: Run, kind: str) -> None:
    """Add a case with or without a title, an order and values."""
    collection = run.collection(kind)
    specs = run.world.specs(run.rng, run.folder)
    fields: dict[str, Any] = {"title": run.rng.choice(["P-0001", "", None])}
    if kind == "reader study" and run.rng.random() < 0.7:
        fields["order"] = run.rng.randint(1, 99)
    made, error = run.attempt(lambda: run.faulty(collection).add(*specs, **fields))
    cases = run.all_of(collection)
    must(len(cases) <= 1, f"there are {len(cases)} cases")
    if isinstance(error, IncompleteCase):
        _complete(run, error, specs)
        cases = run.all_of(collection)
        must([case.pk for case in cases] == [error.pk], "the completed case is not the only one")
    elif error is not None:
        for case in cases:
            must(isinstance(error, AmbiguousWriteError), "the error says nothing of a case")
            must(repr(case.title) in str(error), f"the error does not name {case.title!r}")
            must(not case.values, "a case that nobody was told of has values")
        return
    (case,) = cases
    must(made is None or made.pk == case.pk, "another case was returned")
    wanted = {**fields, "title": fields["title"] or ""}
    got = {name: getattr(case, name) for name in wanted}
    must(got == wanted, f"the case has {got}, not {wanted}")
    run.world.check_case(case, specs, run.folder)


def _complete(run: Run, error: IncompleteCase, specs: list[SocketValueSpec]) -> None:
    """Execute the call that the error suggests, without faults."""
    (call,) = [line.strip() for line in str(error).splitlines() if line.startswith("    client.")]
    names = {"client": run.world.clean, "SocketValueSpec": SocketValueSpec, "values": specs}
    names |= {type(run.folder).__name__: type(run.folder)}
    exec(call, names)


def change_a_case(run: Run) -> None:
    """Change the title, the order and some values of a case."""
    collection = run.collection(run.rng.choice(["archive", "reader study"]))
    before = run.world.specs(Random(0), run.folder, least=4)
    made = collection.add(*before, title="old")
    earlier = collection.filled(made.pk)
    specs = run.world.specs(run.rng, run.folder, least=1)
    fields: dict[str, Any] = {"title": run.rng.choice(["new", "", None])}
    if not collection.is_archive and run.rng.random() < 0.5:
        fields["order"] = run.rng.randint(11, 99)
    _, error = run.attempt(lambda: run.faulty(collection).update(made.pk, *specs, **fields))
    cases = run.all_of(collection)
    must([case.pk for case in cases] == [made.pk], "the case is not the only one")
    is_new = error is None
    if isinstance(error, AmbiguousWriteError):
        must(made.pk in str(error), "the error does not name the case")
        slug = specs[0].socket_slug
        is_new = value_of(cases[0], slug).pk != value_of(earlier, slug).pk
    changed = {spec.socket_slug for spec in specs} if is_new else set()
    kept = [spec for spec in before if spec.socket_slug not in changed]
    title = fields["title"] if is_new and fields["title"] is not None else "old"
    must(cases[0].title == title, f"the title is {cases[0].title!r}, not {title!r}")
    if "order" in fields:
        order = fields["order"] if is_new else made.order
        must(cases[0].order == order, f"the order is {cases[0].order}, not {order}")
    run.world.check_case(cases[0], [*kept, *(specs if is_new else [])], run.folder)


def run_a_loop_again(run: Run) -> None:
    """Add cases in a loop, and repeat the loop with the same or another client until it succeeds."""
    collection = run.collection(run.rng.choice(["archive", "reader study"]))
    contents = {
        f"P-{number:04}": run.world.specs(run.rng, run.folder, least=1) for number in range(3)
    }

    def loop(client: Client) -> None:
        for title, specs in contents.items():
            there = CaseCollection(
                client, collection.sandbox, collection.slug, collection.is_archive
            )
            there.add(*specs, title=title, existing="skip")

    for _ in range(MOST_FAULTS + 1):
        is_fresh = run.rng.random() < 0.5
        with run.client.__copy__() if is_fresh else nullcontext(run.client) as client:
            if run.attempt(lambda: loop(client))[1] is None:
                break
    else:
        raise WrongResultError("the loop never ends well")
    cases = {case.title: case for case in run.all_of(collection)}
    must(sorted(cases) == sorted(contents), f"the titles are {sorted(cases)}")
    must(len(collection.all()) == len(contents), "there are several cases of a title")
    for title, specs in contents.items():
        run.world.check_case(cases[title], specs, run.folder)


def push_a_manifest(run: Run) -> None:
    """Push a manifest again and again until it is complete."""
    collection = run.collection(run.rng.choice(["archive", "reader study"]))
    sockets = Sockets(run.world.number, run.world.table)
    manifest = write_cases(run.folder, sockets, 3)
    journal, workers = run.folder / "journal", run.rng.choice([1, 3])
    for _ in range(MOST_FAULTS + 1):
        report, error = run.attempt(
            partial(
                *(apply, run.client, push, manifest, target(collection)),
                journal=journal,
                workers=workers,
            )
        )
        cases = run.all_of(collection)
        complete = [case for case in cases if len(case.values) == len(vars(sockets))]
        if error is None:
            done = len(report.done) + len(report.skipped)
            must(done <= len(complete), f"{done} rows are done, and {len(complete)} cases complete")
            left = [*report.failed, *report.ambiguous]
            run.log.extend(str(each) for each in left)
            if not left:
                break
            must(run.may_fail, f"rows failed: {left}")
    else:
        raise WrongResultError("the push never ends well")
    check_cases(collection, sockets, 3)


def start_a_job(run: Run) -> None:
    """Start a job, wait for it and download its outputs."""
    world = run.world
    source = run.folder / "picture.mha"
    noise(source, 16)

    result, picture = world.result, world.picture

    def program(_: Path, outputs: Path) -> None:
        (outputs / f"{result}.json").write_text("[42]")
        folder = outputs / "images" / picture
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "picture.mha").write_bytes(source.read_bytes())

    specs = world.specs(run.rng, run.folder, least=1)
    slug = unique("algorithm")
    interface = ([spec.socket_slug for spec in specs], [world.result, world.picture])
    world.sandbox.add_algorithm(slug, slug=slug, interfaces=[interface], run=program)
    started, error = run.attempt(
        lambda: run.client.start_algorithm_job(algorithm_slug=slug, inputs=specs)
    )
    world.sandbox.wait_idle(DEADLINE)
    algorithm = world.clean.algorithms.detail(slug=slug)
    jobs = list(
        world.clean.algorithm_jobs.iterate_all({"algorithm_image__algorithm": algorithm.pk})
    )
    if error is not None:
        must(len(jobs) <= isinstance(error, AmbiguousWriteError), f"there are {len(jobs)} jobs")
        return
    must([job.pk for job in jobs] == [started.pk], f"there are {len(jobs)} jobs")
    for spec in specs:
        (given,) = [one for one in jobs[0].inputs if one.interface.slug == spec.socket_slug]
        world.check_value(given, spec, run.folder)
    job, error = run.attempt(lambda: run.client.wait_for_job(started, timeout=DEADLINE))
    if error is None:
        _download(run, job.outputs, {world.result: [42]}, source)


def download(run: Run) -> None:
    """Download the values of a case."""
    collection, world = run.collection("archive"), run.world
    specs = world.specs(run.rng, run.folder, least=4)
    case = collection.filled(collection.add(*specs).pk)
    (source,) = [Path(str(spec.file)) for spec in specs if spec.socket_slug == world.image]
    expected = {
        spec.socket_slug: spec.value
        for spec in specs
        if spec.socket_slug in {world.number, world.record}
    }
    _download(run, case.values, expected, source)


def _download(run: Run, values: Any, expected: dict[str, Any], image: Path) -> None:
    """Download values one by one and compare them with the originals."""
    for value in values:
        slug = value.interface.slug
        folder = run.folder / unique("outputs")
        paths, _ = run.attempt(partial(_fetch, run, value, folder))
        there = sorted(path for path in folder.rglob("*") if path.is_file())
        # After an error some files may exist, each of them complete.
        must(paths is None or sorted(paths) == there, f"of {paths} there is {there}")
        for path in there:
            if slug in expected:
                must(json.loads(path.read_bytes()) == expected[slug], f"{slug} came otherwise")
            elif value.image:
                must((voxels(path) == voxels(image)).all(), f"{slug} is another image")
            else:
                must(path.read_bytes() == "a;ü".encode(), f"{slug} came otherwise")


def _fetch(run: Run, value: Any, folder: Path) -> Any:
    if value.image and run.rng.random() < 0.5:
        pk = value.image.rstrip("/").rpartition("/")[2]
        return run.client.images.download(pk=pk, output_directory=folder)
    return run.client.download_socket_value(value, output_directory=folder)


def answer_a_question(run: Run) -> None:
    """Answer a question about a display set."""
    world = run.world
    slug = world.sandbox.add_reader_study(
        unique("study"),
        readers=["sandbox"],
        questions=[{"question_text": "What?", "answer_type": "Text", "required": False}],
    )
    (asked,) = world.clean.reader_studies.detail(slug=slug).questions
    shown = world.clean.add_case_to_reader_study(reader_study_slug=slug, values=[])
    answers = world.clean.reader_studies.answers
    made, error = run.attempt(
        lambda: run.client.reader_studies.answers.create(
            question=asked.pk, display_set=shown.pk, answer="ja"
        )
    )
    stored = list(answers.mine.iterate_all({"display_set": shown.pk}))
    must(all(one.answer == "ja" for one in stored), f"stored is {stored}")
    if error is None:
        must([one.pk for one in stored] == [made.pk], f"{len(stored)} answers are stored")
    else:
        must(len(stored) <= isinstance(error, AmbiguousWriteError), f"{len(stored)} are stored")


WORKFLOWS: dict[str, Callable[[Run], None]] = {
    "add to archive": partial(add_a_case, kind="archive"),
    "add to reader study": partial(add_a_case, kind="reader study"),
    "change a case": change_a_case,
    "loop again": run_a_loop_again,
    "push": push_a_manifest,
    "start a job": start_a_job,
    "download": download,
    "answer a question": answer_a_question,
}
#: The relative frequency of each workflow.
WEIGHTS = (2, 2, 2, 2, 2, 4, 1, 1)
