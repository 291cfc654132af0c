"""Code that type checkers must refuse, never run; each expected error is ignored by its code.

A wrong use that is accepted leaves an unused `type: ignore`, which is an error of mypy and of pyright.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true, reportUnnecessaryComparison=true
# ruff: noqa: B018, D103

from __future__ import annotations

from gcapi import Client, SocketValueSpec
from gcapi.models import (
    ArchiveItem,
    ComponentInterface,
    DisplaySet,
    HyperlinkedComponentInterfaceValue,
    HyperlinkedImage,
    HyperlinkedJob,
)
from grand_challenge_api import api


def two_sources(value: HyperlinkedComponentInterfaceValue) -> None:
    SocketValueSpec("ct", value=1, file="a.json")  # type: ignore[call-overload]
    SocketValueSpec("ct", 1, files=["a.mha"])  # type: ignore[call-overload]
    SocketValueSpec("ct", file="a.mha", files=["b.mha"])  # type: ignore[call-overload]
    SocketValueSpec("ct", file="a.mha", existing_image_api_url="…")  # type: ignore[call-overload]
    SocketValueSpec("ct", value=None, existing_socket_value=value)  # type: ignore[call-overload]


def no_source_or_another_one(image: HyperlinkedImage) -> None:
    SocketValueSpec("ct")  # type: ignore[call-overload]
    SocketValueSpec("ct", image_name="CT")  # type: ignore[call-overload]
    SocketValueSpec("ct", value=1, image_name="CT")  # type: ignore[call-overload]
    SocketValueSpec("ct", source="a.mha")  # type: ignore[call-overload]
    SocketValueSpec("ct", file=["a.mha"])  # type: ignore[call-overload]
    SocketValueSpec("ct", files=1)  # type: ignore[call-overload]
    SocketValueSpec("ct", existing_socket_value=image)  # type: ignore[call-overload]
    SocketValueSpec(7, value=1)  # type: ignore[call-overload]


def two_ways_to_name_an_object(client: Client, image: HyperlinkedImage) -> None:
    client.archives.detail("…", "https://…")  # type: ignore[call-overload]
    client.archives.detail(pk="…", api_url="https://…")  # type: ignore[call-overload]
    client.archives.detail(pk="…", slug="my-archive")  # type: ignore[call-overload]
    client.archives.detail(api_url="https://…", slug="my-archive")  # type: ignore[call-overload]
    client.images.download(output_directory="out", pk="…", url="https://…")  # type: ignore[call-overload]
    client.images.download(output_directory="out", pk="…", files=image.files)  # type: ignore[call-overload]
    client.images.download(output_directory="out", url="https://…", origin="…")  # type: ignore[call-overload]


def choices_that_are_none(client: Client, values: list[SocketValueSpec]) -> None:
    client.add_case_to_archive(archive_slug="a", values=values, existing="overwrite")  # type: ignore[arg-type]
    client.images.download(output_directory="out", pk="…", existing="update")  # type: ignore[call-overload]
    Client(on_limit="ignore")  # type: ignore[arg-type]


def workflows(client: Client, values: list[SocketValueSpec]) -> None:
    client.add_case_to_archive("my-archive", values)  # type: ignore[call-arg]
    client.add_case_to_archive(archive_slug="my-archive")  # type: ignore[call-arg]
    client.add_case_to_archive(archive_slug="my-archive", values=[{"socket": 1}])  # type: ignore[list-item]
    client.update_archive_item(archive_item_pk=1, values=values)  # type: ignore[arg-type]
    client.start_algorithm_job(algorithm_slug="my-algorithm", values=values)  # type: ignore[call-arg]
    client.reader_study  # type: ignore[attr-defined]


def what_comes_out(client: Client) -> None:
    item: DisplaySet = client.archive_items.detail(pk="…")  # type: ignore[assignment]
    item.archive  # type: ignore[attr-defined]
    for one in client.archive_items.iterate_all():
        one.titel  # type: ignore[attr-defined]
    ArchiveItem(pk="…")  # type: ignore[call-arg]


def misspelt_choices(job: HyperlinkedJob, socket: ComponentInterface) -> bool:
    return job.status == "Succeded" or socket.super_kind == "Images"  # type: ignore[comparison-overlap]


def misspelt_fields(client: Client) -> None:
    client.archive_items.create(archive="…", titel="a")  # type: ignore[call-arg]
    client.archive_items.create(title="a")  # type: ignore[call-arg]
    client.archive_items.create(archive=1)  # type: ignore[arg-type]
    client.archive_items.update("…", valeus=[])  # type: ignore[call-arg]
    client.reader_studies.display_sets.partial_update(pk="…", order="first")  # type: ignore[arg-type]
    client.algorithm_jobs.create(algorithm="…", input=[])  # type: ignore[call-arg]


def misspelt_filters(client: Client) -> None:
    client.archives.detail(slg="my-archive")  # type: ignore[call-overload]
    client.archive_items.detail(archve="…")  # type: ignore[call-overload]
    client.archive_items.iterate_all(params={"archve": "…"})  # type: ignore[arg-type]
    client.images.count({"archive": 1})  # type: ignore[arg-type]
    client.algorithm_jobs.page(params={"algorithm": "…"})  # type: ignore[arg-type]
    client.archives.page(extra_params={"owner"})  # type: ignore[arg-type]


def misspelt_operations(client: Client) -> None:
    api.archive_list  # type: ignore[attr-defined]
    client._calls.call("archives.archives_list")  # type: ignore[arg-type]
    client._calls.call(api.archives_list).result  # type: ignore[attr-defined]
