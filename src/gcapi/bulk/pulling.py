"""Pull an archive, a reader study or an algorithm's jobs into a folder, with a manifest that push accepts.

Each case gets a folder that is named after its title (its pk if it has no title, or shares it), with each value at its
socket's relative path; inputs and outputs of a job are in folders of their own. Beside the cases are the manifest, the
answers of a reader study, and an index by which an interrupted pull resumes.

Memory: about 1 KB for each case, and `workers` cases with their downloads; a manifest in Parquet or Excel is made as a
whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from gcapi import models
from gcapi._http.urls import last_segment
from gcapi._inspect.folders import is_litter
from gcapi._util.choices import check_choice
from gcapi._util.disk_space import is_disk_full
from gcapi._util.scheduler import Scheduler, TaskResult, cancel_scope
from gcapi._util.user_dirs import private_state_dir
from gcapi.bulk._common_cause import common_cause
from gcapi.bulk._executors import Runner
from gcapi.bulk._pull.answers import MASK_SOCKET, is_mask, mask_name, mask_of, write_answers
from gcapi.bulk._pull.case_folders import ANSWERS_JSONL, INDEX, MANIFEST, name_folders
from gcapi.bulk._pull.case_pull import CasePull, PulledCase, PullPolicy
from gcapi.bulk._pull.file_naming import Names
from gcapi.bulk._pull.file_records import (
    forget_announcement,
    forget_unused_announcement,
    remove_announced_files,
    remove_partial_files,
)
from gcapi.bulk._pull.json_lines import JsonLinesFile
from gcapi.bulk._pull.json_lines import PulledFolderError as PulledFolderError
from gcapi.bulk._pull.planning import PlannedCase as PlannedCase
from gcapi.bulk._pull.planning import plan_case
from gcapi.bulk._pull.pull_index import CaseRecord, PullIndex
from gcapi.bulk._pull.pulled_manifest import row_of_case, write_pulled_manifest
from gcapi.bulk._pull.remote_cases import PullSource, RemoteCase, find_source, iterate_cases
from gcapi.bulk._pull.reports import CaseFailure as CaseFailure
from gcapi.bulk._pull.reports import PullProgress as PullProgress
from gcapi.bulk._pull.reports import PullReport as PullReport
from gcapi.bulk._pull.selection import Selection
from gcapi.bulk._tables.formats import TableFormat, check_table_format
from gcapi.bulk._transfer_display import RowListener, row_listener
from gcapi.bulk.differences import Difference
from gcapi.bulk.manifest import Row
from gcapi.bulk.targets import Target
from gcapi.client import Client
from gcapi.exceptions import ConfigurationError, InvalidTarget
from gcapi.resources._answer_rows import AnswerRows
from gcapi.resources.reader_studies import STUDY_PARAMETER

T = TypeVar("T")
#: What happens if the folder is not empty: an earlier pull of the same source goes on; an error; or its files are kept,
#: downloaded again, or checked.
ExistingFolder = Literal["resume", "error", "skip", "overwrite", "verify"]


def pull(
    client: Client,
    source: Target | str,
    folder: str | Path,
    *,
    existing: ExistingFolder = "resume",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    names: Names | None = None,
    table_format: TableFormat = "csv",
    workers: int = 4,
    executor: Executor | None = None,
    token_file: str | Path | None = None,
    progress: Callable[[PullProgress], None] | bool | None = None,
) -> PullReport:
    """Pull an archive, a reader study or an algorithm's jobs into a folder.

    A case that fails does not stop the others. Files get their final names only when they are complete, so the same
    call resumes an interrupted pull. After the call nothing more is sent.

    Args:
        client: The client.
        source: ``archive:SLUG``, ``study:SLUG`` or ``algorithm:SLUG``.
        folder: The folder, created if missing. Every worker of an executor must see it under the same name.
        existing: The policy for a folder that is not empty. ``"resume"``: the same as ``"skip"`` if a pull of the same
            source began there, else raise an error. ``"error"``: raise an error. ``"skip"``: keep its files, and read
            them only if their size or mtime is not as recorded; changes here or on the server become remarks; a file
            without a record is compared with the server's, and its case fails if it differs. ``"verify"``:
            read all files, compare them with the recorded SHA-256 and with the server's size and MD5, and download
            those that differ or whose value was replaced. ``"overwrite"``: download everything again.
        include: Patterns for the titles or pks of the cases to pull, such as ``"case-*"``, and for the sockets of the
            values to pull, such as ``"socket:ct-*"``; the masks of answers count as the socket ``answer``. Without
            patterns of a kind, all are pulled.
        exclude: Patterns for cases and values that are not pulled.
        names: How folders and files are named, where several of a name get their pk or socket appended, which is a
            remark. `None`: folders after the titles of cases, images after their pks. ``"title"``: folders and images
            after the titles of cases; masks of answers after case, question and reader. ``"pk"``: folders and images
            after their pks. ``"original"``: folders after titles, images and files by the names that they had when they
            were uploaded. A folder keeps the names of its first pull.
        table_format: The format of the manifest and of the answers: ``"csv"``, ``"tsv"``, ``"xlsx"``, ``"jsonl"`` or
            ``"parquet"``. The manifest is JSON Lines if a cell is too long for the format; an answer that is too long
            for a workbook is cut there, and says so.
        workers: The number of cases that are pulled at the same time, each over up to `max_concurrent_downloads`
            connections.
        executor: The executor that pulls the cases; `None` for threads of this process. Its workers need a token of
            their own.
        token_file: The file with the token for workers that have none in their environment; `None` for none.
        progress: `True` to show cases, bytes, their rate and the time left in a bar (plain lines every 10 s without a
            terminal); a callable that is called in this thread when a case has ended; `False` for nothing; `None` for
            `True` if the client was made with ``progress=True``. An executor's workers report no bytes.

    Raises:
        TargetError: The source has none of the three forms.
        ObjectNotFound: The source does not exist, or you have no access.
        FileExistsError: The folder is not empty, and `existing` refuses it; or it holds another source.
        PulledFolderError: Another pull into the folder is running, or its index cannot be read or written.
        MissingExtra: The package that writes the format is not installed; nothing was pulled.
    """
    check_table_format(table_format)
    if names is not None:
        check_choice("names", names, Names)
    target = Target.of(source)
    root = Path(folder).absolute()
    policy = _policy(root, existing)
    with cancel_scope(), row_listener(client, progress, "cases", workers) as listener:
        found = find_source(client, target)
        with (
            closing(PullIndex(root, str(target), str(client.base_url), names)) as index,
            Scheduler(workers, "gcapi-pull") as scheduler,
        ):
            runner = Runner(client, executor, token_file)
            run = _PullRun(
                index=index,
                policy=policy,
                selection=Selection.of(include, exclude),
                report=PullReport(str(target), root, root / MANIFEST),
                table_format=table_format,
                pull_cases=lambda tasks: scheduler.map_unordered(runner.execute, tasks),
            )
            run.pull_source(client, found, listener)
            if found.study is not None:
                run.pull_answers(client, found.study)
            run.write_manifest()
            return run.report


def plan_pull(
    client: Client,
    source: Target | str,
    folder: str | Path,
    *,
    existing: ExistingFolder = "resume",
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    names: Names | None = None,
) -> list[PlannedCase]:
    """Return what a pull would do for each selected case; only the list of cases is read, and nothing is written.

    Args:
        client: The client.
        source: The source of the pull.
        folder: Its folder.
        existing: Its policy for a folder that is not empty.
        include: The cases and values to pull.
        exclude: The cases and values that are not pulled.
        names: How it names folders and files; `None` for the default of `pull`.

    Raises:
        TargetError: The source has none of the three forms.
        ObjectNotFound: The source does not exist, or you have no access.
        FileExistsError: The folder is not empty, and `existing` refuses it; or it holds another source.
        PulledFolderError: A pull into the folder is running, or its index cannot be read.
    """
    if names is not None:
        check_choice("names", names, Names)
    target = Target.of(source)
    root = Path(folder).absolute()
    policy, selection = _policy(root, existing), Selection.of(include, exclude)
    cases = {case.pk: case for case in iterate_cases(client, find_source(client, target))}
    with ExitStack() as stack:
        index = None
        if (root / INDEX).exists():
            index = stack.enter_context(
                closing(PullIndex(root, str(target), str(client.base_url), names))
            )
            names = index.names
        titles = {case.pk: case.title for case in cases.values()}
        folders = name_folders(titles, index.folders if index else {}, names)
        known: Callable[[str], CaseRecord | None] = index.get if index else lambda _: None
        return [
            plan_case(CasePull(case, root, folders[pk], policy, known(pk), selection, names))
            for pk, case in cases.items()
            if selection.has_case(case.title, pk)
        ]


def _policy(root: Path, existing: ExistingFolder) -> PullPolicy:
    """Return the policy for the files of a folder.

    Raises:
        FileExistsError: The folder is refused.
    """
    check_choice("existing", existing, ExistingFolder)
    if existing != "resume" and existing != "error":  # noqa: PLR1714 - type checkers narrow it
        return existing
    if root.exists() and any(
        path.name == INDEX or not is_litter(path.name) for path in root.iterdir()
    ):
        if existing == "error":
            raise FileExistsError(
                f"{root} is not empty. Choose another folder, or pass existing='resume' to resume a pull into it."
            )
        if not (root / INDEX).exists():
            raise FileExistsError(
                f"{root} is not empty, and no pull began there. Choose another folder, or pass existing='skip' or"
                " existing='verify' to pull into this one."
            )
    return "skip"


@dataclass
class _PullRun:
    """One pull: list the cases, pull them, record them.

    Attributes:
        index: The index of the folder.
        policy: What happens to files that exist.
        selection: The cases and values to pull.
        report: The report, which is filled during the run.
        table_format: The format of the manifest and of the answers.
        pull_cases: Pulls cases, in this process or on workers.
        titles: The title of each case that was listed.
    """

    index: PullIndex
    policy: PullPolicy
    selection: Selection
    report: PullReport
    table_format: TableFormat
    pull_cases: Callable[[Iterable[CasePull]], Iterator[TaskResult[CasePull, PulledCase]]]
    titles: dict[str, str] = field(default_factory=dict[str, str])

    def pull_source(self, client: Client, source: PullSource, listener: RowListener) -> None:
        """List the cases of the source, then pull them."""
        remove_partial_files(self.report.folder)
        selected, sockets = 0, {MASK_SOCKET}
        with closing(JsonLinesFile()) as cases:
            for case in iterate_cases(client, source):
                self.titles[case.pk] = case.title
                sockets.update(value.slug for value in case.values)
                if self.selection.has_case(case.title, case.pk):
                    cases.append(asdict(case))
                    selected += 1
            names = {*self.titles, *self.titles.values()}
            self.report.unmatched = self.selection.include.unmatched(names, sockets)
            folders = name_folders(self.titles, self.index.folders, self.index.names)
            for pk, folder in folders.items():
                if pk not in self.index.folders and folder.endswith(f"-{pk}"):
                    text = "other cases would have the same folder, so its pk was appended"
                    self.report.remarks.append(Difference("renamed", folder, text))
            self.index.assign_folders(folders)
            gone = self.index.folders.keys() - self.index.offsets.keys() - self.titles.keys()
            for pk in gone:
                if not is_mask(pk):
                    remove_announced_files(self.report.folder, self.index.folders[pk])
            listed = (RemoteCase.from_json(entry) for _, entry in cases)
            tasks = (self._task(case, folders[case.pk]) for case in listed)
            listener.begin(selected)
            for ended, (pk, pulled) in enumerate(self._pull_all(tasks), start=1):
                self.report.cases += pulled is not None
                self.report.fetched += bool(pulled and pulled.files)
                how: Any = "failed" if pulled is None else "fetched" if pulled.files else "there"
                listener.ended(PullProgress(pk, self.titles[pk], how, ended, selected))

    def _task(self, case: RemoteCase, folder: str) -> CasePull:
        known = self.index.get(case.pk)
        root, names = self.report.folder, self.index.names
        return CasePull(case, root, folder, self.policy, known, self.selection, names)

    def _pull_all(self, tasks: Iterable[CasePull]) -> Iterator[tuple[str, PulledCase | None]]:
        """Yield the pk of each case when it has ended and is recorded, and its result; `None` if it failed."""
        for ended in self.pull_cases(tasks):
            case, pulled = ended.item.case, ended.result
            if pulled is not None:
                self.index.put(pulled.record)
                if pulled.is_announced:
                    forget_announcement(self.report.folder, pulled.record.folder)
                self.report.files += pulled.files
                self.report.size += pulled.size
                self.report.remarks += pulled.remarks
            elif isinstance(ended.error, Exception) and not _concerns_all_cases(ended.error):
                forget_unused_announcement(self.report.folder, ended.item.folder)
                self.report.failed.append(CaseFailure(case.pk, case.title, ended.error))
            else:
                error = ended.error or AssertionError(case)
                error.add_note(
                    f"{self.report.cases} cases are complete and recorded. Run the same again to continue."
                )
                raise error
            yield case.pk, pulled

    def pull_answers(self, client: Client, study: models.ReaderStudy) -> None:
        """Pull the masks of a study's answers, then write the answers."""
        maker = AnswerRows({question.pk: question for question in study.questions}, self.titles)
        self.report.answers = 0
        with closing(JsonLinesFile()) as answers:
            for answer in client.reader_studies.answers.iterate_all({STUDY_PARAMETER: study.pk}):
                entry = answer.to_dict()
                answers.append(entry)
                maker.note_ground_truth(entry)
                self.report.answers += 1
            masks = (
                replace(mask, title=mask_name(maker.row(answer, {})))
                for _, answer in answers
                if (mask := mask_of(answer)) and self._has_mask(answer)
            )
            for _ in self._pull_all(self._task(mask, mask.pk) for mask in masks):
                pass

            def write(folder: Path) -> None:
                rows = (maker.row(one, self._mask_files(mask_of(one))) for _, one in answers)
                write_answers(folder, rows, self.table_format)

            self._write(ANSWERS_JSONL, write)

    def _has_mask(self, answer: Mapping[str, Any]) -> bool:
        """Return whether the mask of an answer is selected."""
        pk = last_segment(answer.get("display_set"))
        has_case = self.selection.has_case(self.titles.get(pk, ""), pk)
        return has_case and self.selection.has_socket(MASK_SOCKET)

    def _mask_files(self, mask: RemoteCase | None) -> dict[str, str]:
        """Return the SHA-256 of each file of a mask."""
        record = mask and self.index.get(mask.pk)
        values = record.values if record else ()
        return {file.path: file.sha256 for value in values for file in value.files}

    def write_manifest(self) -> None:
        """Write the rows of the complete cases, sorted by the order of display sets, then by folder."""
        report = self.report
        for pk in self.index.offsets:
            if pk not in self.titles and not is_mask(pk):
                text = "the server no longer has this case; its files are still here"
                folder = self.index.folders[pk]
                report.remarks.append(Difference("only here", folder, text))
        keys = sorted(
            (record.order or 0, record.folder, record.pk)
            for record in map(self.index.get, self.titles)
            if record is not None
        )

        rows = _CaseRows(self.index, [pk for *_, pk in keys], report.source)
        report.manifest = self._write(
            MANIFEST, lambda folder: write_pulled_manifest(folder, rows, self.table_format)
        )

    def _write(self, name: str, write: Callable[[Path], T]) -> T:
        """Write a table to the folder of the pull, or to the state directory if the folder refuses it."""
        try:
            return write(self.report.folder)
        except OSError as error:
            if is_disk_full(error):
                raise
            place = private_state_dir("pulled", self.report.folder.name)
            text = f"it cannot be written here ({error}), and was written to {place}; correct the cause and pull again"
            self.report.remarks.append(Difference("unwritten", name, text))
            return write(place)


@dataclass(frozen=True)
class _CaseRows:
    """The rows of complete cases, which are read from the index each time rather than held."""

    index: PullIndex
    pks: Sequence[str]
    source: str

    def __iter__(self) -> Iterator[Row]:
        for record in map(self.index.get, self.pks):
            if record is not None:
                yield row_of_case(record, self.source)


def _concerns_all_cases(error: Exception) -> bool:
    if is_disk_full(error):
        return True
    is_setup = isinstance(error, ConfigurationError) and not isinstance(error, InvalidTarget)
    return is_setup or common_cause(error) is not None
