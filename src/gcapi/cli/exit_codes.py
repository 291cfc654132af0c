"""The table from errors to exit codes, and the message of an error: what failed, why, what to do next."""

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
from gcapi.bulk.pulling import PulledFolderError
from gcapi.cli.output import printable_lines

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
    """Raised when a command needs a token and finds none."""


class ExposedToken(exceptions.ConfigurationError):
    """Raised when other users of the machine can access a token file, which is then not used."""


class InvalidInput(exceptions.GCAPIError, ValueError):
    """Raised when an argument, or a file that it names, cannot be used."""


@dataclass(frozen=True)
class ExitRule:
    """The end of the program for a class of errors.

    Attributes:
        code: The exit code.
        advice: What to do next on the command line, beyond the error's message; a format string for ``error``.
    """

    code: int
    advice: str = ""


#: By class; a class that is not here has the rule of its nearest base.
EXIT_RULES: dict[type[BaseException], ExitRule] = {
    NoToken: ExitRule(AUTHENTICATION),
    ExposedToken: ExitRule(AUTHENTICATION),
    InvalidInput: ExitRule(INVALID_INPUT),
    exceptions.ConfigurationError: ExitRule(USAGE),
    exceptions.SpecError: ExitRule(INVALID_INPUT),
    exceptions.ObjectNotFound: ExitRule(NOT_FOUND),
    exceptions.NotFoundError: ExitRule(NOT_FOUND),
    exceptions.MultipleObjectsReturned: ExitRule(INVALID_INPUT),
    exceptions.TitleTaken: ExitRule(INVALID_INPUT),
    exceptions.AuthenticationError: ExitRule(
        AUTHENTICATION, "'gcapi whoami' shows which token is used; 'gcapi login' stores a new one."
    ),
    exceptions.PermissionDenied: ExitRule(NOT_FOUND),
    exceptions.LimitReached: ExitRule(LIMIT),
    exceptions.UnsupportedVersionError: ExitRule(FAILED),
    exceptions.ImportFailed: ExitRule(INVALID_INPUT),
    exceptions.JobFailed: ExitRule(FAILED),
    exceptions.UnexpectedAnswer: ExitRule(
        FAILED, "'gcapi doctor' shows how the server differs from what this release expects."
    ),
    exceptions.TransferError: ExitRule(TEMPORARY, "Run the command again."),
    exceptions.UploadInterrupted: ExitRule(
        TEMPORARY, "On the command line: gcapi uploads resume PK FILE"
    ),
    exceptions.UnsafeName: ExitRule(FAILED),
    exceptions.AmbiguousWriteError: ExitRule(PART_FAILED),
    exceptions.IncompleteCase: ExitRule(PART_FAILED),
    exceptions.ImportTimeout: ExitRule(TEMPORARY, "Run the command again to continue waiting."),
    exceptions.JobTimeout: ExitRule(TEMPORARY, "On the command line: gcapi jobs wait {error.pk}"),
    WorkerLost: ExitRule(TEMPORARY),
    JournalError: ExitRule(INVALID_INPUT),
    PulledFolderError: ExitRule(INVALID_INPUT),
    exceptions.GCAPIError: ExitRule(FAILED),
    httpx.TransportError: ExitRule(
        TEMPORARY, "Run the command again; 'gcapi doctor' looks for the cause."
    ),
    httpx.HTTPError: ExitRule(FAILED, "'gcapi doctor' looks for the cause."),
    httpx.InvalidURL: ExitRule(USAGE),
    FileExistsError: ExitRule(INVALID_INPUT),
    FileNotFoundError: ExitRule(INVALID_INPUT),
    IsADirectoryError: ExitRule(INVALID_INPUT),
    NotADirectoryError: ExitRule(INVALID_INPUT),
    PermissionError: ExitRule(INVALID_INPUT),
    OSError: ExitRule(FAILED),
    MemoryError: ExitRule(FAILED, "There is not enough memory; use fewer --workers."),
}
_CERTIFICATE_RULE = ExitRule(
    USAGE,
    "The server's certificate is not signed by a CA that this machine trusts. If your network has its own CA, set"
    " SSL_CERT_FILE to its bundle.",
)
#: For an error of a class that no rule covers.
_BUG_RULE = ExitRule(
    FAILED,
    "This is a bug in gcapi. Please report it with the output of --debug and of 'gcapi doctor'.",
)
_MAX_REPORTED = 20
#: Status codes that a later request may not get.
_TRANSIENT_STATUS_CODES = frozenset({408, 425, 429, 502, 503, 504, 507})


def exit_rule_of(error: BaseException) -> ExitRule:
    """Return the rule for an error."""
    if type(error) in {exceptions.StatusError, exceptions.StorageError}:
        assert isinstance(error, exceptions.StatusError)
        return ExitRule(_code_of_status(error))
    if isinstance(error, httpx.TransportError) and any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in _chain_of(error)
    ):
        return _CERTIFICATE_RULE
    return next((EXIT_RULES[cls] for cls in type(error).__mro__ if cls in EXIT_RULES), _BUG_RULE)


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of an error."""
    return exit_rule_of(error).code


def _code_of_status(error: exceptions.StatusError) -> int:
    if error.status_code in _TRANSIENT_STATUS_CODES:
        return TEMPORARY
    is_server_failure = error.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    return (
        FAILED if is_server_failure or isinstance(error, exceptions.StorageError) else INVALID_INPUT
    )


def _chain_of(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def error_message(error: BaseException) -> str:
    """Return what failed, why, and what to do next, without characters that control a terminal."""
    rule = exit_rule_of(error)
    message = str(error).strip()
    if notes := getattr(error, "__notes__", []):
        message = " ".join([f"{message.rstrip('.')}.", *notes])
    if isinstance(error, httpx.TransportError):
        message = f"{_host_of(error)} could not be reached, or the connection broke ({type(error).__name__}: {message})"
    elif rule is _BUG_RULE or not message:
        message = f"{type(error).__name__}: {message}"
    if rule.advice:
        message = f"{message.rstrip('.: ')}. {rule.advice.format(error=error)}"
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
