"""Guess a manifest from a folder: a draft to edit, never to be pushed unseen.

*Values.* The content of files decides: the DICM mark and the SeriesInstanceUID (with pydicom, which comes with the
extra ``dicom``; without it, the DICOM files of a folder are one series), the data files that a header names, and the
marks of other formats. Suffixes decide only for files without a mark.

*Rows.* A folder with images is a case, wherever it is, and its name is the title; subfolders with names such as
``anat`` or ``ct``, or with names that several folders have, hold the parts of a case. Files in ``imagesTr`` and
``labelsTr`` are cases by their names. Of files beside the folders of cases, those of one name (``a.mha``, ``a.json``,
``a_seg.mha``) are a case, and so is each DICOM series. Several series in the folder of a case are several values.

*Columns.* A value goes to the socket that is called like its file, its folder, or its name without that of the case,
else to the only socket for its kind of files. A label that several cases have (``T1w``) names a column otherwise, and
else the kind of file does (``image``, ``image-2``).

Every file is in a row, or in the list of what was left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gcapi import models
from gcapi._inspect.series import can_read_series
from gcapi.bulk._guess.cell_texts import CellWriter
from gcapi.bulk._guess.columns import ColumnNaming
from gcapi.bulk._guess.file_groups import DICOM, group_files
from gcapi.bulk._guess.file_tree import LeftOut as LeftOut
from gcapi.bulk._guess.file_tree import LeftOutList, escaped, read_tree
from gcapi.bulk._guess.layouts import CaseFinder, FolderCase
from gcapi.bulk._pull.remote_cases import find_source, sockets_of_cases
from gcapi.bulk._tables.formats import SUFFIXES
from gcapi.bulk.manifest import Manifest, Problem, Row, manifest_error
from gcapi.bulk.targets import Target, TargetError
from gcapi.client import Client

MANIFEST_NAMES = frozenset(f"manifest{suffix}" for suffix in SUFFIXES)
#: The number of cases of a target whose sockets are looked at.
_SAMPLED_CASES = 100


@dataclass(frozen=True)
class GuessedManifest(Manifest):
    """A guessed manifest, to be reviewed.

    Attributes:
        left_out: Each file that is in no row and why, and litter such as ``.DS_Store``.
        guessed: Why a column is a guess, by its name; the other columns are sockets of the target.
        notes: Remarks about how the files were read.
    """

    left_out: tuple[LeftOut, ...] = ()
    guessed: Mapping[str, str] = field(default_factory=dict[str, str])
    notes: tuple[str, ...] = ()


def guess_manifest(
    folder: Path, client: Client | None = None, target: Target | str | None = None
) -> GuessedManifest:
    """Guess the manifest of a folder, in time proportional to the number of files in it.

    Reads the first 4 KiB of each file, and the headers of DICOM files.

    Args:
        folder: The folder.
        client: Finds sockets; `None` to name columns after the kinds of files.
        target: Where the manifest will be pushed to. The inputs of an algorithm are the columns; of an archive or a
            reader study, the sockets that its cases have come first. `None` for all sockets of the server.

    Returns:
        The rows, and what is in none of them.

    Raises:
        ManifestError: The folder has no files that make a case.
        SpecFileError: The folder cannot be listed.
        TargetError: The target has none of the three forms, or there is no client to ask for its sockets.
        ObjectNotFound: The target does not exist, or you have no access.

    Example:
        >>> guessed = guess_manifest(Path("cases"), client, "archive:my-archive")
        >>> for entry in guessed.left_out:
        ...     print(entry)
    """
    folder = folder.absolute()
    known, others = _sockets(client, target)
    left_out = LeftOutList(folder)
    tree = read_tree(folder, left_out)
    files = [path for each in tree.walk() for path in each.files]
    manifests = [path for path in tree.files if path.name in MANIFEST_NAMES]
    left_out.add_all(manifests, "it is a manifest")
    groups = group_files([path for path in files if path not in manifests], left_out)
    cases = CaseFinder(tree, groups, left_out).find()
    naming = ColumnNaming(known, others, cases)
    writer = CellWriter(folder, files, left_out)
    rows: list[Row] = []
    for case in cases:
        if cells := _cells(case, naming, writer, left_out):
            rows.append(Row(len(rows) + 2, escaped(case.title), cells=cells))
    if not rows:
        fix = "Name a folder with one file or one subfolder per case"
        found = f"; left out: {left_out.entries[0]}" if left_out.entries else ""
        raise manifest_error(folder, Problem(0, "", f"there are no files for a case{found}", fix))
    notes: list[str] = []
    if any(group.kind == DICOM for group in groups) and not can_read_series():
        notes.append(
            "pydicom is not installed, so the DICOM files of a folder were taken for one series."
            " Install the extra 'dicom' to tell series apart."
        )
    used = {column for row in rows for column in row.cells}
    guessed = {column: why for column, why in naming.guessed.items() if column in used}
    entries = tuple(sorted(left_out.entries, key=lambda entry: entry.path))
    return GuessedManifest(tuple(rows), folder, None, entries, guessed, tuple(notes))


def _cells(
    case: FolderCase, naming: ColumnNaming, writer: CellWriter, left_out: LeftOutList
) -> dict[str, str | list[str]]:
    """Return the cells of a case; files that no socket takes are left out."""
    for value in case.values:
        if not naming.takes(value):
            left_out.add_all(value.group.files, f"no socket takes a {value.group.kind} file")
    columns = naming.columns(filter(naming.takes, case.values))
    cells = {column: writer.cell(value.group.files) for column, value in columns.items()}
    return {column: cell for column, cell in cells.items() if cell is not None}


Sockets = Iterable[models.ComponentInterface]


def _sockets(client: Client | None, target: Target | str | None) -> tuple[Sockets, Sockets]:
    """Return the sockets of the target, and the others that it may take."""
    goal = None if target is None else Target.of(target)
    if client is None:
        if goal is not None:
            raise TargetError(
                f"The sockets of {goal} are on the server. Pass a client, or no target."
            )
        return (), ()
    lookup = client.workflows.lookup
    if goal is None:
        return (), list(client.interfaces.iterate_all())
    if goal.kind == "algorithm":
        algorithm = lookup.algorithms.get(goal.slug)
        return [socket for each in algorithm.interfaces for socket in each.inputs or ()], ()
    slugs = set(sockets_of_cases(client, find_source(client, goal), _SAMPLED_CASES))
    sockets = list(client.interfaces.iterate_all())
    return [socket for socket in sockets if socket.slug in slugs], sockets
