"""A local Grand Challenge that runs in background threads of this process."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gcapi_sandbox._app.request_log import Recorder, Recording
from gcapi_sandbox._database.state import Limits, State
from gcapi_sandbox._fixtures import factories
from gcapi_sandbox._fixtures.builder import DEFAULT_USER, Furnishing
from gcapi_sandbox._fixtures.seed_file import load
from gcapi_sandbox.faults import Faults

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from starlette.types import ASGIApp

    from gcapi_sandbox._app.fault_middleware import Dial
    from gcapi_sandbox._app.request_log import Origin
    from gcapi_sandbox._background.worker import Worker

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


class Sandbox(Furnishing):
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
        from gcapi_sandbox._app.api_origin import Api
        from gcapi_sandbox._app.fault_middleware import Control, Dial, Faulty
        from gcapi_sandbox._app.server import Serving, listen, url_of
        from gcapi_sandbox._app.storage_origin import Storage
        from gcapi_sandbox._background.worker import Worker
        from gcapi_sandbox._fixtures.seeding import plant
        from gcapi_sandbox._object_store.objects import remove_orphans

        with ExitStack() as undo:
            api, storage = (undo.enter_context(listen(port)) for port in (self._port, 0))
            self.base_url, self.storage_url = f"{url_of(api)}api/v1/", url_of(storage)
            folder = self._data or Path(undo.enter_context(_temporary_folder()))
            state = State(folder, *self._versions, self.limits, self.storage_url)
            undo.callback(state.close)
            remove_orphans(state)
            factories.user(state, DEFAULT_USER)
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
        return self.add_user(DEFAULT_USER)

    def hold_background(self) -> AbstractContextManager[None]:
        """Let background work wait while a `with` block runs."""
        return self._state.hold()

    def wait_idle(self, timeout: float = 30.0) -> None:
        """Return when no background work is left; raise TimeoutError after `timeout` seconds."""
        self._parts.worker.wait_idle(timeout)
