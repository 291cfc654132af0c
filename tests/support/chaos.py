"""Workflows under random faults: what exists afterwards is what was asked for, once.

A relay stands between a client and a sandbox, API and object store alike, and breaks requests before or after they are
carried out. What becomes of the n-th request of a sort is drawn from the seed, and so is the workflow: a seed that
fails reproduces by itself.

    python -m tests.support.chaos [--runs N] [--seed S]

Longer than 500 lines: a program of its own, with its relay, its workflows and its judgement in one place.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    AmbiguousWriteError,
    GCAPIError,
    IncompleteCase,
    StatusError,
    TransferError,
    UnexpectedAnswer,
    UploadInterrupted,
)
from gcapi.retries import PatientStrategy
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    Home,
    content_of,
    make_home,
    noise,
    unique,
    value_of,
    voxels,
    written,
)
from tests.support.loopback import NO_TLS, Answer, Loopback, Seen

RUNS = 300
#: Seconds that a connection may be idle, and that a lost write is looked for.
PATIENCE = 1.5
#: So many faults a client overcomes, wherever they strike: a lost write is repeated four times.
OVERCOME = 4
#: So many there are at most in a run that may end with an error.
MANY = 14
#: The faults, those that strike before a request is carried out first.
BEFORE = ("reset", "502", "503", "504")
AFTER = ("acted, reset", "acted, cut short", "acted, 502", "acted, 503", "acted, 504")
DELAY = "late"
#: How a call may end that the network failed.
DOCUMENTED = (
    AmbiguousWriteError,
    IncompleteCase,
    UploadInterrupted,
    TransferError,
    UnexpectedAnswer,
    StatusError,
    httpx.TransportError,
)
TEMPORARY = "gcapi-incomplete-"
_HOP_HEADERS = frozenset(
    {"content-length", "transfer-encoding", "content-encoding", "connection", "date", "server"}
)
#: What differs between two requests of a sort: primary keys, names of the run's own, and all that is signed.
_PARTICULAR = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|-[0-9a-f]{10}|\?.*|/[0-9a-f]{2}(?=/)|[^/]{40,}|\d+"
)
#: The writes that must happen once; the others are harmless, and many.
_DECIDING = re.compile(r"(POST|PATCH) .*/(items|display-sets|jobs|answers)/(\*/)?$")


class Wrong(AssertionError):
    """What exists is not what was asked for."""


def must(holds: object, words: str) -> None:
    """Complain unless something holds."""
    if not holds:
        raise Wrong(words)


# ---------------------------------------------------------------- faults


@dataclass
class Schedule:
    """What becomes of each request of a run.

    Attributes:
        seed: Decides everything.
        log: The faults that struck, in words.
    """

    seed: int
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = Random(f"schedule {self.seed}")
        self.is_hard = rng.random() < 0.4
        self._left = rng.randint(OVERCOME + 1, MANY) if self.is_hard else rng.randint(1, OVERCOME)
        self._usually = rng.uniform(0.02, 0.2)
        # Some sorts are spared in a run, so that faults are left for what comes after them.
        self._at_deciding = (0.0, 0.6, 0.98) if self.is_hard else (0.0, 0.4, 0.8)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def draw(self, origin: str, seen: Seen) -> tuple[str, float]:
        """Return the fault of a request, if any, and the seconds by which it is late."""
        sort = f"{origin} {seen.method} {_PARTICULAR.sub('*', seen.path)}"
        with self._lock:
            self._counts[sort] += 1
            number = self._counts[sort]
            rng = Random(f"{self.seed} {sort} {number}")
            likely = self._usually
            if _DECIDING.search(sort):
                likely = Random(f"{self.seed} {sort}").choice(self._at_deciding)
            if not self._left or rng.random() > likely:
                return "", 0.0
            fault = rng.choice([*BEFORE, *AFTER, *AFTER, DELAY])
            if fault != DELAY:
                self._left -= 1
            self.log.append(f"{sort} #{number}: {fault}")
            return fault, rng.uniform(0.005, 0.05) if fault == DELAY else 0.0


@contextmanager
def relays(sandbox: Sandbox, upstream: httpx.Client, schedule: Schedule) -> Iterator[str]:
    """Stand before both origins of a sandbox; give the API's address."""
    api = sandbox.base_url.removesuffix("/api/v1/")
    storage = sandbox.storage_url.rstrip("/")
    own_storage = ""

    def forward(origin: str, root: str, seen: Seen) -> Answer:
        fault, delay = schedule.draw(origin, seen)
        time.sleep(delay)
        if fault in BEFORE:
            return _broken(fault)
        response = upstream.request(
            seen.method, root + seen.path, content=seen.body, headers=dict(seen.headers)
        )
        if fault in AFTER and not (fault == "acted, cut short" and response.content):
            return _broken(fault.removeprefix("acted, "))
        kept = {
            name: value.replace(storage, own_storage)
            for name, value in response.headers.items()
            if name.lower() not in _HOP_HEADERS
        }
        content = response.content
        if origin == "api":
            content = content.replace(storage.encode(), own_storage.encode())
        if fault in AFTER:
            return Answer(response.status_code, content[: len(content) // 2], kept, len(content))
        return Answer(response.status_code, content, kept)

    with (
        Loopback(partial(forward, "storage", storage), with_version=False) as store,
        Loopback(partial(forward, "api", api), with_version=False) as server,
    ):
        own_storage = store.origin
        yield server.base_url


def _broken(fault: str) -> Answer:
    if fault.isdigit():
        return Answer(int(fault), b"<html>not now</html>", {"Content-Type": "text/html"})
    return Answer(reset=True)


# ---------------------------------------------------------------- what the workflows share


@dataclass
class World:
    """A sandbox and what all runs have in common."""

    sandbox: Sandbox
    clean: Client
    upstream: httpx.Client
    number: str
    record: str
    table: str
    image: str
    result: str
    picture: str

    def specs(self, rng: Random, folder: Path, *, least: int = 0) -> list[SocketValueSpec]:
        """Make values: some at once, some as files, some as images."""
        value = {"seed": rng.random(), "deep": [1, None, "ü"]}
        all_of_them = [
            SocketValueSpec(self.number, value=value),
            SocketValueSpec(self.record, value={"record": value}),
            SocketValueSpec(self.table, file=written(folder / f"{unique('table')}.csv", "a;ü")),
            SocketValueSpec(self.image, file=noise(folder / f"{unique('noise')}.mha", 8)),
        ]
        return rng.sample(all_of_them, rng.randint(least, len(all_of_them)))

    def check_value(self, value: Any, spec: SocketValueSpec, folder: Path) -> None:
        """Check that a value on the server is the one that was specified."""
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
        httpx.Client(trust_env=False, verify=NO_TLS) as upstream,
    ):
        sandbox.limits.credits = 10**9
        yield World(
            sandbox,
            clean,
            upstream,
            number=sandbox.add_socket(unique("number"), "Anything"),
            record=sandbox.add_socket(unique("record"), "Anything", store_in_database=False),
            table=sandbox.add_socket(unique("table"), "CSV file"),
            image=sandbox.add_socket(unique("image")),
            result=sandbox.add_socket(unique("result"), "Anything"),
            picture=sandbox.add_socket(unique("picture")),
        )


@dataclass
class Run:
    """One run: what a workflow needs.

    Attributes:
        world: Where it happens.
        client: Its requests meet the faults.
        rng: Chooses.
        folder: Of its own.
        log: What became of its calls, in words.
        may_fail: Whether there are so many faults that a call may end with a documented error.
    """

    world: World
    client: Client
    rng: Random
    folder: Path
    log: list[str]
    may_fail: bool

    def attempt(self, call: Callable[[], Any]) -> tuple[Any, Exception | None]:
        """Return what a call gives and how it ended; other errors than the documented ones come through."""
        try:
            given = call()
        except DOCUMENTED as error:
            self.log.append(f"raised {type(error).__name__}: {error}")
            if not self.may_fail:
                raise
            if isinstance(error, StatusError) and error.status_code not in {502, 503, 504}:
                raise
            return None, error
        self.log.append("returned")
        return given, None

    def home(self, kind: str) -> Home:
        """Make an archive or a reader study without faults."""
        return make_home(self.world.sandbox, self.world.clean, kind)

    def faulty(self, home: Home) -> Home:
        """Return the same by way of the faults."""
        return Home(self.client, home.sandbox, home.slug, home.is_archive)

    def all_of(self, home: Home) -> list[Any]:
        """Return the cases that there are once nothing more happens."""
        self.world.sandbox.wait_idle(DEADLINE)
        return home.all()


# ---------------------------------------------------------------- workflows


def add_a_case(run: Run, kind: str) -> None:
    """Add a case with or without a title, an order and values."""
    home = run.home(kind)
    specs = run.world.specs(run.rng, run.folder)
    fields: dict[str, Any] = {"title": run.rng.choice(["P-0001", "", None])}
    if kind == "reader study" and run.rng.random() < 0.7:
        fields["order"] = run.rng.randint(1, 99)
    made, error = run.attempt(lambda: run.faulty(home).add(*specs, **fields))
    cases = run.all_of(home)
    must(len(cases) <= 1, f"there are {len(cases)} cases")
    if isinstance(error, IncompleteCase):
        _complete(run, error, specs)
        cases = run.all_of(home)
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
    """Do what the error says, without faults."""
    (call,) = [line.strip() for line in str(error).splitlines() if line.startswith("    client.")]
    names = {"client": run.world.clean, "SocketValueSpec": SocketValueSpec, "values": specs}
    names |= {type(run.folder).__name__: type(run.folder)}
    exec(call, names)


def change_a_case(run: Run) -> None:
    """Change the title, the place and values of a case that keeps its others."""
    home = run.home(run.rng.choice(["archive", "reader study"]))
    before = run.world.specs(Random(0), run.folder, least=4)
    made = home.add(*before, title="old")
    home.filled(made.pk)
    specs = run.world.specs(run.rng, run.folder, least=1)
    fields: dict[str, Any] = {"title": run.rng.choice(["new", "", None])}
    if not home.is_archive and run.rng.random() < 0.5:
        fields["order"] = run.rng.randint(11, 99)
    _, error = run.attempt(lambda: run.faulty(home).update(made.pk, *specs, **fields))
    cases = run.all_of(home)
    must([case.pk for case in cases] == [made.pk], "the case is not the only one")
    is_new = error is None
    if isinstance(error, AmbiguousWriteError):
        must(made.pk in str(error), "the error does not name the case")
        is_new = _is_changed(run, cases[0], specs)
    changed = {spec.socket_slug for spec in specs} if is_new else set()
    kept = [spec for spec in before if spec.socket_slug not in changed]
    title = fields["title"] if is_new and fields["title"] is not None else "old"
    must(cases[0].title == title, f"the title is {cases[0].title!r}, not {title!r}")
    if "order" in fields:
        order = fields["order"] if is_new else made.order
        must(cases[0].order == order, f"the order is {cases[0].order}, not {order}")
    run.world.check_case(cases[0], [*kept, *(specs if is_new else [])], run.folder)


def _is_changed(run: Run, case: Any, specs: list[SocketValueSpec]) -> bool:
    """Tell by the first new value whether a change was carried out."""
    try:
        run.world.check_value(value_of(case, specs[0].socket_slug), specs[0], run.folder)
    except Wrong:
        return False
    return True


def run_a_loop_again(run: Run) -> None:
    """Add cases in a loop that is run again, by the same client or another, until it ends well."""
    home = run.home(run.rng.choice(["archive", "reader study"]))
    contents = {
        f"P-{number:04}": run.world.specs(run.rng, run.folder, least=1) for number in range(3)
    }

    def loop(client: Client) -> None:
        for title, specs in contents.items():
            there = Home(client, home.sandbox, home.slug, home.is_archive)
            there.add(*specs, title=title, existing="skip")

    for _ in range(MANY + 1):
        with run.client.__copy__() as fresh:
            client = run.rng.choice([run.client, fresh])
            if run.attempt(lambda: loop(client))[1] is None:  # noqa: B023 - called at once
                break
    else:
        raise Wrong("the loop never ends well")
    cases = {case.title: case for case in run.all_of(home)}
    must(sorted(cases) == sorted(contents), f"the titles are {sorted(cases)}")
    must(len(home.all()) == len(contents), "there are several cases of a title")
    for title, specs in contents.items():
        run.world.check_case(cases[title], specs, run.folder)


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
    home, world = run.home("archive"), run.world
    specs = world.specs(run.rng, run.folder, least=4)
    case = home.filled(home.add(*specs).pk)
    (source,) = [Path(str(spec.file)) for spec in specs if spec.socket_slug == world.image]
    expected = {
        spec.socket_slug: spec.value
        for spec in specs
        if spec.socket_slug in {world.number, world.record}
    }
    _download(run, case.values, expected, source)


def _download(run: Run, values: Any, expected: dict[str, Any], image: Path) -> None:
    """Download values one by one, an image perhaps by its own call, and compare them with what they are."""
    for value in values:
        slug = value.interface.slug
        folder = run.folder / unique("outputs")
        paths, _ = run.attempt(partial(_fetch, run, value, folder))
        there = sorted(path for path in folder.rglob("*") if path.is_file())
        # After an error there may be some of the files, all of them whole.
        must(paths is None or sorted(paths) == there, f"of {paths} there is {there}")
        for path in there:
            if slug in expected:
                must(json.loads(path.read_bytes()) == expected[slug], f"{slug} came otherwise")
            elif value.image:
                must((voxels(path) == voxels(image)).all(), f"{slug} is another image")
            else:
                must(path.read_bytes() == "a;ü".encode(), f"{slug} came otherwise")


def _fetch(run: Run, value: Any, folder: Path) -> list[Path]:
    if value.image and run.rng.random() < 0.5:
        pk = value.image.rstrip("/").rpartition("/")[2]
        return run.client.images.download(pk=pk, output_directory=folder)
    # As the client behind the relay would have read it.
    root, own_root = (str(one.base_url.join("/")) for one in (run.world.clean, run.client))
    moved = value.from_dict(json.loads(json.dumps(value.to_dict()).replace(root, own_root)))
    return run.client.download_socket_value(moved, output_directory=folder)


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
    "start a job": start_a_job,
    "download": download,
    "answer a question": answer_a_question,
}
#: How often each is chosen: what has most to lose, most often.
WEIGHTS = (2, 2, 2, 2, 4, 1, 1)


