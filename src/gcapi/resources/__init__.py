"""Typed namespaces over the generated operations, one module per area of the API.

A namespace declares its operations and derives from mixins in `gcapi._api.resource_mixins`. Anything that takes more
than a few requests belongs in `gcapi._workflows` or `gcapi._transfer`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gcapi._api.page import Page as Page
from gcapi._pictures.thumbnails import Thumbnail as Thumbnail
from gcapi._pictures.volumes import ImageArray as ImageArray
from gcapi.resources.account import Notifications as Notifications
from gcapi.resources.account import Profiles as Profiles
from gcapi.resources.account import Subscriptions as Subscriptions
from gcapi.resources.account import Timezone as Timezone
from gcapi.resources.algorithms import AlgorithmEndpoints as AlgorithmEndpoints
from gcapi.resources.algorithms import AlgorithmImages as AlgorithmImages
from gcapi.resources.algorithms import AlgorithmInvocations as AlgorithmInvocations
from gcapi.resources.algorithms import AlgorithmJobs as AlgorithmJobs
from gcapi.resources.algorithms import Algorithms as Algorithms
from gcapi.resources.algorithms import Interfaces as Interfaces
from gcapi.resources.archives import ArchiveItems as ArchiveItems
from gcapi.resources.archives import Archives as Archives
from gcapi.resources.challenges import Challenges as Challenges
from gcapi.resources.challenges import Evaluations as Evaluations
from gcapi.resources.images import Images as Images
from gcapi.resources.reader_studies import Answers as Answers
from gcapi.resources.reader_studies import DisplaySets as DisplaySets
from gcapi.resources.reader_studies import MyAnswers as MyAnswers
from gcapi.resources.reader_studies import Questions as Questions
from gcapi.resources.reader_studies import ReaderStudies as ReaderStudies
from gcapi.resources.uploads import RawImageUploadSessions as RawImageUploadSessions
from gcapi.resources.uploads import UploadsNamespace as UploadsNamespace
from gcapi.resources.viewers import Feedback as Feedback
from gcapi.resources.viewers import Sessions as Sessions
from gcapi.resources.viewers import WorkstationConfigs as WorkstationConfigs
from gcapi.resources.viewers import Workstations as Workstations

if TYPE_CHECKING:
    from gcapi.resources.answer_summary import Agreement as Agreement
    from gcapi.resources.answer_summary import QuestionSummary as QuestionSummary
    from gcapi.resources.answer_table import AnswerTable as AnswerTable

#: Classes that only one method returns.
_CLASSES = {
    "Agreement": "answer_summary",
    "AnswerTable": "answer_table",
    "QuestionSummary": "answer_summary",
}


def __getattr__(name: str) -> Any:
    if name in _CLASSES:
        return getattr(import_module(f"gcapi.resources.{_CLASSES[name]}"), name)
    raise AttributeError(f"module 'gcapi.resources' has no attribute {name!r}")
