"""The typed namespaces of a client, all of them."""

from __future__ import annotations

from gcapi import resources
from gcapi._api.operations import Calls
from gcapi._transfer.downloads import Downloads
from gcapi._transfer.uploads import Uploads


class Namespaces:
    """One attribute for each kind of object of the API.

    Args:
        calls: Calls the API.
        file_uploads: Uploads files.
        downloads: Downloads files.
    """

    def __init__(self, calls: Calls, file_uploads: Uploads, downloads: Downloads) -> None:
        self.images: resources.Images = resources.Images(calls, downloads)
        self.uploads: resources.UploadsNamespace = resources.UploadsNamespace(calls, file_uploads)
        self.raw_image_upload_sessions: resources.RawImageUploadSessions = (
            resources.RawImageUploadSessions(calls)
        )
        self.archives: resources.Archives = resources.Archives(calls)
        self.archive_items: resources.ArchiveItems = resources.ArchiveItems(calls)
        self.reader_studies: resources.ReaderStudies = resources.ReaderStudies(calls)
        self.algorithms: resources.Algorithms = resources.Algorithms(calls)
        self.algorithm_images: resources.AlgorithmImages = resources.AlgorithmImages(calls)
        self.algorithm_jobs: resources.AlgorithmJobs = resources.AlgorithmJobs(calls)
        self.algorithm_endpoints: resources.AlgorithmEndpoints = resources.AlgorithmEndpoints(calls)
        self.algorithm_invocations: resources.AlgorithmInvocations = resources.AlgorithmInvocations(
            calls
        )
        self.interfaces: resources.Interfaces = resources.Interfaces(calls)
        self.challenges: resources.Challenges = resources.Challenges(calls)
        self.evaluations: resources.Evaluations = resources.Evaluations(calls)
        self.profiles: resources.Profiles = resources.Profiles(calls)
        self.notifications: resources.Notifications = resources.Notifications(calls)
        self.subscriptions: resources.Subscriptions = resources.Subscriptions(calls)
        self.workstations: resources.Workstations = resources.Workstations(calls)
        self.workstation_configs: resources.WorkstationConfigs = resources.WorkstationConfigs(calls)
        self.sessions: resources.Sessions = resources.Sessions(calls)
        self.feedback: resources.Feedback = resources.Feedback(calls)
        self.timezone: resources.Timezone = resources.Timezone(calls)
