"""The parts that the methods of `Client`, the functions of `gcapi.bulk` and the commands are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi._api.lost_writes import RecoveryPolicy
from gcapi._transfer.downloads import Downloads
from gcapi._transfer.uploads import Uploads
from gcapi._workflows.cases import Cases
from gcapi._workflows.job_start import Starter
from gcapi._workflows.namespaces import Namespaces
from gcapi._workflows.outputs import Outputs
from gcapi._workflows.prepare import Submit
from gcapi._workflows.slug_lookup import Lookup

if TYPE_CHECKING:
    from gcapi._api.operations import Calls
    from gcapi.progress import Listener


class Workflows:
    """What a client works with; not part of the public interface.

    Args:
        calls: Calls the API.
        listener: Called with the progress.

    Attributes:
        settings: The client's settings.
        listener: Called with the progress.
        resources: The namespaces.
        file_uploads: Uploads files.
        downloads: Downloads files.
        outputs: Writes socket values to files.
        lookup: Finds objects by slug.
        values: Plans and uploads values.
        cases: Creates and changes cases.
        jobs: Starts jobs.
    """

    def __init__(self, calls: Calls, listener: Listener) -> None:
        self.settings = calls.settings
        self.listener = listener
        self.file_uploads = Uploads(calls, listener)
        self.downloads = Downloads(calls.transport, listener)
        self.outputs = Outputs(calls, self.downloads)
        self.resources = Namespaces(calls, self.file_uploads, self.downloads)
        self.lookup = Lookup(
            interfaces=self.resources.interfaces,
            archives=self.resources.archives,
            reader_studies=self.resources.reader_studies,
            algorithms=self.resources.algorithms,
        )
        self.values = Submit(
            uploads=self.file_uploads,
            downloads=self.downloads,
            lookup=self.lookup,
            images=self.resources.images,
            listener=listener,
        )
        recovery = RecoveryPolicy(self.settings.timeout)
        self.cases = Cases(self.values, self.resources.uploads, recovery)
        self.jobs = Starter(
            self.resources.algorithm_jobs, self.resources.images, self.resources.uploads, recovery
        )
