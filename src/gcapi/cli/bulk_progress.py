"""What `push` and `pull` have in common: how far they have come, a Dask cluster, and what failed."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from concurrent.futures import Executor

#: Seconds between two lines where standard error is no terminal.
_INTERVAL = 5.0


class Step(Protocol):
    """One case has come to an end."""

    @property
    def ended(self) -> int:
        """How many have."""
        ...

    @property
    def total(self) -> int:
        """How many there are."""
        ...


class CaseCounter:
    """Say on standard error how many cases have come to an end: in one line in a terminal, else in a line now and then.

    Args:
        what: What is counted.
        clock: Tells the time in seconds.
    """

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._clock = clock
        self._next = clock() + _INTERVAL
        self._is_open = False

    def __call__(self, step: Step) -> None:
        """Take in how far it has come."""
        words = f"{self._what}: {step.ended} of {step.total}"
        if sys.stderr.isatty():
            click.echo(f"\r{words}", err=True, nl=False)
            self._is_open = True
        elif step.ended == step.total or self._clock() >= self._next:
            click.echo(words, err=True)
            self._next = self._clock() + _INTERVAL

    def close(self) -> None:
        """End the line."""
        if self._is_open:
            click.echo(err=True)
            self._is_open = False


@contextmanager
def counted(what: str, *, quiet: bool) -> Generator[CaseCounter | None]:
    """Give what counts cases; `None` where the user wants quiet."""
    if quiet:
        yield None
        return
    counter = CaseCounter(what)
    try:
        yield counter
    finally:
        counter.close()


@contextmanager
def dask_executor(address: str | None) -> Generator[Executor | None]:
    """Give the executor of a Dask cluster; `None` where no address is given.

    Raises:
        MissingExtra: Dask is not installed.
        ConfigurationError: There is no scheduler at the address.
    """
    if address is None:
        yield None
        return
    from gcapi.exceptions import ConfigurationError, MissingExtra

    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "A Dask cluster needs its extra: pip install '.[dask]' in a checkout of gcapi."
        ) from error
    try:
        cluster = Client(address)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"There is no Dask scheduler at {address}: {error}.") from error
    with cluster:
        yield cluster.get_executor()  # type: ignore[no-untyped-call]
