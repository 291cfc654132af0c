"""The commands by name, and one run of the program: from arguments to an exit code, whatever happens on the way."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "gcapi"
#: How a shell asks for completions: click's convention.
COMPLETE_VARIABLE = "_GCAPI_COMPLETE"
#: Where each command is, in the order of the help.
_COMMANDS = {
    "login": "account:login",
    "whoami": "account:whoami",
    "logout": "account:logout",
    "archives": "objects:archives",
    "studies": "objects:studies",
    "algorithms": "objects:algorithms",
    "images": "objects:images",
    "sockets": "objects:sockets",
    "jobs": "jobs:jobs",
    "run": "jobs:run",
    "manifest": "manifests:manifest",
    "push": "push:push",
    "pull": "pull:pull",
    "verify": "pull:verify",
    "diff": "pull:diff",
    "uploads": "uploads:uploads",
    "api": "api:api",
    "doctor": "doctor:doctor",
    "sandbox": "sandbox:sandbox",
    "completion": "completion:completion",
}
#: As shells report a program that a signal ended: 128 and the signal's number.
INTERRUPTED, PIPE_CLOSED = 130, 141


class Commands(click.Group):
    """The commands, each imported when it is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; `None` if there is none of this name."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"gcapi.cli.commands.{module}"), name)
        return command


def _print_version(ctx: click.Context, _: click.Parameter, is_wanted: bool) -> None:
    if is_wanted and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"gcapi {version('gcapi')}")
        ctx.exit()


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 not found or no access, 4 invalid input, 5 temporary (run it"
    " again), 6 part failed, 7 a limit of the server, 8 authentication, 130 interrupted.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def app() -> None:
    """Work with Grand Challenge: cases up, jobs run, results home.

    Data goes to standard output and talk to standard error. Options follow their command; each command has --help,
    --json and -q. Begin with "gcapi login".
    """


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    _make_safe(sys.stdout)
    _make_safe(sys.stderr)
    try:
        code = _ended(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
        return PIPE_CLOSED
    return code


def _ended(arguments: Sequence[str]) -> int:
    """Run a command line, tell what went wrong, and return the exit code.

    Raises:
        BrokenPipeError: Nobody reads what is printed or told.
    """
    try:
        return _run(arguments)
    except click.exceptions.Exit as wanted:
        return wanted.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        raise
    except KeyboardInterrupt as error:
        click.echo(" ".join(["gcapi: interrupted.", *getattr(error, "__notes__", [])]), err=True)
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the end of the program: every error has its words and its code
        from gcapi.cli.exit_codes import report

        # Looked for here, since parsing may be what failed.
        return report(error, debug="--debug" in arguments)


def _run(arguments: Sequence[str]) -> int:
    if COMPLETE_VARIABLE in os.environ:
        from click.shell_completion import shell_complete

        return shell_complete(app, {}, PROGRAM, COMPLETE_VARIABLE, os.environ[COMPLETE_VARIABLE])
    with app.make_context(PROGRAM, list(arguments)) as context:
        return app.invoke(context) or 0


def _make_safe(stream: TextIO) -> None:
    """Let a stream take every character: what its encoding does not have is written as an escape."""
    # What a test or an editor has put in the stream's place may have no such setting.
    with contextlib.suppress(AttributeError):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]


def _discard_output() -> None:
    """Let the interpreter's last flush go nowhere, since nobody reads any more."""
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(null, stream.fileno())
