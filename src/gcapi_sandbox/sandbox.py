"""A local Grand Challenge that runs in background threads of this process."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi_sandbox import _making
from gcapi_sandbox._programs import TIME_LIMIT, program_of
from gcapi_sandbox._recording import Recorder, Recording
from gcapi_sandbox._records import Algorithm, ReaderStudy, Socket
from gcapi_sandbox._seed import load
from gcapi_sandbox._state import Limits, State
from gcapi_sandbox.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from starlette.types import ASGIApp

    from gcapi_sandbox._dial import Dial
    from gcapi_sandbox._programs import Run
    from gcapi_sandbox._recording import Origin
    from gcapi_sandbox._worker import Worker

_DEFAULT_USER = "sandbox"
_EDITORS = (_DEFAULT_USER,)
_INSTALL = "The sandbox needs its extra: pip install '.[sandbox]' in a checkout of gcapi"


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gcapi-sandbox-")


def _check_installed() -> None:
    needed = ("starlette", "uvicorn", "SimpleITK", "jsonschema", "jinja2", "cloudpickle", "ruamel")
    for name in needed:
        if find_spec(name) is None:
            raise ModuleNotFoundError(_INSTALL, name=name)


@dataclass(frozen=True)
class _Running:
    """What a sandbox has while it runs."""

    state: State
    worker: Worker
    dial: Dial


class Sandbox:
    """A server on loopback with an API origin and a storage origin.

    Args:
        data: The folder in which everything is kept; the next sandbox with the same folder
            finds it again. `None` for a private temporary folder, removed at the end.
        port: The port of the API origin; 0 takes any free one.
        workers: How many jobs run at the same time, and how many imports.
        latest_version: What the server says is the latest client version.
        lowest_supported_version: What the server says is the lowest supported one.
        seed: A YAML file that says what a new sandbox holds and which limits count; one that
            is not in order is a ValueError of `start`. `None` for an empty sandbox.
    """

    def __init__(
        self,
        data: Path | None = None,
        port: int = 0,
        workers: int = 2,
        latest_version: str = "0.16.1",
        lowest_supported_version: str = "0.13.0",
        seed: Path | None = None,
    ) -> None:
        self.requests: Recording = Recording()
        self.limits: Limits = Limits()
        self.base_url: str = ""
        self.storage_url: str = ""
        self._data = data
        self._port = port
        self._workers = workers
        self._seed = seed
        self._versions = (latest_version, lowest_supported_version)
        self._undo = ExitStack()
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start both origins and the workers; return when they are ready."""
        if self._running is not None:
            raise RuntimeError("The sandbox runs already")
        _check_installed()
        seed = (load(self._seed), self._seed) if self._seed else None
        from gcapi_sandbox._api import Api
        from gcapi_sandbox._dial import Control, Dial, Faulty
        from gcapi_sandbox._objects import remove_orphans
        from gcapi_sandbox._planting import plant
        from gcapi_sandbox._serving import Serving, listen, url_of
        from gcapi_sandbox._storage import Storage
        from gcapi_sandbox._worker import Worker

        with ExitStack() as undo:
            api, storage = (undo.enter_context(listen(port)) for port in (self._port, 0))
            self.base_url, self.storage_url = f"{url_of(api)}api/v1/", url_of(storage)
            folder = self._data or Path(undo.enter_context(_temporary_folder()))
            state = State(folder, *self._versions, self.limits, self.storage_url)
            undo.callback(state.close)
            remove_orphans(state)
            _making.user(state, _DEFAULT_USER)
            worker = Worker(state, self._workers)
            worker.start()
            undo.callback(worker.stop)
            dial = Dial(state)
            undo.callback(dial.turn, Faults())

            def origin(app: ASGIApp, name: Origin) -> ASGIApp:
                return Recorder(Faulty(app, name, dial), name, self.requests)

            apps = Control(origin(Api(state), "api"), dial), origin(Storage(state), "storage")
            serving = Serving(list(zip(apps, (api, storage), strict=True)))
            undo.callback(serving.stop)
            self._running = _Running(state, worker, dial)
            undo.callback(self._forget)
            if seed is not None:
                plant(self, state, *seed)
            self._undo = undo.pop_all()

    def stop(self) -> None:
        """End running tasks, close everything, remove the temporary folder."""
        self._undo.close()

    def _forget(self) -> None:
        self._running = None

    @property
    def _parts(self) -> _Running:
        if self._running is None:
            raise RuntimeError("The sandbox does not run; use it in a `with` block")
        return self._running

    @property
    def _state(self) -> State:
        return self._parts.state

    @property
    def folder(self) -> Path:
        """The folder in which everything is kept while the sandbox runs."""
        return self._state.folder

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose; set another `Faults` to change it, `Faults()` to end it."""
        return self._parts.dial.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._parts.dial.turn(faults)

    @property
    def struck(self) -> list[int]:
        """How many requests each rule of `faults` struck."""
        return self._parts.dial.struck

    @property
    def token(self) -> str:
        """The token of the user `sandbox`."""
        return self.add_user(_DEFAULT_USER)

    @property
    def is_new(self) -> bool:
        """Tell whether nothing was added yet."""
        return not self._state.store.rows(Socket)

    def add_user(self, username: str) -> str:
        """Make a user, unless there is one of this name; return the user's token."""
        with self._state.store.transaction():
            return _making.user(self._state, username).token

    def add_socket(
        self,
        title: str,
        kind: str = "Image",
        *,
        slug: str | None = None,
        relative_path: str | None = None,
        store_in_database: bool = True,
        schema: dict[str, Any] | None = None,
        overlay_segments: Sequence[dict[str, Any]] | None = None,
    ) -> str:
        """Make a socket and return its slug.

        Args:
            title: Unique among sockets; the slug is derived from it.
            kind: The kind's label, such as `Image`, `Float` or `PDF file`.
            slug: The slug; `None` derives it from the title.
            relative_path: Where containers find the value; `None` for the slug, below
                `images/` for images and with the kind's suffix for all others.
            store_in_database: False makes a JSON kind a File socket.
            schema: A JSON schema (draft 7) that values must also fulfil; `None` for none.
            overlay_segments: The segments of a Segmentation; `None` for one, of value 1.
        """
        with self._state.store.transaction():
            made = _making.socket(
                self._state,
                title,
                _making.kind_named(kind),
                slug or _making.slugify(title),
                relative_path=relative_path,
                store_in_database=store_in_database,
                schema=schema,
                overlay_segments=list(overlay_segments or ()),
            )
            return made.slug

    def add_archive(
        self,
        title: str,
        *,
        slug: str | None = None,
        editors: Sequence[str] = _EDITORS,
        uploaders: Sequence[str] = (),
        users: Sequence[str] = (),
    ) -> str:
        """Make an archive and return its slug; members are made if they do not exist.

        Args:
            title: What it is called.
            slug: The slug; `None` derives it from the title.
            editors: Names of the users who may change the archive and its items.
            uploaders: Who may add and change items.
            users: Who may see them.
        """
        slug = slug or _making.slugify(title)
        roles = {"editors": editors, "uploaders": uploaders, "users": users}
        with self._state.store.transaction():
            return _making.archive(self._state, title, slug, **roles).slug

    def add_reader_study(
        self,
        title: str,
        *,
        slug: str | None = None,
        editors: Sequence[str] = _EDITORS,
        readers: Sequence[str] = (),
        questions: Sequence[dict[str, Any]] = (),
        is_educational: bool = False,
        allow_answer_modification: bool = False,
        is_shuffled: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a reader study and return its slug.

        Args:
            title: What it is called.
            slug: The slug; `None` derives it from the title.
            editors: Who may change the study.
            readers: Who may answer.
            questions: Each with `question_text` and `answer_type` (label or code), and
                optionally `required`, `options` (titles), `socket` (slug) and every other
                field of the API's questions.
            is_educational: Show ground truth to readers.
            allow_answer_modification: Let readers change their answers.
            is_shuffled: Show the cases to each reader in another order, always the same.
            extra: Other fields of the API's studies, such as `help_text`; `None` for none.
        """
        made = ReaderStudy(
            title=title,
            slug=slug or _making.slugify(title),
            is_educational=is_educational,
            allow_answer_modification=allow_answer_modification,
            is_shuffled=is_shuffled,
            extra=dict(extra or {}),
        )
        with self._state.store.transaction():
            _making.reader_study(self._state, made, questions, editors=editors, readers=readers)
        return made.slug

    def add_algorithm(
        self,
        title: str,
        *,
        interfaces: Sequence[tuple[Sequence[str], Sequence[str]]],
        run: Run,
        slug: str | None = None,
        editors: Sequence[str] = _EDITORS,
        users: Sequence[str] = (),
        time_limit: float = TIME_LIMIT,
        folder: Path | None = None,
    ) -> str:
        """Make an algorithm and return its slug.

        Args:
            title: What it is called.
            interfaces: Pairs of input and output sockets, by slug.
            run: A function of the input and the output folder of a job, as `module:function`
                or as an object, or a command as a list of words in which `{input}` and
                `{output}` are the folders. It runs in a process of its own; an object must be
                picklable (closures are), and is lost when the sandbox ends.
            slug: The slug; `None` derives it from the title.
            editors: Who may see its images, too.
            users: Who may run it.
            time_limit: The seconds after which a job is killed and has failed.
            folder: Where it works, and where modules are looked for first; `None` for where
                this process works.
        """
        program = program_of(run, folder or Path.cwd())
        made = Algorithm(title=title, slug=slug or _making.slugify(title), time_limit=time_limit)
        with self._state.store.transaction():
            _making.algorithm(self._state, made, interfaces, program, editors=editors, users=users)
        return made.slug

    def add_endpoint(self, algorithm_slug: str) -> str:
        """Make a running endpoint of an algorithm for the user `sandbox`; return its pk."""
        with self._state.store.transaction():
            creator = _making.user(self._state, _DEFAULT_USER).pk
            return _making.endpoint(self._state, algorithm_slug, creator).pk

    def add_ground_truth(self, display_set: str, answers: Mapping[str, Any]) -> None:
        """Give a display set its right answers.

        Args:
            display_set: Its pk.
            answers: The answers, by the text of the question.
        """
        with self._state.store.transaction():
            creator = _making.user(self._state, _DEFAULT_USER).pk
            _making.ground_truth(self._state, display_set, answers, creator)

    def add_evaluation(
        self, challenge: str, phase: str, *, evaluators: Sequence[str] = _EDITORS
    ) -> str:
        """Make a pending evaluation and return its pk; challenge and phase are made if new.

        Args:
            challenge: The challenge's short name.
            phase: The phase's title.
            evaluators: Who may claim evaluations of the phase.
        """
        with self._state.store.transaction():
            creator = _making.user(self._state, _DEFAULT_USER).pk
            return _making.evaluation(self._state, challenge, phase, creator, evaluators).pk

    def add_viewer_session(self, username: str = _DEFAULT_USER) -> str:
        """Make a running viewer session of a user and return its pk."""
        with self._state.store.transaction():
            return _making.viewer_session(self._state, username).pk

    def add_subscription(self, username: str = _DEFAULT_USER) -> int:
        """Make a subscription of a user and return its pk."""
        with self._state.store.transaction():
            return _making.subscription(self._state, username).pk

    def hold_background(self) -> AbstractContextManager[None]:
        """Let background work wait while a `with` block runs."""
        return self._state.hold()

    def wait_idle(self, timeout: float = 30.0) -> None:
        """Return when no background work is left; raise TimeoutError after `timeout` seconds."""
        self._parts.worker.wait_idle(timeout)
