"""The parts that the methods of `Client`, the functions of `gcapi.bulk` and the commands are made of."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gcapi import models
from gcapi._api.lost_writes import RecoveryPolicy
from gcapi._api.operations import Calls
from gcapi._http.settings import Settings
from gcapi._transfer.downloads import Downloads
from gcapi._transfer.uploads import Uploads
from gcapi._util.user_warnings import warn_user
from gcapi._workflows.case_calls import Cases
from gcapi._workflows.case_kinds import CaseKind, CaseParent, archive_items, display_sets
from gcapi._workflows.cases import PendingValue
from gcapi._workflows.import_sessions import ImportSessions, images_of
from gcapi._workflows.import_watch import ImportWatch
from gcapi._workflows.inspection import Inspection
from gcapi._workflows.job_start import JobStarter
from gcapi._workflows.namespaces import Namespaces
from gcapi._workflows.outputs import Outputs
from gcapi._workflows.prepare import PreparedValues, ValuePreparer
from gcapi._workflows.slug_lookup import Lookup
from gcapi.exceptions import PartialImportWarning
from gcapi.findings import InspectMode
from gcapi.jobs import CANCELLED, SUCCEEDED, failure, watch_jobs
from gcapi.progress import ClientListener, Progress, given_up_on_error
from gcapi.sockets import SocketValueSpec


class Workflows:
    """The parts of a client, which are not part of the public interface.

    Args:
        calls: Calls the API.
        file_uploads: Uploads files.
        downloads: Downloads files.
        listener: Called with the progress.

    Attributes:
        settings: The client's settings.
        listener: Called with the progress.
        file_uploads: Uploads files.
        downloads: Downloads files.
        resources: The namespaces.
        outputs: Writes socket values to files.
        lookup: Finds objects by slug.
        values: Plans and uploads values.
        imports: What the server says about imports of images.
        cases: Creates and changes cases.
        archive_items: The kind of the cases of archives.
        display_sets: The kind of the cases of reader studies.
        jobs: Starts jobs.
    """

    def __init__(
        self, calls: Calls, file_uploads: Uploads, downloads: Downloads, listener: ClientListener
    ) -> None:
        self.settings: Settings = calls.settings
        self.listener = listener
        self.file_uploads: Uploads = file_uploads
        self.downloads: Downloads = downloads
        self.outputs: Outputs = Outputs(calls, self.downloads)
        self.resources: Namespaces = Namespaces(calls, self.file_uploads, self.downloads)
        self.lookup: Lookup = Lookup(self.resources)
        self.values: ValuePreparer = ValuePreparer(
            self.file_uploads, self.downloads, self.lookup, self.resources.images, listener
        )
        self.imports: ImportSessions = ImportSessions(self.resources, self.downloads, self.lookup)
        recovery = RecoveryPolicy(self.settings.timeout)
        self.cases: Cases = Cases(self.values, self.resources.uploads, self.imports, recovery)
        self.archive_items: CaseKind[models.ArchiveItemPost] = archive_items(
            self.resources.archive_items
        )
        self.display_sets: CaseKind[models.DisplaySetPost] = display_sets(
            self.resources.reader_studies
        )
        self.jobs: JobStarter = JobStarter(calls, self.resources, recovery)

    def archive(self, slug: str | models.Archive) -> CaseParent[models.ArchiveItemPost]:
        """Return an archive as the parent of cases.

        Raises:
            ObjectNotFound: There is no such archive, or no access to it.
        """
        archive = self.lookup.archives.get(slug)
        return CaseParent(self.archive_items, archive.pk, {"archive": archive.api_url})

    def reader_study(self, slug: str | models.ReaderStudy) -> CaseParent[models.DisplaySetPost]:
        """Return a reader study as the parent of cases.

        Raises:
            ObjectNotFound: There is no such reader study, or no access to it.
        """
        study = self.lookup.reader_studies.get(slug)
        return CaseParent(self.display_sets, study.pk, {"reader_study": study.slug})

    def upload_inputs(
        self, algorithm: models.Algorithm, inputs: Iterable[SocketValueSpec], inspect: InspectMode
    ) -> PreparedValues:
        """Check the inputs of an algorithm, and upload their files.

        Raises:
            InterfaceMismatch: They match no interface; nothing was sent.
            SpecError: A value cannot be sent; nothing was sent.
        """
        plans = self.values.plan(inputs, Inspection(inspect), algorithm=algorithm)
        return self.values.upload(plans)

    def wait_for_job(self, pk: str, timeout: float | None) -> models.HyperlinkedJob:
        """Return a job once it has succeeded, and warn of files that the server left out.

        Raises:
            JobFailed: The job failed or was cancelled.
            JobTimeout: The job did not finish in time.
        """
        uploaded = self.jobs.uploaded(pk)
        ended: list[models.HyperlinkedJob] = []
        detail = self.resources.algorithm_jobs.detail
        for late in watch_jobs(
            [pk], lambda _: [detail(pk=pk)], timeout=timeout, on_finish=ended.append
        ):
            raise late
        (job,) = ended
        if job.status != SUCCEEDED:
            is_told = uploaded and job.status == CANCELLED
            raise failure(
                job, self.imports.reason(uploaded, self.imports.read()) if is_told else ""
            )
        for words in self.imports.left_out(images_of(job.inputs, uploaded)).values():
            warn_user(f"The server says of an input of job {pk}: {words}", PartialImportWarning)
        return job

    def wait_for_values(
        self, item: Any, specs: Iterable[SocketValueSpec], timeout: float | None
    ) -> Any:
        """Return a case once its values have arrived.

        Raises:
            TypeError: The item is not a case.
            ImportFailed: The server could not import a value.
            ImportTimeout: Not all values have arrived in time.
        """
        if hasattr(item, "reader_study"):
            kind: CaseKind[Any] = self.display_sets
        elif hasattr(item, "archive"):
            kind = self.archive_items
        else:
            raise TypeError(f"{item!r} is neither an archive item nor a display set.")
        known = self.cases.pending(item.pk)
        pending = {spec.socket_slug: known.get(spec.socket_slug, PendingValue()) for spec in specs}
        progress = {slug: Progress(self.listener, "import", slug, 1) for slug in pending}
        complete: list[Any] = []
        watch = ImportWatch(
            {item.pk: pending},
            lambda _: [kind.namespace.detail(pk=item.pk)],
            self.resources,
            self.imports,
            self.settings.timeout,
            on_value=lambda slug: progress[slug].add(1),
            on_complete=complete.append,
            on_partial=lambda _, words: warn_user(words, PartialImportWarning),
        )
        with given_up_on_error(progress.values()):
            failed, late = watch.wait(timeout)
            for error in (*failed.values(), *late.values()):
                raise error
        return complete[0]
