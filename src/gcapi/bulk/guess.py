"""Guess a manifest from a folder: a draft to edit, never to be pushed unseen.

*Rows.* If the folder has subfolders with files, each subfolder is a case, and its name is the title. Otherwise each
file is a case; files that differ only in their suffix (``a.mha``, ``a.json``) are one case, titled with their common
name.

*Columns.* Files are distinguished by what their suffix says: an image, a DICOM series (files without a suffix or ending
in .dcm), or another kind of file. If the server has only one socket for a kind of file (for an algorithm, among its
inputs), the column gets its slug. A file goes to the socket whose slug, or whose relative path, has the file's name
without suffix. Otherwise the column is called after the kind of file (``image``, ``dicom``, ``pdf``), to be renamed. If
a case has two images that no name distinguishes, they go to ``image`` and ``image-2``, in the order of their names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from gcapi import models
from gcapi._inspect.socket_kinds import StorageKind, storage_kind
from gcapi._transfer.file_names import full_suffix
from gcapi.bulk.cells import SEPARATOR, is_user_file
from gcapi.bulk.manifest import Manifest, Problem, Row, manifest_error
from gcapi.bulk.targets import Target
from gcapi.client import Client

#: Suffixes of images, and of the data files that belong to an image's header.
IMAGE_SUFFIXES = frozenset(
    (".mha", ".mhd", ".nii", ".nii.gz", ".nrrd", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
) | {".ome.tif", ".ome.tiff", ".svs", ".ndpi", ".vms", ".scn", ".mrxs", ".bif"}
DATA_SUFFIXES = frozenset((".raw", ".zraw"))
DICOM_SUFFIXES = frozenset((".dcm", ".dicom", ""))
MANIFEST_NAMES = frozenset(("manifest.csv", "manifest.jsonl", "manifest.parquet"))


def guess_manifest(
    folder: Path, client: Client | None = None, target: Target | str | None = None
) -> Manifest:
    """Guess the manifest of a folder, in time proportional to the number of files in it.

    Args:
        folder: The folder; its entries become the rows.
        client: Finds sockets; `None` to name columns after the kinds of files.
        target: An algorithm whose inputs are the columns; the sockets of other targets are unknown. `None` for none.

    Raises:
        ManifestError: The folder has no files.
    """
    folder = folder.absolute()
    cases = _files_by_title(folder)
    if not cases:
        fix = "Name a folder with one file or one subfolder per case"
        raise manifest_error(folder, Problem(0, "", "there are no files", fix))
    naming = _ColumnNaming(_sockets(client, target))
    rows = tuple(
        Row(line, title, cells=naming.cells(files, folder))
        for line, (title, files) in enumerate(cases.items(), start=2)
    )
    return Manifest(rows, folder)


def _files_by_title(folder: Path) -> Mapping[str, Sequence[Path]]:
    entries = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    in_folders = {
        entry.name: sorted(path for path in entry.rglob("*") if is_user_file(path))
        for entry in entries
        if entry.is_dir()
    }
    filled = {name: files for name, files in in_folders.items() if files}
    if filled:
        return filled
    same_stem: dict[str, list[Path]] = defaultdict(list)
    for path in entries:
        if is_user_file(path) and path.name not in MANIFEST_NAMES:
            same_stem[_stem(path)].append(path)
    return same_stem


def _sockets(
    client: Client | None, target: Target | str | None
) -> Iterable[models.ComponentInterface]:
    """Return the sockets that columns may be named after."""
    goal = None if target is None else Target.of(target)
    if client is None:
        return ()
    if goal is None or goal.kind != "algorithm":
        return client.interfaces.iterate_all()
    algorithm = client.workflows.lookup.algorithms.get(goal.slug)
    return [socket for each in algorithm.interfaces for socket in each.inputs or ()]


def _stem(path: Path) -> str:
    return path.name.removesuffix(full_suffix(path.name))


def _file_kind(path: Path) -> str:
    suffix = full_suffix(path.name).lower()
    if suffix in IMAGE_SUFFIXES or suffix in DATA_SUFFIXES:
        return "image"
    return "dicom" if suffix in DICOM_SUFFIXES else suffix.removeprefix(".")


def _file_kind_of_socket(socket: models.ComponentInterface) -> str:
    """Return the kind of files that a socket takes, as `_file_kind` names it."""
    kind = storage_kind(socket)
    if kind in {StorageKind.IMAGE, StorageKind.DICOM}:
        return "image" if kind == StorageKind.IMAGE else "dicom"
    return PurePosixPath(socket.relative_path or "").suffix.lower().removeprefix(".")


class _ColumnNaming:
    """Chooses the columns of files.

    Args:
        sockets: The sockets that columns may be named after.
    """

    def __init__(self, sockets: Iterable[models.ComponentInterface]) -> None:
        #: The slug of each socket by its name, or that of its file, and its kind of files.
        self._slugs: dict[tuple[str, str], str] = {}
        of_kind: dict[str, set[str]] = defaultdict(set)
        for socket in sockets:
            kind = _file_kind_of_socket(socket)
            self._slugs[socket.slug, kind] = socket.slug
            stem = PurePosixPath(socket.relative_path or "").stem
            self._slugs.setdefault((stem, kind), socket.slug)
            of_kind[kind].add(socket.slug)
        self._only_slug = {kind: min(slugs) for kind, slugs in of_kind.items() if len(slugs) == 1}

    def cells(self, files: Sequence[Path], folder: Path) -> dict[str, str]:
        """Return the cells of a case.

        Args:
            files: All files of the case.
            folder: The folder of the manifest.
        """
        by_column: dict[str, list[list[Path]]] = defaultdict(list)
        for group in _groups(files):
            by_column[self._column(group[0])].append(group)
        siblings = Counter(path.parent for path in files)
        return {
            column if number == 1 else f"{column}-{number}": _group_cell(group, folder, siblings)
            for column, groups in by_column.items()
            for number, group in enumerate(groups, start=1)
        }

    def _column(self, path: Path) -> str:
        kind = _file_kind(path)
        fallback = self._slugs.get((path.parent.name, kind), self._only_slug.get(kind, kind))
        return self._slugs.get((_stem(path), kind), fallback)


def _groups(files: Sequence[Path]) -> Iterable[list[Path]]:
    """Return the files that make one value: a DICOM series in a folder, an image with its data file, or one file."""
    groups: dict[tuple[str, Path, str], list[Path]] = defaultdict(list)
    for path in files:
        kind = _file_kind(path)
        suffix = full_suffix(path.name).lower()
        # A header and its data file belong together; images of two formats do not.
        name = _stem(path) + ("" if suffix in {".mhd", *DATA_SUFFIXES} else suffix)
        groups[kind, path.parent, "" if kind == "dicom" else name].append(path)
    return groups.values()


def _group_cell(group: Sequence[Path], folder: Path, siblings: Mapping[Path, int]) -> str:
    """Return the directory if the group is all of its files, else the paths."""
    parent = group[0].parent
    if 1 < len(group) == siblings[parent] and parent != folder:
        return parent.relative_to(folder).as_posix()
    return SEPARATOR.join(path.relative_to(folder).as_posix() for path in group)
