"""The pull of one case: check the files that exist, download the others, and return what to record.

It also runs on the workers of an executor. It can run again at any time, with the same result.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from gcapi._transfer.file_names import case_folded, inside
from gcapi._transfer.remote_files import RemoteFile, stored
from gcapi._util.file_digests import file_digests
from gcapi._workflows.outputs import OutputFile
from gcapi.bulk._pull.file_naming import Names, distinct_files, named_files
from gcapi.bulk._pull.file_records import (
    announce_files,
    announced_files,
    check_no_links,
    record_of_file,
    remove_partial_files,
)
from gcapi.bulk._pull.pull_index import CaseRecord, FileRecord, ValueRecord
from gcapi.bulk._pull.remote_cases import CaseValue, RemoteCase, RemoteValue, ValueKey, reload_case
from gcapi.bulk._pull.selection import EVERYTHING, Selection
from gcapi.bulk.differences import Difference, DifferenceKind
from gcapi.client import Client
from gcapi.exceptions import ObjectNotFound, StorageError, UnsafeName
from gcapi.models import HyperlinkedComponentInterfaceValue

#: What happens to a file that exists: it is kept, downloaded again, or downloaded again if it differs.
PullPolicy = Literal["skip", "overwrite", "verify"]

_DICOM = "DICOM Image Set"
_JOB_FOLDERS = {"value": "input", "output": "output"}
_NOT_FOUND = 404


@dataclass(frozen=True)
class CasePull:
    """A task that pulls a case; it can be pickled.

    Attributes:
        case: The case as it was listed.
        root: The pulled folder, which all machines that take part see under this name.
        folder: The name of the case's folder below it.
        policy: What happens to files that exist.
        known: The record of the case; `None` for none.
        selection: The values to pull; the records of others are kept.
        names: How files are named; `None` for their names on the server.
    """

    case: RemoteCase
    root: Path
    folder: str
    policy: PullPolicy
    known: CaseRecord | None
    selection: Selection = EVERYTHING
    names: Names | None = None

    def run(self, client: Client) -> PulledCase:
        """Pull the case; if a value has gone since the case was listed, reload the case once.

        Raises:
            ObjectNotFound: The case no longer exists, or you have no access to one of its values.
            FileExistsError: The policy is ``"skip"``, and a file without a record differs from the server's.
        """
        check_no_links(self.root, [inside(self.root, self.folder)])
        remove_partial_files(inside(self.root, self.folder))
        try:
            return _CasePuller(client, self).pull()
        except (ObjectNotFound, StorageError) as error:
            is_gone = isinstance(error, ObjectNotFound) or error.status_code == _NOT_FOUND
            if not is_gone or self.case.kind == "answer":
                raise
        return _CasePuller(client, replace(self, case=reload_case(client, self.case))).pull()


def are_present(root: Path, value: ValueRecord) -> bool:
    """Return whether all files of a value exist."""
    return all(inside(root, file.path).exists() for file in value.files)


@dataclass(frozen=True)
class PulledCase:
    """The result of pulling a case.

    Attributes:
        record: The record of the case.
        files: The number of files that were downloaded.
        size: Their size in bytes.
        remarks: The differences that were found and left.
        is_announced: Whether its folder has an announcement, to forget once the record is in the index.
    """

    record: CaseRecord
    files: int
    size: int
    remarks: tuple[Difference, ...]
    is_announced: bool = False


class _CasePuller:
    """The steps of pulling one case."""

    def __init__(self, client: Client, task: CasePull) -> None:
        self._outputs = client.workflows.outputs
        self._task = task
        selects = task.selection.has_socket
        self._case = task.case
        self._selected = [value for value in task.case.values if selects(value.slug)]
        self._root = task.root
        self._folder = inside(task.root, task.folder)
        known = task.known.values if task.known else ()
        self._known = {value.key: value for value in known if selects(value.slug)}
        self._unselected = [value for value in known if not selects(value.slug)]
        self._files = {file.path: file for value in self._known.values() for file in value.files}
        #: Files that a killed pull wrote; the value of some may have been replaced since.
        self._announced = announced_files(self._folder)
        self._remarks: list[Difference] = []
        #: The names that images and files have on the server.
        self._names: dict[ValueKey, str] = {}

    def pull(self) -> PulledCase:
        """Plan, download and record all values."""
        #: The files of each value, unless the value is kept as it is recorded.
        outputs = {
            value.key: self._files_of(value) for value in self._selected if not self._is_kept(value)
        }
        if self._task.names is None:
            _check_distinct(target for group in outputs.values() for _, target in group)
        else:
            outputs = self._with_distinct_names(outputs)
        wanted = [
            output
            for value in self._selected
            for output in outputs.get(value.key, ())
            if self._is_wanted(value, output)
        ]
        check_no_links(self._root, (target.parent for _, target in wanted))
        announced = self._announced | {
            self._path_of(target) for _, target in wanted if not target.exists()
        }
        if announced:
            announce_files(self._folder, announced)
        # A file that another worker has written meanwhile has the same content.
        fetched = set(self._outputs.write(wanted, existing="overwrite"))
        values = self._record_values(outputs, fetched)
        self._remove_replaced_files(values)
        record = CaseRecord(
            **self._case.details(), folder=self._task.folder, values=(*values, *self._unselected)
        )
        recorded = {file.path for value in record.values for file in value.files}
        for path in announced - recorded:
            inside(self._root, path).unlink(missing_ok=True)
        size = sum(target.stat().st_size for target in fetched)
        return PulledCase(record, len(fetched), size, tuple(self._remarks), bool(announced))

    # ------------------------------------------------------------ planning

    def _is_kept(self, value: RemoteValue) -> bool:
        """Return whether the files of a value stay as they are recorded."""
        known = self._known.get(value.key)
        if known is None or self._task.policy != "skip":
            return False
        if known.pk != value.pk:
            text = "the server has another value now; it was not downloaded"
            self._remark("changed", value, text)
            return True
        return are_present(self._root, known)

    def _files_of(self, value: RemoteValue) -> Sequence[OutputFile]:
        title = self._case.title or self._case.pk
        names = self._task.names
        if value.role == "answer":
            files = self._outputs.files_of_image(value.content["image"], self._folder)
            return named_files(files, names, title=title, original=title, is_image=True)
        is_job = self._case.kind == "algorithm"
        folder = self._folder / _JOB_FOLDERS[value.role] if is_job else self._folder
        model = HyperlinkedComponentInterfaceValue.from_dict(value.content)
        name, files = self._outputs.named_files_of_value(model, folder)
        self._names[value.key] = name
        is_image = isinstance(value.content.get("image"), str)
        return named_files(files, names, title=title, original=name, is_image=is_image)

    def _with_distinct_names(
        self, outputs: Mapping[ValueKey, Sequence[OutputFile]]
    ) -> dict[ValueKey, Sequence[OutputFile]]:
        """Return files whose paths differ from those of the other values, kept ones included."""
        others = [value for value in self._known.values() if value.key not in outputs]
        taken = {
            case_folded(str(inside(self._root, file.path)))
            for value in (*others, *self._unselected)
            for file in value.files
        }
        distinct: dict[ValueKey, Sequence[OutputFile]] = {}
        for value in self._selected:
            if value.key in outputs:
                distinct[value.key], is_renamed = distinct_files(
                    outputs[value.key], value.slug, taken
                )
                if is_renamed:
                    name = self._path_of(distinct[value.key][0][1])
                    self._remark(
                        "renamed", value, f"another value has its file's name; it is {name}"
                    )
        return distinct

    def _is_wanted(self, value: RemoteValue, output: OutputFile) -> bool:
        source, target = output
        if self._task.policy == "overwrite" or not target.exists():
            return True
        if self._task.policy == "skip" and self._path_of(target) in self._files:
            return False
        is_current = self._is_current(value, source, target)
        is_ours = self._path_of(target) in self._announced
        if self._task.policy == "skip" and not (is_current or is_ours):
            raise FileExistsError(
                f"{target} exists, and differs from the server's file. Move it away, or pass existing='verify' to"
                " replace it."
            )
        return not is_current

    def _is_current(self, value: RemoteValue, source: RemoteFile | bytes, target: Path) -> bool:
        """Return whether a file is as recorded, and as the server has it as far as its headers show."""
        if not target.is_file():
            return False
        if isinstance(source, bytes):
            return target.read_bytes() == source
        recorded = self._known.get(value.key)
        is_same_value = recorded is not None and recorded.pk == value.pk
        known = self._files.get(self._path_of(target)) if is_same_value else None
        sha256, md5 = file_digests(target, "sha256", "md5")
        if known is not None and known.sha256 != sha256:
            return False
        size, checksum = stored(source)
        if known is None and checksum is None and self._task.policy == "verify":
            return False
        return size in {None, target.stat().st_size} and checksum in {None, md5}

    # ------------------------------------------------------------ recording

    def _record_values(
        self, outputs: Mapping[ValueKey, Sequence[OutputFile]], fetched: set[Path]
    ) -> tuple[ValueRecord, ...]:
        files: dict[ValueKey, tuple[FileRecord, ...]] = {}
        for value in self._selected:
            if value.key in outputs:
                targets = [target for _, target in outputs[value.key]]
            else:
                targets = [inside(self._root, file.path) for file in self._known[value.key].files]
            files[value.key] = tuple(
                self._record_file(target, is_fetched=target in fetched) for target in targets
            )
        groups = [*files.values(), *(value.files for value in self._unselected)]
        paths = [file.path for group in groups for file in group]
        return tuple(
            replace(self._known[value.key], files=found)
            if value.key not in outputs
            else ValueRecord(
                value.role,
                value.slug,
                value.pk,
                _cell_of(value, found, paths),
                found,
                value.kind,
                self._names.get(value.key, ""),
            )
            for value in self._selected
            for found in [files[value.key]]
        )

    def _record_file(self, target: Path, *, is_fetched: bool) -> FileRecord:
        """Return the record of a file; of one that was changed here and is kept, the earlier record."""
        known = self._files.get(self._path_of(target))
        is_kept = known is not None and not is_fetched and self._task.policy != "verify"
        if known is not None and is_kept and not target.exists():
            return known
        found = record_of_file(self._root, target, known)
        if known is None or not is_kept or known.sha256 == found.sha256:
            return found
        text = "the file was changed after it was pulled; it was left unchanged"
        self._remarks.append(Difference("changed", known.path, text))
        return known

    def _remove_replaced_files(self, values: Sequence[ValueRecord]) -> None:
        """Remove the files of replaced values, and remark on values that the server no longer has."""
        kept = {file.path for value in values for file in value.files}
        present = {value.key for value in values}
        for key, known in self._known.items():
            if key not in present:
                self._remark("only here", known, "the server no longer has this value")
                continue
            for file in known.files:
                if file.path not in kept:
                    inside(self._root, file.path).unlink(missing_ok=True)

    def _path_of(self, target: Path) -> str:
        return target.relative_to(self._root).as_posix()

    def _remark(self, kind: DifferenceKind, value: CaseValue, text: str) -> None:
        subject = f"{self._task.folder}: {value.slug}"
        self._remarks.append(Difference(kind, subject, text))


def _check_distinct(targets: Iterable[Path]) -> None:
    """Raise `UnsafeName` if two values have the same path."""
    for name, count in Counter(case_folded(str(target)) for target in targets).items():
        if count > 1:
            raise UnsafeName(f"Several values of this case have the path {name!r}.")


def _cell_of(
    value: RemoteValue, files: Sequence[FileRecord], case_paths: Sequence[str]
) -> str | list[str]:
    """Return the cell of a value in a manifest.

    Args:
        value: The value.
        files: Its files.
        case_paths: The paths of all files of the case.
    """
    if value.is_inline:
        return value.as_cell()
    paths = [file.path for file in files]
    if value.kind == _DICOM and paths:
        folder = PurePosixPath(paths[0]).parent
        below = [path for path in case_paths if PurePosixPath(path).is_relative_to(folder)]
        if len(folder.parts) > 1 and len(below) == len(paths):
            return folder.as_posix()
    return paths[0] if len(paths) == 1 else paths
