"""Messages to people on standard error, which wrap at words in a terminal."""

from __future__ import annotations

import os
import sys
import textwrap
from contextlib import suppress
from typing import TextIO

import click

from gcapi._util.messages import printable_lines

_DEFAULT_WIDTH, _MIN_WIDTH = 80, 20


def tell(message: str) -> None:
    """Print a message to standard error."""
    click.echo(wrapped(printable_lines(message), sys.stderr), err=True)


def wrapped(text: str, stream: TextIO, *, indent: str = "") -> str:
    """Return a text whose lines wrap at words if the stream is a terminal; else the text as it is.

    Lines that begin with a blank, such as calls to copy, are kept.

    Args:
        text: The text.
        stream: Where it is printed.
        indent: What the second and further lines of each line begin with.
    """
    if not stream.isatty():
        return text
    lines = [
        [line] if line[:1].isspace() else _wrap(line, _width_of(stream), indent)
        for line in text.split("\n")
    ]
    return "\n".join(part for parts in lines for part in parts or [""])


def _wrap(line: str, width: int, indent: str) -> list[str]:
    return textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _width_of(stream: TextIO) -> int:
    width = 0
    with suppress(ValueError):
        width = int(os.environ.get("COLUMNS", ""))
    with suppress(OSError, ValueError):
        width = width or os.get_terminal_size(stream.fileno()).columns
    return max(width or _DEFAULT_WIDTH, _MIN_WIDTH)
