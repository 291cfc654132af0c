"""Reports of a pull: its progress and its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gcapi._util.html import ShownAsTable
from gcapi.bulk.differences import Difference


@dataclass(frozen=True)
class CaseFailure:
    """A case that was not pulled, or not in its current state.

    Attributes:
        pk: The pk of the case.
        title: The title of the case; empty for none.
        error: The error.
    """

    pk: str
    title: str
    error: Exception

    def __str__(self) -> str:
        return f"{self.title or self.pk}: {self.error or type(self.error).__name__}"


@dataclass(frozen=True)
class PullProgress:
    """The end of one case.

    Attributes:
        pk: The pk of the case.
        title: The title of the case; empty for none.
        how: Whether files were fetched, all files were there, or the case failed.
        ended: The number of cases that have ended.
        total: The number of cases.
    """

    pk: str
    title: str
    how: Literal["fetched", "there", "failed"]
    ended: int
    total: int


@dataclass(repr=False)
class PullReport(ShownAsTable):
    """The result of a pull.

    Attributes:
        source: The source, such as ``archive:slug``.
        folder: The folder.
        manifest: The manifest of the folder.
        cases: The number of cases that are complete.
        fetched: The number of complete cases for which files were downloaded.
        files: The number of files that were downloaded.
        size: Their size in bytes.
        answers: The number of answers; `None` if the source is not a reader study.
        failed: The cases that are not complete, with their errors.
        remarks: The changes here and on the server since an earlier pull, which were left, and the names that were
            changed, since others would be the same.
        unmatched: The patterns to include that no case or no socket matches.
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
    unmatched: list[str] = field(default_factory=list[str])
