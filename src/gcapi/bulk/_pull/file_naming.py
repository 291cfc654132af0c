"""The names of pulled files: those on the server, or names by which a person traces them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from gcapi._inspect.formats import DICOM_SUFFIXES, IMAGE_SUFFIXES
from gcapi._transfer.file_names import case_folded, folder_name, full_suffix
from gcapi._workflows.outputs import OutputFile

#: Folders and images are named after the title of the case; after pks; or folders after the title, and images and files
#: by the names that they had when they were uploaded.
Names = Literal["title", "pk", "original"]

_MAX_STEM_LENGTH = 100


def named_files(
    files: Sequence[OutputFile], names: Names | None, *, title: str, original: str, is_image: bool
) -> Sequence[OutputFile]:
    """Return the files of a value with the paths that they get.

    Args:
        files: The files with their names on the server.
        names: How files are named; `None` for their names on the server.
        title: The title of the case, or its pk if it has none.
        original: The image's own name, or the name of the uploaded file; empty if it has none.
        is_image: Whether they are the files of an image.
    """
    wanted = folder_name(
        {"title": title if is_image else "", "original": original}.get(names or "", "")
    )
    suffixes = {full_suffix(target.name).lower() for _, target in files}
    # A detached header names its data file.
    if not wanted or suffixes & {".mhd", ".nhdr"}:
        return files
    if not is_image:
        return [(source, target.with_name(wanted)) for source, target in files]
    if full_suffix(wanted).lower() in {
        *IMAGE_SUFFIXES,
        *DICOM_SUFFIXES,
    }:  # most are converted by the server
        wanted = wanted[: -len(full_suffix(wanted))]
    stem = folder_name(wanted[:_MAX_STEM_LENGTH]) or "image"
    if suffixes == {".dcm"}:  # the instances are named after their UIDs
        return [(source, target.parent / stem / target.name) for source, target in files]
    return [
        (source, target.with_name(f"{stem}{full_suffix(target.name)}")) for source, target in files
    ]


def distinct_files(
    files: Sequence[OutputFile], slug: str, taken: set[str]
) -> tuple[Sequence[OutputFile], bool]:
    """Return the files of a value with paths that no other value has, and whether they had to be changed.

    Args:
        files: The files.
        slug: The socket of the value, which is appended to their names if they are taken.
        taken: The keys of the paths that other values have, to which theirs are added.
    """
    is_taken = any(_key(target) in taken for _, target in files)
    if is_taken:
        files = [(source, _with_slug(target, slug)) for source, target in files]
    taken.update(_key(target) for _, target in files)
    return files, is_taken


def _key(target: Path) -> str:
    return case_folded(str(target))


def _with_slug(target: Path, slug: str) -> Path:
    suffix = full_suffix(target.name)
    return target.with_name(f"{target.name.removesuffix(suffix)}-{slug}{suffix}")
