"""Uploads, whole and step by step."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from gcapi import Client
from gcapi._transfer.parts import STREAM_PART_SIZE
from gcapi.exceptions import (
    AuthenticationError,
    ObjectNotFound,
    PermissionDenied,
    SpecError,
    SpecTypeError,
    StatusError,
    StorageError,
    TransferError,
)
from gcapi.progress import ProgressEvent
from gcapi.retries import SelectiveBackoffStrategy
from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import Answer, Loopback, Seen, connect, in_turn

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"


def stored(client: Client, pk: str, s3_upload_id: str) -> list[tuple[int, int]]:
    """Return the number and the size of each part that the store has."""
    parts = client.uploads.list_parts(pk=pk, s3_upload_id=s3_upload_id).parts
    return [(part.part_number, part.size) for part in parts]


def put_sizes(sandbox: Sandbox) -> list[int]:
    """Return the size of each part that was sent, in the order of sending."""
    return [seen.body_size for seen in sandbox.requests if seen.method == "PUT"]


def steps(sandbox: Sandbox) -> Counter[str]:
    """Return how often each step of an upload was asked for."""
    names = (seen.path.rstrip("/").rpartition("/")[2] for seen in sandbox.requests)
    return Counter(name for name in names if name.endswith(("-upload", "-urls", "uploads")))


# ---------------------------------------------------------------- step by step


def test_an_upload_by_hand(client: Client) -> None:
    """An upload can be made step by step."""
    upload = client.uploads.create(filename="by hand.bin")
    assert (upload.filename, upload.status) == ("by hand.bin", "Initialized")
    where = {"pk": upload.pk, "s3_upload_id": upload.s3_upload_id}
    urls = client.uploads.generate_presigned_urls(**where, part_numbers=[1, 2]).presigned_urls
    assert sorted(urls.to_dict() if hasattr(urls, "to_dict") else urls) == ["1", "2"]
    etag = httpx.put(dict(urls)["1"], content=b"content").headers["ETag"]
    assert stored(client, **where) == [(1, 7)]
    parts = [{"ETag": etag, "PartNumber": 1}]
    completed = client.uploads.complete_multipart_upload(**where, parts=parts)
    assert completed.status == "Completed"
    assert client.uploads.detail(pk=upload.pk).status == "Completed"
    assert parts == [{"ETag": etag, "PartNumber": 1}]


def test_listed_parts_can_be_completed_as_they_are(client: Client) -> None:
    """The parts that the server lists can be passed to completing as they are."""
    upload = client.uploads.create(filename="listed.bin")
    where = {"pk": upload.pk, "s3_upload_id": upload.s3_upload_id}
    urls = dict(client.uploads.generate_presigned_urls(**where, part_numbers=[3]).presigned_urls)
    httpx.put(urls["3"], content=b"content")
    listed = client.uploads.list_parts(**where).parts
    assert client.uploads.complete_multipart_upload(**where, parts=listed).status == "Completed"


def test_extra_keys_of_parts_stay_here(client: Client) -> None:
    """Other fields of parts than ETag and PartNumber are not sent."""
    upload = client.uploads.create(filename="extra.bin")
    where = {"pk": upload.pk, "s3_upload_id": upload.s3_upload_id}
    urls = dict(client.uploads.generate_presigned_urls(**where, part_numbers=[1]).presigned_urls)
    etag = httpx.put(urls["1"], content=b"content").headers["ETag"]
    part = {"ETag": etag, "PartNumber": 1, "LastModified": "2026-01-01T00:00:00Z", "Size": 7}
    assert client.uploads.complete_multipart_upload(**where, parts=[part]).status == "Completed"
    assert len(part) == 4


@pytest.mark.parametrize("part", [{"ETag": "a"}, {"PartNumber": 1}, {}])
def test_part_without_its_keys_is_refused(
    sandbox: Sandbox, client: Client, part: dict[str, object]
) -> None:
    """A part without ETag or PartNumber is refused, and nothing is sent."""
    sandbox.requests.clear()
    with pytest.raises(TypeError, match="ETag and PartNumber"):
        client.uploads.complete_multipart_upload(pk=PK, s3_upload_id="s", parts=[part])
    assert len(sandbox.requests) == 0


def test_aborting(client: Client) -> None:
    """An aborted upload has the status Aborted and no ID in the store."""
    upload = client.uploads.create(filename="aborted.bin")
    aborted = client.uploads.abort_multipart_upload(pk=upload.pk, s3_upload_id=upload.s3_upload_id)
    assert (aborted.status, aborted.s3_upload_id) == ("Aborted", "")
    with pytest.raises(ObjectNotFound):
        client.uploads.list_parts(pk=upload.pk, s3_upload_id=upload.s3_upload_id)


def test_completed_upload_gets_no_further_urls(client: Client) -> None:
    """The server's refusal is passed on with its words."""
    upload = client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="x")
    with pytest.raises(PermissionDenied, match="Upload limit reached"):
        client.uploads.generate_presigned_urls(
            pk=upload.pk, s3_upload_id=upload.s3_upload_id, part_numbers=[1]
        )


