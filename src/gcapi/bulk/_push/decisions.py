"""Deciding what to do about a row, given the journal and the cases on the server: pure, so the same in a dry run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from gcapi._workflows.case_kinds import ExistingCase, title_of
from gcapi.bulk._push.rows import ParsedRow
from gcapi.bulk.journal import RowRecord

#: Nothing; make a case; finish one that an earlier run began; fill or change an existing one; refuse the row.
Action = Literal["nothing", "make", "finish", "take", "refuse"]

CHANGED = "its values, files or order have changed since it was pushed; existing='update' brings the case up to date"


@dataclass(frozen=True)
class Decision:
    """The action for a row.

    Attributes:
        action: The action.
        pk: The existing case.
        slugs: The sockets that are given values.
        note: The reason, where the user should know it.
    """

    action: Action
    pk: str = ""
    slugs: frozenset[str] = frozenset()
    note: str = ""


@dataclass(frozen=True)
class IndexedCase:
    """A case on the server.

    Attributes:
        pk: The case.
        slugs: The sockets that have a value.
    """

    pk: str
    slugs: frozenset[str]


class CaseIndex:
    """The cases of a target, read once: some 300 bytes for each.

    Args:
        cases: The cases on the server.

    Attributes:
        by_title: The cases that have a title.
        pks: The pks of all cases.
    """

    def __init__(self, cases: Iterable[Any]) -> None:
        self.by_title: dict[str, IndexedCase] = {}
        self.pks: set[str] = set()
        shared: dict[frozenset[str], frozenset[str]] = {}  # most cases have the same sockets
        for case in cases:
            slugs = frozenset(value.interface.slug for value in case.values)
            self.pks.add(case.pk)
            if title := title_of(case):
                self.by_title[title] = IndexedCase(case.pk, shared.setdefault(slugs, slugs))


def decide(
    row: ParsedRow,
    record: RowRecord | None,
    index: CaseIndex,
    existing: ExistingCase,
    *,
    is_known: bool,
) -> Decision:
    """Return what to do about a row that is to be a case.

    Args:
        row: The row.
        record: What the journal knows of it.
        index: The cases on the server.
        existing: What to do about a case of the title that this journal did not make.
        is_known: Whether the journal made or filled the case of the title for a row, this one or an earlier version.
    """
    if record is not None and record.pk in index.pks:
        if record.state in {"filled", "imported"}:
            return Decision("nothing", record.pk, note="done by an earlier run")
        return Decision("finish", record.pk, row.slugs)
    case = index.by_title.get(row.title)
    if case is None:
        return Decision("make", slugs=row.slugs)
    if record is not None and record.state == "creating" and not case.slugs:
        # The run that requested this case ended before it received the response.
        return Decision("finish", case.pk, row.slugs)
    return _decide_existing(row, case, existing, is_known=is_known)


def _decide_existing(
    row: ParsedRow, case: IndexedCase, existing: ExistingCase, *, is_known: bool
) -> Decision:
    if existing == "update":
        return Decision("take", case.pk, row.slugs)
    if existing == "error":
        note = CHANGED if is_known else "choose another title, or say existing='skip' or 'update'"
        return Decision("refuse", case.pk, note=f"there is a case {row.title!r} already: {note}")
    missing = row.slugs - case.slugs
    if missing:
        return Decision("take", case.pk, missing)
    return Decision("nothing", case.pk, note=CHANGED if is_known else "it was there already")
