"""Work units: what moves bytes, here in threads or elsewhere on workers of an executor.

A unit is a small frozen dataclass that pickles, and its `run` is given a client. `run_on` works through any number of
units, a bounded number at once, in threads of this process; where a unit moves bytes is its `Place`: `Here`, with the
client at hand, or `There`, on any `concurrent.futures.Executor`, whose workers make one client a process. A pickle
holds the client's settings and never the token: a worker reads that from its environment, or from a file.

What goes wrong in a unit is its outcome, and pickled as such. Whatever else ends a future (a worker that died, a
future that was cancelled, an executor that is broken) says nothing of the unit, which is therefore handed out again,
`ATTEMPTS` times; so a unit must be one that can be begun again. An executor of processes that has lost one takes no
more work; the rest is then done here, with a warning.

Memory: `run_on` holds at most `workers` units and as many outcomes.
"""

from __future__ import annotations

import os
import pickle
import threading
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

from gcapi._http.settings import TOKEN_VARIABLE
from gcapi._util.scheduler import Pool
from gcapi._util.user_warnings import warn_user
from gcapi.client import Client
from gcapi.exceptions import ConfigurationError, GCAPIError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Executor, Future

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: How often a unit is handed out whose worker was lost.
ATTEMPTS = 3


class WorkerLost(GCAPIError):
    """Raise for a unit whose workers were lost as often as it was handed out."""


class Work(Protocol[T_co]):
    """Something that a worker does with a client; it pickles, can be begun again, and holds no secret."""

    def run(self, client: Client) -> T_co:
        """Do it."""
        ...


class Place(Protocol):
    """Where units are done."""

    def do(self, work: Work[T]) -> T:
        """Return what a unit comes to; called from many threads."""
        ...

    def close(self) -> None:
        """Forget what was not begun."""
        ...


class Here:
    """In the calling thread, with the client at hand."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def do(self, work: Work[T]) -> T:
        """Return what a unit comes to."""
        return work.run(self._client)

    def close(self) -> None:
        """Do nothing: what is begun here belongs to its thread."""


class There:
    """On the workers of an executor, which may be of other processes or machines.

    Args:
        executor: Any; it stays open.
        client: Whose settings the workers use; and who does the rest if the executor breaks.
        token_file: Where workers whose environment has no token read it; `None` for nowhere.

    Raises:
        ConfigurationError: The client's settings cannot travel.
    """

    def __init__(
        self, executor: Executor, client: Client, *, token_file: str | Path | None = None
    ) -> None:
        self._executor = executor
        self._client = client
        self._seat = Seat.of(client, token_file)
        self._lock = threading.Lock()
        self._open: set[Future[_Outcome[Any]]] = set()
        self._closed = False
        self._is_broken = False

    def do(self, work: Work[T]) -> T:
        """Return what a unit comes to.

        Raises:
            WorkerLost: Its workers were lost, again and again.
        """
        for attempt in range(1, ATTEMPTS + 1):
            future = self._submit(work)
            if future is None:
                return work.run(self._client)
            try:
                outcome = future.result()
            except Exception as error:
                # What the unit itself raised is an outcome; this is what became of its worker.
                if self._closed or attempt == ATTEMPTS:
                    raise WorkerLost(
                        f"The worker that had this was lost, {attempt} times: {str(error) or type(error).__name__}. Run"
                        " the same again; look into the workers' logs if that does not help."
                    ) from error
            else:
                return outcome.value()
            finally:
                with self._lock:
                    self._open.discard(future)
        raise AssertionError

    def _submit(self, work: Work[T]) -> Future[_Outcome[T]] | None:
        """Hand a unit out; return `None` where the executor takes no more work."""
        with self._lock:
            if self._closed:
                raise WorkerLost("Nothing is handed out any more.")
            if self._is_broken:
                return None
            try:
                future: Future[_Outcome[T]] = self._executor.submit(_done_there, self._seat, work)
            except (BrokenExecutor, RuntimeError) as error:  # RuntimeError: it was shut down
                self._is_broken = True
                why = error
            else:
                self._open.add(future)
                return future
        warn_user(
            f"The executor takes no more work ({why}); the rest is done in this process. Workers that end at once need"
            " a main program that can be imported: keep what it does under if __name__ == '__main__'.",
            RuntimeWarning,
        )
        return None

    def close(self) -> None:
        """Cancel what is not done."""
        with self._lock:
            self._closed = True
            left = list(self._open)
        for future in left:
            future.cancel()


def place_of(
    client: Client, executor: Executor | None, *, token_file: str | Path | None = None
) -> Place:
    """Return where units are done: here, unless there is an executor."""
    return Here(client) if executor is None else There(executor, client, token_file=token_file)


# ---------------------------------------------------------------- on a worker


@dataclass(frozen=True)
class Seat:
    """What a worker makes its client of.

    Attributes:
        options: The client's settings, without the token, as its pickle has them.
        token_file: Where the token is read if the environment has none; empty for nowhere.
    """

    options: tuple[tuple[str, Any], ...]
    token_file: str = ""

    @classmethod
    def of(cls, client: Client, token_file: str | Path | None) -> Seat:
        """Return what a client's settings come to.

        Raises:
            ConfigurationError: They cannot travel.
        """
        try:
            options = {**client.__getstate__(), "progress": None}
            seat = cls(
                tuple(sorted(options.items())), "" if token_file is None else str(token_file)
            )
            pickle.dumps(seat)
            hash(seat)
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise ConfigurationError(
                f"This client's settings cannot be sent to workers: {error} A retry_strategy must be a class or a"
                " function of a module."
            ) from error
        return seat

    def token(self) -> str:
        """Return the token that this process may read; empty to leave it to the environment.

        Raises:
            ConfigurationError: It has none.
        """
        if os.environ.get(TOKEN_VARIABLE, "").strip():
            return ""
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


_clients: dict[Seat, Client] = {}
_clients_lock = threading.Lock()


def _client_at(seat: Seat) -> Client:
    """Return this process's client for a seat; it lives as long as the process."""
    with _clients_lock:
        if seat not in _clients:
            _clients[seat] = Client(seat.token(), **dict(seat.options))
        return _clients[seat]