@pytest.mark.parametrize("name", ["a/b.txt", "/", ".", "", "  ", "x" * 129, "a\0b", "a\ud800b"])
def test_names_that_the_server_refuses_are_not_sent(
    sandbox: Sandbox, client: Client, name: str
) -> None:
    """A file name with a slash, over 128 characters or blank is refused before anything is sent."""
    sandbox.requests.clear()
    with pytest.raises(SpecError, match="does not accept the file name"):
        client.uploads.create(filename=name)
    with pytest.raises(SpecError, match="does not accept the file name"):
        client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename=name)
    assert len(sandbox.requests) == 0


@pytest.mark.parametrize("name", ["x" * 128, "..", "a b\t.nii.gz", 'q:*?"\\', "ü漢.mha"])
def test_names_that_the_server_takes_arrive(client: Client, name: str) -> None:
    """Unusual names that the server accepts are not changed."""
    assert client.uploads.create(filename=name).filename == name


# ---------------------------------------------------------------- whole files


def test_file_object_is_uploaded(sandbox: Sandbox, client: Client) -> None:
    """A small file object is one part, and the upload comes back completed."""
    sandbox.requests.clear()
    upload = client.uploads.upload_fileobj(fileobj=io.BytesIO(b"content"), filename="a.bin")
    assert (upload.filename, upload.status) == ("a.bin", "Completed")
    assert put_sizes(sandbox) == [7]
    assert steps(sandbox) == {
        "uploads": 1,
        "generate-presigned-urls": 1,
        "complete-multipart-upload": 1,
    }


def test_file_object_is_read_from_where_it_stands(sandbox: Sandbox, client: Client) -> None:
    """A file object is uploaded from its current position."""
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    sandbox.requests.clear()
    client.uploads.upload_fileobj(fileobj=file, filename="rest.bin")
    assert put_sizes(sandbox) == [6]


