"""A scripted API with a scripted object store, for faults of single parts and byte ranges.

`UploadServer` takes multipart uploads; `served` redirects downloads to a store. Both behave like the real servers
except where a test says otherwise.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gcapi import Client
from gcapi.models import ImageFile, UserUploadComplete
from tests.support.api_objects import image_file
from tests.support.servers.loopback import Answer, Loopback, Script, Seen, connect

# ---------------------------------------------------------------- downloads

#: An ETag that is not an MD5 checksum.
TAG = '"first"'


def asked(seen: Seen) -> tuple[int, int | None] | None:
    """Return the first byte of the requested range and the byte after its last, or `None` for the whole file."""
    match = re.fullmatch(r"bytes=(\d+)-(\d*)", seen.header("Range"))
    return match and (int(match[1]), int(match[2]) + 1 if match[2] else None)


def store_answer(seen: Seen, content: bytes, tag: str = TAG, **headers: str) -> Answer:
    """Return the answer of a correct store: the range, or the whole file if `If-Range` does not match."""
    given = {**({"ETag": tag} if tag else {}), **headers}
    wanted = asked(seen)
    if wanted is None or seen.header("If-Range") not in {"", tag, headers.get("Last-Modified")}:
        return Answer(body=content, headers=given)
    start, end = wanted
    if start >= len(content):
        return Answer(status=416, body=b"<Error><Code>InvalidRange</Code></Error>")
    body = content[start:end]
    where = f"bytes {start}-{start + len(body) - 1}/{len(content)}"
    return Answer(status=206, body=body, headers={**given, "Content-Range": where})


def broken(answer: Answer, after: int) -> Answer:
    """Return an answer whose connection breaks after that many bytes of its body."""
    return replace(answer, body=answer.body[:after], length=len(answer.body))


@dataclass
class ApiAndStore:
    """An API that redirects downloads to a store."""

    api: Loopback
    store: Loopback

    def file(self, name: str = "a.mha") -> ImageFile:
        """Return a file that is on the store."""
        return image_file(f"{self.api.origin}/media/{name}")

    def download(
        self, directory: Path, *names: str, existing: Any = "error", **options: Any
    ) -> Any:
        """Download files to `x` with their suffixes, with a client of these options."""
        files = [self.file(name) for name in names or ("a.mha",)]
        with connect(self.api, **options) as client:
            return client.images.download(
                files=files, output_directory=directory, filename="x", existing=existing
            )

    def ranges(self) -> list[tuple[int, int | None] | None]:
        """Return the ranges that the store received requests for, in order."""
        return [asked(seen) for seen in self.store.seen]


@contextmanager
def served(store_script: Script, api_script: Script | None = None) -> Iterator[ApiAndStore]:
    """Run a store, and an API that redirects to its presigned URLs."""
    with Loopback(store_script) as store:

        def away(seen: Seen) -> Answer:
            link = f"{store.origin}{seen.path}?X-Amz-Signature=s3cret"
            return Answer(status=302, headers={"Location": link})

        with Loopback(api_script or away) as api:
            yield ApiAndStore(api, store)


# ---------------------------------------------------------------- uploads

#: Called with a part number and its request; an answer replaces the store's own.
OnPut = Callable[[int, Seen], Answer | None]
#: Called with a step (`uploads`, `generate-presigned-urls`, `detail`, …) and its request; an answer replaces the API's
#: own.
OnStep = Callable[[str, Seen], Answer | None]


def as_usual(_: Any, __: Seen) -> None:
    """Return no answer, so that the server gives its own."""


class UploadServer:
    """An API and a store that keep uploads in memory and record the steps in the order of their arrival.

    Attributes:
        on_put: Called with each part before it is stored.
        before: Called with each step before it is carried out.
        after: Called with each step after it was carried out.
    """

    def __init__(
        self, on_put: OnPut = as_usual, *, before: OnStep = as_usual, after: OnStep = as_usual
    ) -> None:
        self.on_put, self.before, self.after = on_put, before, after
        self.uploads: dict[str, dict[str, Any]] = {}
        self.parts: dict[str, dict[int, bytes]] = {}
        self.steps: list[str] = []
        self.asked: list[list[int]] = []
        self.completed_with: list[Any] = []
        self._lock = threading.Lock()
        self._undo = ExitStack()
        self.store = Loopback(self._put, with_version=False)
        self.api = Loopback(self._step)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.store)
            stack.enter_context(self.api)
            self._undo = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._undo.close()

    @property
    def base_url(self) -> str:
        return self.api.base_url

    def client(self, **options: Any) -> Client:
        """Return a client that retries without delay."""
        return connect(self.api, **options)

    def count(self, step: str) -> int:
        return Counter(self.steps)[step]

    def puts(self) -> list[tuple[str, int]]:
        """Return the upload and the number of each part that was received, in order."""
        return [upload_and_part(seen) for seen in self.store.seen]

    def content(self, pk: str) -> bytes:
        """Return the content of an upload."""
        return b"".join(data for _, data in sorted(self.parts[pk].items()))

    def _put(self, seen: Seen) -> Answer:
        pk, number = upload_and_part(seen)
        if len(seen.body) < int(seen.header("Content-Length")):
            # The client disconnected; a store keeps nothing of an incomplete part.
            return Answer(reset=True)
        answer = self.on_put(number, seen)
        if answer is not None:
            return answer
        with self._lock:
            self.parts[pk][number] = seen.body
        return Answer(headers={"ETag": etag_of(seen.body)})

    def _step(self, seen: Seen) -> Answer:
        words = seen.path.strip("/").split("/")
        step = words[-1] if len(words) in {3, 6} else "detail"
        with self._lock:
            self.steps.append(step)
        answer = self.before(step, seen)
        if answer is not None:
            return answer
        with self._lock:
            done = self._done(step, words, seen)
        return self.after(step, seen) or done

    def _done(self, step: str, words: list[str], seen: Seen) -> Answer:
        if step == "uploads":
            return Answer(status=201, body=self._created(seen.json()["filename"]))
        upload = self.uploads.get(words[3])
        if upload is None:
            return Answer(status=404, body={"detail": "No UserUpload matches the given query."})
        if step == "detail":
            return Answer(body=upload)
        if step == "generate-presigned-urls":
            return Answer(body={**upload, "presigned_urls": self._urls(upload["pk"], seen)})
        if step == "list-parts":
            return Answer(body={**upload, "parts": self._listed(upload["pk"])})
        return self._ended(step, upload, seen)

    def _ended(self, step: str, upload: dict[str, Any], seen: Seen) -> Answer:
        if upload["status"] != "Initialized":
            return Answer(status=500, body=b"<html>")
        if step == "complete-multipart-upload":
            self.completed_with.append(seen.json())
        upload["status"] = {"complete-multipart-upload": "Completed"}.get(step, "Aborted")
        return Answer(body=upload)

    def _urls(self, pk: str, seen: Seen) -> dict[str, str]:
        numbers = seen.json()["part_numbers"]
        self.asked.append(numbers)
        query = f"X-Amz-Signature=secret&tag={len(self.asked)}"
        return {str(n): f"{self.store.origin}/{pk}/{n}?{query}" for n in numbers}

    def _created(self, filename: str) -> dict[str, Any]:
        pk = f"{len(self.uploads) + 1:08}-46ea-4f3c-b9f8-6ab0f2fd3b5d"
        self.parts[pk] = {}
        self.uploads[pk] = {
            "pk": pk,
            "created": "2026-01-01T00:00:00Z",
            "filename": filename,
            "key": f"uploads/1/{pk}",
            "s3_upload_id": "s3",
            "status": "Initialized",
            "api_url": f"{self.api.base_url}uploads/{pk}/",
        }
        return self.uploads[pk]

    def _listed(self, pk: str) -> list[dict[str, Any]]:
        modified = "2026-01-01T00:00:00Z"
        return [
            {"ETag": etag_of(data), "PartNumber": n, "LastModified": modified, "Size": len(data)}
            for n, data in sorted(self.parts[pk].items())
        ]


def upload_and_part(seen: Seen) -> tuple[str, int]:
    """Return the upload and the number of a part."""
    pk, number = seen.path.partition("?")[0].strip("/").split("/")
    return pk, int(number)


def etag_of(data: bytes) -> str:
    """Return the ETag that a store gives a part."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def upload(client: Client, *sources: Any) -> list[UserUploadComplete]:
    """Upload sources as `add_case_to_archive` does."""
    return client.uploads._uploads.upload_all(sources)


def own_threads() -> list[str]:
    """Return the names of the running upload threads."""
    return [one.name for one in threading.enumerate() if one.name.startswith("gcapi-upload")]
