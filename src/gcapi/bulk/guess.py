"""Guess a manifest from a folder: a beginning to be edited, never to be pushed unseen.

*Rows.* If the folder has subfolders with files in them, each subfolder is a case and its name the title. Else each file
is one; files that differ only in their suffix (``a.mha``, ``a.json``) are one case, whose title is what they share.

*Columns.* What is in a case is told apart by the kind of file, since that is all that a name surely says: an image, a
DICOM series (files without a suffix or ending in .dcm), or another file by its suffix. Where the server has one socket
only of a kind, among those of the target if that is an algorithm, the column gets its slug; a file whose name without
suffix is a socket's slug, or the last part of its relative path, goes to that socket. Else the column is called after
the kind of file (``image``, ``dicom``, ``pdf``), and is to be renamed. A case with two images that no name tells apart
has them in ``image`` and ``image-2``, in the order of their names.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gcapi._transfer.file_names import full_suffix
from gcapi._workflows.socket_kinds import StorageKind, storage_kind
from gcapi.bulk.cells import SEPARATOR, is_wanted
from gcapi.bulk.manifest import Manifest, ManifestError, Problem, Row
from gcapi.bulk.targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from gcapi.client import Client
    from gcapi.models import ComponentInterface

#: Suffixes of images, and of files that belong to an image's header.
IMAGE_SUFFIXES = frozenset(
    (".mha", ".mhd", ".nii", ".nii.gz", ".nrrd", ".png", ".jpg", ".jpeg", ".tif", ".tiff")
) | {".ome.tif", ".ome.tiff", ".svs", ".ndpi", ".vms", ".scn", ".mrxs", ".bif"}
DATA_SUFFIXES = frozenset((".raw", ".zraw"))
DICOM_SUFFIXES = frozenset((".dcm", ".dicom", ""))
MANIFEST_NAMES = frozenset(("manifest.csv", "manifest.jsonl", "manifest.parquet"))


def guess_manifest(
    folder: Path, client: Client | None = None, target: Target | str | None = None
) -> Manifest:
    """Guess the manifest of a folder.

    Args:
        folder: What is in it, one level deep, becomes the rows.
        client: Finds sockets; `None` to call columns after the kinds of files.
        target: An algorithm whose inputs the columns are to be; of others the sockets are not known. `None` for none.

    Raises:
        ManifestError: There is nothing in the folder.
    """
    folder = folder.absolute()
    cases = _cases_of(folder)
    if not cases:
        problem = Problem(
            0, "", "there are no files", "Name a folder with a file or a subfolder a case"
        )
        raise ManifestError(f"{folder}: {problem}", problems=[problem])
    naming = _Naming(_sockets(client, None if target is None else Target.of(target)))
    rows = tuple(
        Row(line, title, cells=naming.cells(files, folder))
        for line, (title, files) in enumerate(cases.items(), start=2)
    )
    return Manifest(rows, folder)


def _cases_of(folder: Path) -> Mapping[str, Sequence[Path]]:
    """Return the files of each case, by title."""
    entries = sorted(path for path in folder.iterdir() if path.name[0] != ".")
    inside = {path.name: _files_below(path) for path in entries if path.is_dir()}
    filled = {name: files for name, files in inside.items() if files}
    if filled:
        return filled
    together: dict[str, list[Path]] = defaultdict(list)
    for path in entries:
        if is_wanted(path) and path.name not in MANIFEST_NAMES:
            together[path.name.removesuffix(full_suffix(path.name))].append(path)
    return together


def _files_below(folder: Path) -> list[Path]:
    """Return the files of a case: those in subfolders belong to it."""
    return sorted(path for path in folder.rglob("*") if is_wanted(path))


def _sockets(client: Client | None, target: Target | None) -> Sequence[ComponentInterface]:
    if client is None:
        return ()
    if target is None or target.kind != "algorithm":
        return list(client.interfaces.iterate_all())
    algorithm = client.workflows.lookup.algorithms.get(target.slug)
    inputs = {socket.slug: socket for each in algorithm.interfaces for socket in each.inputs or ()}
    return list(inputs.values())


def _kind_of(path: Path) -> str:
    """Return what a column of such files is called."""
    suffix = full_suffix(path.name).lower()
    if suffix in IMAGE_SUFFIXES or suffix in DATA_SUFFIXES:
        return "image"
    return "dicom" if suffix in DICOM_SUFFIXES else suffix.removeprefix(".")


class _Naming:
    """Tell which column a file belongs to.

    Args:
        sockets: Those that columns may be named after.
    """

    def __init__(self, sockets: Iterable[ComponentInterface]) -> None:
        self._by_name: dict[str, ComponentInterface] = {}
        of_kind: dict[str, list[str]] = defaultdict(list)
        for socket in sockets:
            self._by_name[socket.slug] = socket
            path = PurePosixPath(socket.relative_path or "")
            self._by_name.setdefault(path.stem if path.suffix else path.name, socket)
            of_kind[_column_kind(socket)].append(socket.slug)
        self._only = {kind: slugs[0] for kind, slugs in of_kind.items() if len(slugs) == 1}

    def cells(self, files: Sequence[Path], folder: Path) -> dict[str, str]:
        """Return the cells of a case."""
        groups: dict[str, list[list[Path]]] = defaultdict(list)
        for group in _groups(files):
            groups[self._column(group)].append(group)
        return {
            column if number == 1 else f"{column}-{number}": _written(group, folder)
            for column, found in groups.items()
            for number, group in enumerate(found, start=1)
        }

    def _column(self, group: Sequence[Path]) -> str:
        kind = _kind_of(group[0])
        for name in (_stem(group[0]), group[0].parent.name):
            socket = self._by_name.get(name)
            if socket is not None and _column_kind(socket) == kind:
                return socket.slug
        return self._only.get(kind, kind)


def _column_kind(socket: ComponentInterface) -> str:
    """Return the kind of files that a socket takes, as `_kind_of` names it."""
    kind = storage_kind(socket)
    if kind in {StorageKind.IMAGE, StorageKind.DICOM}:
        return "image" if kind == StorageKind.IMAGE else "dicom"
    return PurePosixPath(socket.relative_path or "").suffix.lower().removeprefix(".")


def _groups(files: Sequence[Path]) -> Iterable[list[Path]]:
    """Yield the files that make one value: a DICOM series of a folder, an image and its data, or one file."""
    together: dict[tuple[str, Path, str], list[Path]] = defaultdict(list)
    for path in files:
        kind = _kind_of(path)
        together[kind, path.parent, "" if kind == "dicom" else _stem(path) + _own(path)].append(
            path
        )
    return together.values()


def _own(path: Path) -> str:
    """Return what keeps files of one name apart: images of two formats are two, a header and its data are one."""
    suffix = full_suffix(path.name).lower()
    return "" if suffix in {".mhd", *DATA_SUFFIXES} else suffix


def _stem(path: Path) -> str:
    return path.name.removesuffix(full_suffix(path.name))


def _written(group: Sequence[Path], folder: Path) -> str:
    """Return a cell: the folder, where all of its files are meant; else the paths."""
    parent = group[0].parent
    if (
        len(group) > 1
        and parent != folder
        and sorted(group) == sorted(filter(is_wanted, parent.iterdir()))
    ):
        return parent.relative_to(folder).as_posix()
    return SEPARATOR.join(path.relative_to(folder).as_posix() for path in group)
