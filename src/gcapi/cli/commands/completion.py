"""``completion``: what makes a shell complete commands and options."""

from __future__ import annotations

import sys

import click

from gcapi.cli.output import print_json, write
from gcapi.cli.session import Session, command

_HOW = {
    "bash": 'In ~/.bashrc: eval "$(gcapi completion bash)"',
    "zsh": 'In ~/.zshrc: eval "$(gcapi completion zsh)"',
    "fish": "gcapi completion fish > ~/.config/fish/completions/gcapi.fish",
}


@command(server=False)
@click.argument("shell", type=click.Choice(list(_HOW)))
def completion(session: Session, *, shell: str) -> None:
    """Print what makes a shell complete commands."""
    from click.shell_completion import get_completion_class

    from gcapi.cli.app import COMPLETE_VARIABLE, PROGRAM, app

    completer = get_completion_class(shell)
    assert completer is not None
    script = completer(app, {}, PROGRAM, COMPLETE_VARIABLE).source()
    if sys.stdout.isatty():
        session.say(_HOW[shell])
    if session.as_json:
        print_json({"shell": shell, "script": script})
    else:
        write(script)