def test_opened_file_is_uploaded_and_left_open(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """A file that the caller opened is the caller's to close."""
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    sandbox.requests.clear()
    with path.open("rb") as file:
        client.uploads.upload_fileobj(fileobj=file, filename=path.name)
        assert not file.closed
    assert put_sizes(sandbox) == [3]


def test_empty_file_is_one_empty_part(sandbox: Sandbox, client: Client) -> None:
    """The store completes no upload without parts, so an empty file is an empty part."""
    sandbox.requests.clear()
    upload = client.uploads.upload_fileobj(fileobj=io.BytesIO(), filename="empty.bin")
    assert upload.status == "Completed"
    assert put_sizes(sandbox) == [0]


def test_pipe_is_uploaded(sandbox: Sandbox, client: Client) -> None:
    """A pipe, which cannot seek and gives less than it is asked for, is uploaded whole in one part."""
    read_end, write_end = os.pipe()

    def write() -> None:
        with open(write_end, "wb", buffering=0) as pipe:  # noqa: PTH123
            pipe.writelines(b"x" * 10_000 for _ in range(30))

    writer = threading.Thread(target=write)
    writer.start()
    sandbox.requests.clear()
    with open(read_end, "rb", buffering=0) as pipe:  # noqa: PTH123
        upload = client.uploads.upload_fileobj(fileobj=pipe, filename="pipe.bin")
    writer.join()
    assert upload.status == "Completed"
    assert put_sizes(sandbox) == [300_000]


LARGE_UPLOAD = """
import sys, tracemalloc
from gcapi import Client

class Zeros:
    left = int(sys.argv[1])

    def read(self, size):
        size = min(size, self.left)
        self.left -= size
        return bytes(size)

with Client(base_url=sys.argv[2], max_concurrent_uploads=2) as client:
    client.archives.count()
    tracemalloc.start()
    upload = client.uploads.upload_fileobj(fileobj=Zeros(), filename="large.bin")
    print(upload.status, tracemalloc.get_traced_memory()[1])
"""


def test_large_file_object_is_sent_in_parts(sandbox: Sandbox) -> None:
    """A file object is sent in parts of 8 MiB, at most two of them in memory for each connection."""
    sandbox.requests.clear()
    run = subprocess.run(
        [sys.executable, "-c", LARGE_UPLOAD, str(12 * STREAM_PART_SIZE + 5), sandbox.base_url],
        env={**os.environ, "GRAND_CHALLENGE_AUTHORIZATION": sandbox.token},
        check=True,
        capture_output=True,
        text=True,
    )
    status, peak = run.stdout.split()
    assert status == "Completed"
    assert sorted(put_sizes(sandbox)) == [5, *[STREAM_PART_SIZE] * 12]
    # A part that was sent is let go of a moment after the next one may be read.
    assert int(peak) < (2 * 2 + 1.5) * STREAM_PART_SIZE


def test_several_files_come_back_in_their_order(sandbox: Sandbox, client: Client) -> None:
    """Uploads are returned in the order of the file objects."""
    names = [f"{number}.bin" for number in range(25)]
    files = [io.BytesIO(bytes(number)) for number in range(25)]
    sandbox.requests.clear()
    uploads = client.uploads.upload_multiple_fileobj(file_objects=files, filenames=names)
    assert [upload.filename for upload in uploads] == names
    assert {upload.status for upload in uploads} == {"Completed"}
    assert sorted(put_sizes(sandbox)) == list(range(25))


@pytest.mark.parametrize(("files", "names"), [(2, 1), (1, 2), (0, 1), (1, 0)])
def test_as_many_names_as_files(sandbox: Sandbox, client: Client, files: int, names: int) -> None:
    """Different numbers of names and files raise ValueError before anything is sent."""
    sandbox.requests.clear()
    with pytest.raises(ValueError, match=f"{files} file objects and {names} file names"):
        client.uploads.upload_multiple_fileobj(
            file_objects=[io.BytesIO(b"x")] * files, filenames=["x"] * names
        )
    assert len(sandbox.requests) == 0


def test_no_files_are_no_uploads(sandbox: Sandbox, client: Client) -> None:
    """Uploading no files sends nothing."""
    sandbox.requests.clear()
    assert client.uploads.upload_multiple_fileobj(file_objects=[], filenames=[]) == []
    assert len(sandbox.requests) == 0


def test_text_file_is_refused(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """A file that was opened as text is refused before anything is sent, with what to do instead."""
    path = tmp_path / "a.txt"
    path.write_text("text")
    sandbox.requests.clear()
    with path.open() as file, pytest.raises(SpecTypeError, match="binary mode"):
        client.uploads.upload_fileobj(fileobj=file, filename="a.txt")  # type: ignore[arg-type]
    assert len(sandbox.requests) == 0


def test_text_reader_is_refused(sandbox: Sandbox, client: Client) -> None:
    """An object whose read returns text is refused, and its upload is aborted."""

    class Text:
        def read(self, size: int) -> str:
            return "text"[:size]

    sandbox.requests.clear()
    with pytest.raises(SpecTypeError, match="binary mode"):
        client.uploads.upload_fileobj(fileobj=Text(), filename="a.txt")  # type: ignore[arg-type]
    assert put_sizes(sandbox) == []
    assert steps(sandbox)["abort-multipart-upload"] == 1


def test_progress_of_an_upload(sandbox: Sandbox) -> None:
    """A listener receives the bytes, and the total once the file object has ended."""
    heard: list[ProgressEvent] = []
    with Client(sandbox.token, sandbox.base_url, progress=heard.append) as client:
        client.uploads.upload_fileobj(fileobj=io.BytesIO(b"abc"), filename="a.bin")
    assert {(event.phase, event.name, event.item) for event in heard} == {
        ("upload", "a.bin", heard[0].item)
    }
    assert (heard[0].done, heard[0].total) == (0, None)
    assert (heard[-1].done, heard[-1].total) == (3, 3)
    assert [event.is_finished for event in heard].count(True) == 1


# ---------------------------------------------------------------- failures


def test_reader_that_fails_aborts_the_upload(sandbox: Sandbox, client: Client) -> None:
    """An error of the caller's file object is raised, and the upload is aborted."""

    class Broken:
        def read(self, _: int) -> bytes:
            raise OSError(5, "Input/output error")

    sandbox.requests.clear()
    with pytest.raises(OSError, match="Input/output error"):
        client.uploads.upload_fileobj(fileobj=Broken(), filename="a.bin")
    assert steps(sandbox)["abort-multipart-upload"] == 1
    assert steps(sandbox)["complete-multipart-upload"] == 0


def test_limit_of_uploads(sandbox: Sandbox) -> None:
    """The refusal of another upload is raised, and nothing is sent to the store."""
    token = sandbox.add_user("full-of-uploads")
    sandbox.requests.clear()
    before = sandbox.limits.uploads_per_user
    sandbox.limits.uploads_per_user = 0
    try:
        with (
            Client(token, sandbox.base_url, on_limit="raise") as client,
            pytest.raises(StatusError, match="too many uploads"),
        ):
            client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="x")
    finally:
        sandbox.limits.uploads_per_user = before
    assert put_sizes(sandbox) == []


def test_wrong_token_uploads_nothing(sandbox: Sandbox) -> None:
    """With an invalid token nothing is sent to the store."""
    sandbox.requests.clear()
    with Client("ff", sandbox.base_url) as client, pytest.raises(AuthenticationError):
        client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="x")
    assert put_sizes(sandbox) == []


