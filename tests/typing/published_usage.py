"""What users of the published client write today: never run, only type-checked, with `mypy --strict`.

Whatever stands here is a promise about types: it has to be accepted, and `assert_type` says what comes out.
"""

from __future__ import annotations

import collections.abc
import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any, assert_type

import httpx

import gcapi
import gcapi.check_version
import gcapi.client
import gcapi.create_strategies
import gcapi.exceptions
import gcapi.models
import gcapi.retries
from gcapi import Client, SocketValueSpec
from gcapi.check_version import UnsupportedVersionError
from gcapi.client import Client as ClientOfItsModule
from gcapi.create_strategies import SocketValueSpec as SpecOfItsModule
from gcapi.exceptions import (
    GCAPIError,
    MultipleObjectsReturned,
    ObjectNotFound,
    SocketNotFound,
)
from gcapi.models import (
    Algorithm,
    AlgorithmImage,
    Answer,
    Archive,
    ArchiveItem,
    ArchiveItemPost,
    ComponentInterface,
    DisplaySet,
    DisplaySetPost,
    Endpoint,
    EndpointPost,
    HyperlinkedComponentInterfaceValue,
    HyperlinkedImage,
    HyperlinkedJob,
    ImageFile,
    Invocation,
    InvocationPost,
    JobPost,
    Question,
    RawImageUploadSession,
    ReaderStudy,
    Session,
    UserUpload,
    UserUploadComplete,
    UserUploadParts,
    UserUploadPresignedURLs,
    WorkstationConfig,
)
from gcapi.retries import BaseRetryStrategy, SelectiveBackoffStrategy


class NoRetries(BaseRetryStrategy):
    """The strategy of the published documentation."""

    def get_delay(self, latest_response: httpx.Response) -> float | None:
        return None


class OnlyWhenBusy(BaseRetryStrategy):
    """A strategy that looks at the answer."""

    def get_delay(self, latest_response: httpx.Response) -> gcapi.retries.Seconds | None:
        return 1.0 if latest_response.status_code == httpx.codes.TOO_MANY_REQUESTS else None


class MyClient(Client):
    """A subclass, as some projects have one."""

    def my_archives(self) -> list[str]:
        return [archive.title for archive in self.archives.iterate_all()]


# ---------------------------------------------------------------- making a client


def constructing() -> None:
    assert_type(Client(), Client)
    Client("token")
    Client("token", "https://grand-challenge.org/api/v1/")
    Client("token", "https://grand-challenge.org/api/v1/", True, 60.0, None, 10, 10)
    Client("token", "https://grand-challenge.org/api/v1/", False, 60, NoRetries, 4, 4)
    Client(
        token="token",
        base_url="https://grand-challenge.org/api/v1/",
        verify=True,
        timeout=60.0,
        retry_strategy=None,
        max_concurrent_uploads=10,
        max_concurrent_downloads=10,
    )
    Client(retry_strategy=NoRetries)
    Client(retry_strategy=OnlyWhenBusy)
    Client(retry_strategy=lambda: NoRetries())
    Client(retry_strategy=SelectiveBackoffStrategy(backoff_factor=0.5, maximum_number_of_retries=3))
    Client(retry_strategy=SelectiveBackoffStrategy(0.5, 3))
    gcapi.Client(token="token")
    gcapi.client.Client(token="token")
    ClientOfItsModule(token="token")
    MyClient(token="token").my_archives()


def as_a_context() -> None:
    with gcapi.Client(token="token") as client:
        assert_type(client, Client)
    with MyClient(token="token") as mine:
        assert_type(mine, MyClient)
    client.close()


def reading_settings(client: Client) -> None:
    assert_type(client.base_url, httpx.URL)
    assert_type(client.max_concurrent_uploads, int)
    assert_type(client.max_concurrent_downloads, int)


def raw_calls(client: Client) -> None:
    assert_type(client(path="archives/"), Any)
    client("GET", "https://grand-challenge.org/api/v1/archives/")
    client("GET", "", "archives/", {"slug": "my-archive"}, None, {"Accept": "text/csv"})
    client(method="GET", path="archives/", params={"slug": "my-archive"})
    client(method="GET", url="https://grand-challenge.org/media/x.pdf", follow_redirects=True)
    client(method="POST", path="uploads/", json={"filename": "ct.mha"})
    client(method="POST", path="workstations/feedback/", data={"a": "b"}, files={"c": b"d"})


