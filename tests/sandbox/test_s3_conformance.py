"""Conformance of the storage origin with S3: the same calls have the same results as at `moto`.

Differences that are not compared:

- Completion of an upload. At Grand Challenge the server calls S3, and an error of S3 becomes a page with status 500, so
  only the failure is compared, not the code of S3. The server refuses to complete an upload twice; S3 allows it.
- The order of the parts, which S3 checks (`InvalidPartOrder`) and `moto` does not.
- Signatures. `moto` accepts any; they are compared with those of `botocore`, which signs requests to AWS.
- A PUT to a finished upload, at which `moto` fails with a traceback. Its list of the upload's parts returns the error
  that S3 returns for both.
- The ETag of an object of several parts. Files of values are separate objects, stored in one piece.
- `If-Range`, which `moto` ignores.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from xml.etree import ElementTree as ET

import httpx
import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from gcapi_sandbox import Sandbox
from gcapi_sandbox._object_store.signatures import _KEY_ID, _REGION
from tests.support.servers.aws_store import aws_client, create_bucket
from tests.support.servers.raw_http import Web

BUCKET, KEY = "uploads", "scan.bin"
LARGE, SMALL = b"x" * 5 * 1024**2, b"y" * 11
REFUSALS = {"EntityTooSmall", "InvalidPart", "InvalidPartOrder", "MalformedXML"}
Part = tuple[int, bytes]


def etag(data: bytes) -> str:
    """Return the ETag of a part."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


class Upload(Protocol):
    """A multipart upload at either store."""

    def url(self, number: int) -> str:
        """Return a presigned URL for a part."""

    def stored(self) -> list[tuple[int, str, int]]:
        """Return the number, ETag and size of the stored parts."""

    def complete(self, parts: list[tuple[int, str]]) -> bool:
        """Return whether the upload was completed with these parts."""

    def abort(self) -> None:
        """Abort the upload."""

    def object_url(self) -> str:
        """Return a presigned URL of the object."""


class MotoUpload:
    """An upload at `moto`, through the client published by AWS."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._place = {"Bucket": BUCKET, "Key": KEY}
        made = client.create_multipart_upload(**self._place)
        self._upload = {**self._place, "UploadId": made["UploadId"]}

    def url(self, number: int) -> str:
        params = {**self._upload, "PartNumber": number}
        return self._client.generate_presigned_url("upload_part", Params=params)

    def stored(self) -> list[tuple[int, str, int]]:
        parts = self._client.list_parts(**self._upload).get("Parts", [])
        return [(part["PartNumber"], part["ETag"], part["Size"]) for part in parts]

    def complete(self, parts: list[tuple[int, str]]) -> bool:
        named = {"Parts": [{"PartNumber": number, "ETag": tag} for number, tag in parts]}
        try:
            self._client.complete_multipart_upload(**self._upload, MultipartUpload=named)
        except ClientError as error:
            if error.response["Error"]["Code"] not in REFUSALS:
                raise
            return False
        return True

    def abort(self) -> None:
        self._client.abort_multipart_upload(**self._upload)

    def object_url(self) -> str:
        return self._client.generate_presigned_url("get_object", Params=self._place)


class SandboxUpload:
    """An upload at the sandbox."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._upload, self._path = web.create_upload(KEY)

    def url(self, number: int) -> str:
        return self._web.presign(self._path, number)[str(number)]

    def stored(self) -> list[tuple[int, str, int]]:
        parts = self._web.get(f"{self._path}list-parts/")["parts"]
        return [(part["PartNumber"], part["ETag"], part["Size"]) for part in parts]

    def complete(self, parts: list[tuple[int, str]]) -> bool:
        reply = self._web.complete(self._path, *parts)
        assert reply.status_code in (200, 500)
        return reply.is_success

    def abort(self) -> None:
        assert self._web.api.patch(f"{self._path}abort-multipart-upload/").is_success

    def object_url(self) -> str:
        item = self._web.item()
        value = {"interface": "file", "user_upload": self._upload["api_url"]}
        assert self._web.patch(item, value).is_success
        file = self._web.values(item)["file"]["file"]
        return self._web.api.get(file).headers["Location"]