@contextmanager
def faulty_store(*puts: Answer) -> Iterator[tuple[Loopback, Loopback]]:
    """Give an API whose uploads go to a store that answers as told, the last again and again, and that store."""
    made = threading.Lock()

    def upload(pk: str, **extra: object) -> dict[str, object]:
        return {
            "pk": pk,
            "created": "2026-01-01T00:00:00Z",
            "filename": "x",
            "key": f"uploads/1/{pk}",
            "s3_upload_id": "s3",
            "status": "Initialized",
            "api_url": f"{api.base_url}uploads/{pk}/",
            **extra,
        }

    def answer(seen: Seen) -> Answer:
        words = seen.path.strip("/").split("/")
        if seen.method == "POST":
            with made:
                number = sum(one.method == "POST" for one in api.seen)
            return Answer(status=201, body=upload(f"{number:08}-46ea-4f3c-b9f8-6ab0f2fd3b5d"))
        if words[-1] == "generate-presigned-urls":
            numbers = seen.json()["part_numbers"]
            urls = {str(n): f"{store.origin}/{words[3]}/{n}?X-Amz-Signature=s" for n in numbers}
            return Answer(body=upload(words[3], presigned_urls=urls))
        return Answer(body=upload(words[3], status="Completed"))

    with Loopback(in_turn(*puts), with_version=False) as store, Loopback(answer) as api:
        yield api, store