@dataclass(frozen=True)
class _Outcome(Generic[T]):
    result: T | None = None
    error: Exception | None = None

    def value(self) -> T:
        if self.error is not None:
            raise self.error
        return cast("T", self.result)


def _done_there(seat: Seat, work: Work[T]) -> _Outcome[T]:
    """Do a unit on a worker; what goes wrong is sent back as it is, or in words where it does not pickle."""
    try:
        return _Outcome(work.run(_client_at(seat)))
    except Exception as error:  # noqa: BLE001 - it is raised again where the unit was handed out
        return _Outcome(error=_that_pickles(error))


def _that_pickles(error: Exception) -> Exception:
    notes = getattr(error, "__notes__", [])
    try:
        copy: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301 - just made here
    except Exception:  # noqa: BLE001 - a constructor may fail in any way
        copy = GCAPIError(f"{type(error).__name__}: {error}")
    for note in notes[len(getattr(copy, "__notes__", [])) :]:
        copy.add_note(note)
    return copy


# ---------------------------------------------------------------- many units


U = TypeVar("U")


@dataclass(frozen=True)
class Done(Generic[U, T]):
    """A unit that was done.

    Attributes:
        unit: The unit.
        result: What it came to.
        error: What went wrong in it, in which case there is no result.
    """

    unit: U
    result: T | None
    error: BaseException | None


def run_on(
    workers: int,
    units: Iterable[U],
    act: Callable[[U], T],
    *,
    place: Place | None = None,
) -> Generator[Done[U, T]]:
    """Do something with each of many units, in threads, and yield them in the order in which they end.

    Close it where it may be left early (`contextlib.closing`): an error would keep it open. A unit that fails does not
    stop the others. When the caller stops going through them, or is interrupted, no more are begun; those that are
    running are not waited for.

    Args:
        workers: How many at once.
        units: Taken from as threads become free.
        act: Called with each unit in a thread; it may hand parts of it to a place.
        place: Closed at the end; `None` where none is used.
    """
    left = iter(units)
    ended: SimpleQueue[Done[U, T]] = SimpleQueue()
    pool = Pool(workers, "gcapi-bulk")
    running = 0

    def work(unit: U) -> None:
        try:
            done: Done[U, T] = Done(unit, act(unit), None)
        except BaseException as error:  # noqa: BLE001 - it is the unit's
            done = Done(unit, None, error)
        ended.put(done)

    def begin(count: int) -> int:
        begun = 0
        for unit in (next(left, None) for _ in range(count)):
            if unit is not None:
                pool.submit(work, unit)
                begun += 1
        return begun

    try:
        running = begin(workers)
        while running:
            done = ended.get()
            running += begin(1) - 1
            yield done
    finally:
        if place is not None:
            place.close()
        pool.shutdown(wait=not running, cancel_futures=True)
