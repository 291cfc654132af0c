"""Resuming interrupted uploads, on a sandbox."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import Client, SocketValueSpec, models
from gcapi._transfer.upload_sources import PathSource
from gcapi.exceptions import (
    ObjectNotFound,
    SpecError,
    SpecFileError,
    StorageError,
    UploadInterrupted,
    UploadLimitReached,
)
from gcapi.progress import ProgressEvent
from gcapi_sandbox import Faults, Sandbox
from tests.support.data import found, unique
from tests.support.lost_responses import CUT, faulty, in_turn
from tests.support.servers.api_and_store import upload
from tests.support.servers.loopback import AT_ONCE
from tests.support.servers.raw_http import wait_until
from tests.support.upload_faults import PART, make_parts_small

CONTENT = os.urandom(5 * PART + 123)
UNKNOWN = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"


@pytest.fixture(autouse=True)
def _small_parts(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let parts be small, on both sides."""
    make_parts_small(monkeypatch)
    before, sandbox.limits.smallest_part = sandbox.limits.smallest_part, PART
    yield
    sandbox.limits.smallest_part = before


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a file of six parts."""
    file = tmp_path / f"{unique('scan')}.sqreg"
    file.write_bytes(CONTENT)
    return file


def put_sizes(sandbox: Sandbox) -> list[int]:
    """Return the size of each part that reached the store."""
    return sorted(one.body_size for one in sandbox.requests if one.method == "PUT")


def begun(client: Client, path: Path, *parts: tuple[int, bytes]) -> models.UserUpload:
    """Create an upload and send some of its parts."""
    made = client.uploads.create(filename=path.name)
    numbers = [number for number, _ in parts]
    urls = client.uploads.generate_presigned_urls(
        pk=made.pk, s3_upload_id=made.s3_upload_id, part_numbers=numbers
    ).presigned_urls
    for number, data in parts:
        assert httpx.put(dict(urls)[str(number)], content=data, trust_env=False).is_success
    return made


def pieces(*numbers: int) -> list[tuple[int, bytes]]:
    """Return the bytes of parts of the file."""
    return [(n, CONTENT[(n - 1) * PART : n * PART]) for n in numbers]


def content_at_the_server(sandbox: Sandbox, client: Client, made: Any) -> bytes:
    """Return what a file value that is made of an upload holds."""
    slug, archive = (
        sandbox.add_socket(unique("file"), "SQREG file"),
        sandbox.add_archive(unique("a")),
    )
    item = client.add_case_to_archive(archive_slug=archive, values=[])
    client.archive_items.partial_update(
        item.pk, values=[{"interface": slug, "user_upload": made.api_url}]
    )
    sandbox.wait_idle(30)
    (value,) = client.archive_items.detail(pk=item.pk).values
    response = client(url=value.file, follow_redirects=True)
    assert isinstance(response, httpx.Response)
    return response.content


# ---------------------------------------------------------------- the printed call


def test_printed_call_sends_what_is_missing(
    sandbox: Sandbox, client: Client, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call that an interruption prints sends the missing parts only."""
    monkeypatch.setattr("gcapi._transfer.parts.PREFERRED_PART_SIZE", PART)
    slug, archive = (
        sandbox.add_socket(unique("file"), "SQREG file"),
        sandbox.add_archive(unique("a")),
    )

    def cut_off(*_: object) -> None:
        sandbox.faults = Faults(rules=(replace(CUT, origin="api"),))

    third_url = in_turn("PATCH", ("*/generate-presigned-urls/",), CUT, skip=2)
    options = {"retry_strategy": AT_ONCE, "max_concurrent_uploads": 2}
    with (
        faulty(sandbox, *third_url, on_strike=cut_off, **options) as unlucky,
        pytest.raises(UploadInterrupted) as caught,
    ):
        unlucky.add_case_to_archive(archive_slug=archive, values=[SocketValueSpec(slug, file=path)])
    ((pk, name),) = caught.value.uploads.items()
    assert name == path.name
    # A part may have been on its way when the call ended: the store is still at it, or got a piece of it.
    puts = [one for one in sandbox.requests if one.method == "PUT"]
    wait_until(lambda: all(one.status for one in puts))
    sent = [one.status for one in puts].count(200)
    assert 0 < sent < 6
    assert client.uploads.detail(pk=pk).status == "Initialized"

    sandbox.requests.clear()
    (call,) = [line for line in str(caught.value).splitlines() if ".resume(" in line]
    made = eval(call.strip(), {"client": client})

    assert (made.pk, made.status) == (pk, "Completed")
    assert len(put_sizes(sandbox)) == 6 - sent
    assert found(sandbox, "POST", r"/uploads/$") == []
    assert content_at_the_server(sandbox, client, made) == CONTENT


@pytest.mark.parametrize("arrived", [(), (1,), (6,), (2, 4), (1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 6)])
def test_missing_parts_are_sent(
    sandbox: Sandbox, client: Client, path: Path, arrived: tuple[int, ...]
) -> None:
    """Resuming sends the parts that the store does not have, and no others."""
    started = begun(client, path, *pieces(*arrived))
    sandbox.requests.clear()
    made = client.uploads.resume(pk=started.pk, file=str(path))
    assert (made.pk, made.status, made.filename) == (started.pk, "Completed", path.name)
    expected = sorted(len(data) for n, data in pieces(*range(1, 7)) if n not in arrived)
    assert put_sizes(sandbox) == expected
    assert content_at_the_server(sandbox, client, made) == CONTENT


