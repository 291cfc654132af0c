"""Jobs, each started exactly once.

The list of an algorithm's jobs is in the order of their creation: what was created after a moment is what comes after
as many jobs as there were then. When the answer to starting a job is lost, ours is looked for among those: the one
with our JSON values and images, whose new images and files bear the names of ours. Uploads that are gone prove that the
job was started; uploads that are all there, and no new job after the idle timeout, prove that it was not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from gcapi._api.lost_writes import (
    WRITE_ERRORS,
    RecoveryPolicy,
    ambiguous_on_failure,
    as_written,
    is_lost,
    is_server_error,
)
from gcapi._api.operations import plain
from gcapi._api.page import MAX_PAGE_SIZE
from gcapi._http.urls import last_segment, same_path
from gcapi._util.fork_safety import Lock
from gcapi.exceptions import AmbiguousWriteError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gcapi import models
    from gcapi._workflows.prepare import Posted
    from gcapi.resources import AlgorithmInvocations, AlgorithmJobs, Images, UploadsNamespace

#: One at a time for each algorithm within this process, so that new jobs can be told apart; uploads stay parallel.
_locks: dict[str, Lock] = {}


@dataclass(frozen=True)
class Starter:
    """Start jobs.

    Attributes:
        jobs: Where jobs are created and listed.
        images: Where the names of images are read.
        uploads: Where it shows whether an upload was used.
        recovery: How long a lost job is looked for.
    """

    jobs: AlgorithmJobs
    images: Images
    uploads: UploadsNamespace
    recovery: RecoveryPolicy

    def start(
        self,
        algorithm: models.Algorithm,
        posted: Posted,
        *,
        note: Callable[[int], None] = lambda _: None,
    ) -> models.JobPost:
        """Start a job, once.

        Args:
            algorithm: Whose job.
            posted: Its inputs.
            note: Called before the request with the number of jobs that there are, for a later `find`.

        Raises:
            AmbiguousWriteError: The answer was lost, and nothing tells whether there is a job.
        """
        with _locks.setdefault(algorithm.api_url, Lock()):
            before = self.jobs.count(_of(algorithm))
            note(before)
            try:
                return self._send(algorithm, posted)
            except WRITE_ERRORS as error:
                if not is_lost(error):
                    raise
                lost = error
            return self._find_or_repeat(algorithm, posted, before, lost)

    def find(
        self, algorithm: models.Algorithm, posted: Posted, before: int
    ) -> models.JobPost | None:
        """Return the job that a request started which ended with the process that sent it; `None` if it started none.

        Args:
            algorithm: Whose job.
            posted: Its inputs.
            before: The number of jobs that there were before the request.

        Raises:
            AmbiguousWriteError: Nothing tells whether there is a job.
        """
        words = _lost_words(algorithm)
        with _locks.setdefault(algorithm.api_url, Lock()), ambiguous_on_failure(words):
            found = self._look_for(algorithm, posted, before, words)
        return None if found is None else _as_written(found)

    def _send(self, algorithm: models.Algorithm, posted: Posted) -> models.JobPost:
        return self.jobs.create(algorithm=algorithm.api_url, inputs=posted.values)

    def _find_or_repeat(
        self, algorithm: models.Algorithm, posted: Posted, before: int, lost: Exception
    ) -> models.JobPost:
        """Return the job that a lost request started; send it again each time that it surely started none."""
        words = _lost_words(algorithm)
        repeats = self.recovery.repeats()
        while True:
            with ambiguous_on_failure(words):
                found = self._look_for(algorithm, posted, before, words)
            if found is not None:
                return _as_written(found)
            if not (is_lost(lost) or is_server_error(lost)):
                # The refusal of a repeat, and there is no job that would explain it: it would have been refused before.
                raise lost
            if next(repeats, None) is None:
                raise AmbiguousWriteError(f"{words} ({lost})") from lost
            try:
                return self._send(algorithm, posted)
            except WRITE_ERRORS as error:
                lost = error

    def _look_for(
        self, algorithm: models.Algorithm, posted: Posted, before: int, words: str
    ) -> models.HyperlinkedJob | None:
        """Return the job that a lost request started, or `None` if it surely started none.

        Raises:
            AmbiguousWriteError: Neither is sure.
        """
        search = _Search(self, algorithm, posted, before)
        if self.recovery.look_for(search.is_decided):
            return search.ours[0]
        if search.ours or search.unclear or posted.is_used(self.uploads):
            raise AmbiguousWriteError(f"{words} {search.what_was_seen()}")
        return None

    def listed_after(
        self, algorithm: models.Algorithm, count: int
    ) -> Sequence[models.HyperlinkedJob]:
        """Return the jobs of an algorithm beyond the first so many."""
        return self.jobs.page(count, MAX_PAGE_SIZE, _of(algorithm))

    def image_name(self, url: str) -> str:
        """Return the name of an image, which is that of the file that it was made of."""
        return self.images.detail(api_url=url).name


class _Search:
    """Look for a job among those that are new.

    A job shows its uploaded inputs only once they are taken up, and never if that failed: until it shows all of its
    inputs it may be ours, unless one that it does show is another than ours.
    """

    def __init__(
        self, starter: Starter, algorithm: models.Algorithm, posted: Posted, before: int
    ) -> None:
        self._starter = starter
        self._algorithm = algorithm
        self._posted = posted
        self._values = {value["interface"]: plain(value) for value in posted.values}
        self._before = before
        self.ours: list[models.HyperlinkedJob] = []
        #: Jobs that may be ours, and do not show all of their inputs.
        self.unclear: list[models.HyperlinkedJob] = []

    def is_decided(self) -> bool | None:
        """Look, and return `True` when one job is found and nothing says that it is not ours; else `None`."""
        jobs = self._starter.listed_after(self._algorithm, self._before)
        possible = [job for job in jobs if self._may_be_ours(job)]
        self.ours = [job for job in possible if len(job.inputs) == len(self._values)]
        self.unclear = [job for job in possible if job not in self.ours]
        return (
            True if len(self.ours) == 1 and not self.unclear and self._has_our_uploads() else None
        )

    def _has_our_uploads(self) -> bool:
        """Tell whether there are none, or one was used: the server removes them once they are inputs."""
        return not self._posted.uploads or self._posted.is_used(self._starter.uploads)

    def what_was_seen(self) -> str:
        """Say what stands in the way of a decision."""
        if self.unclear:
            return f"{_listed(self.unclear)} may be it: not all inputs show."
        if self.ours:
            return f"{_listed(self.ours)} may be it, and nothing tells for certain."
        return "Its uploads were used, but no new job shows these inputs."

    def _may_be_ours(self, job: models.HyperlinkedJob) -> bool:
        inputs = {value.interface.slug: value for value in job.inputs}
        return inputs.keys() <= self._values.keys() and all(
            self._is_same(value, self._values[slug]) for slug, value in inputs.items()
        )

    def _is_same(self, value: Any, posted: Mapping[str, Any]) -> bool:
        if "value" in posted:
            return bool(value.value == posted["value"])
        if "image" in posted:
            return same_path(value.image, posted["image"])
        return self._shown_name(value) in self._names_of(posted)

    def _shown_name(self, value: Any) -> str:
        if isinstance(value.image, str):
            return _bare(self._starter.image_name(value.image))
        return _bare(last_segment(httpx.URL(value.file).path)) if value.file else ""

    def _names_of(self, posted: Mapping[str, Any]) -> set[str]:
        given = self._posted.names[posted["interface"]]
        return {_bare(name) for name in (*given, posted.get("image_name") or "") if name}


def _lost_words(algorithm: models.Algorithm) -> str:
    return (
        f"The answer to starting a job of {algorithm.slug!r} was lost. Look at your latest jobs of this algorithm"
        " before you start it again."
    )


def _listed(jobs: Sequence[models.HyperlinkedJob]) -> str:
    """Return how a message names jobs."""
    return f"{'Job' if len(jobs) == 1 else 'The jobs'} {', '.join(job.pk for job in jobs)}"


def _bare(name: str) -> str:
    """Return a file name without what the server replaces or leaves out."""
    return re.sub(r"[\W_]+", "", name)


def _of(algorithm: models.Algorithm) -> dict[str, str]:
    """Return the filter for the jobs of an algorithm."""
    return {"algorithm_image__algorithm": algorithm.pk}


def _as_written(job: models.HyperlinkedJob) -> models.JobPost:
    from gcapi.models import JobPost

    inputs = as_written(job.to_dict()["inputs"])
    return JobPost.from_dict({"pk": job.pk, "status": job.status, "inputs": inputs})


def invoke_once(
    invocations: AlgorithmInvocations, endpoint: models.Endpoint, posted: Posted
) -> models.InvocationPost:
    """Invoke an endpoint, once.

    Raises:
        AmbiguousWriteError: The answer was lost: the API tells nothing by which an invocation is known.
    """
    try:
        return invocations.create(endpoint=endpoint.api_url, inputs=posted.values)
    except WRITE_ERRORS as error:
        if not is_lost(error):
            raise
        raise AmbiguousWriteError(
            f"The answer to invoking endpoint {endpoint.pk} was lost. Look at your latest invocations before you invoke"
            f" it again. ({error})"
        ) from error
