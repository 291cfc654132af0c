"""Starting jobs, each exactly once.

An algorithm's jobs are listed in the order of their creation, so the new ones follow those that were counted before.
When the response to starting a job is lost, the new jobs are searched for the one with our JSON values and images,
whose uploaded images and files have the names of ours. Uploads that are gone prove that the job was started; uploads
that all exist, and no new job until the server cannot be busy any more, prove that it was not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, Protocol

import httpx

from gcapi import models
from gcapi._api.limited_creation import create_within_limit
from gcapi._api.lost_writes import (
    WRITE_ERRORS,
    RecoveryPolicy,
    ambiguous_on_failure,
    as_written,
    is_lost,
    is_server_error,
)
from gcapi._api.operations import Calls, plain
from gcapi._api.page import MAX_PAGE_SIZE
from gcapi._http.urls import last_segment, same_path
from gcapi._util.fork_safety import Lock
from gcapi._workflows.namespaces import Namespaces
from gcapi._workflows.prepare import PreparedValues, UploadedFiles
from gcapi.exceptions import AmbiguousWriteError
from grand_challenge_api import api

if TYPE_CHECKING:
    from grand_challenge_api.api.algorithms import algorithms_jobs_list

#: How many of an algorithm's latest jobs are compared with those that are about to be started.
RECENT_JOBS = 100
#: Of how many started jobs a client remembers the uploads, for the reason of a failure: some 500 bytes each.
REMEMBERED_JOBS = 10_000
#: A lock for each algorithm, so that this process starts its jobs one by one and can tell them apart.
_locks: dict[str, Lock] = {}


#: "posting": the request is about to be sent; "uploaded": there is no job; "started": there is one.
JobStep = Literal["uploaded", "posting", "started"]


class JobRecorder(Protocol):
    """Called with each step of starting a job, before the next one that depends on it."""

    def __call__(self, step: JobStep, *, pk: str = "", jobs_before: int = 0) -> None:
        """Record a step.

        Args:
            step: The step.
            pk: The job, once it is started.
            jobs_before: How many jobs the algorithm has before the request.
        """
        ...


def record_nothing(step: JobStep, *, pk: str = "", jobs_before: int = 0) -> None:
    """Record nothing: one call of `Client` ends with its process."""


@dataclass(frozen=True)
class JobStarter:
    """Start jobs.

    Attributes:
        calls: Calls the API.
        resources: The namespaces.
        recovery: How lost requests are repeated and looked for.
        uploaded: Returns the uploads of the inputs of a job that this client started, by socket slug.
    """

    calls: Calls
    resources: Namespaces
    recovery: RecoveryPolicy
    uploaded: Callable[[str], dict[str, UploadedFiles]] = field(
        default_factory=lambda: lru_cache(REMEMBERED_JOBS)(_no_uploads)
    )

    def start(
        self,
        algorithm: models.Algorithm,
        inputs: PreparedValues,
        record: JobRecorder = record_nothing,
    ) -> models.JobPost:
        """Start a job, exactly once.

        A wait for the limit of active jobs holds no lock, so that other jobs can be started meanwhile.

        Raises:
            AmbiguousWriteError: It is unknown whether the job was started.
            LimitReached: You have too many active jobs, and waiting is not wanted or did not help.
        """
        jobs = self.resources.algorithm_jobs
        fields = {"algorithm": algorithm.api_url, "inputs": inputs.values}

        def attempt() -> models.JobPost:
            with _lock_of(algorithm):
                search = _JobSearch(self, algorithm, inputs, jobs.count(_filter(algorithm)))
                record("posting", jobs_before=search.before)
                try:
                    job = self._start_once(fields, search)
                except WRITE_ERRORS as error:
                    if not is_lost(error):
                        record("uploaded")
                    raise
                self.uploaded(job.pk).update(inputs.files)
                record("started", pk=job.pk)
                return job

        return create_within_limit(self.calls, fields, attempt)

    def find(
        self, algorithm: models.Algorithm, inputs: PreparedValues, before: int, record: JobRecorder
    ) -> None:
        """Find the job that an earlier process requested, and record whether there is one.

        Args:
            algorithm: The algorithm.
            inputs: The inputs of the job.
            before: The number of jobs before the request.
            record: Called with what is found.

        Raises:
            AmbiguousWriteError: It is unknown whether the job was started.
        """
        with _lock_of(algorithm):
            found = _JobSearch(self, algorithm, inputs, before).result()
        if found is None:
            record("uploaded")
        else:
            record("started", pk=found.pk)

    def recent_jobs(self, algorithm: models.Algorithm) -> list[models.HyperlinkedJob]:
        """Return the latest jobs of an algorithm that you may see, at most `RECENT_JOBS`, in two requests."""
        jobs = self.resources.algorithm_jobs
        skipped = max(0, jobs.count(_filter(algorithm)) - RECENT_JOBS)
        return [*jobs.page(skipped, RECENT_JOBS, _filter(algorithm))]

    def job_with_inputs(
        self,
        algorithm: models.Algorithm,
        inputs: PreparedValues,
        jobs: Iterable[models.HyperlinkedJob],
        image_names: dict[str, str],
    ) -> models.HyperlinkedJob | None:
        """Return one of some jobs that has equal inputs; `None` if there is none.

        Values and images on the server are compared; of files, which are not uploaded yet, the names.

        Args:
            algorithm: The algorithm.
            inputs: The inputs.
            jobs: The jobs.
            image_names: The names of images by their addresses, which are added here, so that each is read once.
        """
        search = _JobSearch(self, algorithm, inputs, 0, image_names)
        return next((job for job in jobs if search.has_equal_inputs(job)), None)

    def _start_once(self, fields: Mapping[str, Any], search: _JobSearch) -> models.JobPost:
        """Start a job; after a lost response find it, and repeat the request if it certainly started none."""
        # Without the wait for the limit, during which no lock may be held.
        create = partial(self.calls.call, api.algorithms_jobs_create, body=fields)
        lost: Exception | None = None
        for number in chain((0,), self.recovery.repeats()):
            try:
                return create()
            except WRITE_ERRORS as error:
                if number == 0 and not is_lost(error):
                    raise
                lost = error
            found = search.result()
            if found is not None:
                inputs = as_written(found.inputs)
                return models.JobPost.from_dict(
                    {"pk": found.pk, "status": found.status, "inputs": inputs}
                )
            if not (is_lost(lost) or is_server_error(lost)):
                # The repeat was refused, and no job explains that: the first request would have been refused too.
                raise lost
        raise AmbiguousWriteError(f"{search.message} ({lost})") from lost

    def invoke(self, endpoint: models.Endpoint, inputs: PreparedValues) -> models.InvocationPost:
        """Invoke an endpoint, at most once.

        Raises:
            AmbiguousWriteError: The response was lost, and the API shows nothing by which to find the invocation.
        """
        message = (
            f"The response to invoking endpoint {endpoint.pk} was lost. Look at your latest invocations before you"
            " invoke it again."
        )
        try:
            return self.resources.algorithm_invocations.create(
                endpoint=endpoint.api_url, inputs=inputs.values
            )
        except WRITE_ERRORS as error:
            if not is_lost(error):
                raise
            raise AmbiguousWriteError(f"{message} ({error})") from error


class _JobSearch:
    """The search for one job among the new ones.

    A job shows its uploaded inputs only once they are imported, and never if the import failed. Until it shows all of
    its inputs, it may be ours unless one of them differs.
    """

    def __init__(
        self,
        starter: JobStarter,
        algorithm: models.Algorithm,
        inputs: PreparedValues,
        before: int,
        image_names: dict[str, str] | None = None,
    ) -> None:
        self._image_names = {} if image_names is None else image_names
        self._resources = starter.resources
        self._recovery = starter.recovery
        self._filter = _filter(algorithm)
        self._inputs = inputs
        self._values = {value["interface"]: plain(value) for value in inputs.values}
        self.before = before
        self.message = (
            f"The response to starting a job of {algorithm.slug!r} was lost. Look at your latest jobs of this algorithm"
            " before you start it again."
        )
        #: The new jobs that may be ours, as they were listed last.
        self._possible: list[models.HyperlinkedJob] = []

    def result(self) -> models.HyperlinkedJob | None:
        """Return the job that a lost request started; `None` if it certainly started none.

        Raises:
            AmbiguousWriteError: Neither is certain.
        """
        with ambiguous_on_failure(self.message):
            found = self._recovery.look_for(self._certain)
            if found is None and (
                self._possible or self._inputs.are_used(self._resources.uploads) is not False
            ):
                raise AmbiguousWriteError(f"{self.message} {self._findings()}")
            return found

    def _certain(self) -> models.HyperlinkedJob | None:
        """List the new jobs; return the only one that may be ours, if it shows all inputs."""
        jobs = self._resources.algorithm_jobs.page(self.before, MAX_PAGE_SIZE, self._filter)
        self._possible = [job for job in jobs if self._may_be_ours(job)]
        if len(self._possible) != 1 or len(self._possible[0].inputs) < len(self._values):
            return None
        # Uploads that may have expired were perhaps not used by this job.
        is_certain = not self._inputs.files or self._inputs.are_used(self._resources.uploads)
        return self._possible[0] if is_certain else None

    def _findings(self) -> str:
        """Return why the search is not decided."""
        if not self._possible:
            return "Its uploads were used or have expired, but no new job shows these inputs."
        unclear = [job for job in self._possible if len(job.inputs) < len(self._values)]
        candidates = unclear or self._possible
        noun = "Job" if len(candidates) == 1 else "One of the jobs"
        why = "not all inputs show" if unclear else "this is uncertain"
        return f"{noun} {', '.join(job.pk for job in candidates)} may be it: {why}."

    def has_equal_inputs(self, job: models.HyperlinkedJob) -> bool:
        """Return whether a job shows all inputs, and they are equal."""
        return len(job.inputs) == len(self._values) and self._may_be_ours(job)

    def _may_be_ours(self, job: models.HyperlinkedJob) -> bool:
        inputs = {value.interface.slug: value for value in job.inputs}
        return inputs.keys() <= self._values.keys() and all(
            self._is_same(value, self._values[slug]) for slug, value in inputs.items()
        )

    def _is_same(
        self, value: models.HyperlinkedComponentInterfaceValue, sent: Mapping[str, Any]
    ) -> bool:
        if "value" in sent:
            return bool(value.value == sent["value"])
        if "image" in sent:
            return same_path(value.image, sent["image"])
        sent_names = (*self._inputs.files[sent["interface"]].names, sent.get("image_name") or "")
        return self._shown_name(value) in {_comparable(name) for name in sent_names if name}

    def _shown_name(self, value: models.HyperlinkedComponentInterfaceValue) -> str:
        if isinstance(value.image, str):
            if value.image not in self._image_names:
                name = self._resources.images.detail(api_url=value.image).name
                self._image_names[value.image] = _comparable(name)
            return self._image_names[value.image]
        return _comparable(last_segment(httpx.URL(value.file).path)) if value.file else ""


def _no_uploads(_pk: str) -> dict[str, UploadedFiles]:
    return {}


def _lock_of(algorithm: models.Algorithm) -> Lock:
    return _locks.setdefault(algorithm.api_url, Lock())


def _filter(algorithm: models.Algorithm) -> algorithms_jobs_list.Query:
    return {"algorithm_image__algorithm": algorithm.pk}


def _comparable(name: str) -> str:
    """Return a file name without the characters that the server replaces or leaves out."""
    return re.sub(r"[\W_]+", "", name)
