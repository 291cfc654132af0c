"""One map from error to exit code, and the paragraph that an error is told in: what, why, what to do next."""

from __future__ import annotations

import ssl
import traceback
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import httpx

from gcapi import exceptions
from gcapi._util.messages import printable
from gcapi.bulk._executors import WorkerLost
from gcapi.bulk.journal import JournalError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

(
    DONE,
    FAILED,
    USAGE,
    NOT_FOUND,
    INVALID_INPUT,
    TEMPORARY,
    PART_FAILED,
    LIMIT,
    AUTHENTICATION,
) = range(9)


class NoToken(exceptions.ConfigurationError):
    """Raise when a command needs a token and there is none."""


class ExposedToken(exceptions.ConfigurationError):
    """Raise instead of reading a token file that others on the machine can read."""


class InvalidInput(exceptions.GCAPIError, ValueError):
    """Raise for what was given on the command line, or in a file that it names, and cannot be used."""


@dataclass(frozen=True)
class Ending:
    """How the program ends with an error.

    Attributes:
        code: The exit code.
        advice: What to do next on the command line, beyond what the message says; may name attributes of ``error``.
    """

    code: int
    advice: str = ""


#: By the error's class, or the nearest class that it derives from.
ENDINGS: dict[type[BaseException], Ending] = {
    NoToken: Ending(AUTHENTICATION),
    ExposedToken: Ending(AUTHENTICATION),
    InvalidInput: Ending(INVALID_INPUT),
    exceptions.ConfigurationError: Ending(USAGE),
    exceptions.SpecError: Ending(INVALID_INPUT),
    exceptions.ObjectNotFound: Ending(NOT_FOUND),
    exceptions.NotFoundError: Ending(NOT_FOUND),
    exceptions.MultipleObjectsReturned: Ending(INVALID_INPUT),
    exceptions.TitleTaken: Ending(INVALID_INPUT),
    exceptions.AuthenticationError: Ending(
        AUTHENTICATION,
        "'gcapi login' stores a new one, and 'gcapi whoami' says which one is used.",
    ),
    exceptions.PermissionDenied: Ending(NOT_FOUND),
    exceptions.LimitReached: Ending(LIMIT),
    exceptions.UnsupportedVersionError: Ending(FAILED),
    exceptions.ImportFailed: Ending(INVALID_INPUT),
    exceptions.JobFailed: Ending(FAILED),
    exceptions.UnexpectedAnswer: Ending(
        FAILED, "'gcapi doctor' says how the server differs from what this release knows."
    ),
    exceptions.TransferError: Ending(TEMPORARY, "Run it again."),
    exceptions.UploadInterrupted: Ending(
        TEMPORARY, "On the command line: gcapi uploads resume PK FILE."
    ),
    exceptions.UnsafeName: Ending(FAILED),
    exceptions.AmbiguousWriteError: Ending(PART_FAILED),
    exceptions.IncompleteCase: Ending(PART_FAILED),
    exceptions.ImportTimeout: Ending(TEMPORARY, "Run it again to wait on."),
    exceptions.JobTimeout: Ending(TEMPORARY, "On the command line: gcapi jobs wait {error.pk}"),
    WorkerLost: Ending(TEMPORARY),
    JournalError: Ending(INVALID_INPUT),
    exceptions.GCAPIError: Ending(FAILED),
    httpx.TransportError: Ending(TEMPORARY, "Run it again; 'gcapi doctor' looks for the cause."),
    FileExistsError: Ending(INVALID_INPUT),
    FileNotFoundError: Ending(INVALID_INPUT),
    IsADirectoryError: Ending(INVALID_INPUT),
    NotADirectoryError: Ending(INVALID_INPUT),
    PermissionError: Ending(INVALID_INPUT),
    OSError: Ending(FAILED),
}
#: What is wrong where a certificate is refused, which passes neither by itself nor by running it again.
_CERTIFICATE = Ending(
    USAGE,
    "The server's certificate is not signed by a CA that this machine trusts. If your network has a CA of its own, name"
    " its bundle in SSL_CERT_FILE.",
)
#: What no class says: an error of this program's own.
_BUG = Ending(
    FAILED,
    "This is a fault of gcapi itself. Please report it, with what --debug shows and with the report of 'gcapi doctor'.",
)
#: How many errors of things of one kind are told.
_TOLD = 20
#: Statuses that pass by themselves.
_PASSING = frozenset({408, 425, 429, 502, 503, 504, 507})


