"""Inspection of files that are no images: JSON, text, PDF and others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gcapi import models
from gcapi._inspect.formats import Format, read_head
from gcapi._inspect.json_files import json_file_problem
from gcapi._inspect.socket_kinds import StorageKind, storage_kind
from gcapi.findings import Finding


def inspect_file(
    files: Sequence[Path], socket: models.ComponentInterface, _deep: bool
) -> list[Finding]:
    """Return the findings about the file of one value; see `inspect_files`."""
    (path,) = files
    head = read_head(path)
    if head.format == Format.EMPTY:
        return [Finding("error", "the file is empty", "Copy or export it again", path)]
    if storage_kind(socket) == StorageKind.JSON:
        problem = json_file_problem(path, head.size, socket.kind)
        return [Finding("error", problem, "Correct the file", path)] if problem else []
    return []
