"""Algorithms, their jobs and endpoints, and sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gcapi._api.operations import plain
from gcapi._api.resource_mixins import CreateMixin, QuotaCreateMixin, ReadMixin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcapi import models


class Algorithms(ReadMixin["models.Algorithm"]):
    """Algorithms that can be run."""

    list_operation = "algorithms.algorithms_list"
    detail_operation = "algorithms.algorithms_retrieve"


class AlgorithmImages(ReadMixin["models.AlgorithmImage"]):
    """The container images of algorithms, visible to their editors."""

    list_operation = "algorithms.algorithms_images_list"
    detail_operation = "algorithms.algorithms_images_retrieve"


class AlgorithmJobs(ReadMixin["models.HyperlinkedJob"], QuotaCreateMixin["models.JobPost"]):
    """Algorithm jobs."""

    list_operation = "algorithms.algorithms_jobs_list"
    detail_operation = "algorithms.algorithms_jobs_retrieve"
    create_operation = "algorithms.algorithms_jobs_create"

    def by_input_image(self, pk: str) -> Iterator[models.HyperlinkedJob]:
        """Iterate over the jobs that have the given image among their inputs."""
        return self.iterate_all(params={"input_image": pk})


class AlgorithmEndpoints(ReadMixin["models.Endpoint"], CreateMixin["models.EndpointPost"]):
    """Algorithms that are kept running for immediate invocation (servers from July 2026)."""

    list_operation = "algorithms.algorithms_endpoints_list"
    detail_operation = "algorithms.algorithms_endpoints_retrieve"
    create_operation = "algorithms.algorithms_endpoints_create"

    def keep_alive(self, pk: str) -> dict[str, Any]:
        """Keep an endpoint from being stopped, and return the server's response."""
        return plain(
            self._calls.operation("algorithms.algorithms_endpoints_keep_alive_partial_update", pk)
        )


class AlgorithmInvocations(ReadMixin["models.Invocation"], CreateMixin["models.InvocationPost"]):
    """Invocations of algorithm endpoints (servers from July 2026)."""

    list_operation = "algorithms.algorithms_invocations_list"
    detail_operation = "algorithms.algorithms_invocations_retrieve"
    create_operation = "algorithms.algorithms_invocations_create"


class Interfaces(ReadMixin["models.ComponentInterface"]):
    """Sockets, which the API calls component interfaces."""

    list_operation = "components.components_interfaces_list"
    detail_operation = "components.components_interfaces_retrieve"