# ---------------------------------------------------------------- socket values


def specifications(
    image: HyperlinkedImage, value: HyperlinkedComponentInterfaceValue
) -> list[SocketValueSpec]:
    specs = [
        SocketValueSpec(socket_slug="lung-volume", value=1.9),
        SocketValueSpec("lung-volume", 1.9),
        SocketValueSpec("lung-volume", value={"a": [1, None]}),
        SocketValueSpec(socket_slug="report", file="report.pdf"),
        SocketValueSpec(socket_slug="report", file=Path("report.pdf")),
        SocketValueSpec(socket_slug="ct", files=["a.mhd", "a.zraw"]),
        SocketValueSpec(socket_slug="ct", files=[Path("a.mhd"), "a.zraw"]),
        SocketValueSpec(socket_slug="ct", files=sorted(Path("ct").glob("*.dcm"))),
        SocketValueSpec(socket_slug="ct", files=["1.dcm", "2.dcm"], image_name="My CT"),
        SocketValueSpec(socket_slug="ct", existing_image_api_url=image.api_url),
        SocketValueSpec(socket_slug="ct", existing_socket_value=value),
        SpecOfItsModule(socket_slug="lung-volume", value=1.9),
        gcapi.SocketValueSpec(socket_slug="lung-volume", value=1.9),
        gcapi.create_strategies.SocketValueSpec(socket_slug="lung-volume", value=1.9),
    ]
    if value.image is not None:
        specs.append(SocketValueSpec(socket_slug="ct", existing_image_api_url=value.image))
    assert_type(specs[0].socket_slug, str)
    assert_type(specs, list[SocketValueSpec])
    return specs


# ---------------------------------------------------------------- the workflows


def archive_workflows(client: Client, values: list[SocketValueSpec]) -> None:
    item = client.add_case_to_archive(archive_slug="my-archive", values=values)
    assert_type(item, ArchiveItemPost)
    assert_type(item.pk, str)
    client.add_case_to_archive(archive_slug="my-archive", values=values, title="Case 1")
    client.add_case_to_archive(archive_slug="my-archive", values=[])
    changed = client.update_archive_item(archive_item_pk=item.pk, values=values, title="")
    assert_type(changed, ArchiveItemPost)
    client.update_archive_item(archive_item_pk=item.pk, values=[])


def reader_study_workflows(client: Client, values: list[SocketValueSpec]) -> None:
    display_set = client.add_case_to_reader_study(reader_study_slug="my-study", values=values)
    assert_type(display_set, DisplaySetPost)
    client.add_case_to_reader_study(
        reader_study_slug="my-study", values=values, title="Case 1", order=10
    )
    client.add_case_to_reader_study(reader_study_slug="my-study", values=values, order=None)
    changed = client.update_display_set(
        display_set_pk=display_set.pk, values=values, title="", order=None
    )
    assert_type(changed, DisplaySetPost)
    client.update_display_set(display_set_pk=display_set.pk, values=[], order=3)


def algorithm_workflows(client: Client, inputs: list[SocketValueSpec]) -> None:
    job = client.start_algorithm_job(algorithm_slug="my-algorithm", inputs=inputs)
    assert_type(job, JobPost)
    assert_type(job.pk, str)
    assert_type(job.status, str)
    endpoint = client.algorithms.detail(slug="my-algorithm").api_url
    made = client.algorithm_endpoints.create(algorithm=endpoint)
    assert_type(made, EndpointPost)
    assert_type(client.algorithm_endpoints.keep_alive(pk=made.pk), dict[str, Any])
    invocation = client.invoke_algorithm_endpoint(endpoint_pk=made.pk, inputs=inputs)
    assert_type(invocation, InvocationPost)


# ---------------------------------------------------------------- the namespaces


def archives(client: Client) -> None:
    assert_type(client.archives.detail(slug="my-archive"), Archive)
    assert_type(client.archives.detail(pk="…"), Archive)
    assert_type(client.archives.detail("…"), Archive)
    assert_type(client.archives.detail(api_url="https://…"), Archive)
    assert_type(client.archives.iterate_all(), Iterator[Archive])
    page = client.archives.page(offset=0, limit=10, params={"slug": "my-archive"})
    assert_type(page[0], Archive)
    assert_type([archive.slug_of() if False else archive.pk for archive in page], list[str]) if False else None
