"""Files of the storage origin: what is kept under which key.

A file is in its place before the record of it is committed, and is removed after the deletion of its record is: so a
crash may leave a file without a record, which the next start removes, but never a record without its file.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Part, StoredObject, Upload, Use

if TYPE_CHECKING:
    from gcapi_sandbox._database.state import State


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
    if (
        staged.path.is_symlink()
    ):  # an algorithm may leave a link to what is its own, or not there for long
        shutil.copyfile(staged.path, target)
    else:
        shutil.move(staged.path, target)
    content_type = mimetypes.guess_type(key)[0] or "application/octet-stream"
    state.store.delete(StoredObject, "pk = ?", key)
    state.store.add(StoredObject(pk=key, etag=staged.etag, content_type=content_type))


def valid_name(filename: str) -> str:
    """Make a file name fit for a URL, as the server does."""
    return re.sub(r"[^-\w.]", "", filename.strip().replace(" ", "_")) or "file"


def part_file(state: State, part: Part) -> Path:
    """Return where a part of an upload is kept; another content of it has another place."""
    digest = part.etag.strip('"')
    return state.parts / part.upload / f"{part.number:05}-{digest}"


def assemble(state: State, upload: Upload, target: Path) -> None:
    """Write the bytes of a completed upload to a file."""
    stored = {part.number: part for part in state.store.rows(Part, "upload = ?", upload.pk)}
    with target.open("wb") as out:
        for number in upload.parts:
            with part_file(state, stored[number]).open("rb") as part:
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
    folder = state.parts / upload
    state.store.after_commit(partial(shutil.rmtree, folder, ignore_errors=True))


def keep_part(state: State, part: Part, source: Path) -> None:
    """Move a file to the place of a part; what was uploaded as this part before is replaced."""
    target = part_file(state, part)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    for former in state.store.rows(Part, "upload = ? AND number = ?", part.upload, part.number):
        state.store.delete(Part, "pk = ?", former.pk)
        if former.etag != part.etag:
            state.store.after_commit(partial(part_file(state, former).unlink, missing_ok=True))
    state.store.add(part)


def remove_orphans(state: State) -> None:
    """Delete the files and folders of which no record knows: what a crash left behind."""
    known = {state.objects / key for (key,) in state.store.execute("SELECT pk FROM StoredObject")}
    known |= {part_file(state, part) for part in state.store.rows(Part)}
    for root in (state.objects, state.parts):
        for folder, _, names in os.walk(root, topdown=False):
            paths = {Path(folder, name) for name in names}
            for path in paths - known:
                path.unlink()
            if Path(folder) != root and not any(Path(folder).iterdir()):
                Path(folder).rmdir()
