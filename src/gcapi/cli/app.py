"""The table of commands, and the run of the program from its arguments to its exit code.

``gcapi --help`` and the completion of command names read the table alone; the module of a command is imported for its
help, the completion of its options, and its run.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Generator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from gcapi.cli.help_texts import Context
from gcapi.cli.log_messages import VERBOSE_OPTION
from gcapi.cli.messages import tell

PROGRAM = "gcapi"
#: The environment variable through which shells ask for completions, by click's convention.
COMPLETE_VARIABLE = "_GCAPI_COMPLETE"
#: The module in `gcapi.cli.commands` and the summary of each command, in the order of the help.
_COMMANDS = {
    "login": ("account", "Check an API token and store it."),
    "whoami": ("account", "Show the user, the server, and where the token is from."),
    "logout": ("account", "Remove the stored token of a server."),
    "archives": ("objects", "List and show archives."),
    "studies": ("objects", "List and show reader studies."),
    "algorithms": ("objects", "List and show algorithms."),
    "images": ("objects", "List, show and download images."),
    "sockets": ("objects", "List and show sockets."),
    "cases": ("cases", "List and show the cases of an archive, a reader study or an algorithm."),
    "jobs": ("jobs", "List, show, wait for and download algorithm jobs."),
    "run": ("run", "Start an algorithm job."),
    "manifest": ("manifest", "Create and check manifests."),
    "push": ("push", "Upload the cases or start the jobs of a manifest."),
    "pull": ("pull", "Download an archive, a reader study or an algorithm's jobs."),
    "answers": (
        "answers",
        "Print or save the answers of a reader study, without downloading its images.",
    ),
    "evaluations": ("evaluations", "Print the leaderboard of a phase of a challenge."),
    "verify": ("compare", "Compare a pulled folder with its manifest."),
    "diff": ("compare", "Compare a pulled folder's manifest with the server."),
    "uploads": ("uploads", "List, resume and abort unused uploads."),
    "api": ("api", "Call any endpoint of the API."),
    "doctor": ("doctor", "Diagnose problems with the connection to the server."),
    "sandbox": ("sandbox", "Start a local Grand Challenge for testing."),
    "completion": ("completion", "Print the completion script for a shell."),
}
#: 128 plus the number of the signal (SIGINT, SIGPIPE), as shells report it.
INTERRUPTED, PIPE_CLOSED = 130, 141


class _LazyGroup(click.Group):
    """The commands of the table, each imported when it runs."""

    context_class: type[click.Context] = Context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return what the help and completion need of a command: its summary."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        summary = _COMMANDS[cmd_name][1]
        return click.Command(cmd_name, help=summary, short_help=summary)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Import and return the command that runs."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            command = _load(f"commands.{_COMMANDS[name][0]}", name)
            assert command is not None
            command.context_class = Context
        return name, command, rest


def _load(module: str, name: str) -> Any:
    return getattr(import_module(f"gcapi.cli.{module}"), name)


@click.group(
    cls=_LazyGroup,
    params=[VERBOSE_OPTION],
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success, 1 failure, 2 usage error, 3 not found or no access, 4 invalid input, 5 temporary"
    " error (run it again), 6 partial failure or difference, 7 server limit, 8 authentication, 130 interrupted.",
)
@click.version_option(package_name="gcapi", message="%(prog)s %(version)s")
@click.option(
    "--profile", metavar="NAME", help="Use the server and the token of a profile of gcapi login."
)
def app(profile: str | None) -> None:
    """Work with Grand Challenge: upload cases, run algorithms, download results.

    Start with "gcapi login". Options follow the command; every command takes --help, --json and --quiet. Data goes to
    standard output, messages go to standard error.
    """
    del profile  # the commands read it from the context


def run_program(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    _replace_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        # Characters that the encoding lacks are escaped; a replaced stream may lack this method.
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        with _ending_signals():
            code = _exit_code(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # What the interpreter flushes at exit goes nowhere.
        null = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(null, stream.fileno())
        return PIPE_CLOSED
    return code


def _replace_closed_streams() -> None:
    """Let a stream that was closed before the start lead nowhere, so that the work is done all the same.

    The files are opened in the order of their numbers, 0 to 2: no other file can then get the number of a stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            stream = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115 - for the process
            setattr(sys, name, stream)


@contextlib.contextmanager
def _ending_signals() -> Generator[None]:
    """Let SIGTERM and SIGHUP end the program as Ctrl-C does, so that it removes its temporary files."""

    def end(number: int, _: object) -> None:
        raise KeyboardInterrupt(number)

    former: dict[int, Any] = {}
    for name in ("SIGTERM", "SIGHUP"):
        number: int | None = getattr(signal, name, None)
        # A program that runs under nohup goes on. Signals can only be set in the main thread.
        if number and signal.getsignal(number) == signal.SIG_DFL:
            with contextlib.suppress(ValueError):
                former[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _exit_code(arguments: Sequence[str]) -> int:
    """Run a command line, report its error, and return the exit code.

    Raises:
        BrokenPipeError: The reader of the output has closed it.
    """
    try:
        if COMPLETE_VARIABLE in os.environ:
            complete = import_module("click.shell_completion").shell_complete
            return int(complete(app, {}, PROGRAM, COMPLETE_VARIABLE, os.environ[COMPLETE_VARIABLE]))
        with app.make_context(PROGRAM, list(arguments)) as context:
            return app.invoke(context) or 0
    except click.exceptions.Exit as wanted:
        return wanted.exit_code
    except click.ClickException as error:
        _load("usage_errors", "show_usage_error")(error, arguments)
        return error.exit_code
    except BrokenPipeError:
        raise
    except KeyboardInterrupt as error:
        tell(" ".join(["gcapi: interrupted.", *getattr(error, "__notes__", [])]))
        return INTERRUPTED if not error.args else 128 + error.args[0]
    except Exception as error:  # noqa: BLE001 - each error has its exit code
        # --debug is read here because parsing may be what failed.
        return int(_load("error_reports", "report_error")(error, debug="--debug" in arguments))
