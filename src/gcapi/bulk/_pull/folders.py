"""The folder of each case: named after its title, distinct on every file system, and kept from run to run."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from gcapi._transfer.file_names import case_folded, folder_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: What the folder of a pull holds beside the cases, whose folders must not be called so.
LEDGER, MANIFEST, MANIFEST_LINES = ".gcapi-pull.jsonl", "manifest.csv", "manifest.jsonl"
ANSWERS, ANSWERS_CSV, ANSWERS_JSONL = "answers", "answers.csv", "answers.jsonl"
#: What a cell of a manifest takes for several files.
_SEVERAL = re.compile(r"[;\[\]]")
OWN_NAMES = frozenset({LEDGER, MANIFEST, MANIFEST_LINES, ANSWERS, ANSWERS_CSV, ANSWERS_JSONL})


def name_folders(titles: Mapping[str, str], kept: Mapping[str, str]) -> dict[str, str]:
    """Return the folder of each case.

    A case that has a folder keeps it. Another gets one that is called as its title; where there is no title it is
    called as the pk, and where several would be called the same, the pk is added to each.

    Args:
        titles: The title of each case, by its pk.
        kept: The folders that cases have had, by their pks.

    Raises:
        ValueError: Two cases would have one folder, whatever is tried.
    """
    taken = {case_folded(name) for name in (*kept.values(), *OWN_NAMES)}
    wanted = {pk: _wanted(title) for pk, title in titles.items() if pk not in kept}
    counted = Counter(case_folded(name) for name in wanted.values())
    named = {pk: kept[pk] for pk in titles if pk in kept}
    # Those that need their pk come first, so that no title can imitate what they are called.
    for pk in sorted(
        wanted, key=lambda pk: bool(wanted[pk]) and counted[case_folded(wanted[pk])] == 1
    ):
        name = wanted[pk]
        is_free = name and counted[case_folded(name)] == 1 and case_folded(name) not in taken
        named[pk] = name if is_free else _with_pk(name, pk)
        taken.add(case_folded(named[pk]))
    _check_distinct(named.values())
    return named


def _wanted(title: str) -> str:
    # What begins with a dot would be hidden, and these mean several files where a manifest names one.
    return folder_name(_SEVERAL.sub("_", title)).lstrip(".")


def _with_pk(name: str, pk: str) -> str:
    return f"{name}-{folder_name(pk)}" if name else folder_name(pk)


def _check_distinct(names: Iterable[str]) -> None:
    """Stop where two cases would lie in one folder, which takes a former title that imitates another's key."""
    twice = [
        name for name, count in Counter(map(case_folded, names)).items() if count > 1 or not name
    ]
    if twice:
        raise ValueError(f"Several cases would lie in the folder {twice[0]!r}: change a title.")
