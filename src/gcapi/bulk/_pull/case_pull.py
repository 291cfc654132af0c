"""One case from the server into its folder: what is there is checked, what is missing is fetched, all is recorded.

This is what runs on other machines too: it can be begun again at any time, and comes to the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from gcapi._transfer.file_names import case_folded, inside
from gcapi._transfer.remote_files import stored
from gcapi.bulk._pull.listing import read_again
from gcapi.bulk._pull.local_files import digests, record_of, remove_partials
from gcapi.bulk._pull.pull_index import CaseRecord, ValueRecord
from gcapi.bulk.differences import Difference
from gcapi.exceptions import ObjectNotFound, StorageError, UnsafeName
from gcapi.models import HyperlinkedComponentInterfaceValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from gcapi._transfer.remote_files import RemoteFile
    from gcapi._workflows.outputs import OutputFile
    from gcapi.bulk._pull.listing import Case, Value
    from gcapi.bulk._pull.pull_index import FileRecord
    from gcapi.bulk.differences import DifferenceKind
    from gcapi.client import Client

#: What to do about what is there: take it as it is, fetch it again, or check it and fetch it again where it differs.
Policy = Literal["skip", "overwrite", "verify"]

_DICOM = "DICOM Image Set"
_BELOW = {"value": "input", "output": "output"}
_NOT_FOUND = 404


@dataclass(frozen=True)
class CasePull:
    """A case to be pulled; it pickles.

    Attributes:
        case: As it was listed.
        root: The folder of the pull, which every machine that takes part sees under this name.
        folder: The folder of the case below it, as the ledger has it.
        policy: What to do about what is there.
        known: What is recorded of the case; `None` if nothing is.
    """

    case: Case
    root: Path
    folder: str
    policy: Policy
    known: CaseRecord | None

    def run(self, client: Client) -> Pulled:
        """Pull it; where something is gone since it was listed, once more as the case is now.

        Raises:
            ObjectNotFound: The case is gone, or something of it may not be seen.
            FileExistsError: With ``"skip"``, a file of which nothing is recorded is not the server's.
        """
        remove_partials(inside(self.root, self.folder))
        try:
            return _Pull(client, self).finish()
        except (ObjectNotFound, StorageError) as error:
            is_gone = isinstance(error, ObjectNotFound) or error.status_code == _NOT_FOUND
            if not is_gone or self.case.kind == "answer":
                raise
        return _Pull(client, replace(self, case=read_again(client, self.case))).finish()


@dataclass(frozen=True)
class Pulled:
    """A case that was pulled.

    Attributes:
        record: What the folder has of it now.
        files: How many files were fetched,
        size: and how many bytes these have.
        remarks: What is not as it was.
    """

    record: CaseRecord
    files: int
    size: int
    remarks: tuple[Difference, ...]


@dataclass(frozen=True)
class _Step:
    """What is to be done about a value.

    Attributes:
        value: As the server has it.
        known: As it was recorded; `None` if it was not.
        outputs: Its files and where they go; `None` if what is recorded stays.
    """

    value: Value
    known: ValueRecord | None
    outputs: Sequence[OutputFile] | None

    @property
    def is_known(self) -> bool:
        """Whether what is recorded is of this very value."""
        return self.known is not None and self.known.pk == self.value.pk


class _Pull:
    """Pull one case."""

    def __init__(self, client: Client, unit: CasePull) -> None:
        self._outputs = client.workflows.outputs
        self._case = unit.case
        self._policy = unit.policy
        self._root = unit.root
        self._name = unit.folder
        self._folder = inside(unit.root, unit.folder)
        self._known = {value.key: value for value in (unit.known.values if unit.known else ())}
        self._files = {file.path: file for value in self._known.values() for file in value.files}
        self._remarks: list[Difference] = []

    def finish(self) -> Pulled:
        """Do it."""
        steps = [self._step(value) for value in self._case.values]
        _check_distinct([target for step in steps for _, target in step.outputs or ()])
        wanted = [
            output
            for step in steps
            for output in step.outputs or ()
            if self._is_wanted(step, output)
        ]
        # What is wanted is not there, or of no use; another machine's may have come meanwhile, which is the same.
        fetched = set(self._outputs.write(wanted, existing="overwrite"))
        values = self._recorded(steps, fetched)
        self._tidy(values)
        size = sum(target.stat().st_size for target in fetched)
        return Pulled(self._record(values), len(fetched), size, tuple(self._remarks))

    def _record(self, values: tuple[ValueRecord, ...]) -> CaseRecord:
        case = self._case
        return CaseRecord(
            pk=case.pk,
            folder=self._name,
            title=case.title,
            order=case.order,
            api_url=case.api_url,
            status=case.status,
            algorithm_image=case.algorithm_image,
            values=values,
        )

    # ------------------------------------------------------------ what is to be done

    def _step(self, value: Value) -> _Step:
        known = self._known.get(value.key)
        if known is not None and self._policy == "skip":
            if known.pk != value.pk:
                what = "the server has another value now; it was not fetched"
                self._remark("changed", self._in_words(value), what)
                return _Step(value, known, None)
            if all(inside(self._root, file.path).exists() for file in known.files):
                return _Step(value, known, None)
        return _Step(value, known, self._planned(value))

    def _planned(self, value: Value) -> list[OutputFile]:
        if value.role == "answer":
            return self._outputs.files_of_image(value.content["image"], self._folder)
        is_job = self._case.kind == "algorithm"
        folder = self._folder / _BELOW[value.role] if is_job else self._folder
        model = HyperlinkedComponentInterfaceValue.from_dict(value.content)
        return self._outputs.files_of_value(model, folder)

    def _is_wanted(self, step: _Step, output: OutputFile) -> bool:
        source, target = output
        if self._policy == "overwrite":
            return True
        if self._policy == "verify":
            return not self._is_good(step, source, target)
        if not target.exists():
            return True
        if self._path(target) not in self._files and not self._is_good(step, source, target):
            raise FileExistsError(
                f"{target} is there, and is not what the server has; move it away, or say existing='verify' to replace"
                " it."
            )
        return False

    def _is_good(self, step: _Step, source: RemoteFile | bytes, target: Path) -> bool:
        """Tell whether a file is as it was pulled, and as the server has it as far as it tells."""
        if not target.is_file():
            return False
        if isinstance(source, bytes):
            return target.read_bytes() == source
        known = self._files.get(self._path(target)) if step.is_known else None
        sha256, md5 = digests(target)
        if known is not None and known.sha256 != sha256:
            return False
        size, checksum = stored(source)
        if known is None and checksum is None and self._policy == "verify":
            return False
        return size in {None, target.stat().st_size} and checksum in {None, md5}

    # ------------------------------------------------------------ what is there now

    def _recorded(self, steps: Sequence[_Step], fetched: set[Path]) -> tuple[ValueRecord, ...]:
        files = [tuple(self._files_of(step, fetched)) for step in steps]
        holds = Counter(
            parent
            for of_value in files
            for file in of_value
            for parent in PurePosixPath(file.path).parents
        )
        return tuple(
            replace(step.known, files=found)
            if step.known is not None and step.outputs is None
            else ValueRecord(
                role=step.value.role,
                slug=step.value.slug,
                pk=step.value.pk,
                cell=_cell(step.value, found, holds),
                files=found,
            )
            for step, found in zip(steps, files, strict=True)
        )

    def _files_of(self, step: _Step, fetched: set[Path]) -> Iterator[FileRecord]:
        if step.outputs is None:
            for file in step.known.files if step.known else ():
                yield self._as_recorded(inside(self._root, file.path))
        for _, target in step.outputs or ():
            if target in fetched or self._policy == "verify":
                yield record_of(self._root, target, self._files.get(self._path(target)))
            else:
                yield self._as_recorded(target)

    def _as_recorded(self, target: Path) -> FileRecord:
        """Return the record of a file that was taken as it is; of one that was changed here, what it was."""
        known = self._files.get(self._path(target))
        if known is not None and not target.exists():
            return known
        found = record_of(self._root, target, known)
        if known is None or known.sha256 == found.sha256:
            return found
        what = "it is not as it was pulled; it was left as it is"
        self._remark("changed", self._path(target), what)
        return known

    def _tidy(self, values: Sequence[ValueRecord]) -> None:
        """Remove files of values that were replaced, and tell of values that the server no longer has."""
        kept = {file.path for value in values for file in value.files}
        present = {value.key for value in values}
        for key, known in self._known.items():
            if key not in present:
                what = "the server no longer has this value"
                self._remark("only here", self._in_words(known), what)
                continue
            for file in known.files:
                if file.path not in kept:
                    inside(self._root, file.path).unlink(missing_ok=True)

    # ------------------------------------------------------------ small things

    def _path(self, target: Path) -> str:
        return target.relative_to(self._root).as_posix()

    def _in_words(self, value: Value | ValueRecord) -> str:
        return f"{self._name}: {value.slug}"

    def _remark(self, kind: DifferenceKind, subject: str, what: str) -> None:
        self._remarks.append(Difference(kind, subject, what))


def _check_distinct(targets: Sequence[Path]) -> None:
    """Stop where two values would lie in one file.

    Raises:
        UnsafeName: They would.
    """
    for name, count in Counter(case_folded(str(target)) for target in targets).items():
        if count > 1:
            raise UnsafeName(f"Several values of this case would be written to {name!r}.")


def _cell(
    value: Value, files: Sequence[FileRecord], holds: Mapping[PurePosixPath, int]
) -> str | list[str]:
    """Return what stands for a value in a manifest.

    Args:
        value: The value.
        files: Its files.
        holds: How many files of the case lie below each folder.
    """
    if value.is_inline:
        return value.as_cell()
    paths = [file.path for file in files]
    if value.kind == _DICOM and paths:
        folder = PurePosixPath(paths[0]).parent
        if len(folder.parts) > 1 and holds[folder] == len(paths):
            return folder.as_posix()
    return paths[0] if len(paths) == 1 else paths