Begin = Callable[[], Upload]


@pytest.fixture(scope="module")
def aws() -> Iterator[Any]:
    """Yield a client of `moto` on a local port."""
    with aws_client() as client:
        create_bucket(client, BUCKET)
        yield client


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Yield a client without credentials."""
    with httpx.Client() as client:
        yield client


@pytest.fixture
def web(sandbox: Sandbox) -> Iterator[Web]:
    """Yield a plain HTTP client of a sandbox with a socket for files."""
    user = Web(sandbox)
    if not user.get("components/interfaces/", slug="file")["count"]:
        sandbox.add_socket("File", "PDF file")
    yield user
    user.close()


@pytest.fixture
def both(aws: Any, web: Web) -> tuple[Begin, Begin]:
    """Return the constructors of both kinds of uploads."""
    return lambda: MotoUpload(aws), lambda: SandboxUpload(web)


def status_and_code(reply: httpx.Response) -> tuple[int, str]:
    """Return the status of a response and the code in its XML."""
    is_refusal = reply.status_code >= 400
    return reply.status_code, ET.fromstring(reply.text).findtext("Code") if is_refusal else ""


def put(http: httpx.Client, upload: Upload, *parts: Part) -> list[tuple[int, str, int]]:
    """Put parts; return the status, ETag and length of each response."""
    replies = [http.put(upload.url(number), content=data) for number, data in parts]
    return [(one.status_code, one.headers["ETag"], len(one.content)) for one in replies]


def test_parts(http: httpx.Client, both: tuple[Begin, Begin]) -> None:
    """The ETag of a part is its MD5, a part can be replaced, and parts are listed in order."""

    def outcome(begin: Begin) -> Any:
        upload = begin()
        answers = put(http, upload, (7, SMALL), (2, LARGE), (3, b""), (7, b"other"))
        return answers, upload.stored()

    theirs, ours = map(outcome, both)
    assert ours == theirs
    assert ours[1] == [(2, etag(LARGE), len(LARGE)), (3, etag(b""), 0), (7, etag(b"other"), 5)]


@pytest.mark.parametrize("parts", [[(1, LARGE), (4, SMALL)], [(4, SMALL)], [(5, b"")]], ids=len)
def test_complete(http: httpx.Client, both: tuple[Begin, Begin], parts: list[Part]) -> None:
    """Part numbers can have gaps, and the last part can be small or empty."""
    for begin in both:
        upload = begin()
        put(http, upload, *parts)
        assert upload.complete([(number, etag(data)) for number, data in parts])


def test_invalid_completions(http: httpx.Client, both: tuple[Begin, Begin]) -> None:
    """A small part before the last, a changed part, an unknown part, and an empty list are refused."""
    for begin in both:
        upload = begin()
        put(http, upload, (4, SMALL), (5, b""))
        for named in ([(4, SMALL), (5, b"")], [(4, LARGE)], [(3, SMALL)], []):
            assert not upload.complete([(number, etag(data)) for number, data in named])


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1)])
def test_part_order(http: httpx.Client, web: Web, numbers: tuple[int, ...]) -> None:
    """Parts must be in ascending order, each once."""
    upload = SandboxUpload(web)
    put(http, upload, (1, SMALL), (2, SMALL))
    web.sandbox.limits.smallest_part = 1
    assert not upload.complete([(number, etag(SMALL)) for number in numbers])
    web.sandbox.limits.smallest_part = len(LARGE)


OWN = "the object's own"  # placeholder for its ETag
READS: tuple[dict[str, str], ...] = (
    {},
    {"Range": "bytes=0-3"},
    {"Range": "bytes=4-"},
    {"Range": "bytes=9-99"},
    {"Range": "bytes=-5"},
    {"Range": "bytes=-99"},
    {"Range": "bytes=11-"},
    {"Range": "bytes=-0"},
    {"Range": "bytes=abc"},
    {"Range": "bytes=-"},
    {"Range": "bytes=3-1"},
    {"Range": "bytes=0-1,3-4"},
    {"If-Match": '"no"'},
    {"If-Match": '"no"', "Range": "bytes=0-3"},
    {"If-Match": OWN},
    {"If-None-Match": '"no"'},
    {"If-None-Match": OWN},
)


def test_reads(http: httpx.Client, both: tuple[Begin, Begin]) -> None:
    """Full and partial reads have the same status, code, bytes and range."""
    urls = []
    for begin in both:
        upload = begin()
        put(http, upload, (1, SMALL))
        assert upload.complete([(1, etag(SMALL))])
        urls.append(upload.object_url())
    for headers in READS:
        theirs, ours = (read(http, url, headers) for url in urls)
        assert (headers, ours) == (headers, theirs)


def read(http: httpx.Client, url: str, headers: dict[str, str]) -> tuple[int, str, str, str | None]:
    """Return the status of a read, the error code, the digest of the bytes, and their range."""
    if OWN in headers.values():
        tag = http.get(url).headers["ETag"]
        headers = {name: value.replace(OWN, tag) for name, value in headers.items()}
    reply = http.get(url, headers=headers)
    digest = hashlib.sha256(reply.content).hexdigest() if reply.is_success else ""
    given = reply.headers.get("Content-Range") if reply.status_code == 206 else None
    return *status_and_code(reply), digest, given


def test_put_to_an_aborted_upload(
    http: httpx.Client, both: tuple[Begin, Begin], aws: Any, web: Web
) -> None:
    """A PUT to an aborted upload is refused like any other call for it at S3."""
    theirs, ours = (begin() for begin in both)
    late = ours.url(1)
    theirs.abort()
    ours.abort()
    with pytest.raises(ClientError) as gone:
        theirs.stored()
    refused = gone.value.response
    code = refused["ResponseMetadata"]["HTTPStatusCode"], refused["Error"]["Code"]
    assert status_and_code(http.put(late, content=SMALL)) == code == (404, "NoSuchUpload")
    missing = aws.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "none"})
    here = sign(web, f"{web.sandbox.storage_url}media/none", "GET")
    assert (
        status_and_code(http.get(here)) == status_and_code(http.get(missing)) == (404, "NoSuchKey")
    )


def sign(web: Web, url: str, method: str, secret: str = "", seconds: int = 60) -> str:
    """Sign a URL with the code of AWS."""
    credentials = Credentials(_KEY_ID, secret or web.sandbox._state.secret)
    request = AWSRequest(method=method, url=url)
    S3SigV4QueryAuth(credentials, "s3", _REGION, expires=seconds).add_auth(request)
    assert request.url
    return request.url


def test_signatures(http: httpx.Client, web: Web) -> None:
    """Signatures made by AWS's code with the right secret are accepted; altered, foreign and expired ones are not."""
    _, path = web.create_upload()
    url = web.presign(path, 1)["1"]
    plain = url.partition("?")[0]
    ids = {name: httpx.URL(url).params[name] for name in ("uploadId", "partNumber")}
    bare = str(httpx.URL(plain, params=ids))
    good = sign(web, bare, "PUT")
    assert http.put(good, content=SMALL).headers["ETag"] == etag(SMALL)
    for bad, code in (
        (good.replace("partNumber=1", "partNumber=2"), "SignatureDoesNotMatch"),
        (good[:-4] + ("0000" if not good.endswith("0000") else "1111"), "SignatureDoesNotMatch"),
        (sign(web, bare, "PUT", secret="foreign"), "SignatureDoesNotMatch"),
        (sign(web, bare, "GET"), "SignatureDoesNotMatch"),
        (sign(web, bare, "PUT", seconds=0), "AccessDenied"),
        (bare, "AccessDenied"),
    ):
        assert status_and_code(http.put(bad, content=SMALL)) == (403, code)
