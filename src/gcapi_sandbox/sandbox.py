"""A local Grand Challenge that runs in background threads of this process."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gcapi_sandbox._app.request_log import RequestLog, RequestLogMiddleware
from gcapi_sandbox._background.worker import Worker
from gcapi_sandbox._fixtures import factories
from gcapi_sandbox._fixtures.builder import DEFAULT_USER, SandboxBuilder
from gcapi_sandbox._fixtures.seed_file import load_seed
from gcapi_sandbox._fixtures.seeding import apply_seed
from gcapi_sandbox._object_store.objects import remove_orphans
from gcapi_sandbox._state import State
from gcapi_sandbox.faults import Faults
from gcapi_sandbox.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from starlette.types import ASGIApp

    from gcapi_sandbox._app.fault_middleware import FaultInjector
    from gcapi_sandbox._app.request_log import Origin, RecordedRequest
    from gcapi_sandbox.faults import Rule

_INSTALL = "The sandbox needs its extra: pip install '.[sandbox]' in a checkout of gcapi"
_EXTRA = ("starlette", "uvicorn", "SimpleITK", "jsonschema", "jinja2", "cloudpickle", "ruamel")


def _check_installed() -> None:
    for name in _EXTRA:
        if find_spec(name) is None:
            raise ModuleNotFoundError(_INSTALL, name=name)


@dataclass(frozen=True)
class _Running:
    """The parts of a running sandbox."""

    state: State
    worker: Worker
    injector: FaultInjector


class Sandbox(SandboxBuilder):
    """A server on loopback with an API origin and a storage origin.

    Args:
        data: The folder for all data, which the next sandbox with the same folder reads. `None`
            for a temporary folder, which is removed at the end.
        port: The port of the API origin; 0 takes any free port.
        workers: Maximum number of concurrent jobs, and of concurrent imports.
        latest_version: The version that the server reports as the latest client version.
        lowest_supported_version: The version that it reports as the lowest supported one.
        seed: A YAML file with the contents and limits of a new sandbox; `start` raises ValueError
            if it is invalid. `None` for an empty sandbox.
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
        self.requests: RequestLog = RequestLog()
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
            raise RuntimeError("The sandbox is already running")
        _check_installed()
        seed = (load_seed(self._seed), self._seed) if self._seed else None
        from gcapi_sandbox._app.api_origin import ApiOrigin
        from gcapi_sandbox._app.fault_control import FaultControlMiddleware
        from gcapi_sandbox._app.fault_middleware import FaultInjector, FaultMiddleware
        from gcapi_sandbox._app.server import ServerThread, listen, url_of
        from gcapi_sandbox._app.storage_origin import StorageOrigin

        with ExitStack() as undo:
            api, storage = (undo.enter_context(listen(port)) for port in (self._port, 0))
            self.base_url, self.storage_url = f"{url_of(api)}api/v1/", url_of(storage)
            folder = self._data or Path(
                undo.enter_context(tempfile.TemporaryDirectory(prefix="gcapi-sandbox-"))
            )
            state = State(folder, *self._versions, self.limits, self.storage_url)
            undo.callback(state.close)
            remove_orphans(state)
            factories.get_or_create_user(state, DEFAULT_USER)
            worker = Worker(state, self._workers)
            worker.start()
            undo.callback(worker.stop)
            injector = FaultInjector(state)
            undo.callback(injector.set_faults, Faults())

            def with_middleware(app: ASGIApp, origin: Origin) -> ASGIApp:
                faulty = FaultMiddleware(app, injector)
                return RequestLogMiddleware(faulty, origin, self.requests)

            api_app = with_middleware(ApiOrigin(state), "api")
            storage_app = with_middleware(StorageOrigin(state), "storage")
            server = ServerThread(
                [(FaultControlMiddleware(api_app, injector), api), (storage_app, storage)],
                state.clock,
            )
            undo.callback(server.stop)
            self._running = _Running(state, worker, injector)
            undo.callback(setattr, self, "_running", None)
            if seed is not None:
                apply_seed(self, state, *seed)
            self._undo = undo.pop_all()

    def stop(self) -> None:
        """Stop the workers and both origins, and remove a temporary folder."""
        self._undo.close()

    @property
    def _parts(self) -> _Running:
        if self._running is None:
            raise RuntimeError("The sandbox is not running; use it in a `with` block")
        return self._running

    @property
    def _state(self) -> State:
        return self._parts.state

    @property
    def folder(self) -> Path:
        """The folder for all data of the running sandbox."""
        return self._state.folder

    @property
    def faults(self) -> Faults:
        """The injected faults; assign another `Faults` to change them, `Faults()` to end them."""
        return self._parts.injector.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._parts.injector.set_faults(faults)

    @property
    def struck(self) -> list[int]:
        """The number of requests that each rule of `faults` has struck."""
        return self._parts.injector.struck

    @property
    def are_faults_paused(self) -> bool:
        """True if requests pass without faults, and without being counted by the rules."""
        return self._parts.injector.is_paused

    @are_faults_paused.setter
    def are_faults_paused(self, is_paused: bool) -> None:
        self._parts.injector.is_paused = is_paused

    @property
    def on_strike(self) -> Callable[[Rule, RecordedRequest], object] | None:
        """A function to call in a thread with each rule that strikes a request, and the request.

        The request is not carried out until it returns. `None` to call nothing.
        """
        return self._parts.injector.on_strike

    @on_strike.setter
    def on_strike(self, function: Callable[[Rule, RecordedRequest], object] | None) -> None:
        self._parts.injector.on_strike = function

    @property
    def token(self) -> str:
        """The token of the user `sandbox`."""
        return self.add_user(DEFAULT_USER)

    def hold_background(self) -> AbstractContextManager[None]:
        """Start no background task inside a `with` block."""
        return self._state.hold()

    def wait_idle(self, timeout: float = 30.0) -> None:
        """Wait until no background task or late request is left.

        Raise TimeoutError after `timeout` seconds.
        """
        self._parts.worker.wait_idle(timeout)
