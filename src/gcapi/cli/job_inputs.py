"""The inputs of a job as the command line has them: ``socket=…``, and after it what a cell of a manifest has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcapi.bulk.cells import Cell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcapi.client import Client
    from gcapi.sockets import SocketValueSpec


def specs_of(client: Client, inputs: Sequence[str]) -> list[SocketValueSpec]:
    """Return what the inputs say; a socket that is given several times has several files.

    Raises:
        click.UsageError: One has no socket.
        ObjectNotFound: There is no such socket.
        SpecError: One says nothing that can be done.
    """
    given: dict[str, list[str]] = {}
    for one in inputs:
        slug, separator, text = one.partition("=")
        if not (slug and separator):
            raise click.UsageError(f"--input {one!r} must be SOCKET=…")
        given.setdefault(slug, []).append(text)
    return [_spec(client, slug, texts) for slug, texts in given.items()]


def _spec(client: Client, slug: str, texts: list[str]) -> SocketValueSpec:
    # Of the library's own look-up: a miss lists near names.
    socket = client.workflows.lookup.socket(slug)
    content = texts[0] if len(texts) == 1 else texts
    # A DICOM image set needs a name, and takes that of its first file or folder.
    return Cell(socket, content, Path()).spec(Path(texts[0]).name or slug)
