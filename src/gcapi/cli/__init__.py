"""The command line ``gcapi``: parse options, call the library, print the result.

Data goes to standard output; progress, notes and errors go to standard error. This package does not contain logic that
a Python user would need: that belongs in the library.

It uses click (extra ``[cli]``), a pure-Python package without dependencies that completes in bash, zsh and fish.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

_MISSING_CLICK = (
    "gcapi: the command line needs click: pip install '.[cli]' in a checkout of gcapi.\n"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    Args:
        arguments: The arguments after the program's name; `None` for those of this process.
    """
    try:
        from gcapi.cli import app
    except ImportError as error:
        if error.name == "click":
            sys.stderr.write(_MISSING_CLICK)
        elif error.name == "gcapi":  # two releases are installed over each other
            sys.stderr.write(f"gcapi: {error}\n")
        else:
            raise
        return 2
    return app.run_program(sys.argv[1:] if arguments is None else list(arguments))
