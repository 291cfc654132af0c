"""Code that users of the published client write, checked with `mypy --strict` and never run.

Everything here must be accepted, and `assert_type` states the resulting types.
"""

# Published usage.
# ruff: noqa: D103, ARG002, B018, PLW0108

from __future__ import annotations

import collections.abc
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, assert_type

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
    """The strategy from the published documentation."""

    def get_delay(self, latest_response: httpx.Response) -> float | None:
        return None


class OnlyWhenBusy(BaseRetryStrategy):
    """A strategy that looks at the response."""

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
    status: str = job.status
    assert status
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
    assert_type(page[0:2], list[Archive])
    assert_type(len(page), int)
    assert_type((page.offset, page.limit, page.total_count), tuple[int, int, int])
    as_sequence: collections.abc.Sequence[Archive] = page
    for archive in as_sequence:
        assert_type(archive.title, str)


def archive_items(client: Client, archive: Archive) -> None:
    assert_type(client.archive_items.detail(pk="…"), ArchiveItem)
    assert_type(client.archive_items.iterate_all(), Iterator[ArchiveItem])
    items = list(client.archive_items.iterate_all(params={"archive": archive.pk}))
    assert_type(items, list[ArchiveItem])
    assert_type(items[0].values, list[HyperlinkedComponentInterfaceValue])
    made = client.archive_items.create(archive=archive.api_url, title="Case 1")
    assert_type(made, ArchiveItemPost)
    changed = client.archive_items.partial_update(
        pk=made.pk, values=[{"interface": "lung-volume", "value": 1.9}]
    )
    assert_type(changed, ArchiveItemPost)
    assert_type(client.archive_items.update(pk=made.pk, title="Case 1"), ArchiveItemPost)


def reader_studies(client: Client) -> None:
    study = client.reader_studies.detail(slug="my-study")
    assert_type(study, ReaderStudy)
    assert_type(study.questions, list[Question])
    assert_type(client.reader_studies.iterate_all(), Iterator[ReaderStudy])
    assert_type(client.reader_studies.page()[0], ReaderStudy)
    assert_type(client.reader_studies.ground_truth(study.pk, "…"), dict[str, Any])
    client.reader_studies.ground_truth(pk=study.pk, case_pk="…")


def questions(client: Client, study: ReaderStudy) -> None:
    assert_type(client.reader_studies.questions.detail(pk="…"), Question)
    asked = client.reader_studies.questions.iterate_all(params={"reader_study": study.pk})
    assert_type(asked, Iterator[Question])
    assert_type(client.reader_studies.questions.page()[0], Question)


def display_sets(client: Client, study: ReaderStudy) -> None:
    shown = client.reader_studies.display_sets.iterate_all({"reader_study": study.pk})
    assert_type(shown, Iterator[DisplaySet])
    assert_type(client.reader_studies.display_sets.detail(pk="…"), DisplaySet)
    assert_type(client.reader_studies.display_sets.page(limit=1)[0], DisplaySet)
    made = client.reader_studies.display_sets.create(reader_study=study.slug, order=10)
    assert_type(made, DisplaySetPost)
    changed = client.reader_studies.display_sets.partial_update(pk=made.pk, title="Case 1")
    assert_type(changed, DisplaySetPost)
    assert_type(client.reader_studies.display_sets.update(pk=made.pk, values=[]), DisplaySetPost)


def answers(client: Client, study: ReaderStudy, question: Question, shown: DisplaySet) -> None:
    of_study = client.reader_studies.answers.iterate_all({"question__reader_study": study.pk})
    assert_type(of_study, Iterator[Answer])
    assert_type(client.reader_studies.answers.detail(pk="…"), Answer)
    assert_type(client.reader_studies.answers.page()[0].creator, str)
    assert_type(client.reader_studies.answers.mine.iterate_all(), Iterator[Answer])
    assert_type(client.reader_studies.answers.mine.page()[0], Answer)
    made = client.reader_studies.answers.create(
        question=question.pk, display_set=shown.pk, answer="nothing found"
    )
    assert_type(made, Answer)
    client.reader_studies.answers.create(
        question=question.api_url, display_set=shown.api_url, answer=True
    )
    changed = client.reader_studies.answers.partial_update(pk=made.pk, answer="a nodule")
    assert_type(changed, Answer)
    assert_type(changed.created, dt.datetime)


