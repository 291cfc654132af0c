"""Work units, which transfer bytes in this process or on the workers of a `concurrent.futures.Executor`.

A unit is a small frozen dataclass that pickles, with a method `run` that is given a client. A `Runner` runs it with
the client at hand, or on a worker, which makes one client per process. A pickle holds the client's settings and never
the token: a worker reads the token from its environment or from a file.

An exception raised by a unit is its result, and pickled as such. If a future ends in any other way (a worker died, the
future was cancelled, the executor is broken), the unit is submitted again, up to `ATTEMPTS` times, so it must be
possible to run it again. A pool of processes that lost one accepts no more work; the rest then runs in this process,
with a warning.
"""

from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from gcapi._http.configuration import TOKEN_VARIABLE
from gcapi._util.scheduler import current_token, result_of
from gcapi._util.user_warnings import warn_user
from gcapi.client import Client
from gcapi.exceptions import ConfigurationError, GCAPIError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: How often a unit is submitted whose worker was lost.
ATTEMPTS = 3


class WorkerLost(GCAPIError):
    """Raised when the workers of a unit were lost each time that it was submitted."""


class WorkUnit(Protocol[T_co]):
    """Work for a worker; it pickles, can be run again, and holds no secret."""

    def run(self, client: Client) -> T_co:
        """Do the work."""
        ...


class Runner:
    """Runs units in this process or on the workers of an executor; called from many threads.

    Args:
        client: The client that runs units in this process, and whose settings the workers use.
        executor: Any executor, whose workers may be other processes or machines; it is left open. `None` for none.
        token_file: The file from which workers whose environment has no token read it; `None` for no file.

    Raises:
        ConfigurationError: The client's settings do not pickle.
    """

    def __init__(
        self, client: Client, executor: Executor | None = None, token_file: str | Path | None = None
    ) -> None:
        self._client = client
        #: `None`, too, when it accepts no more work.
        self._executor = executor
        self._settings = None if executor is None else ClientSettings.of(client, token_file)
        self._lock = threading.Lock()

    @property
    def is_local(self) -> bool:
        """True if units run in the calling thread, with the client at hand."""
        return self._executor is None

    def execute(self, unit: WorkUnit[T]) -> T:
        """Run a unit, and return its result.

        Raises:
            WorkerLost: Its worker was lost each time.
            Cancelled: The call has ended; a unit that has not begun does not begin.
        """
        for attempt in range(1, ATTEMPTS + 1):
            current_token().raise_if_cancelled()
            future = self._submit(unit)
            if future is None:
                return unit.run(self._client)
            try:
                result = result_of(future)
            except Exception as error:
                if attempt == ATTEMPTS:
                    raise WorkerLost(
                        f"The worker that had this was lost, {attempt} times: {str(error) or type(error).__name__}. Run"
                        " the same again; look into the workers' logs if that does not help."
                    ) from error
            else:
                if isinstance(result, _UnitError):
                    raise result.error
                return result
            finally:
                future.cancel()
        raise AssertionError

    def _submit(self, unit: WorkUnit[T]) -> Future[T | _UnitError] | None:
        """Submit a unit; return `None` if there is no executor, or it accepts no more work."""
        with self._lock:
            if self._executor is None or self._settings is None:
                return None
            try:
                return self._executor.submit(_run_on_worker, self._settings, unit)
            except RuntimeError as error:  # it is broken, or was shut down
                self._executor = None
                reason = error
        warn_user(
            f"The executor takes no more work ({reason}); the rest is done in this process. Workers that end at once"
            " need a main program that can be imported: keep what it does under if __name__ == '__main__'.",
            RuntimeWarning,
        )
        return None


# ---------------------------------------------------------------- on a worker


@dataclass(frozen=True)
class ClientSettings:
    """The settings from which a worker makes its client.

    Attributes:
        options: The client's settings without the token, as in its pickle.
        token_file: The file with the token if the environment has none; empty for no file.
    """

    options: tuple[tuple[str, Any], ...]
    token_file: str = ""

    @classmethod
    def of(cls, client: Client, token_file: str | Path | None) -> Self:
        """Return a client's settings.

        Raises:
            ConfigurationError: They do not pickle.
        """
        try:
            options = {**client.__getstate__(), "progress": None}
            settings = cls(tuple(sorted(options.items())), str(token_file or ""))
            pickle.dumps(settings)
            hash(settings)
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise ConfigurationError(
                f"This client's settings cannot be sent to workers: {error} A retry_strategy must be a class or a"
                " function of a module."
            ) from error
        return settings

    def token(self) -> str:
        """Return the token of the environment, else of the file.

        Raises:
            ConfigurationError: There is no token.
        """
        if value := os.environ.get(TOKEN_VARIABLE, "").strip():
            return value
        if not self.token_file:
            raise ConfigurationError(
                f"This worker has no token: set {TOKEN_VARIABLE} in its environment, or give token_file= a file that"
                " it can read."
            )
        try:
            return Path(self.token_file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"This worker cannot read its token from {self.token_file}: {type(error).__name__}."
            ) from error


#: The clients of this process, which live as long as it does.
_clients: dict[ClientSettings, Client] = {}
_clients_lock = threading.Lock()


@dataclass(frozen=True)
class _UnitError:
    """An exception that a unit raised, in contrast to one that ended its future."""

    error: Exception


def _run_on_worker(settings: ClientSettings, unit: WorkUnit[T]) -> T | _UnitError:
    """Run a unit on a worker; an error that does not pickle is replaced by its words."""
    try:
        with _clients_lock:
            if settings not in _clients:
                _clients[settings] = Client(settings.token(), **dict(settings.options))
        return unit.run(_clients[settings])
    except Exception as error:  # noqa: BLE001 - it is raised in the process that submitted the unit
        return _UnitError(_picklable(error))


def _picklable(error: Exception) -> Exception:
    notes = getattr(error, "__notes__", [])
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301 - just made here
    except Exception:  # noqa: BLE001 - a constructor may fail in any way
        copy = GCAPIError(f"{type(error).__name__}: {error}")
    for note in notes[len(getattr(copy, "__notes__", [])) :]:
        copy.add_note(note)
    return copy
