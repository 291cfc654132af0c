"""The limits for the cells of a pulled manifest when it is pushed.

A server chooses the values that a pull writes into cells, and the kind of each socket when the manifest is pushed. So
the text of a String must not become the path of a file to upload because the server calls the socket an image by then.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from gcapi import models
from gcapi.bulk._pull.case_folders import INDEX
from gcapi.bulk._pull.json_lines import invalid_file
from gcapi.bulk._pull.pulled_manifest import KINDS, PK, SOURCE, object_note
from gcapi.bulk.cells import CellError
from gcapi.bulk.manifest import Manifest


class PulledCells:
    """The limits for the cells of a pulled manifest.

    Args:
        folder: The folder of the manifest.
        kinds: The kind of each socket when its values were pulled.
    """

    def __init__(self, folder: Path, kinds: Mapping[str, set[str]]) -> None:
        self._folder = os.path.abspath(folder)  # noqa: PTH100 - without "..", and without following links
        self._kinds = kinds

    @classmethod
    def of(cls, manifest: Manifest) -> Self | None:
        """Return the limits for a manifest that a pull wrote, as its notes or the index beside it show; else `None`.

        Raises:
            PulledFolderError: The notes are damaged.
        """
        kinds: dict[str, set[str]] = {}
        has_mark = (manifest.folder / INDEX).exists()
        for row in manifest.rows:
            has_mark = has_mark or not row.notes.keys().isdisjoint({PK, SOURCE, KINDS})
            try:
                found: dict[str, Any] = object_note(row, KINDS)
            except ValueError as error:
                raise invalid_file(manifest.path or manifest.folder) from error
            for slug, kind in found.items():
                kinds.setdefault(slug, set()).add(str(kind).casefold())
        return cls(manifest.folder, kinds) if has_mark else None

    def check_kind(self, socket: models.ComponentInterface) -> None:
        """Check that a socket has the kind that it had when its values were pulled.

        Raises:
            CellError: It has another kind.
        """
        recorded = self._kinds.get(socket.slug, set())
        if recorded - {socket.kind.casefold()}:
            kinds = ", ".join(sorted(recorded))
            what = (
                f"the values were pulled from a socket of kind {kinds}, and it is {socket.kind} now"
            )
            raise CellError(what=what, fix="Pull again, or use a socket of the same kind")

    def check_paths(self, paths: Iterable[Path]) -> None:
        """Check that the files of a cell are in the folder.

        Raises:
            CellError: One is not.
        """
        for path in paths:
            if not Path(os.path.abspath(path)).is_relative_to(self._folder):  # noqa: PTH100 - as above
                what = f"{path} is outside the pulled folder {self._folder}, so a server may have named it"
                fix = "Copy the file into the folder, or write a manifest of your own in another folder"
                raise CellError(what=what, fix=fix)
