"""The table from errors to exit codes, and the message of an error: what failed, why, what to do next."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import click
import httpx

from gcapi import exceptions
from gcapi._util.disk_space import is_disk_full
from gcapi._util.error_chains import is_certificate_error
from gcapi._util.messages import printable, printable_lines
from gcapi.bulk._executors import WorkerLost
from gcapi.bulk._pull.json_lines import PulledFolderError
from gcapi.bulk._push.job_worker import JobExistsError
from gcapi.bulk.journal import JournalError
from gcapi.cli import exit_codes
from gcapi.cli.exit_codes import CommandError, InvalidInput
from gcapi.cli.messages import tell
from grand_challenge_api.base import AbsentFieldError

T = TypeVar("T")

_DOCTOR_ADVICE = "'gcapi doctor' looks for the cause."
_CERTIFICATE_ADVICE = (
    "On the command line: set SSL_CERT_FILE to the bundle of the certificate authority."
)
_BUG_ADVICE = (
    "This is a bug in gcapi. Please report it with the output of --debug and of 'gcapi doctor'."
)
#: The exit code of each class of errors, and what to do next on the command line beyond the error's message (a format
#: string for ``error``). A class that is not here has the entry of its nearest base.
EXITS: dict[type[BaseException], tuple[int, str]] = {
    exceptions.GCAPIError: (exit_codes.FAILED, ""),
    exceptions.UnexpectedAnswer: (
        exit_codes.FAILED,
        "'gcapi doctor' shows how the server differs from what this release expects.",
    ),
    AbsentFieldError: (
        exit_codes.FAILED,
        "On the command line: gcapi doctor. A newer release of gcapi may know this server: pip install --upgrade gcapi",
    ),
    httpx.HTTPError: (exit_codes.FAILED, _DOCTOR_ADVICE),
    OSError: (exit_codes.FAILED, ""),
    MemoryError: (exit_codes.FAILED, "There is not enough memory; use fewer --workers."),
    exceptions.ConfigurationError: (exit_codes.USAGE, ""),
    httpx.InvalidURL: (exit_codes.USAGE, ""),
    exceptions.ObjectNotFound: (exit_codes.NOT_FOUND, ""),
    exceptions.PermissionDenied: (exit_codes.NOT_FOUND, ""),
    InvalidInput: (exit_codes.INVALID_INPUT, ""),
    exceptions.SpecError: (exit_codes.INVALID_INPUT, ""),
    exceptions.MultipleObjectsReturned: (exit_codes.INVALID_INPUT, ""),
    exceptions.TitleTaken: (exit_codes.INVALID_INPUT, ""),
    exceptions.ImportFailed: (exit_codes.INVALID_INPUT, ""),
    JournalError: (exit_codes.INVALID_INPUT, ""),
    JobExistsError: (exit_codes.INVALID_INPUT, "On the command line: --again"),
    PulledFolderError: (exit_codes.INVALID_INPUT, ""),
    FileExistsError: (exit_codes.INVALID_INPUT, ""),
    FileNotFoundError: (exit_codes.INVALID_INPUT, ""),
    IsADirectoryError: (exit_codes.INVALID_INPUT, ""),
    NotADirectoryError: (exit_codes.INVALID_INPUT, ""),
    PermissionError: (exit_codes.INVALID_INPUT, ""),
    exceptions.TransferError: (exit_codes.TEMPORARY, "Run the command again."),
    exceptions.UploadInterrupted: (
        exit_codes.TEMPORARY,
        "On the command line: gcapi uploads resume PK FILE",
    ),
    exceptions.ImportTimeout: (exit_codes.TEMPORARY, "Run the command again to continue waiting."),
    exceptions.JobTimeout: (
        exit_codes.TEMPORARY,
        "On the command line: gcapi jobs wait {error.pk}",
    ),
    WorkerLost: (exit_codes.TEMPORARY, ""),
    exceptions.UnreachableHostError: (exit_codes.TEMPORARY, _DOCTOR_ADVICE),
    httpx.TransportError: (exit_codes.TEMPORARY, f"Run the command again; {_DOCTOR_ADVICE}"),
    exceptions.AmbiguousWriteError: (exit_codes.PART_FAILED, ""),
    exceptions.IncompleteCase: (exit_codes.PART_FAILED, ""),
    exceptions.LimitReached: (exit_codes.LIMIT, ""),
    exceptions.TokenError: (exit_codes.AUTHENTICATION, ""),
    exceptions.AuthenticationError: (
        exit_codes.AUTHENTICATION,
        "'gcapi whoami' shows which token is used; 'gcapi login' stores a new one.",
    ),
}
#: The errors of a server, a connection or a file, after which other work can go on.
ORDINARY_ERRORS = (
    exceptions.GCAPIError,
    AbsentFieldError,
    CommandError,
    httpx.HTTPError,
    OSError,
)
_MAX_REPORTED = 20
#: The keyword argument of the library that the option --existing sets.
_OPTION = re.compile(r"\bexisting='(\w+)'")
#: Status codes that a later request may not get.
_TRANSIENT_STATUS_CODES = frozenset({408, 425, 429, 502, 503, 504, 507})


def exit_code_of(error: BaseException) -> int:
    """Return the exit code of an error."""
    return _exit_of(error)[0]


def _exit_of(error: BaseException) -> tuple[int, str]:
    """Return the exit code of an error, and what to do next."""
    if isinstance(error, httpx.TransportError) and is_certificate_error(error):
        return exit_codes.USAGE, _CERTIFICATE_ADVICE
    if is_disk_full(error):
        return exit_codes.TEMPORARY, "Free some space and run the command again; it continues."
    if type(error) in {exceptions.StatusError, exceptions.StorageError}:
        assert isinstance(error, exceptions.StatusError)
        if error.status_code in _TRANSIENT_STATUS_CODES:
            return exit_codes.TEMPORARY, _DOCTOR_ADVICE
        is_refusal = type(error) is exceptions.StatusError and not error.response.is_server_error
        return exit_codes.INVALID_INPUT if is_refusal else exit_codes.FAILED, _DOCTOR_ADVICE
    known = (EXITS[cls] for cls in type(error).__mro__ if cls in EXITS)
    return next(known, (exit_codes.FAILED, _BUG_ADVICE))


def error_message(error: BaseException, *, in_doctor: bool = False) -> str:
    """Return what failed, why, and what to do next, without characters that control a terminal.

    Args:
        error: The error.
        in_doctor: Whether gcapi doctor tells of it, which does not recommend itself.
    """
    advice = _exit_of(error)[1]
    if in_doctor and "gcapi doctor" in advice:
        advice = ""
    message = _OPTION.sub(r"--existing \1", str(error).strip())
    if isinstance(error, httpx.TransportError) and not isinstance(error, exceptions.GCAPIError):
        message = f"{_host_of(error)} could not be reached, or the connection broke ({type(error).__name__}: {message})"
    elif isinstance(error, OSError) and error.strerror and error.filename:
        message = f"{error.filename} cannot be read or written: {error.strerror}."
        if isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            message += " Check the path."
    elif advice is _BUG_ADVICE or not message:
        message = f"{type(error).__name__}: {message}"
    following = [*getattr(error, "__notes__", []), advice.format(error=error)]
    if any(following):
        message = " ".join([f"{message.rstrip('.: ')}.", *filter(None, following)])
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
    tell(f"gcapi: {error_message(error)}")
    return exit_code_of(error)


class Failures:
    """The errors of several items, and their common exit code.

    Args:
        count: The number of items.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._errors: list[BaseException] = []

    def map(self, function: Callable[[Any], T], items: Iterable[Any]) -> Iterator[T]:
        """Yield the result of a function for each item; an item that fails is reported, and left out."""
        for item in items:
            try:
                result = function(item)
            except BrokenPipeError:
                raise
            except ORDINARY_ERRORS as error:
                self.report(error)
            else:
                yield result

    def report(self, error: BaseException, name: str = "") -> None:
        """Count the error of one item, and print it unless many were printed before.

        Args:
            error: The error.
            name: The item's name; empty if the message names it.
        """
        self._errors.append(error)
        if len(self._errors) <= _MAX_REPORTED:
            prefix = f"{printable(name)}: " if name else ""
            tell(f"gcapi: {prefix}{error_message(error)}")
        elif len(self._errors) == _MAX_REPORTED + 1:
            tell("gcapi: More items failed; their errors are not shown.")

    @property
    def exit_code(self) -> int:
        """The code of the errors if all items failed with the same code, else that for a partial failure."""
        if not self._errors:
            return exit_codes.DONE
        codes = {exit_code_of(error) for error in self._errors}
        is_partial = len(self._errors) < self._count or len(codes) > 1
        return exit_codes.PART_FAILED if is_partial else codes.pop()
