"""A store with the interface of S3, run by `moto`, and the client published by AWS.

`moto` encrypts nothing: of a bucket with a key it sends the headers of S3, and the ETags of a bucket without one.
`encrypting` gives them the ETags that S3 has then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import boto3
import httpx
from botocore.client import Config
from moto.server import ThreadedMotoServer

from tests.support.servers.loopback import Answer, Loopback, Seen
from tests.support.servers.relay import forward

REGION = "eu-central-1"


@contextmanager
def aws_client() -> Iterator[Any]:
    """Run `moto` on a local port, and yield a client of it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name=REGION,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )
    try:
        yield client
    finally:
        client.close()
        server.stop()


def create_bucket(client: Any, name: str) -> None:
    """Create a bucket."""
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})


def encrypted_tag(tag: str) -> str:
    """Return an ETag that looks like an MD5 checksum and is none, in the place of one that is."""
    return f'"{hashlib.md5(b"key" + tag.encode()).hexdigest()}"'


@contextmanager
def encrypting(root: str) -> Iterator[Loopback]:
    """Forward requests to a store, and replace its ETags by those of encrypted objects."""
    with httpx.Client(trust_env=False) as upstream:

        def script(seen: Seen) -> Answer:
            answer = forward(upstream, root, seen)
            headers = {name.lower(): value for name, value in answer.headers.items()}
            if "etag" in headers:
                headers["etag"] = encrypted_tag(headers["etag"])
            return replace(answer, headers=headers)

        with Loopback(script, with_version=False) as server:
            yield server
