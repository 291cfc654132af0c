"""The files of the storage origin: objects by key, and the parts of uploads.

A file is moved to its place before its record is committed, and removed after the deletion of its record is committed.
A crash may therefore leave a file without a record, which the next start removes, but never a record without its file.
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

from gcapi_sandbox._database.records import Part, StoredObject, Upload, UploadClaim

if TYPE_CHECKING:
    from gcapi_sandbox._state import State


@dataclass(frozen=True)
class StagedFile:
    """A file to store, with its ETag computed in advance so that the transaction is short."""

    path: Path
    etag: str

    @classmethod
    def create(cls, path: Path) -> StagedFile:
        """Compute the ETag of a file, its quoted MD5."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        return cls(path, f'"{digest.hexdigest()}"')


def store_object(state: State, key: str, staged: StagedFile) -> None:
    """Move a file to its key."""
    target = state.objects / key
    target.parent.mkdir(parents=True, exist_ok=True)
    if staged.path.is_symlink():  # an algorithm's output may link to its own or temporary files
        shutil.copyfile(staged.path, target)
    else:
        shutil.move(staged.path, target)
    moment = state.clock.timestamp()
    os.utime(target, (moment, moment))  # the `Last-Modified` of its downloads
    guessed = mimetypes.guess_type(key)[0] or "application/octet-stream"
    # The server looks at the bytes, and takes a table for text.
    content_type = "text/plain" if guessed == "text/csv" else guessed
    state.store.delete(StoredObject, "pk = ?", key)
    state.store.add(StoredObject(pk=key, etag=staged.etag, content_type=content_type))


def url_safe_name(filename: str) -> str:
    """Return a file name without characters that are unsafe in URLs, as the server does."""
    return re.sub(r"[^-\w.]", "", filename.strip().replace(" ", "_")) or "file"


def part_path(state: State, part: Part) -> Path:
    """Return the path of a part, which depends on its content."""
    digest = part.etag.strip('"')
    return state.parts / part.upload / f"{part.number:05}-{digest}"


def assemble(state: State, upload: Upload, target: Path) -> None:
    """Write the bytes of a completed upload to a file."""
    stored = {part.number: part for part in state.store.rows(Part, "upload = ?", upload.pk)}
    with target.open("wb") as out:
        for number in upload.parts:
            with part_path(state, stored[number]).open("rb") as part:
                shutil.copyfileobj(part, out, 1024 * 1024)


def claim(state: State, uploads: list[str], task: int) -> None:
    """Claim uploads for a task, and remove the claims of finished tasks."""
    with state.store.transaction():
        state.store.delete(UploadClaim, "task NOT IN (SELECT pk FROM Task)")
        for pk in uploads:
            state.store.add(UploadClaim(upload=pk, task=task))


def is_claimed(state: State, upload: str) -> bool:
    """Return whether a task has claimed an upload."""
    return bool(
        state.store.rows(UploadClaim, "upload = ? AND task IN (SELECT pk FROM Task)", upload)
    )


def delete_uploads(state: State, uploads: list[str]) -> None:
    """Delete uploads and their parts."""
    for pk in uploads:
        state.store.delete(Upload, "pk = ?", pk)
        state.store.delete(UploadClaim, "upload = ?", pk)
        delete_parts(state, pk)


def delete_parts(state: State, upload: str) -> None:
    """Delete the parts of an upload."""
    state.store.delete(Part, "upload = ?", upload)
    folder = state.parts / upload
    state.store.after_commit(partial(shutil.rmtree, folder, ignore_errors=True))


def store_part(state: State, part: Part, source: Path) -> None:
    """Store a file as a part of an upload, in place of the former one."""
    target = part_path(state, part)
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    for former in state.store.rows(Part, "upload = ? AND number = ?", part.upload, part.number):
        state.store.delete(Part, "pk = ?", former.pk)
        if former.etag != part.etag:
            state.store.after_commit(partial(part_path(state, former).unlink, missing_ok=True))
    state.store.add(part)


def remove_orphans(state: State) -> None:
    """Delete the files and folders without a record, which a crash may leave."""
    known = {state.objects / key for (key,) in state.store.execute("SELECT pk FROM StoredObject")}
    known |= {part_path(state, part) for part in state.store.rows(Part)}
    for root in (state.objects, state.parts):
        for folder, _, names in os.walk(root, topdown=False):
            paths = {Path(folder, name) for name in names}
            for path in paths - known:
                path.unlink()
            if Path(folder) != root and not any(Path(folder).iterdir()):
                Path(folder).rmdir()