# ---------------------------------------------------------------- runs


@contextmanager
def temporary_files_in(folder: Path) -> Iterator[None]:
    """Have temporary files made in a folder."""
    folder.mkdir()
    former, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield
    finally:
        tempfile.tempdir = former


def run_once(world: World, seed: int) -> str:
    """Do one run; return what is wrong, with the schedule, or nothing."""
    schedule, rng = Schedule(seed), Random(f"workflow {seed}")
    name = rng.choices(list(WORKFLOWS), WEIGHTS)[0]
    log: list[str] = []
    wrong = ""
    with tempfile.TemporaryDirectory() as base:
        folder, temporary = Path(base) / "files", Path(base) / "temporary"
        folder.mkdir()
        try:
            with (
                temporary_files_in(temporary),
                relays(world.sandbox, world.upstream, schedule) as url,
                Client(
                    world.sandbox.token,
                    url,
                    verify=NO_TLS,
                    timeout=PATIENCE,
                    retry_strategy=partial(
                        PatientStrategy, backoff_factor=0.01, longest_delay=0.05
                    ),
                ) as client,
            ):
                WORKFLOWS[name](Run(world, client, rng, folder, log, schedule.is_hard))
                world.sandbox.wait_idle(DEADLINE)
            _check_left_over(Path(base), temporary)
        except Wrong as error:
            wrong = str(error)
        except (GCAPIError, httpx.HTTPError, OSError, ValueError, TypeError, LookupError):
            wrong = "".join(traceback.format_exc(limit=-4))
    if not wrong:
        return ""
    return "\n  ".join([f"seed {seed}, {name}: {wrong}", *schedule.log, *log])


def _check_left_over(base: Path, temporary: Path) -> None:
    left = [*base.rglob("*.part"), *temporary.rglob("gcapi-*")]
    must(not left, f"left over: {[path.name for path in left]}")


def main() -> int:
    """Do the runs that the command line asks for; return 1 if one went wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help="how many seeds, from 0")
    parser.add_argument("--seed", type=int, help="only this one")
    options = parser.parse_args()
    seeds = range(options.runs) if options.seed is None else [options.seed]
    begin = time.monotonic()
    failed = 0
    with new_world() as world:
        for seed in seeds:
            wrong = run_once(world, seed)
            if wrong:
                failed += 1
                sys.stdout.write(f"{wrong}\n  again: python -m tests.support.chaos --seed {seed}\n")
                sys.stdout.flush()
    seconds = time.monotonic() - begin
    sys.stdout.write(f"{len(seeds)} runs, {failed} of them wrong, in {seconds:.0f} s\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
