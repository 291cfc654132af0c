"""The table from errors to exit codes, and the message of an error: what failed, why, what to do next."""

from __future__ import annotations

import re
import ssl
import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click
import httpx

from gcapi import exceptions
from gcapi._util.messages import printable
from gcapi.bulk._executors import WorkerLost
from gcapi.bulk._pull.json_lines import PulledFolderError
from gcapi.bulk.journal import JournalError
from gcapi.cli.output import printable_lines

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

T = TypeVar("T")

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
    """Raised when a command needs a token and finds none."""


class ExposedToken(exceptions.ConfigurationError):
    """Raised when other users of the machine can access a token file, which is then not used."""


class InvalidInput(exceptions.GCAPIError, ValueError):
    """Raised when an argument, or a file that it names, cannot be used."""


#: The classes of errors for each exit code; a class that is not here has the code of its nearest base.
EXIT_CODES: dict[int, tuple[type[BaseException], ...]] = {
    FAILED: (exceptions.GCAPIError, httpx.HTTPError, OSError, MemoryError),
    USAGE: (exceptions.ConfigurationError, httpx.InvalidURL),
    NOT_FOUND: (exceptions.ObjectNotFound, exceptions.PermissionDenied),
    INVALID_INPUT: (
        InvalidInput,
        exceptions.SpecError,
        exceptions.MultipleObjectsReturned,
        exceptions.TitleTaken,
        exceptions.ImportFailed,
        JournalError,
        PulledFolderError,
        FileExistsError,
        FileNotFoundError,
        IsADirectoryError,
        NotADirectoryError,
        PermissionError,
    ),
    TEMPORARY: (
        exceptions.TransferError,
        exceptions.UploadInterrupted,
        exceptions.ImportTimeout,
        exceptions.JobTimeout,
        WorkerLost,
        httpx.TransportError,
    ),
    PART_FAILED: (exceptions.AmbiguousWriteError, exceptions.IncompleteCase),
    LIMIT: (exceptions.LimitReached,),
    AUTHENTICATION: (NoToken, ExposedToken, exceptions.AuthenticationError),
}
_CODE_OF = {cls: code for code, classes in EXIT_CODES.items() for cls in classes}
#: What to do next on the command line, beyond the message of an error; format strings for ``error``.
_ADVICE: dict[type[BaseException], str] = {
    exceptions.AuthenticationError: (
        "'gcapi whoami' shows which token is used; 'gcapi login' stores a new one."
    ),
    exceptions.UnexpectedAnswer: (
        "'gcapi doctor' shows how the server differs from what this release expects."
    ),
    exceptions.TransferError: "Run the command again.",
    exceptions.UploadInterrupted: "On the command line: gcapi uploads resume PK FILE",
    exceptions.ImportTimeout: "Run the command again to continue waiting.",
    exceptions.JobTimeout: "On the command line: gcapi jobs wait {error.pk}",
    httpx.TransportError: "Run the command again; 'gcapi doctor' looks for the cause.",
    httpx.HTTPError: "'gcapi doctor' looks for the cause.",
    MemoryError: "There is not enough memory; use fewer --workers.",
}
_CERTIFICATE_ADVICE = (
    "The server's certificate is not signed by a CA that this machine trusts. If your network has its own CA, set"
    " SSL_CERT_FILE to its bundle."
)
_BUG_ADVICE = (
    "This is a bug in gcapi. Please report it with the output of --debug and of 'gcapi doctor'."
)
_MAX_REPORTED = 20
#: The keyword argument of the library that the option --existing sets.
_OPTION = re.compile(r"\bexisting='(\w+)'")
#: Status codes that a later request may not get.
_TRANSIENT_STATUS_CODES = frozenset({408, 425, 429, 502, 503, 504, 507})


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of an error."""
    if type(error) in {exceptions.StatusError, exceptions.StorageError}:
        assert isinstance(error, exceptions.StatusError)
        return _code_of_status(error)
    return USAGE if _is_about_certificate(error) else _nearest(_CODE_OF, error, FAILED)


def _nearest(table: Mapping[type[BaseException], T], error: BaseException, default: T) -> T:
    """Return the entry for the class of an error, or for its nearest base."""
    return next((table[cls] for cls in type(error).__mro__ if cls in table), default)


def _code_of_status(error: exceptions.StatusError) -> int:
    if error.status_code in _TRANSIENT_STATUS_CODES:
        return TEMPORARY
    is_server_failure = error.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    return (
        FAILED if is_server_failure or isinstance(error, exceptions.StorageError) else INVALID_INPUT
    )


def _is_about_certificate(error: BaseException) -> bool:
    cause: BaseException | None = error if isinstance(error, httpx.TransportError) else None
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def error_message(error: BaseException) -> str:
    """Return what failed, why, and what to do next, without characters that control a terminal."""
    is_bug = not any(cls in _CODE_OF for cls in type(error).__mro__)
    message = _OPTION.sub(r"--existing \1", str(error).strip())
    if isinstance(error, httpx.TransportError):
        message = f"{_host_of(error)} could not be reached, or the connection broke ({type(error).__name__}: {message})"
    elif isinstance(error, OSError) and error.strerror and error.filename:
        message = f"{error.filename}: {error.strerror}"
    elif is_bug or not message:
        message = f"{type(error).__name__}: {message}"
    advice = _BUG_ADVICE if is_bug else _nearest(_ADVICE, error, "").format(error=error)
    if _is_about_certificate(error):
        advice = _CERTIFICATE_ADVICE
    following = [*getattr(error, "__notes__", []), *([advice] if advice else [])]
    if following:
        message = " ".join([f"{message.rstrip('.: ')}.", *following])
    return printable_lines(message)


def _host_of(error: httpx.TransportError) -> str:
    try:
        return error.request.url.netloc.decode("ascii")
    except RuntimeError:  # it failed before there was a request
        return "The server"


def report_error(error: BaseException, *, debug: bool) -> int:
    """Print an error to standard error, and return its exit code.

    Args:
        error: The error that ended the command.
        debug: Whether to print the traceback.
    """
    if debug:
        click.echo(printable_lines("".join(traceback.format_exception(error))), err=True)
    click.echo(f"gcapi: {error_message(error)}", err=True)
    return exit_code_of(error)


class Failures:
    """The errors of several items, and their common exit code.

    Args:
        count: The number of items.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._errors: list[BaseException] = []

    @contextmanager
    def reporting(self, name: str = "") -> Generator[None]:
        """Report the error of one item and continue.

        Args:
            name: The item's name; empty if the message names it.
        """
        try:
            yield
        except BrokenPipeError:
            raise
        except (exceptions.GCAPIError, httpx.TransportError, OSError) as error:
            self.report(error, name)

    def report(self, error: BaseException, name: str = "") -> None:
        """Count the error of one item, and print it unless many were printed before.

        Args:
            error: The error.
            name: The item's name; empty if the message names it.
        """
        self._errors.append(error)
        if len(self._errors) <= _MAX_REPORTED:
            prefix = f"{printable(name)}: " if name else ""
            click.echo(f"gcapi: {prefix}{error_message(error)}", err=True)
        elif len(self._errors) == _MAX_REPORTED + 1:
            click.echo("gcapi: More items failed; their errors are not shown.", err=True)

    @property
    def exit_code(self) -> int:
        """The code of the errors if all items failed with the same code, else that for a partial failure."""
        codes = {exit_code_of(error) for error in self._errors}
        if len(self._errors) < self._count or len(codes) > 1:
            return PART_FAILED if codes else DONE
        return codes.pop()
