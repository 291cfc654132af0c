"""The messages of wrong command lines: what was meant, and where an option belongs."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from gcapi._util.near_names import did_you_mean
from gcapi.cli.messages import tell
from gcapi.cli.session import COMMON_OPTIONS


def show_usage_error(error: click.ClickException, arguments: Sequence[str]) -> None:
    """Print how a command is used, and what is wrong with its command line.

    Args:
        error: The error.
        arguments: The command line.
    """
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
        return
    if context is not None:
        tell(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n")
    tell(f"Error: {_message(error, context, arguments)}")


def _message(
    error: click.ClickException, context: click.Context | None, arguments: Sequence[str]
) -> str:
    group = context.command if context else None
    if isinstance(error, click.NoSuchOption) and context is not None:
        name = error.option_name
        if isinstance(group, click.Group) and name in _common_options():
            return f"{name} belongs after the command: {_with_options_last(arguments)}"
        known = [option for param in context.command.params for option in param.opts]
        return f"No such option '{name}'. {did_you_mean(name, known)}".rstrip()
    message = error.format_message()
    unknown = re.match(r"No such command '(.*?)'\.", message)
    if unknown and isinstance(group, click.Group) and context is not None:
        near = did_you_mean(unknown[1], group.list_commands(context))
        return f"{unknown[0]} {near}".rstrip()
    choice = isinstance(error, click.BadParameter) and error.param and error.param.type
    wrong = re.search(r"'([^']*)' is not one of ", message)
    if wrong and isinstance(choice, click.Choice):
        message = f"{message} {did_you_mean(wrong[1], map(str, choice.choices))}".rstrip()
    return message


def _common_options() -> dict[str, click.Option]:
    return {name: option for option in COMMON_OPTIONS for name in option.opts}


def _with_options_last(arguments: Sequence[str]) -> str:
    """Return a command line with its common options at the end, without their values, which may be secret."""
    options = _common_options()
    front: list[str] = []
    back: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        name, separator, _ = argument.partition("=")
        option = options.get(name)
        if option is None:
            front.append(argument)
        elif option.is_flag or option.count:
            back.append(name)
        else:
            back.append(f"{name} {option.metavar}")
            if not separator:
                next(rest, None)
    return " ".join(["gcapi", *front, *back])
