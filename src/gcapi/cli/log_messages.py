"""The log of the library as messages on standard error: retries after some silence, or more with ``-v``."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress

import click

from gcapi.cli.messages import tell

#: Seconds of silence after which a user is told of a retry.
SILENCE_SECONDS = 5.0
_VERBOSITY = "gcapi.verbosity"


def _count_verbosity(ctx: click.Context, _: click.Parameter, value: int) -> None:
    """Add up the options ``-v`` before and after the command: a callback of click."""
    ctx.meta[_VERBOSITY] = ctx.meta.get(_VERBOSITY, 0) + value


VERBOSE_OPTION = click.Option(
    ["-v", "--verbose"],
    count=True,
    expose_value=False,
    callback=_count_verbosity,
    help="Show every retry; -vv shows every request.",
)


class LogMessages(logging.Handler):
    """Log records as messages; without ``-v`` only those of retries that take long, one in `SILENCE_SECONDS`.

    Args:
        verbosity: The number of options ``-v``.
        clock: Returns the time in seconds.
    """

    def __init__(self, verbosity: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.INFO if verbosity <= 1 else logging.DEBUG)
        self._verbosity = verbosity
        self._clock = clock
        self._next = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message of a record."""
        if self._verbosity == 0:
            now = self._clock()
            # The attribute `gcapi._http.retrying.SILENCE`, whose module is slow to load.
            if getattr(record, "gcapi_silence", 0.0) < SILENCE_SECONDS or now < self._next:
                return
            self._next = now + SILENCE_SECONDS
        with suppress(OSError, ValueError):  # nobody may be listening
            tell(f"gcapi: {record.getMessage()}")


@contextmanager
def log_messages(*, quiet: bool) -> Generator[None]:
    """Print messages about the log of the library during a command.

    Args:
        quiet: Whether to print none without ``-v``.
    """
    verbosity = click.get_current_context().meta.get(_VERBOSITY, 0)
    if quiet and not verbosity:
        yield
        return
    logger, handler = logging.getLogger("gcapi"), LogMessages(verbosity)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(handler.level)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