def algorithms(client: Client) -> None:
    algorithm = client.algorithms.detail(slug="my-algorithm")
    assert_type(algorithm, Algorithm)
    for interface in algorithm.interfaces:
        assert_type(interface.inputs, list[ComponentInterface])
        assert_type(interface.outputs[0].slug, str)
    assert_type(client.algorithms.iterate_all(), Iterator[Algorithm])
    images = client.algorithm_images.iterate_all(params={"algorithm": algorithm.pk})
    assert_type(images, Iterator[AlgorithmImage])
    assert_type(client.algorithm_images.detail(pk="…"), AlgorithmImage)


def jobs(client: Client, algorithm: Algorithm) -> None:
    job = client.algorithm_jobs.detail(pk="…")
    assert_type(job, HyperlinkedJob)
    assert_type(job.outputs, list[HyperlinkedComponentInterfaceValue])
    assert_type(client.algorithm_jobs.iterate_all(), Iterator[HyperlinkedJob])
    assert_type(client.algorithm_jobs.by_input_image(pk="…"), Iterator[HyperlinkedJob])
    made = client.algorithm_jobs.create(
        algorithm=algorithm.api_url, inputs=[{"interface": "lung-volume", "value": 1.9}]
    )
    assert_type(made, JobPost)


def endpoints_and_invocations(client: Client) -> None:
    assert_type(client.algorithm_endpoints.iterate_all(), Iterator[Endpoint])
    running = client.algorithm_endpoints.page(params={"status": "Running"})
    assert_type(running[0].algorithm, str)
    assert_type(client.algorithm_endpoints.detail(pk="…"), Endpoint)
    assert_type(client.algorithm_invocations.iterate_all(), Iterator[Invocation])
    assert_type(client.algorithm_invocations.detail(pk="…"), Invocation)
    made = client.algorithm_invocations.create(endpoint="https://…", inputs=[])
    assert_type(made, InvocationPost)


def images(client: Client, archive: Archive) -> None:
    image = client.images.detail(pk="…")
    assert_type(image, HyperlinkedImage)
    assert_type(image.files, list[ImageFile])
    of_archive = client.images.iterate_all(params={"archive": archive.pk})
    assert_type(of_archive, Iterator[HyperlinkedImage])
    assert_type(client.images.page(params={"name": "ct.mha"})[0].name, str)


def image_downloads(client: Client, image: HyperlinkedImage) -> None:
    assert_type(client.images.download(pk=image.pk, output_directory="results"), list[Path])
    client.images.download(url=image.api_url, output_directory=Path("results"))
    client.images.download(files=image.files, output_directory="results", filename="ct")
    client.images.download(
        pk=image.pk, output_directory="results", image_type=gcapi.models.ImageTypeEnum.MHD
    )
    client.images.download(pk=image.pk, output_directory="results", image_type="TIFF")
    client.images.download(name="ct.mha", output_directory="results")


def value_downloads(client: Client, job: HyperlinkedJob, item: ArchiveItem) -> None:
    for value in [*job.inputs, *job.outputs, *item.values]:
        client.download_socket_value(value, output_directory=Path("results"))


def sockets(client: Client) -> None:
    socket = client.interfaces.detail(slug="lung-volume")
    assert_type(socket, ComponentInterface)
    assert_type((socket.slug, socket.kind), tuple[str, str])
    super_kind: str = socket.super_kind
    assert super_kind
    assert_type(socket.pk, int)
    assert_type(client.interfaces.iterate_all(), Iterator[ComponentInterface])
    client.interfaces.detail(pk=str(socket.pk))


def the_rest(client: Client) -> None:
    assert_type(client.sessions.detail(pk="…"), Session)
    assert_type(client.sessions.iterate_all(), Iterator[Session])
    assert_type(client.workstation_configs.detail(slug="…"), WorkstationConfig)
    assert_type(client.workstation_configs.iterate_all(), Iterator[WorkstationConfig])
    assert_type(client.raw_image_upload_sessions.detail(pk="…"), RawImageUploadSession)
    assert_type(client.raw_image_upload_sessions.iterate_all(), Iterator[RawImageUploadSession])


