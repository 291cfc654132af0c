"""A local Grand Challenge that runs in background threads of this process."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi_sandbox import _making
from gcapi_sandbox._recording import Recorder, Recording
from gcapi_sandbox._records import Algorithm, ReaderStudy, Socket
from gcapi_sandbox._state import Limits, State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from gcapi_sandbox._worker import Worker

_DEFAULT_USER = "sandbox"
_EDITORS = (_DEFAULT_USER,)
_INSTALL = "The sandbox needs its extra: pip install '.[sandbox]' in a checkout of gcapi"


def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gcapi-sandbox-")


def _check_installed() -> None:
    for name in ("starlette", "uvicorn", "SimpleITK"):
        if find_spec(name) is None:
            raise ModuleNotFoundError(_INSTALL, name=name)


class Sandbox:
    """A server on loopback with an API origin and a storage origin.

    Args:
        data: The folder in which everything is kept; the next sandbox with the same folder
            finds it again. `None` for a private temporary folder, removed at the end.
        port: The port of the API origin; 0 takes any free one.
        workers: How many background tasks (imports, jobs) run at the same time.
        latest_version: What the server says is the latest client version.
        lowest_supported_version: What the server says is the lowest supported one.
    """

    def __init__(
        self,
        data: Path | None = None,
        port: int = 0,
        workers: int = 2,
        latest_version: str = "0.16.1",
        lowest_supported_version: str = "0.13.0",
    ) -> None:
        self.requests = Recording()
        self.limits = Limits()
        self.base_url = ""
        self.storage_url = ""
        self._data = data
        self._port = port
        self._workers = workers
        self._versions = (latest_version, lowest_supported_version)
        self._undo = ExitStack()
        self._running: tuple[State, Worker] | None = None

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
        from gcapi_sandbox._api import Api
        from gcapi_sandbox._serving import Serving, listen, url_of
        from gcapi_sandbox._storage import Storage
        from gcapi_sandbox._worker import Worker

        with ExitStack() as undo:
            api, storage = (undo.enter_context(listen(port)) for port in (self._port, 0))
            self.base_url, self.storage_url = f"{url_of(api)}api/v1/", url_of(storage)
            folder = self._data or Path(undo.enter_context(_temporary_folder()))
            state = State(folder, *self._versions, self.limits, self.storage_url)
            undo.callback(state.store.close)
            _making.user(state, _DEFAULT_USER)
            worker = Worker(state, self._workers)
            worker.start()
            undo.callback(worker.stop)
            serving = Serving(
                [
                    (Recorder(Api(state), "api", self.requests), api),
                    (Recorder(Storage(state), "storage", self.requests), storage),
                ]
            )
            undo.callback(serving.stop)
            self._running = state, worker
            self._undo = undo.pop_all()

    def stop(self) -> None:
        """End running tasks, close everything, remove the temporary folder."""
        self._running = None
        self._undo.close()

    @property
    def _state(self) -> State:
        if self._running is None:
            raise RuntimeError("The sandbox does not run; use it in a `with` block")
        return self._running[0]

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
        """
        made = ReaderStudy(
            title=title,
            slug=slug or _making.slugify(title),
            is_educational=is_educational,
            allow_answer_modification=allow_answer_modification,
        )
        with self._state.store.transaction():
            _making.reader_study(self._state, made, questions, editors=editors, readers=readers)
        return made.slug

    def add_algorithm(
        self,
        title: str,
        *,
        interfaces: Sequence[tuple[Sequence[str], Sequence[str]]],
        run: Callable[[Path, Path], None] | str,
        slug: str | None = None,
        editors: Sequence[str] = _EDITORS,
        users: Sequence[str] = (),
    ) -> str:
        """Make an algorithm and return its slug.

        Args:
            title: What it is called.
            interfaces: Pairs of input and output sockets, by slug.
            run: Called with the input and the output folder of a job; given as
                `module:function` it is found again after a restart.
            slug: The slug; `None` derives it from the title.
            editors: Who may see its images, too.
            users: Who may run it.
        """
        made = Algorithm(title=title, slug=slug or _making.slugify(title))
        with self._state.store.transaction():
            _making.algorithm(self._state, made, interfaces, run, editors=editors, users=users)
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
        if self._running is None:
            raise RuntimeError("The sandbox does not run; use it in a `with` block")
        self._running[1].wait_idle(timeout)
