"""Inspection of files that are no images: JSON, text, PDF and others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gcapi import models
from gcapi._inspect.formats import Format, read_head
from gcapi.findings import Finding


def inspect_file(files: Sequence[Path], _: models.ComponentInterface, _deep: bool) -> list[Finding]:
    """Return the findings about the file of one value; see `inspect_files`."""
    return [
        Finding("error", "the file is empty", "Copy or export it again", path)
        for path in files
        if read_head(path).format == Format.EMPTY
    ]
