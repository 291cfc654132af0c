"""The pull of one case: check the files that exist, download the others, and return what to record.

It also runs on the workers of an executor. It can run again at any time, with the same result.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from gcapi._transfer.file_names import case_folded, inside
from gcapi._transfer.remote_files import stored
from gcapi.bulk._pull.file_records import record_of_file, remove_partial_files, sha256_and_md5
from gcapi.bulk._pull.pull_index import CaseRecord, ValueRecord
from gcapi.bulk._pull.remote_cases import reload_case
from gcapi.bulk.differences import Difference
from gcapi.exceptions import ObjectNotFound, StorageError, UnsafeName
from gcapi.models import HyperlinkedComponentInterfaceValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gcapi._transfer.remote_files import RemoteFile
    from gcapi._workflows.outputs import OutputFile
    from gcapi.bulk._pull.pull_index import FileRecord
    from gcapi.bulk._pull.remote_cases import RemoteCase, RemoteValue
    from gcapi.client import Client

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
    """

    case: RemoteCase
    root: Path
    folder: str
    policy: PullPolicy
    known: CaseRecord | None

    def run(self, client: Client) -> PulledCase:
        """Pull the case; if a value has gone since the case was listed, reload the case once.

        Raises:
            ObjectNotFound: The case no longer exists, or you have no access to one of its values.
            FileExistsError: The policy is ``"skip"``, and a file without a record differs from the server's.
        """
        remove_partial_files(inside(self.root, self.folder))
        try:
            return _CasePuller(client, self).pull()
        except (ObjectNotFound, StorageError) as error:
            is_gone = isinstance(error, ObjectNotFound) or error.status_code == _NOT_FOUND
            if not is_gone or self.case.kind == "answer":
                raise
        return _CasePuller(client, replace(self, case=reload_case(client, self.case))).pull()


@dataclass(frozen=True)
class PulledCase:
    """The result of pulling a case.

    Attributes:
        record: The record of the case.
        files: The number of files that were downloaded.
        size: Their size in bytes.
        remarks: The differences that were found and left.
    """

    record: CaseRecord
    files: int
    size: int
    remarks: tuple[Difference, ...]


@dataclass(frozen=True)
class _ValuePlan:
    """The plan for a value.

    Attributes:
        value: The value on the server.
        known: Its record; `None` for none.
        outputs: Its files on the server and their paths; `None` to keep what is recorded.
    """

    value: RemoteValue
    known: ValueRecord | None
    outputs: Sequence[OutputFile] | None


