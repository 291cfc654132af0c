"""The common options of the commands, and the session that they make: client, output, messages."""

from __future__ import annotations

import functools
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from gcapi._http.urls import API_PREFIX, DEFAULT_BASE_URL
from gcapi.cli.credentials import StoredToken, find_token
from gcapi.cli.output import (
    print_json,
    print_json_lines,
    print_object,
    print_table,
    printable_lines,
)
from gcapi.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from gcapi.cli.output import Column


@dataclass(frozen=True)
class Session:
    """One run of a command.

    Attributes:
        as_json: Whether to print JSON.
        quiet: Whether to print only errors to standard error.
        base_url: The address of the API; empty for a command without a server.
        token: The token of the command line; `None` for none.
        token_file: The token file of the command line; `None` for none.
    """

    as_json: bool
    quiet: bool
    base_url: str
    token: str | None
    token_file: Path | None

    def say(self, message: str) -> None:
        """Print a message to standard error, unless the user wants quiet."""
        if not self.quiet:
            click.echo(printable_lines(message), err=True)

    def show(self, document: Mapping[str, Any]) -> None:
        """Print an object."""
        (print_json if self.as_json else print_object)(document)

    def show_all(self, documents: Iterable[dict[str, Any]], columns: Sequence[Column]) -> None:
        """Print a list of objects as they arrive.

        Args:
            documents: The objects.
            columns: The columns of the table.
        """
        if self.as_json:
            print_json_lines(documents)
        else:
            print_table(documents, columns)

    def find_token(self) -> StoredToken:
        """Return the token and its source.

        Raises:
            NoToken: There is none.
        """
        return find_token(self.base_url, argument=self.token, file=self.token_file)

    def client(self, token: StoredToken | None = None, *, progress: bool = False) -> Client:
        """Return a client, which the caller closes.

        Args:
            token: The token; `None` to find it.
            progress: Whether to show the progress of single files, unless the user wants quiet.
        """
        found = token or self.find_token()
        return Client(found.value, self.base_url, progress=progress and not self.quiet)

    @contextmanager
    def warnings_as_messages(self) -> Generator[None]:
        """Print warnings as messages, not in Python's format."""

        def show(message: Warning | str, *_: object, **__: object) -> None:
            self.say(f"gcapi: note: {message}")

        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = show
            yield


def command(
    group: click.Group | None = None, name: str | None = None, *, server: bool = True
) -> Callable[[Callable[..., int | None]], click.Command]:
    """Return a decorator that makes a function a command with the common options.

    The function is called with a `Session` and its own options, and returns its exit code if that is not 0.

    Args:
        group: The group of the command; `None` for none.
        name: The command's name; `None` for the function's.
        server: Whether the command talks to a server.
    """

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @functools.wraps(function)
        def run_command(**options: Any) -> int | None:
            session = _make_session(options, server=server)
            with session.warnings_as_messages():
                return function(session, **options)

        made = click.command(name or function.__name__)(run_command)
        made.params += [*(_server_options() if server else ()), *_output_options()]
        if group is not None:
            group.add_command(made)
        return made

    return decorate


def _make_session(options: dict[str, Any], *, server: bool) -> Session:
    """Return the session of the common options, which are taken out of the options of a command."""
    del options["debug"]  # `gcapi.cli.app` reads it from the arguments
    as_json, quiet = options.pop("as_json"), options.pop("quiet")
    if not server:
        return Session(as_json, quiet, "", None, None)
    base_url = options.pop("base_url") or DEFAULT_BASE_URL
    if urlsplit(base_url).path in {"", "/"}:  # the host alone
        base_url = base_url.rstrip("/") + API_PREFIX
    return Session(as_json, quiet, base_url, options.pop("token"), options.pop("token_file"))


def _output_options() -> list[click.Parameter]:
    return [
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Print no messages except errors."),
        click.Option(["--debug"], is_flag=True, help="Show the traceback of an error."),
    ]


def _server_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--base-url"],
            metavar="URL",
            envvar="GCAPI_BASE_URL",
            show_envvar=True,
            help="The API's address or host; by default that of grand-challenge.org.",
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
