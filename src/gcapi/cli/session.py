"""The common options of the commands, and the session that they make: client, output, messages.

The help of a command must appear at once, so the modules of commands load neither the HTTP library nor the client: the
session imports them when a command uses them.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

import gcapi
from gcapi.cli.help_texts import Command
from gcapi.cli.log_messages import VERBOSE_OPTION, log_messages
from gcapi.cli.messages import tell
from gcapi.cli.output import (
    Column,
    print_csv,
    print_json,
    print_json_lines,
    print_object,
    print_table,
)

if TYPE_CHECKING:
    from gcapi._http.configuration import Server, StoredToken
    from gcapi.cli.error_reports import Failures

T = TypeVar("T")

_OUTPUT_OPTIONS = [
    click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
    click.Option(["-q", "--quiet"], is_flag=True, help="Print no messages except errors."),
    VERBOSE_OPTION,
    # `gcapi.cli.app` reads it from the arguments.
    click.Option(
        ["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."
    ),
]
_CSV_OPTION = click.Option(
    ["--csv", "as_csv"],
    is_flag=True,
    help="Print CSV with a header, which spreadsheet programs open.",
)
_SERVER_OPTIONS = [
    click.Option(
        ["--base-url"],
        metavar="URL",
        help="The API's address or host; by default that of GCAPI_BASE_URL, of the last login, or of"
        " grand-challenge.org.",
    ),
    click.Option(
        ["--profile"],
        metavar="NAME",
        help="Use the server and the token of this profile; by default that of GCAPI_PROFILE.",
    ),
    click.Option(
        ["--token-file"],
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Read the API token from the first line of a file.",
    ),
    click.Option(
        ["--token"],
        metavar="TOKEN",
        help="The API token, which other users of this machine can see in the process list; '-' reads it from"
        " standard input.",
    ),
]

#: The options that are common to commands.
COMMON_OPTIONS = (*_OUTPUT_OPTIONS, _CSV_OPTION, *_SERVER_OPTIONS)


@dataclass(frozen=True)
class Session:
    """One run of a command.

    Attributes:
        as_json: Whether to print JSON.
        quiet: Whether to print only errors to standard error.
        given_url: The address of the command line; empty for none.
        profile: The profile of the command line; empty for none.
        token: The token of the command line; `None` for none.
        token_file: The token file of the command line; `None` for none.
        as_csv: Whether to print lists as CSV.
    """

    as_json: bool
    quiet: bool
    given_url: str = ""
    profile: str = ""
    token: str | None = None
    token_file: Path | None = None
    as_csv: bool = False

    def say(self, message: str) -> None:
        """Print a message to standard error, unless the user wants quiet."""
        if not self.quiet:
            tell(message)

    def show(self, document: Any, table: Mapping[str, Any] | None = None) -> None:
        """Print an object.

        Args:
            document: The object.
            table: What to print without --json; `None` for the object.
        """
        if self.as_json:
            print_json(document)
        else:
            print_object(document if table is None else table)

    def show_all(self, documents: Iterable[T], columns: Sequence[Column[T]]) -> None:
        """Print a list of objects as they arrive.

        Args:
            documents: The objects: models or dicts.
            columns: The columns of the table.
        """
        if self.as_json:
            print_json_lines(documents)
        elif self.as_csv:
            from gcapi.bulk._tables.delimited import csv_line

            print_csv(documents, columns, csv_line)
        else:
            print_table(documents, columns)

    @functools.cached_property
    def server(self) -> Server:
        """The server that the command talks to.

        Raises:
            ConfigurationError: Its address or its profile cannot be used.
        """
        return self.find_server()

    def find_server(self, *, new_profile: bool = False) -> Server:
        """Return the server that the command talks to.

        Args:
            new_profile: Whether the profile of the command line may not exist yet.

        Raises:
            ConfigurationError: Its address or its profile cannot be used.
        """
        from gcapi._http.configuration import find_server

        has_token = bool(self.token or self.token_file)
        server = find_server(
            self.given_url, self.profile, with_token=has_token, new_profile=new_profile
        )
        return server if server.source else replace(server, source="the option --base-url")

    def find_token(self) -> StoredToken:
        """Return the token and its source.

        Raises:
            TokenError: There is none.
        """
        from gcapi.cli.credentials import token_of_command

        return token_of_command(self.server, argument=self.token, file=self.token_file)

    def client(self, token: StoredToken | None = None, *, progress: bool = False) -> gcapi.Client:
        """Return a client, which the caller closes.

        Args:
            token: The token; `None` to find it.
            progress: Whether to show the progress of single files, unless the user wants quiet.
        """
        found = token or self.find_token()
        address = str(self.server.base_url)
        return gcapi.Client(found.value, address, progress=progress and not self.quiet)

    def failures(self, count: int) -> Failures:
        """Return a counter of the errors of several items."""
        from gcapi.cli.error_reports import Failures

        return Failures(count)


def command(
    group: click.Group | None = None,
    name: str | None = None,
    *,
    server: bool = True,
    lists: bool = False,
) -> Callable[[Callable[..., int | None]], click.Command]:
    """Return a decorator that makes a function a command with the common options.

    The function is called with a `Session` and its own options, and returns its exit code if that is not 0.

    Args:
        group: The group of the command; `None` for none.
        name: The command's name; `None` for the function's.
        server: Whether the command talks to a server.
        lists: Whether the command prints a list, which can be CSV.
    """
    names = ["as_json", "quiet", *(("token", "token_file") if server else ())]
    names += ["as_csv"] * lists

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @functools.wraps(function)
        def run_command(**options: Any) -> int | None:
            common = {name: options.pop(name) for name in names}
            if server:
                common["given_url"] = options.pop("base_url") or ""
                before_command = click.get_current_context().find_root().params.get("profile")
                common["profile"] = options.pop("profile") or before_command or ""
            if common["as_json"] and common.get("as_csv"):
                raise click.UsageError("--json and --csv exclude each other.")
            session = Session(**common)
            with _warnings_as_messages(session), log_messages(quiet=session.quiet):
                return function(session, **options)

        made = click.command(name or function.__name__, cls=Command)(run_command)
        made.params += [
            *(_SERVER_OPTIONS if server else ()),
            *(_OUTPUT_OPTIONS[:1]),
            *([_CSV_OPTION] if lists else ()),
            *(_OUTPUT_OPTIONS[1:]),
        ]
        if group is not None:
            group.add_command(made)
        return made

    return decorate


@contextmanager
def _warnings_as_messages(session: Session) -> Generator[None]:
    """Print warnings as messages, not in Python's format."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        session.say(f"gcapi: note: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show
        yield