class _CasePuller:
    """The steps of pulling one case."""

    def __init__(self, client: Client, task: CasePull) -> None:
        self._outputs = client.workflows.outputs
        self._task = task
        self._case = task.case
        self._root = task.root
        self._folder = inside(task.root, task.folder)
        self._known = {value.key: value for value in (task.known.values if task.known else ())}
        self._files = {file.path: file for value in self._known.values() for file in value.files}
        self._remarks: list[Difference] = []

    def pull(self) -> PulledCase:
        """Plan, download and record all values."""
        plans = [self._plan(value) for value in self._case.values]
        _check_distinct([target for plan in plans for _, target in plan.outputs or ()])
        wanted = [
            output
            for plan in plans
            for output in plan.outputs or ()
            if self._is_wanted(plan, output)
        ]
        # A file that another worker has written meanwhile has the same content.
        fetched = set(self._outputs.write(wanted, existing="overwrite"))
        values = self._record_values(plans, fetched)
        self._remove_replaced_files(values)
        case = self._case
        record = CaseRecord(
            pk=case.pk,
            folder=self._task.folder,
            title=case.title,
            order=case.order,
            api_url=case.api_url,
            status=case.status,
            algorithm_image=case.algorithm_image,
            values=values,
        )
        size = sum(target.stat().st_size for target in fetched)
        return PulledCase(record, len(fetched), size, tuple(self._remarks))

    # ------------------------------------------------------------ planning

    def _plan(self, value: RemoteValue) -> _ValuePlan:
        known = self._known.get(value.key)
        if known is not None and self._task.policy == "skip":
            if known.pk != value.pk:
                text = "the server has another value now; it was not downloaded"
                self._remarks.append(Difference("changed", self._name_of(value), text))
                return _ValuePlan(value, known, None)
            if all(inside(self._root, file.path).exists() for file in known.files):
                return _ValuePlan(value, known, None)
        return _ValuePlan(value, known, self._files_of_remote(value))

    def _files_of_remote(self, value: RemoteValue) -> list[OutputFile]:
        if value.role == "answer":
            return self._outputs.files_of_image(value.content["image"], self._folder)
        is_job = self._case.kind == "algorithm"
        folder = self._folder / _JOB_FOLDERS[value.role] if is_job else self._folder
        model = HyperlinkedComponentInterfaceValue.from_dict(value.content)
        return self._outputs.files_of_value(model, folder)

    def _is_wanted(self, plan: _ValuePlan, output: OutputFile) -> bool:
        source, target = output
        if self._task.policy == "overwrite":
            return True
        if self._task.policy == "verify":
            return not self._is_current(plan, source, target)
        if not target.exists():
            return True
        if self._path_of(target) not in self._files and not self._is_current(plan, source, target):
            raise FileExistsError(
                f"{target} exists, and differs from the server's file. Move it away, or pass existing='verify' to"
                " replace it."
            )
        return False

    def _is_current(self, plan: _ValuePlan, source: RemoteFile | bytes, target: Path) -> bool:
        """Return whether a file is as recorded, and as the server has it as far as its headers show."""
        if not target.is_file():
            return False
        if isinstance(source, bytes):
            return target.read_bytes() == source
        is_same_value = plan.known is not None and plan.known.pk == plan.value.pk
        known = self._files.get(self._path_of(target)) if is_same_value else None
        sha256, md5 = sha256_and_md5(target)
        if known is not None and known.sha256 != sha256:
            return False
        size, checksum = stored(source)
        if known is None and checksum is None and self._task.policy == "verify":
            return False
        return size in {None, target.stat().st_size} and checksum in {None, md5}

    # ------------------------------------------------------------ recording

    def _record_values(
        self, plans: Sequence[_ValuePlan], fetched: set[Path]
    ) -> tuple[ValueRecord, ...]:
        files = [tuple(self._record_files(plan, fetched)) for plan in plans]
        folder_sizes = Counter(
            parent
            for of_value in files
            for file in of_value
            for parent in PurePosixPath(file.path).parents
        )
        return tuple(
            replace(plan.known, files=found)
            if plan.known is not None and plan.outputs is None
            else ValueRecord(
                role=plan.value.role,
                slug=plan.value.slug,
                pk=plan.value.pk,
                cell=_cell_of(plan.value, found, folder_sizes),
                files=found,
            )
            for plan, found in zip(plans, files, strict=True)
        )

    def _record_files(self, plan: _ValuePlan, fetched: set[Path]) -> Iterator[FileRecord]:
        if plan.outputs is None:
            for file in plan.known.files if plan.known else ():
                yield self._record_kept(inside(self._root, file.path))
        for _, target in plan.outputs or ():
            if target in fetched or self._task.policy == "verify":
                yield record_of_file(self._root, target, self._files.get(self._path_of(target)))
            else:
                yield self._record_kept(target)

    def _record_kept(self, target: Path) -> FileRecord:
        """Return the record of a file that was kept; of one that was changed here, the earlier record."""
        known = self._files.get(self._path_of(target))
        if known is not None and not target.exists():
            return known
        found = record_of_file(self._root, target, known)
        if known is None or known.sha256 == found.sha256:
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
                text = "the server no longer has this value"
                self._remarks.append(Difference("only here", self._name_of(known), text))
                continue
            for file in known.files:
                if file.path not in kept:
                    inside(self._root, file.path).unlink(missing_ok=True)

    def _path_of(self, target: Path) -> str:
        return target.relative_to(self._root).as_posix()

    def _name_of(self, value: RemoteValue | ValueRecord) -> str:
        return f"{self._task.folder}: {value.slug}"


def _check_distinct(targets: Sequence[Path]) -> None:
    """Raise `UnsafeName` if two values have the same path."""
    for name, count in Counter(case_folded(str(target)) for target in targets).items():
        if count > 1:
            raise UnsafeName(f"Several values of this case have the path {name!r}.")


def _cell_of(
    value: RemoteValue, files: Sequence[FileRecord], folder_sizes: Mapping[PurePosixPath, int]
) -> str | list[str]:
    """Return the cell of a value in a manifest.

    Args:
        value: The value.
        files: Its files.
        folder_sizes: The number of the case's files below each folder.
    """
    if value.is_inline:
        return value.as_cell()
    paths = [file.path for file in files]
    if value.kind == _DICOM and paths:
        folder = PurePosixPath(paths[0]).parent
        if len(folder.parts) > 1 and folder_sizes[folder] == len(paths):
            return folder.as_posix()
    return paths[0] if len(paths) == 1 else paths
