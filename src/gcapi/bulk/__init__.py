"""Whole archives, reader studies and algorithms at once: manifests, pushing them up, pulling them down.

Everything public is reachable from here and loaded when it is first touched.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcapi.bulk.check import CheckReport as CheckReport
    from gcapi.bulk.check import check_manifest as check_manifest
    from gcapi.bulk.compare import diff as diff
    from gcapi.bulk.compare import verify as verify
    from gcapi.bulk.differences import Difference as Difference
    from gcapi.bulk.guess import guess_manifest as guess_manifest
    from gcapi.bulk.journal import JournalError as JournalError
    from gcapi.bulk.manifest import Manifest as Manifest
    from gcapi.bulk.manifest import ManifestError as ManifestError
    from gcapi.bulk.manifest import Problem as Problem
    from gcapi.bulk.manifest import Row as Row
    from gcapi.bulk.manifest import read_manifest as read_manifest
    from gcapi.bulk.manifest import write_manifest as write_manifest
    from gcapi.bulk.pulling import CaseFailure as CaseFailure
    from gcapi.bulk.pulling import PullProgress as PullProgress
    from gcapi.bulk.pulling import PullReport as PullReport
    from gcapi.bulk.pulling import pull as pull
    from gcapi.bulk.pushing import PlannedRow as PlannedRow
    from gcapi.bulk.pushing import PushProgress as PushProgress
    from gcapi.bulk.pushing import PushReport as PushReport
    from gcapi.bulk.pushing import RowDone as RowDone
    from gcapi.bulk.pushing import RowFailure as RowFailure
    from gcapi.bulk.pushing import plan_push as plan_push
    from gcapi.bulk.pushing import push as push
    from gcapi.bulk.targets import Target as Target
    from gcapi.bulk.targets import TargetError as TargetError

#: Where each public name is defined.
_HOME = {
    "CheckReport": "check",
    "check_manifest": "check",
    "guess_manifest": "guess",
    "JournalError": "journal",
    "Manifest": "manifest",
    "ManifestError": "manifest",
    "Problem": "manifest",
    "Row": "manifest",
    "read_manifest": "manifest",
    "write_manifest": "manifest",
    "PlannedRow": "pushing",
    "PushProgress": "pushing",
    "PushReport": "pushing",
    "RowDone": "pushing",
    "RowFailure": "pushing",
    "plan_push": "pushing",
    "push": "pushing",
    "CaseFailure": "pulling",
    "Difference": "differences",
    "PullProgress": "pulling",
    "PullReport": "pulling",
    "diff": "compare",
    "pull": "pulling",
    "verify": "compare",
    "Target": "targets",
    "TargetError": "targets",
}
__all__ = [  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll] - the names are strings, and imported above
    *_HOME
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"gcapi.bulk.{_HOME[name]}"), name)
    raise AttributeError(f"module 'gcapi.bulk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
