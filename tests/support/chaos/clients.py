"""The client of a run, in this process or in one of its own, which can be suspended."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gcapi import Client
from gcapi.retries import PatientStrategy
from tests.support.servers.loopback import NO_TLS

#: The timeout of the client in seconds, which also bounds its search for the effect of a lost request.
PATIENCE = 1.5
_ROOT = Path(__file__).parents[3]


def connect(token: str, base_url: str) -> Client:
    """Return a client with short waits."""
    strategy = partial(PatientStrategy, backoff_factor=0.01, longest_delay=0.05)
    return Client(token, base_url, verify=NO_TLS, timeout=PATIENCE, retry_strategy=strategy)


class RemoteClient:
    """A client in a process of its own; its methods are called as those of `Client`.

    Args:
        token: The token of the user.
        base_url: The URL of the API.
        temporary: The folder for temporary files.
        pids: The pids of the running processes of a client and its copies.
    """

    def __init__(
        self, token: str, base_url: str, temporary: Path, pids: list[int] | None = None
    ) -> None:
        self.pids = [] if pids is None else pids
        self._arguments = (token, base_url, temporary, self.pids)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, token, base_url],
            cwd=_ROOT,
            env={**os.environ, "TMPDIR": str(temporary)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pids.append(self._process.pid)

    def __getattr__(self, name: str) -> _RemoteAttribute:
        return _RemoteAttribute(self, name)

    def __copy__(self) -> Self:
        return type(self)(*self._arguments)

    def apply(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Call a function with the client, and return its result or raise its exception."""
        assert self._process.stdin
        assert self._process.stdout
        pickle.dump((function, args, options), self._process.stdin)
        self._process.stdin.flush()
        result, error = pickle.load(self._process.stdout)
        if error is not None:
            raise error
        return result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.pids.remove(self._process.pid)
        with self._process:
            assert self._process.stdin
            self._process.stdin.close()


@dataclass(frozen=True)
class _RemoteAttribute:
    """A method or a namespace of a remote client."""

    client: RemoteClient
    name: str

    def __getattr__(self, name: str) -> _RemoteAttribute:
        return _RemoteAttribute(self.client, f"{self.name}.{name}")

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.client.apply(_call_method, self.name, *args, **options)


def _call_method(client: Client, name: str, *args: Any, **options: Any) -> Any:
    return attrgetter(name)(client)(*args, **options)


def apply(
    client: Client | RemoteClient, function: Callable[..., Any], *args: Any, **options: Any
) -> Any:
    """Call a function with a client, in the client's process."""
    if isinstance(client, RemoteClient):
        return client.apply(function, *args, **options)
    return function(client, *args, **options)


def main() -> None:
    """Carry out the calls that arrive on standard input."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nothing else may write to the stream of results
    with connect(*sys.argv[1:]) as client:
        while True:
            try:
                function, args, options = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            try:
                outcome = function(client, *args, **options), None
            except Exception as error:  # noqa: BLE001 - raised by the caller
                outcome = None, error
            pickle.dump(outcome, results)
            results.flush()


if __name__ == "__main__":
    main()
