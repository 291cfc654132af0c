"""The folders of cases, named after their titles: distinct on every file system, and stable between pulls."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from gcapi._transfer.file_names import case_folded, folder_name
from gcapi.bulk._pull.file_naming import Names
from gcapi.bulk._tables.formats import SUFFIXES
from gcapi.exceptions import UnsafeName

#: The names in a pulled folder that no case may have.
INDEX, MANIFEST, MANIFEST_JSONL = ".gcapi-pull.jsonl", "manifest.csv", "manifest.jsonl"
#: The names that a manifest may have; the first that exists is the folder's.
MANIFESTS = (MANIFEST_JSONL, MANIFEST, "manifest.tsv", "manifest.parquet", "manifest.xlsx")
ANSWERS, ANSWERS_JSONL = "answers", "answers.jsonl"
_ANSWER_TABLES = (f"{ANSWERS}{suffix}" for suffix in SUFFIXES)
RESERVED_NAMES = frozenset((INDEX, *MANIFESTS, ANSWERS, *_ANSWER_TABLES))
#: Characters by which a manifest's cell names several files.
_LIST_CHARACTERS = re.compile(r"[;\[\]]")


def name_folders(
    titles: Mapping[str, str], kept: Mapping[str, str], names: Names | None = None
) -> dict[str, str]:
    """Return the folder of each case.

    A case keeps the folder that it has. The folder of a new case is its title; its pk if it has no title; or both if
    several cases would have the same folder.

    Args:
        titles: The title of each case, by its pk.
        kept: The folders from earlier pulls, by the pks of their cases.
        names: How folders are named; those of new cases are their pks if it is ``"pk"``.

    Raises:
        UnsafeName: Two cases would still have the same folder.
    """
    taken = {case_folded(name) for name in (*kept.values(), *RESERVED_NAMES)}
    # A name that begins with a dot would be hidden.
    wanted = {
        pk: "" if names == "pk" else folder_name(_LIST_CHARACTERS.sub("_", title)).lstrip(".")
        for pk, title in titles.items()
        if pk not in kept
    }
    counts = Counter(map(case_folded, wanted.values()))
    named = {pk: kept[pk] for pk in titles if pk in kept}
    # Names with a pk come first, so that no title can take one of them.
    for pk in sorted(
        wanted, key=lambda pk: bool(wanted[pk]) and counts[case_folded(wanted[pk])] == 1
    ):
        name = wanted[pk]
        if not name or counts[case_folded(name)] > 1 or case_folded(name) in taken:
            name = f"{name}-{folder_name(pk)}".lstrip("-")
        named[pk] = name
        taken.add(case_folded(name))
    for name, count in Counter(map(case_folded, named.values())).items():
        if count > 1 or not name:
            raise UnsafeName(
                f"Several cases would have the folder {name!r}. Change the title of one of them."
            )
    return named
