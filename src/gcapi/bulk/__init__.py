"""Whole archives, reader studies and algorithms: manifests, push, pull, verify and diff.

All public names can be imported from here; their modules are imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gcapi.bulk._pull.answers import download_masks as download_masks
    from gcapi.bulk._pull.answers import encode_answers as encode_answers
    from gcapi.bulk._pull.answers import save_answers as save_answers
    from gcapi.bulk.check import CheckReport as CheckReport
    from gcapi.bulk.check import check_manifest as check_manifest
    from gcapi.bulk.check_page import write_check_page as write_check_page
    from gcapi.bulk.compare import diff as diff
    from gcapi.bulk.compare import verify as verify
    from gcapi.bulk.differences import Difference as Difference
    from gcapi.bulk.guess import GuessedManifest as GuessedManifest
    from gcapi.bulk.guess import LeftOut as LeftOut
    from gcapi.bulk.guess import guess_manifest as guess_manifest
    from gcapi.bulk.journal import JournalError as JournalError
    from gcapi.bulk.manifest import Manifest as Manifest
    from gcapi.bulk.manifest import ManifestError as ManifestError
    from gcapi.bulk.manifest import Problem as Problem
    from gcapi.bulk.manifest import Row as Row
    from gcapi.bulk.manifest import read_manifest as read_manifest
    from gcapi.bulk.manifest import write_input_workbook as write_input_workbook
    from gcapi.bulk.manifest import write_manifest as write_manifest
    from gcapi.bulk.manifest import write_marked_copy as write_marked_copy
    from gcapi.bulk.pulling import CaseFailure as CaseFailure
    from gcapi.bulk.pulling import PlannedCase as PlannedCase
    from gcapi.bulk.pulling import PulledFolderError as PulledFolderError
    from gcapi.bulk.pulling import PullProgress as PullProgress
    from gcapi.bulk.pulling import PullReport as PullReport
    from gcapi.bulk.pulling import plan_pull as plan_pull
    from gcapi.bulk.pulling import pull as pull
    from gcapi.bulk.pushing import JobExistsError as JobExistsError
    from gcapi.bulk.pushing import PlannedRow as PlannedRow
    from gcapi.bulk.pushing import PushProgress as PushProgress
    from gcapi.bulk.pushing import PushReport as PushReport
    from gcapi.bulk.pushing import RowDone as RowDone
    from gcapi.bulk.pushing import RowFailure as RowFailure
    from gcapi.bulk.pushing import plan_push as plan_push
    from gcapi.bulk.pushing import push as push
    from gcapi.bulk.targets import Target as Target
    from gcapi.bulk.targets import TargetError as TargetError

#: The public names of each module.
_NAMES = {
    "_pull.answers": "download_masks encode_answers save_answers",
    "check": "CheckReport check_manifest",
    "check_page": "write_check_page",
    "compare": "diff verify",
    "differences": "Difference",
    "guess": "GuessedManifest LeftOut guess_manifest",
    "journal": "JournalError",
    "manifest": "Manifest ManifestError Problem Row read_manifest write_manifest"
    " write_input_workbook write_marked_copy",
    "pulling": "CaseFailure PlannedCase PullProgress PullReport PulledFolderError plan_pull pull",
    "pushing": "JobExistsError PlannedRow PushProgress PushReport RowDone RowFailure plan_push push",
    "targets": "Target TargetError",
}
_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = [  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll] - the names are strings, and imported above
    *_MODULE_OF
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(f"gcapi.bulk.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'gcapi.bulk' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
