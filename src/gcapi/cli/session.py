"""What every command has: its common options, the client that they make, and where talk goes."""

from __future__ import annotations

import functools
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from gcapi.cli.credentials import Token
    from gcapi.cli.output import Column
    from gcapi.client import Client

#: What an option can be put on.
FC = TypeVar("FC", bound="Callable[..., Any] | click.Command")
_SERVER = ("base_url", "token", "token_file")


@dataclass(frozen=True)
class Session:
    """One run of one command.

    Attributes:
        as_json: Whether to print JSON.
        quiet: Whether to say nothing but errors on standard error.
        base_url: The API's address.
        token: As given on the command line; `None` for not at all.
        token_file: A file that holds the token; `None` for none.
    """

    as_json: bool
    quiet: bool
    base_url: str
    token: str | None
    token_file: Path | None

    def say(self, words: str) -> None:
        """Tell the user something, unless they want quiet."""
        if not self.quiet:
            from gcapi.cli.output import printable

            click.echo("\n".join(printable(line) for line in words.splitlines()), err=True)

    def show(self, document: Mapping[str, Any]) -> None:
        """Print an object."""
        from gcapi.cli.output import print_json, print_object

        (print_json if self.as_json else print_object)(document)

    def show_all(self, documents: Iterable[dict[str, Any]], columns: Sequence[Column]) -> None:
        """Print a list of objects.

        Args:
            documents: Printed as they come.
            columns: What a table shows of them.
        """
        from gcapi.cli.output import print_json_lines, print_table

        if self.as_json:
            print_json_lines(documents)
        else:
            print_table(documents, columns)

    def find_token(self) -> Token:
        """Return the token, and where it was found.

        Raises:
            NoToken: There is none.
        """
        from gcapi.cli.credentials import find_token

        return find_token(self.base_url, argument=self.token, file=self.token_file)

    def client(self, *, progress: bool = False) -> Client:
        """Make a client; the caller closes it.

        Args:
            progress: Whether the user wants to see how far single files have come.
        """
        return self.client_with(self.find_token(), progress=progress)

    def client_with(self, token: Token, *, progress: bool = False) -> Client:
        """Make a client with a token that was found; the caller closes it.

        Args:
            token: The token.
            progress: Whether the user wants to see how far single files have come.
        """
        from gcapi.client import Client

        return Client(token.value, self.base_url, progress=progress and not self.quiet)

    @contextmanager
    def warnings_as_talk(self) -> Generator[None]:
        """Say warnings, such as those of limits that are waited for, in place of Python's own form of them."""
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            warnings.showwarning = self._say_warning
            yield

    def _say_warning(self, message: Warning | str, *_: object, **__: object) -> None:
        self.say(f"gcapi: note: {message}")


def _make_session(options: dict[str, Any], *, server: bool) -> Session:
    """Take the common options out of those of a command."""
    options.pop("debug")  # the program looks for it before anything is parsed
    given: dict[str, Any] = (
        {name: options.pop(name) for name in _SERVER} if server else dict.fromkeys(_SERVER)
    )
    given["base_url"] = _with_path(given["base_url"] or _default_base_url()) if server else ""
    return Session(options.pop("as_json"), options.pop("quiet"), **given)


def _default_base_url() -> str:
    from gcapi._http.urls import DEFAULT_BASE_URL

    return DEFAULT_BASE_URL


def _with_path(base_url: str) -> str:
    """Return the API's address of a server that was named by its host alone."""
    from urllib.parse import urlsplit

    from gcapi._http.urls import API_PREFIX

    is_host = urlsplit(base_url).path in {"", "/"}
    return base_url.rstrip("/") + API_PREFIX if is_host else base_url


def command(
    group: click.Group | None = None, name: str | None = None, *, server: bool = True
) -> Callable[[Callable[..., int | None]], click.Command]:
    """Make a function a command with the common options; it is given a `Session` and returns its exit code, if not 0.

    Args:
        group: What the command belongs to; `None` for none.
        name: What it is called; `None` for the function's name.
        server: Whether it talks to a server.
    """

    def decorate(function: Callable[..., int | None]) -> click.Command:
        @functools.wraps(function)
        def run(**options: Any) -> int | None:
            session = _make_session(options, server=server)
            with session.warnings_as_talk():
                return function(session, **options)

        made = click.command(name or function.__name__.replace("_", "-"))(run)
        made.params += [*(_server_options() if server else ()), *_local_options()]
        if group is not None:
            group.add_command(made)
        return made

    return decorate


def workers_option(default: int) -> Callable[[FC], FC]:
    """Return the option that says how many cases are worked on at once."""
    return click.option(
        "--workers",
        type=click.IntRange(min=1),
        default=default,
        show_default=True,
        help="So many cases at once.",
    )


def _local_options() -> list[click.Parameter]:
    return [
        click.Option(["--json", "as_json"], is_flag=True, help="Print JSON."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Say nothing but errors."),
        click.Option(["--debug"], is_flag=True, help="Show where an error came from."),
    ]


def _server_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--base-url"],
            metavar="URL",
            envvar="GCAPI_BASE_URL",
            show_envvar=True,
            help="Another server than grand-challenge.org.",
        ),
        click.Option(
            ["--token-file"],
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="A file whose first line is the token.",
        ),
        click.Option(
            ["--token"],
            metavar="TOKEN",
            help="'-' reads the token from standard input. A token itself is seen by all who may list this machine's"
            " processes.",
        ),
    ]
