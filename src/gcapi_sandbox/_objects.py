"""Files of the storage origin: what is kept under which key."""

from __future__ import annotations

import hashlib
import mimetypes
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gcapi_sandbox._records import Part, StoredObject, Upload, Use

if TYPE_CHECKING:
    from pathlib import Path

    from gcapi_sandbox._state import State


@dataclass(frozen=True)
class Staged:
    """A file that is about to be stored, measured beforehand so that storing is quick."""

    path: Path
    etag: str

    @classmethod
    def measure(cls, path: Path) -> Staged:
        """Compute the ETag of a file: its quoted MD5."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return cls(path, f'"{digest.hexdigest()}"')


def store(state: State, key: str, staged: Staged) -> None:
    """Move a file to its key."""
    target = state.objects / key
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(staged.path, target)
    content_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
    state.store.delete(StoredObject, "pk = ?", key)
    state.store.add(StoredObject(pk=key, etag=staged.etag, content_type=content_type))


def valid_name(filename: str) -> str:
    """Make a file name fit for a URL, as the server does."""
    return re.sub(r"[^-\w.]", "", filename.strip().replace(" ", "_")) or "file"


def part_file(state: State, upload: str, number: int) -> Path:
    """Return where a part of an upload is kept."""
    return state.parts / upload / f"{number:05}"


def assemble(state: State, upload: Upload, target: Path) -> None:
    """Write the bytes of a completed upload to a file."""
    with target.open("wb") as out:
        for number in upload.parts:
            with part_file(state, upload.pk, number).open("rb") as part:
                shutil.copyfileobj(part, out, 1024 * 1024)


def claim(state: State, uploads: list[str], task: int) -> None:
    """Note that a task works on uploads; notes of tasks that are done go."""
    with state.store.transaction():
        state.store.delete(Use, "task NOT IN (SELECT pk FROM Task)")
        for pk in uploads:
            state.store.add(Use(upload=pk, task=task))


def is_claimed(state: State, upload: str) -> bool:
    """Tell whether a task works on an upload."""
    return bool(state.store.rows(Use, "upload = ? AND task IN (SELECT pk FROM Task)", upload))


def discard(state: State, uploads: list[str]) -> None:
    """Delete uploads with their parts."""
    for pk in uploads:
        state.store.delete(Upload, "pk = ?", pk)
        state.store.delete(Use, "upload = ?", pk)
        forget_parts(state, pk)


def forget_parts(state: State, upload: str) -> None:
    """Delete the parts of an upload."""
    state.store.delete(Part, "upload = ?", upload)
    shutil.rmtree(state.parts / upload, ignore_errors=True)
