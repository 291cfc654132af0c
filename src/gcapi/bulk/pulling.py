"""Pull an archive, a reader study or an algorithm's jobs into a folder, and its manifest, which push accepts.

It has a folder for each case, called as its title (as its pk where it has none, or shares it), and in it each value
where its socket's relative path says; of a job ``input`` and ``output`` are kept apart. Beside them lie the manifest,
the answers of a reader study, and a ledger, with which a pull that was ended at any moment goes on where it was.

Memory: about 1 KB for each case that is listed, a manifest's rows at the end, and `workers` cases with what their
downloads hold.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from gcapi.bulk._executors import place_of, run_on
from gcapi.bulk._pull.answers import (
    Questions,
    files_of,
    is_mask,
    iterate_answers,
    mask_of,
    write_answers,
)
from gcapi.bulk._pull.case_pull import CasePull
from gcapi.bulk._pull.folders import MANIFEST, name_folders
from gcapi.bulk._pull.listing import Spool, find_source, iterate_cases, spooled, unspooled
from gcapi.bulk._pull.local_files import remove_partials
from gcapi.bulk._pull.manifest_notes import row_of, write_rows
from gcapi.bulk._pull.pull_index import Ledger
from gcapi.bulk.differences import Difference
from gcapi.bulk.targets import Target
from gcapi.exceptions import AuthenticationError, ConfigurationError, InvalidTarget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from concurrent.futures import Executor

    from gcapi import models
    from gcapi.bulk._pull.case_pull import Policy, Pulled
    from gcapi.bulk._pull.listing import Case, Source
    from gcapi.client import Client

#: What to do about files that are there: refuse, take them as they are, fetch them again, or check them.
ExistingFiles = Literal["error", "skip", "overwrite", "verify"]
#: How a case ended: something was fetched for it, it was there, or it failed.
Ending = Literal["fetched", "there", "failed"]

#: What the system says where there is no room for any further file.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class CaseFailure:
    """A case that was not pulled, or not as it is now.

    Attributes:
        pk: The case.
        title: Empty for none.
        error: What went wrong.
    """

    pk: str
    title: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.title or self.pk}: {self.error or type(self.error).__name__}"


@dataclass(frozen=True)
class PullProgress:
    """One case has ended.

    Attributes:
        pk: The case.
        title: Empty for none.
        how: In a word.
        ended: How many cases have ended.
        total: How many there are.
    """

    pk: str
    title: str
    how: Ending
    ended: int
    total: int


PullListener = Callable[[PullProgress], None]


@dataclass
class PullReport:
    """What a pull came to.

    Attributes:
        source: What was pulled, such as ``archive:slug``.
        folder: Where to.
        manifest: The manifest of what is there.
        cases: How many cases are whole,
        fetched: and for how many of them something was fetched.
        files: How many files were fetched,
        size: and how many bytes these have.
        answers: How many answers there are; `None` for what is no reader study.
        failed: The cases that are not whole, and why.
        remarks: What was changed here or on the server since it was pulled, and left as it is.
    """

    source: str
    folder: Path
    manifest: Path
    cases: int = 0
    fetched: int = 0
    files: int = 0
    size: int = 0
    answers: int | None = None
    failed: list[CaseFailure] = field(default_factory=list[CaseFailure])
    remarks: list[Difference] = field(default_factory=list[Difference])


def pull(
    client: Client,
    source: Target | str,
    folder: str | Path,
    *,
    existing: ExistingFiles = "error",
    workers: int = 4,
    executor: Executor | None = None,
    token_file: str | Path | None = None,
    progress: PullListener | None = None,
) -> PullReport:
    """Pull an archive, a reader study or an algorithm's jobs into a folder.

    A case that fails does not stop the others. What stands under its final name is whole, always; so a pull that was
    ended at any moment goes on with ``existing="skip"`` or ``"verify"``.

    Args:
        client: The connection.
        source: ``archive:SLUG``, ``study:SLUG`` or ``algorithm:SLUG``.
        folder: Where to; made if missing. With an executor every worker must see it under the same name.
        existing: What to do about what is there. ``"error"``: nothing may be there. ``"skip"``: files are taken as they
            are, and read only if their length or time of last change is not what was recorded; what is not as it was,
            here or on the server, is told, and left; a file of which nothing is recorded is held against the store, and
            fails its case if it is another one. ``"verify"``: every file is read and held against the SHA-256 that
            was recorded and the length and the MD5 that the store tells, and fetched again where it differs, or where
            the server has another value now. ``"overwrite"``: everything is fetched again.
        workers: How many cases at once, each over up to `max_concurrent_downloads` connections.
        executor: Where cases are pulled; `None` for threads of this process. The workers need a token of their own.
        token_file: Where workers whose environment has no token read it; `None` for nowhere.
        progress: Called with each case that has ended, in this thread; `None` for nobody.

    Raises:
        TargetError: The source is not written in one of the three forms.
        ObjectNotFound: No such source, or no access.
        FileExistsError: The folder holds something, and `existing` is ``"error"``, or holds something else.
    """
    target = Target.of(source)
    root = Path(folder).absolute()
    check_folder(root, existing)
    found = find_source(client, target)
    with (
        closing(Ledger(root, str(target), str(client.base_url))) as ledger,
        closing(place_of(client, executor, token_file=token_file)) as place,
    ):
        pulling = _Pulling(
            client=client,
            source=found,
            ledger=ledger,
            policy="skip" if existing == "error" else existing,
            report=PullReport(str(target), root, root / MANIFEST),
            act=place.do,
            workers=workers,
        )
        return pulling.run(progress or _nobody)


def check_folder(folder: Path, existing: ExistingFiles) -> None:
    """Stop before anything is asked for or written.

    Raises:
        ValueError: A policy that does not exist.
        FileExistsError: The folder holds something, and `existing` is ``"error"``.
    """
    if existing not in get_args(ExistingFiles):
        raise ValueError(f"existing={existing!r} must be 'error', 'skip', 'overwrite' or 'verify'.")
    if existing == "error" and folder.exists() and any(folder.iterdir()):
        raise FileExistsError(
            f"{folder} is not empty; choose another folder, or go on with a pull into it with existing='skip' or"
            " 'verify'."
        )


def _nobody(_: PullProgress) -> None:
    """Listen to nothing."""


class _Pulling:
    """Coordinate a pull: list, name, hand out, record.

    Args:
        client: The connection.
        source: What is pulled.
        ledger: What the folder has.
        policy: What to do about what is there.
        report: Filled on the way.
        act: Pulls one case, here or elsewhere.
        workers: How many at once.
    """

    def __init__(
        self,
        *,
        client: Client,
        source: Source,
        ledger: Ledger,
        policy: Policy,
        report: PullReport,
        act: Callable[[CasePull], Pulled],
        workers: int,
    ) -> None:
        self._client = client
        self._source = source
        self._ledger = ledger
        self._policy: Policy = policy
        self._report = report
        self._act = act
        self._workers = workers
        #: The title and the order of each case, by its pk.
        self._listed: dict[str, tuple[str, int | None]] = {}

    def run(self, progress: PullListener) -> PullReport:
        """Do it."""
        remove_partials(self._report.folder)
        with closing(Spool()) as cases:
            folders = self._list(cases)
            units = (self._unit(case, folders[case.pk]) for case in map(unspooled, cases))
            for ended, (pk, pulled) in enumerate(self._pulled(units), start=1):
                how = self._count(pulled)
                progress(PullProgress(pk, self._listed[pk][0], how, ended, len(folders)))
        if self._source.study is not None:
            with closing(Spool()) as answers:
                self._pull_answers(self._source.study, answers)
        self._tell_of_gone()
        self._write_manifest(folders)
        return self._report

    def _count(self, pulled: Pulled | None) -> Ending:
        if pulled is None:
            return "failed"
        self._report.cases += 1
        self._report.fetched += bool(pulled.files)
        return "fetched" if pulled.files else "there"

    def _list(self, cases: Spool) -> dict[str, str]:
        """List the cases, and return the folder of each."""
        for case in iterate_cases(self._client, self._source):
            cases.add(spooled(case))
            self._listed[case.pk] = case.title, case.order
        titles = {pk: title for pk, (title, _) in self._listed.items()}
        folders = name_folders(titles, self._ledger.folders)
        self._ledger.plan(folders)
        return folders

    def _unit(self, case: Case, folder: str) -> CasePull:
        known = self._ledger.get(case.pk)
        return CasePull(case, self._report.folder, folder, self._policy, known)

    def _pulled(self, units: Iterable[CasePull]) -> Iterator[tuple[str, Pulled | None]]:
        """Yield the key of each case and what it came to, once it is recorded; `None` for one that failed."""
        with closing(run_on(self._workers, units, self._act)) as ended:
            for done in ended:
                if done.result is None:
                    self._failed(done.unit.case, done.error)
                else:
                    self._take(done.result)
                yield done.unit.case.pk, done.result

    def _take(self, pulled: Pulled) -> None:
        self._ledger.add(pulled.record)
        self._report.files += pulled.files
        self._report.size += pulled.size
        self._report.remarks += pulled.remarks

    def _failed(self, case: Case, error: BaseException | None) -> None:
        if not isinstance(error, Exception) or _ends_everything(error):
            raise error or AssertionError(case)
        self._report.failed.append(CaseFailure(case.pk, case.title, error))

    def _pull_answers(self, study: models.ReaderStudy, answers: Spool) -> None:
        """Write the answers of a study, once their masks are there."""
        questions = Questions(study, {pk: title for pk, (title, _) in self._listed.items()})
        self._report.answers = 0
        for answer in iterate_answers(self._client, study):
            mask = mask_of(answer)
            answers.add({"row": questions.row(answer), "mask": mask and spooled(mask)})
            self._report.answers += 1
        masks = (unspooled(entry["mask"]) for entry in answers if entry["mask"])
        for _ in self._pulled(self._unit(mask, mask.pk) for mask in masks):
            pass
        write_answers(self._report.folder, lambda: map(self._answer_row, answers))

    def _answer_row(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        row = dict(entry["row"])
        if entry["mask"]:
            row["files"] = files_of(self._ledger.get(entry["mask"]["pk"]))
        return row

    def _tell_of_gone(self) -> None:
        what = "the server no longer has this case; its files are still here"
        for pk, folder in self._ledger.pulled.items():
            if pk not in self._listed and not is_mask(pk):
                self._report.remarks.append(Difference("only here", folder, what))

    def _write_manifest(self, folders: Mapping[str, str]) -> None:
        """Write the rows of the cases that are there, in the order of display sets, else by their folders."""
        order = sorted(folders, key=lambda pk: (self._listed[pk][1] or 0, folders[pk]))
        records = filter(None, map(self._ledger.get, order))
        rows = [row_of(line, record, self._report.source) for line, record in enumerate(records, 2)]
        self._report.manifest = write_rows(self._report.folder, rows)


def _ends_everything(error: Exception) -> bool:
    """Tell whether every other case would fail in the same way."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return True
    is_setup = isinstance(error, ConfigurationError) and not isinstance(error, InvalidTarget)
    return is_setup or isinstance(error, AuthenticationError)
