"""Uploads to, and downloads from, a bucket whose objects are encrypted with a key of AWS's key management service."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gcapi._transfer import checksums
from gcapi._transfer.parts import MIN_PART_SIZE
from gcapi._transfer.upload_sources import PathSource
from tests.support.api_objects import image_file
from tests.support.servers.api_and_store import UploadServer, upload
from tests.support.servers.aws_store import aws_client, create_bucket, encrypted_tag, encrypting
from tests.support.servers.loopback import Answer, Loopback, Seen

BUCKET = "encrypted"
CONTENT = os.urandom(2 * MIN_PART_SIZE + 1)
KMS = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "some-key"}


@pytest.fixture(scope="module")
def aws() -> Iterator[Any]:
    """Yield a client of a store with a bucket that encrypts by default."""
    with aws_client() as client:
        create_bucket(client, BUCKET)
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": KMS["SSEKMSKeyId"]}
        rules = [{"ApplyServerSideEncryptionByDefault": default}]
        client.put_bucket_encryption(
            Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": rules}
        )
        yield client


class Bucket:
    """The server's side of the bucket: it presigns requests and completes an upload.

    Args:
        aws: The client of the store.
        store: The store as users see it.
    """

    def __init__(self, aws: Any, store: Loopback) -> None:
        self._aws, self._store = aws, store
        self._place = {"Bucket": BUCKET, "Key": "scan.mha"}
        made = aws.create_multipart_upload(**self._place, **KMS)
        self._upload = {**self._place, "UploadId": made["UploadId"]}

    def object_url(self) -> str:
        """Return a presigned URL of the object."""
        return self._presign("get_object", self._place)

    def part_urls(self, numbers: list[int]) -> dict[str, str]:
        """Return a presigned URL for each part."""
        return {
            str(number): self._presign("upload_part", {**self._upload, "PartNumber": number})
            for number in numbers
        }

    def complete(self, parts: list[dict[str, Any]]) -> None:
        """Complete the upload, whose parts have the ETags that users saw."""
        stored = self._aws.list_parts(**self._upload)["Parts"]
        assert [(part["PartNumber"], part["ETag"]) for part in parts] == [
            (part["PartNumber"], encrypted_tag(part["ETag"])) for part in stored
        ]
        named = [{name: part[name] for name in ("PartNumber", "ETag")} for part in stored]
        self._aws.complete_multipart_upload(**self._upload, MultipartUpload={"Parts": named})

    def _presign(self, operation: str, parameters: dict[str, Any]) -> str:
        url: str = self._aws.generate_presigned_url(operation, Params=parameters)
        return url.replace(self._aws.meta.endpoint_url, self._store.origin)


def test_files_pass_an_encrypted_bucket_once(
    aws: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Each part is sent once and each file read once, and that they are not verified is said once."""
    checksums._log_encryption.cache_clear()
    path = tmp_path / "scan.mha"
    path.write_bytes(CONTENT)
    with encrypting(aws.meta.endpoint_url) as store:
        bucket = Bucket(aws, store)

        def on_step(step: str, seen: Seen) -> Answer | None:
            if seen.path == "/media/scan.mha":
                return Answer(status=302, headers={"Location": bucket.object_url()})
            if step == "complete-multipart-upload":
                bucket.complete(seen.json()["parts"])
            if step == "generate-presigned-urls":
                (made,) = server.uploads.values()
                urls = bucket.part_urls(seen.json()["part_numbers"])
                return Answer(body={**made, "presigned_urls": urls})
            return None

        with UploadServer(before=on_step) as server, server.client() as client:
            upload(client, PathSource(path))
            sent = [seen for seen in store.seen if seen.method == "PUT"]
            assert sorted(len(seen.body) for seen in sent) == [1, MIN_PART_SIZE, MIN_PART_SIZE]
            # Objects of one part have the ETags in question; the server makes them when it copies.
            aws.put_object(Bucket=BUCKET, Key="scan.mha", Body=CONTENT)
            for name in ("first", "second"):
                (got,) = client.images.download(
                    files=[image_file(f"{server.api.origin}/media/scan.mha")],
                    output_directory=tmp_path / "out",
                    filename=name,
                )
                assert got.read_bytes() == CONTENT
    starts = [seen.header("Range").partition("-")[0] for seen in store.seen if seen.method == "GET"]
    assert starts.count("bytes=0") == 2
    (record,) = [one for one in caplog.records if "ETags are no checksums" in one.message]
    assert record.levelname == "WARNING"