def filters(client: Client, archive: Archive) -> None:
    client.archive_items.iterate_all(extra_params={"newer_filter": 1})
    client.archive_items.page(0, 10, {"archive": archive.pk}, {"newer_filter": 1})
    assert_type(client.archive_items.detail(archive=archive.pk), ArchiveItem)
    of_image: dict[str, str] = {"title": "Case 1"}
    client.archive_items.count(extra_params=of_image)


# ---------------------------------------------------------------- uploads


def whole_uploads(client: Client, path: Path) -> None:
    with path.open("rb") as file:
        upload = client.uploads.upload_fileobj(fileobj=file, filename=path.name)
    assert_type(upload, UserUploadComplete)
    assert_type(upload.api_url, str)
    with path.open("rb") as first, path.open("rb") as second:
        uploads = client.uploads.upload_multiple_fileobj(
            file_objects=[first, second], filenames=["a.dcm", "b.dcm"]
        )
    assert_type(uploads, list[UserUploadComplete])


def uploads_by_hand(client: Client) -> None:
    upload = client.uploads.create(filename=Path("ct.mha"))
    assert_type(upload, UserUpload)
    assert_type(client.uploads.create(filename="ct.mha"), UserUpload)
    signed = client.uploads.generate_presigned_urls(
        pk=upload.pk, s3_upload_id=upload.s3_upload_id, part_numbers=[1, 2]
    )
    assert_type(signed, UserUploadPresignedURLs)
    assert_type(signed.presigned_urls["1"], str)
    listed = client.uploads.list_parts(pk=upload.pk, s3_upload_id=upload.s3_upload_id)
    assert_type(listed, UserUploadParts)
    completed = client.uploads.complete_multipart_upload(
        pk=upload.pk, s3_upload_id=upload.s3_upload_id, parts=[{"ETag": "…", "PartNumber": 1}]
    )
    assert_type(completed, UserUploadComplete)
    aborted = client.uploads.abort_multipart_upload(pk=upload.pk, s3_upload_id=upload.s3_upload_id)
    assert_type(aborted, UserUpload)
    assert_type(client.uploads.iterate_all(), Iterator[UserUpload])
    assert_type(client.uploads.detail(pk=upload.pk), UserUpload)


# ---------------------------------------------------------------- errors and models


def catching(client: Client) -> None:
    try:
        client.archives.detail(slug="my-archive")
    except ObjectNotFound:
        pass
    except MultipleObjectsReturned:
        pass
    except gcapi.exceptions.GCAPIError:
        pass
    try:
        client(path="archives/")
    except httpx.HTTPStatusError as error:
        assert_type(error.response, httpx.Response)
        assert_type(error.response.status_code, int)
        assert_type(error.request, httpx.Request)
    try:
        Client()
    except (RuntimeError, UnsupportedVersionError, gcapi.check_version.UnsupportedVersionError):
        pass
    except GCAPIError:
        pass


def catching_specifications(client: Client) -> None:
    try:
        client.add_case_to_archive(archive_slug="my-archive", values=[])
    except SocketNotFound as error:
        assert_type(error.slug, str)
    except (ValueError, TypeError, FileNotFoundError):
        pass


def enums() -> None:
    assert_type(gcapi.models.ImageTypeEnum.MHD.value, Literal["MHD"])
    gcapi.models.ColorSpaceEnum("GRAY")
    gcapi.models.StatusEnum.Succeeded.value.lower()
    gcapi.models.LocationEnum("NL")
    gcapi.models.TimezoneEnum("Europe/Amsterdam")
    gcapi.models.EyeChoiceEnum.OD
    gcapi.models.FieldOfViewEnum.F1M
    gcapi.models.StereoscopicChoiceEnum.L
    gcapi.models.ColorInterpolationEnum.RGB
    gcapi.models.NullEnum.NoneType_None
    gcapi.models.BlankEnum.field_


def annotated(archive: gcapi.models.Archive, job: gcapi.models.HyperlinkedJob) -> str:
    return f"{archive.title}: {job.status}"


def delays(strategy: BaseRetryStrategy, response: httpx.Response) -> None:
    assert_type(strategy.get_delay(response), float | None)
    assert_type(strategy.get_delay(latest_response=response), float | None)
    assert_type(SelectiveBackoffStrategy(0.1, 8).backoff_factor, float)
    assert_type(SelectiveBackoffStrategy(0.1, 8).maximum_number_of_retries, int)
