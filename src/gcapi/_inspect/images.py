"""Inspection of the files of one image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from gcapi import models
from gcapi._inspect.formats import Format, Head, read_head
from gcapi.findings import Finding


def inspect_image(
    files: Sequence[Path], _: models.ComponentInterface, _deep: bool
) -> list[Finding]:
    """Return the findings about the files of one image; see `inspect_files`."""
    heads = [read_head(path) for path in files]
    return [finding for head in heads for finding in _inspect_head(head)]


def _inspect_head(head: Head) -> Iterator[Finding]:
    if head.format == Format.EMPTY:
        yield Finding("error", "the file is empty", "Copy or export it again", head.path)
