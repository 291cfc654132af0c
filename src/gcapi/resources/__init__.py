"""Typed namespaces over the generated operations, one module per area of the API.

A namespace declares its operations and derives from mixins in `gcapi._api.resource_mixins`. Anything that takes more
than a few requests belongs in `gcapi._workflows` or `gcapi._transfer`.
"""

from gcapi._api.page import Page
from gcapi.resources.account import Notifications, Profiles, Subscriptions, Timezone
from gcapi.resources.algorithms import (
    AlgorithmEndpoints,
    AlgorithmImages,
    AlgorithmInvocations,
    AlgorithmJobs,
    Algorithms,
    Interfaces,
)
from gcapi.resources.archives import ArchiveItems, Archives
from gcapi.resources.challenges import Challenges, Evaluations
from gcapi.resources.images import Images
from gcapi.resources.reader_studies import (
    Answers,
    DisplaySets,
    MyAnswers,
    Questions,
    ReaderStudies,
)
from gcapi.resources.uploads import RawImageUploadSessions, UploadsNamespace
from gcapi.resources.viewers import Feedback, Sessions, WorkstationConfigs, Workstations

__all__ = [
    "AlgorithmEndpoints",
    "AlgorithmImages",
    "AlgorithmInvocations",
    "AlgorithmJobs",
    "Algorithms",
    "Answers",
    "ArchiveItems",
    "Archives",
    "Challenges",
    "DisplaySets",
    "Evaluations",
    "Feedback",
    "Images",
    "Interfaces",
    "MyAnswers",
    "Notifications",
    "Page",
    "Profiles",
    "Questions",
    "RawImageUploadSessions",
    "ReaderStudies",
    "Sessions",
    "Subscriptions",
    "Timezone",
    "UploadsNamespace",
    "WorkstationConfigs",
    "Workstations",
]