def ends(server: Loopback) -> list[str]:
    """Return the last word of each address that was asked."""
    return [seen.path.strip("/").rpartition("/")[2] for seen in server.seen]


ETAG = {"ETag": '"e"'}
REFUSAL = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'


def test_refusal_of_the_store_aborts_the_upload() -> None:
    """A part that the store refuses twice raises StorageError with the store's message, and the upload is aborted."""
    refusal = Answer(status=403, body=REFUSAL, headers={"Content-Type": "application/xml"})
    with (
        faulty_store(refusal) as (api, store),
        connect(api) as client,
        pytest.raises(StorageError, match=r"403.*AccessDenied") as caught,
    ):
        client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="x")
    assert "X-Amz-Signature" not in str(caught.value)
    urls = ["generate-presigned-urls"] * 2
    assert ends(api) == ["uploads", *urls, "abort-multipart-upload"]
    assert [seen.header("Authorization") for seen in store.seen] == ["", ""]


def test_store_without_tags_aborts_the_upload() -> None:
    """A store that returns no ETag raises an error, and the upload is aborted."""
    with (
        faulty_store(Answer()) as (api, _),
        connect(api) as client,
        pytest.raises(TransferError, match="no ETag"),
    ):
        client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="x")
    assert ends(api)[-1] == "abort-multipart-upload"


def test_part_is_sent_again_while_the_store_is_busy() -> None:
    """The PUT of a part is retried like a read."""
    busy = Answer(status=503)
    with faulty_store(busy, busy, Answer(headers=ETAG)) as (api, store):
        retries = SelectiveBackoffStrategy(0.0, 8)
        with connect(api, retry_strategy=retries) as client:
            client.uploads.upload_fileobj(fileobj=io.BytesIO(b"part"), filename="x")
    assert [(seen.method, seen.body) for seen in store.seen] == [("PUT", b"part")] * 3
    assert api.seen[-1].json() == {"parts": [{"ETag": '"e"', "PartNumber": 1}]}


def test_one_failure_stops_the_others() -> None:
    """If one of several uploads is refused, no more are created, and the refusal is raised."""
    refusal = Answer(status=403, body=REFUSAL)
    with (
        faulty_store(refusal) as (api, _),
        connect(api, max_concurrent_uploads=1) as client,
        pytest.raises(StorageError),
    ):
        client.uploads.upload_multiple_fileobj(
            file_objects=[io.BytesIO(b"x") for _ in range(50)],
            filenames=[f"{number}" for number in range(50)],
        )
    counts = Counter(ends(api))
    assert counts["uploads"] < 50
    assert (
        counts["uploads"] == counts["abort-multipart-upload"] + counts["complete-multipart-upload"]
    )


def test_failed_abort_does_not_hide_the_error() -> None:
    """The first error is raised even if aborting fails too."""
    with faulty_store(Answer(status=403)) as (api, _):
        answer = api.script

        def script(seen: Seen) -> Answer:
            return Answer(status=500) if "abort" in seen.path else answer(seen)

        api.script = script
        with connect(api) as client, pytest.raises(StorageError):
            client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="x")
    assert ends(api)[-1] == "abort-multipart-upload"


def test_storage_never_sees_the_token(sandbox: Sandbox, client: Client) -> None:
    """No request to the object store carries an Authorization header."""
    sandbox.requests.clear()
    client.uploads.upload_multiple_fileobj(
        file_objects=[io.BytesIO(b"a"), io.BytesIO(b"b")], filenames=["a", "b"]
    )
    schemes = [seen.authorization for seen in sandbox.requests if seen.origin == "storage"]
    assert schemes == ["", ""]