def test_other_parts_are_sent_again(sandbox: Sandbox, client: Client, path: Path) -> None:
    """A part with other content or another size is sent again."""
    (_, first), (_, second), (_, third) = pieces(1, 2, 3)
    other = bytes(len(second))
    started = begun(client, path, (1, first), (2, other), (3, third[:-1]))
    sandbox.requests.clear()
    made = client.uploads.resume(pk=started.pk, file=path)
    assert len(put_sizes(sandbox)) == 5
    assert content_at_the_server(sandbox, client, made) == CONTENT


@pytest.mark.parametrize("length", [0, 1, PART, 20 * PART])
def test_file_of_another_length_becomes_the_upload(
    sandbox: Sandbox, client: Client, path: Path, length: int
) -> None:
    """After resuming with a file of another length, the upload has that file's content alone."""
    started = begun(client, path, *pieces(1, 2, 3, 4, 5, 6))
    path.write_bytes(content := os.urandom(length))
    made = client.uploads.resume(pk=started.pk, file=path)
    assert content_at_the_server(sandbox, client, made) == content


def test_kept_parts_count_as_progress(sandbox: Sandbox, client: Client, path: Path) -> None:
    """Kept parts count as progress."""
    started = begun(client, path, *pieces(1, 2))
    heard: list[ProgressEvent] = []
    with Client(sandbox.token, sandbox.base_url, progress=heard.append) as listening:
        listening.uploads.resume(pk=started.pk, file=path)
    assert {(event.phase, event.total) for event in heard} == {("upload", len(CONTENT))}
    kept = [sum(len(data) for _, data in pieces(*numbers)) for numbers in [(1,), (1, 2)]]
    assert [event.done for event in heard[:3]] == [0, *kept]
    assert heard[-1].is_finished


# ---------------------------------------------------------------- what cannot be taken up


def test_completed_upload_cannot_be_compared(sandbox: Sandbox, client: Client, path: Path) -> None:
    """Resuming a complete upload, which may be of another file, is refused with what to do, and sends nothing."""
    (made,) = upload(client, PathSource(path))
    sandbox.requests.clear()
    with pytest.raises(
        SpecError, match=r"is complete\. The API shows neither its size nor"
    ) as refused:
        client.uploads.resume(pk=made.pk, file=path)
    assert f"client.uploads.detail(pk={made.pk!r})" in str(refused.value)
    assert put_sizes(sandbox) == []


def test_aborted_upload_cannot_be_taken_up(client: Client, path: Path) -> None:
    """An aborted upload cannot be resumed, and the error says what to do."""
    started = begun(client, path)
    client.uploads.abort_multipart_upload(pk=started.pk, s3_upload_id=started.s3_upload_id)
    with pytest.raises(SpecError, match="'Aborted' and cannot be resumed; upload the file again"):
        client.uploads.resume(pk=started.pk, file=path)


def test_unknown_upload_is_not_found(client: Client, path: Path) -> None:
    """Resuming an unknown upload raises `ObjectNotFound`."""
    with pytest.raises(ObjectNotFound):
        client.uploads.resume(pk=UNKNOWN, file=path)


@pytest.mark.parametrize("what", ["missing", "directory"])
def test_wrong_path_leaves_the_upload_as_it_was(
    client: Client, path: Path, tmp_path: Path, what: str
) -> None:
    """A wrong path is refused, and the upload can still be resumed."""
    started = begun(client, path, *pieces(1))
    with pytest.raises(SpecFileError):
        client.uploads.resume(
            pk=started.pk, file=tmp_path if what == "directory" else tmp_path / "missing"
        )
    assert client.uploads.resume(pk=started.pk, file=path).status == "Completed"


def test_refused_resumption_is_aborted(sandbox: Sandbox, client: Client, path: Path) -> None:
    """If the server refuses more uploads, its message is raised, and the upload is aborted."""
    started = begun(client, path, *pieces(1))
    limit, sandbox.limits.upload_bytes = sandbox.limits.upload_bytes, 0
    try:
        with pytest.raises(UploadLimitReached, match="Upload limit reached"):
            client.uploads.resume(pk=started.pk, file=path)
    finally:
        sandbox.limits.upload_bytes = limit
    assert client.uploads.detail(pk=started.pk).status == "Aborted"


def test_expired_urls_are_asked_for_once_more(sandbox: Sandbox, client: Client, path: Path) -> None:
    """If even new URLs have expired, because a clock is wrong, each part is tried at most twice."""
    started = begun(client, path, *pieces(1, 2, 3, 4, 5))
    sandbox.requests.clear()
    seconds, sandbox.limits.presigned_url_seconds = sandbox.limits.presigned_url_seconds, -10
    try:
        with pytest.raises(StorageError, match="expired") as refused:
            client.uploads.resume(pk=started.pk, file=path)
    finally:
        sandbox.limits.presigned_url_seconds = seconds
    assert any("clock" in note for note in refused.value.__notes__)
    assert len(found(sandbox, "PUT", "")) == 2
    assert client.uploads.detail(pk=started.pk).status == "Aborted"


def test_first_urls_expire_and_fresh_ones_do_not(
    sandbox: Sandbox, client: Client, path: Path
) -> None:
    """Expired URLs are replaced, and the file is uploaded whole."""
    limits = sandbox.limits
    before, limits.presigned_url_seconds = limits.presigned_url_seconds, -10

    def renew(_: ProgressEvent) -> None:
        if found(sandbox, "PATCH", "generate-presigned-urls"):
            limits.presigned_url_seconds = before

    sandbox.requests.clear()
    try:
        with Client(sandbox.token, sandbox.base_url, progress=renew) as listening:
            (made,) = upload(listening, PathSource(path))
    finally:
        limits.presigned_url_seconds = before
    statuses = [one.status for one in sandbox.requests if one.method == "PUT"]
    assert statuses.count(403) >= 1
    assert statuses.count(200) == 6
    assert content_at_the_server(sandbox, client, made) == CONTENT
