"""The dry run of a pull: what it would do for each case, from the list of cases and the index alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gcapi.bulk._pull.case_pull import CasePull, are_present


@dataclass(frozen=True)
class PlannedCase:
    """The action of a pull for a case.

    Attributes:
        pk: The pk of the case.
        title: The title of the case; empty for none.
        folder: The name of its folder.
        what: ``"pull"`` a case that is not here, ``"finish"`` or update one that is, ``"check"`` its files, or
            ``"nothing"``.
        values: The number of values to download.
        note: The reason.
    """

    pk: str
    title: str
    folder: str
    what: Literal["pull", "finish", "check", "nothing"]
    values: int
    note: str = ""


def plan_case(task: CasePull) -> PlannedCase:
    """Return what the pull of a case would do."""
    case, policy = task.case, task.policy
    known = {value.key: value for value in (task.known.values if task.known else ())}
    selected = [value for value in case.values if task.selection.has_socket(value.slug)]
    replaced = [
        value.slug for value in selected if value.key in known and known[value.key].pk != value.pk
    ]
    present = [
        value
        for value in selected
        if value.key in known and are_present(task.root, known[value.key])
        if policy == "skip" or value.slug not in replaced
    ]
    count = len(selected) - (0 if policy == "overwrite" else len(present))
    note = ""
    if replaced:
        action = "is not downloaded" if policy == "skip" else "is downloaded"
        note = f"the server has another value for {', '.join(replaced)}, which {action}"
    what: Literal["pull", "finish", "check", "nothing"] = "pull"
    if task.known is not None:
        what = "finish" if count else "check" if policy == "verify" else "nothing"
    return PlannedCase(case.pk, case.title, task.folder, what, count, note)
