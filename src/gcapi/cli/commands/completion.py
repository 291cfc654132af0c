"""``completion``."""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

from gcapi.cli.app import COMPLETE_VARIABLE, PROGRAM, app
from gcapi.cli.output import print_json, write
from gcapi.cli.session import Session, command

_INSTRUCTIONS = {
    "bash": 'Add to ~/.bashrc: eval "$(gcapi completion bash)"',
    "zsh": 'Add to ~/.zshrc: eval "$(gcapi completion zsh)"',
    "fish": "Run: gcapi completion fish > ~/.config/fish/completions/gcapi.fish",
}


@command(server=False)
@click.argument("shell", type=click.Choice(list(_INSTRUCTIONS)))
def completion(session: Session, *, shell: str) -> None:
    """Print the completion script for a shell."""
    completer = get_completion_class(shell)
    assert completer is not None
    script = completer(app, {}, PROGRAM, COMPLETE_VARIABLE).source()
    if shell == "bash":
        # Otherwise bash takes the colon of archive:SLUG for the end of a word.
        script += "COMP_WORDBREAKS=${COMP_WORDBREAKS//:}\n"
    if sys.stdout.isatty():
        session.say(_INSTRUCTIONS[shell])
    if session.as_json:
        print_json({"shell": shell, "script": script})
    else:
        write(script)
