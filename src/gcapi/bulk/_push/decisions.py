"""What is to be done about a row, given the journal and what the server has: pure, and so the same in a dry run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from gcapi._workflows.cases import title_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcapi.bulk._push.rows import Ready
    from gcapi.bulk.journal import Record

#: What to do about a case of a row's title that this journal did not make: take it and fill what is missing, change
#: it, or fail the row.
Existing = Literal["skip", "update", "error"]
#: Nothing; make a case; finish one that an earlier run began; fill or change one that is there; refuse the row.
What = Literal["nothing", "make", "finish", "take", "refuse"]


@dataclass(frozen=True)
class Step:
    """What is to be done about a row.

    Attributes:
        what: In a word.
        pk: The case that is there.
        slugs: The sockets that are given values.
        note: Why, where the user should know.
    """

    what: What
    pk: str = ""
    slugs: frozenset[str] = frozenset()
    note: str = ""


@dataclass(frozen=True)
class There:
    """A case that the server has.

    Attributes:
        pk: The case.
        slugs: The sockets that have a value.
    """

    pk: str
    slugs: frozenset[str]


@dataclass
class Index:
    """The cases of a target, read once: some 300 bytes a case.

    Attributes:
        by_title: Those that have a title.
        pks: All of them.
    """

    by_title: dict[str, There] = field(default_factory=dict[str, There])
    pks: set[str] = field(default_factory=set[str])

    @classmethod
    def of(cls, cases: Iterable[Any]) -> Index:
        """Read the cases."""
        index = cls()
        sets: dict[frozenset[str], frozenset[str]] = {}
        for case in cases:
            slugs = frozenset(value.interface.slug for value in case.values)
            index.pks.add(case.pk)
            if title_of(case):
                # Most cases of a target have the same sockets.
                index.by_title[title_of(case)] = There(case.pk, sets.setdefault(slugs, slugs))
        return index


CHANGED = "its values, files or order have changed since it was pushed; existing='update' brings the case up to date"


def decide(
    ready: Ready, record: Record | None, index: Index, existing: Existing, *, is_known: bool
) -> Step:
    """Return what is to be done about a case.

    Args:
        ready: The row.
        record: What the journal knows of it.
        index: What the server has.
        existing: What to do about a case of the title that this journal did not make.
        is_known: Whether the journal made or filled the case of the title for a row, this one or as it was before.
    """
    if record is not None and record.pk in index.pks:
        if record.state in {"filled", "imported"}:
            return Step("nothing", record.pk, note="done by an earlier run")
        return Step("finish", record.pk, ready.slugs)
    there = index.by_title.get(ready.title)
    if there is None:
        return Step("make", slugs=ready.slugs)
    if record is not None and record.state == "creating" and not there.slugs:
        # The run ended before it heard of the case that it had asked for.
        return Step("finish", there.pk, ready.slugs)
    return _about_existing(ready, there, existing, is_known=is_known)


def _about_existing(ready: Ready, there: There, existing: Existing, *, is_known: bool) -> Step:
    if existing == "update":
        return Step("take", there.pk, ready.slugs)
    if existing == "error":
        note = CHANGED if is_known else "choose another title, or say existing='skip' or 'update'"
        return Step("refuse", there.pk, note=f"there is a case {ready.title!r} already: {note}")
    missing = ready.slugs - there.slugs
    if missing:
        return Step("take", there.pk, missing)
    return Step("nothing", there.pk, note=CHANGED if is_known else "it was there already")
