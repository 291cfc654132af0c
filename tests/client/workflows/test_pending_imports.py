"""Imports that another process has begun: they are waited for, and not repeated."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import Row, push, write_manifest
from gcapi_sandbox import Faults, Sandbox
from tests.support.data import (
    DEADLINE,
    add_collection,
    found,
    noise,
    series,
    unique,
    written,
)
from tests.support.lost_responses import connected


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("image", "call"),
        ("file", "call"),
        ("dicom", "call"),
        ("image", "push"),
        ("file", "push"),
    ],
)
def test_skip_does_not_repeat_a_pending_import_of_another_process(
    client: Client, sandbox: Sandbox, tmp_path: Path, source: str, how: str
) -> None:
    """While an import is pending, `existing="skip"` in a second process waits for it and uploads nothing."""
    kind = {"image": "Image", "file": "CSV file", "dicom": "DICOM Image Set"}[source]
    slug, name = sandbox.add_socket(unique(source), kind), unique("scan")
    if source == "dicom":
        spec = SocketValueSpec(slug, files=series(tmp_path), image_name="CT")
    elif source == "image":
        spec = SocketValueSpec(slug, file=noise(tmp_path / f"{name}.mha"))
    else:
        spec = SocketValueSpec(slug, file=written(tmp_path / f"{name}.csv", "a;b"))
    archive = add_collection(sandbox, client, "archive")
    manifest = tmp_path / "manifest.csv"
    cell = f"{name}.mha" if source == "image" else f"{name}.csv"
    write_manifest(manifest, [Row(0, "A", None, {slug: cell})])

    def again() -> None:
        with Client(sandbox.token, sandbox.base_url) as other:
            if how == "push":
                push(other, manifest, f"archive:{archive.slug}", journal=tmp_path / "other.db")
            else:
                other.add_case_to_archive(
                    archive_slug=archive.slug, title="A", values=[spec], existing="skip"
                )

    with sandbox.hold_background():
        case = archive.add(spec, title="A")
        sandbox.requests.clear()
        second = threading.Thread(target=again)
        second.start()
        pause = threading.Event()
        while len(found(sandbox, "GET", "/uploads/$")) < 2 and second.is_alive():
            pause.wait(0.01)
    second.join(DEADLINE)

    assert not found(sandbox, "POST", "/uploads/$")
    assert [one.pk for one in archive.all()] == [case.pk]
    assert [value.interface.slug for value in archive.filled(case.pk).values] == [slug]


def test_an_unused_upload_of_an_ended_process_is_not_waited_for_whatever_the_clocks_show(
    client: Client, sandbox: Sandbox, tmp_path: Path
) -> None:
    """An upload that nobody uses delays a case by seconds, even if its creation is ages ahead of the local clock."""
    slug = sandbox.add_socket(unique("file"), "CSV file")
    path = written(tmp_path / f"{unique('scan')}.csv", "a;b")
    archive = add_collection(sandbox, client, "archive")
    case = archive.add(title="A")
    sandbox.faults = Faults(clock_offset=20 * 365 * 86_400)
    with path.open("rb") as file:
        client.uploads.upload_fileobj(fileobj=file, filename=path.name)
    sandbox.faults = Faults()

    def add() -> None:
        other.add_case_to_archive(
            archive_slug=archive.slug,
            title="A",
            values=[SocketValueSpec(slug, file=path)],
            existing="skip",
        )

    with connected(sandbox) as other:
        second = threading.Thread(target=add, daemon=True)
        second.start()
        second.join(DEADLINE / 2)
        assert not second.is_alive()
    assert [value.interface.slug for value in archive.filled(case.pk).values] == [slug]
