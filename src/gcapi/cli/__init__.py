"""The command line ``gcapi``: parse, call, print. Data goes to standard output, talk to standard error.

It is made with click (extra ``[cli]``): one package of pure Python without dependencies of its own, imported in 0.04 s,
maintained since 2014 by the people of Flask, with completion for bash, zsh and fish. Of the others, argparse has no
completion, and needs more code for as many commands; typer needs four packages more, to read
options off annotations.

A start must not be felt: this module imports nothing, the modules of the commands load no more than click, and the
command that runs imports the client, and with it the HTTP library.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_INSTALL = "gcapi: the command line needs its extra: pip install '.[cli]' in a checkout of gcapi\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: What follows the program's name; `None` for what this process was started with.
    """
    try:
        from gcapi.cli import app
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.stderr.write(_INSTALL)
        return 2
    return app.run(sys.argv[1:] if arguments is None else list(arguments))
