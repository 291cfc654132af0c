"""Decisions about rows, and the index of the cases on the server that they are based on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gcapi._api.titles import title_of
from gcapi.bulk._push.identity import GENERATED_TITLE_PREFIX

#: Nothing; make a case; finish one that an earlier run began; fill or change an existing one; refuse the row.
Action = Literal["nothing", "make", "finish", "take", "refuse"]


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
class WaitResult:
    """The outcome of waiting for imports or jobs, by the pks of the cases or jobs.

    Attributes:
        failed: The errors of those that failed.
        late: The errors of those that took too long.
        notes: The server's words about images that lack some of their files.
    """

    failed: Mapping[str, Exception]
    late: Mapping[str, Exception]
    notes: Mapping[str, str]


@dataclass(frozen=True)
class IndexedCase:
    """A case on the server.

    Attributes:
        pk: The case.
        slugs: The sockets that have a value.
        alike: The case of the same title in another Unicode form; empty if there is none.
    """

    pk: str
    slugs: frozenset[str]
    alike: str = ""


class CaseIndex:
    """The cases of a target, read once: some 300 bytes for each.

    Args:
        cases: The cases on the server.

    Attributes:
        by_title: The cases that have a title.
        pks: The pks of all cases.
        has_generated: Whether a title is one that a push generated.
    """

    def __init__(self, cases: Iterable[Any]) -> None:
        self.by_title: dict[str, IndexedCase] = {}
        self.pks: set[str] = set()
        self.has_generated = False
        shared: dict[frozenset[str], frozenset[str]] = {}  # most cases have the same sockets
        for case in cases:
            slugs = frozenset(value.interface.slug for value in case.values)
            self.pks.add(case.pk)
            if title := title_of(case):
                self.has_generated = self.has_generated or title.startswith(GENERATED_TITLE_PREFIX)
                other = self.by_title.get(title)
                self.by_title[title] = IndexedCase(
                    case.pk, shared.setdefault(slugs, slugs), other.pk if other else ""
                )