def ending_of(error: BaseException) -> Ending:
    """Return how the program ends with an error."""
    if type(error) in {exceptions.StatusError, exceptions.StorageError}:
        assert isinstance(error, exceptions.StatusError)
        return Ending(_code_of_status(error))
    if isinstance(error, httpx.TransportError) and _is_about_certificate(error):
        return _CERTIFICATE
    for cls in type(error).__mro__:
        if cls in ENDINGS:
            return ENDINGS[cls]
    return _BUG


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of an error."""
    return ending_of(error).code


def _code_of_status(error: exceptions.StatusError) -> int:
    if error.status_code in _PASSING:
        return TEMPORARY
    is_ours = (
        isinstance(error, exceptions.StorageError)
        or error.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    )
    return FAILED if is_ours else INVALID_INPUT


def _is_about_certificate(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def paragraph(error: BaseException) -> str:
    """Return what happened, why, and what to do next; fit for a terminal."""
    ending = ending_of(error)
    words = str(error).strip()
    if isinstance(error, httpx.TransportError):
        words = f"{_host(error)} could not be reached, or the connection broke ({type(error).__name__}: {words})"
    elif ending is _BUG or not words:
        words = f"{type(error).__name__}: {words}"
    text = f"{words.rstrip('.')}. {ending.advice.format(error=error)}" if ending.advice else words
    return "\n".join(printable(line) for line in text.splitlines())


def _host(error: httpx.TransportError) -> str:
    try:
        return error.request.url.netloc.decode("ascii")
    except RuntimeError:  # it failed before there was a request
        return "The server"


def report(error: BaseException, *, debug: bool) -> int:
    """Tell an error on standard error, and return its exit code.

    Args:
        error: What ended the command.
        debug: Whether to show where it came from.
    """
    if debug:
        lines = "".join(traceback.format_exception(error)).splitlines()
        click.echo("\n".join(printable(line) for line in lines), err=True)
    click.echo(f"gcapi: {paragraph(error)}", err=True)
    return exit_code_of(error)


class Failures:
    """What failed of several things that are done one after the other, and the exit code of it all.

    Args:
        count: How many things there are.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._errors: list[BaseException] = []

    @contextmanager
    def told(self, name: str = "") -> Generator[None]:
        """Tell the error of one thing, and go on.

        Args:
            name: What it is called; empty where the error says it.
        """
        try:
            yield
        except (exceptions.GCAPIError, httpx.TransportError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            self.add(error, name)

    def add(self, error: BaseException, name: str = "") -> None:
        """Take in the error of one thing, and tell it unless many were told before.

        Args:
            error: What went wrong.
            name: What the thing is called; empty where the error says it.
        """
        self._errors.append(error)
        if len(self._errors) <= _TOLD:
            prefix = f"{printable(name)}: " if name else ""
            click.echo(f"gcapi: {prefix}{paragraph(error)}", err=True)
        elif len(self._errors) == _TOLD + 1:
            click.echo("gcapi: More failed, which is not told here.", err=True)

    @property
    def exit_code(self) -> int:
        """That of the errors where everything failed in the same way; else that something did."""
        codes = {exit_code_of(error) for error in self._errors}
        if len(self._errors) < self._count or len(codes) > 1:
            return PART_FAILED if codes else DONE
        return codes.pop()
