"""Algorithms, their jobs and endpoints, and sockets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, overload

from gcapi._api.limited_creation import create_within_limit
from gcapi._api.operations import Lazy
from gcapi._api.resource_mixins import PageModel, ReadMixin, SlugMixin
from grand_challenge_api import api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcapi import models
    from grand_challenge_api.api.algorithms import (
        algorithms_endpoints_create,
        algorithms_endpoints_list,
        algorithms_images_list,
        algorithms_invocations_create,
        algorithms_invocations_list,
        algorithms_jobs_create,
        algorithms_jobs_list,
        algorithms_list,
    )
    from grand_challenge_api.api.components import components_interfaces_list


class Algorithms(SlugMixin["models.Algorithm", "algorithms_list.Query"]):
    """Algorithms that can be run."""

    list_operation: Lazy[PageModel[models.Algorithm]] = Lazy(lambda: api.algorithms_list)
    detail_operation: Lazy[models.Algorithm] = Lazy(lambda: api.algorithms_retrieve)


class AlgorithmImages(ReadMixin["models.AlgorithmImage", "algorithms_images_list.Query"]):
    """The container images of algorithms, visible to their editors."""

    list_operation: Lazy[PageModel[models.AlgorithmImage]] = Lazy(
        lambda: api.algorithms_images_list
    )
    detail_operation: Lazy[models.AlgorithmImage] = Lazy(lambda: api.algorithms_images_retrieve)

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.AlgorithmImage: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.AlgorithmImage: ...

    @overload
    def detail(self, **filters: Unpack[algorithms_images_list.Query]) -> models.AlgorithmImage: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.AlgorithmImage:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)


class AlgorithmJobs(ReadMixin["models.HyperlinkedJob", "algorithms_jobs_list.Query"]):
    """Algorithm jobs."""

    list_operation: Lazy[PageModel[models.HyperlinkedJob]] = Lazy(lambda: api.algorithms_jobs_list)
    detail_operation: Lazy[models.HyperlinkedJob] = Lazy(lambda: api.algorithms_jobs_retrieve)

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.HyperlinkedJob: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.HyperlinkedJob: ...

    @overload
    def detail(self, **filters: Unpack[algorithms_jobs_list.Query]) -> models.HyperlinkedJob: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.HyperlinkedJob:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)

    def create(self, **fields: Unpack[algorithms_jobs_create.Body]) -> models.JobPost:
        """Start a job; wait for the server's limit first, if the client is set up to wait.

        Raises:
            LimitReached: Waiting does not help, or not before the uploads in the fields expire.
        """
        return create_within_limit(
            self._calls, fields, lambda: self._calls.call(api.algorithms_jobs_create, body=fields)
        )

    def by_input_image(self, pk: str) -> Iterator[models.HyperlinkedJob]:
        """Iterate over the jobs that have the given image among their inputs."""
        return self.iterate_all(params={"input_image": pk})


class AlgorithmEndpoints(ReadMixin["models.Endpoint", "algorithms_endpoints_list.Query"]):
    """Algorithms that are kept running for immediate invocation (servers from July 2026)."""

    list_operation: Lazy[PageModel[models.Endpoint]] = Lazy(lambda: api.algorithms_endpoints_list)
    detail_operation: Lazy[models.Endpoint] = Lazy(lambda: api.algorithms_endpoints_retrieve)

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.Endpoint: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.Endpoint: ...

    @overload
    def detail(self, **filters: Unpack[algorithms_endpoints_list.Query]) -> models.Endpoint: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.Endpoint:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)

    def create(self, **fields: Unpack[algorithms_endpoints_create.Body]) -> models.EndpointPost:
        """Start an endpoint of an algorithm."""
        return self._calls.call(api.algorithms_endpoints_create, body=fields)

    def keep_alive(self, pk: str) -> dict[str, Any]:
        """Keep an endpoint from being stopped, and return the server's response."""
        return self._calls.call(api.algorithms_endpoints_keep_alive_partial_update, pk)


class AlgorithmInvocations(ReadMixin["models.Invocation", "algorithms_invocations_list.Query"]):
    """Invocations of algorithm endpoints (servers from July 2026)."""

    list_operation: Lazy[PageModel[models.Invocation]] = Lazy(
        lambda: api.algorithms_invocations_list
    )
    detail_operation: Lazy[models.Invocation] = Lazy(lambda: api.algorithms_invocations_retrieve)

    def create(self, **fields: Unpack[algorithms_invocations_create.Body]) -> models.InvocationPost:
        """Invoke an endpoint."""
        return self._calls.call(api.algorithms_invocations_create, body=fields)


class Interfaces(SlugMixin["models.ComponentInterface", "components_interfaces_list.Query"]):
    """Sockets, which the API calls component interfaces."""

    noun = "socket"
    list_operation: Lazy[PageModel[models.ComponentInterface]] = Lazy(
        lambda: api.components_interfaces_list
    )
    detail_operation: Lazy[models.ComponentInterface] = Lazy(
        lambda: api.components_interfaces_retrieve
    )
