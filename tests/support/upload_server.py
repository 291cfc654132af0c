"""A scripted Grand Challenge for uploads: an API and a store that do as real ones, but where a test says otherwise."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from gcapi import Client
from gcapi.models import UserUploadComplete
from tests.support.loopback import AT_ONCE, Answer, Loopback, Seen, connect

#: Seconds after which something that should have come has not.
DEADLINE = 20.0

#: Told the number of a part and the request; what it returns is said in place of the store's answer.
OnPut = Callable[[int, Seen], Answer | None]
#: Told a step (`uploads`, `generate-presigned-urls`, `detail`, …) and the request; what it returns is said in place of
#: the API's answer.
OnStep = Callable[[str, Seen], Answer | None]


def as_usual(_: Any, __: Seen) -> None:
    """Leave the answer to the server."""


class UploadServer:
    """Keep what is uploaded in memory, and remember the steps in the order of their arrival.

    Attributes:
        on_put: Asked about each part before it is kept.
        before: Asked about each step before it is done.
        after: Asked about each step after it was done.
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
        """Make a client that repeats at once."""
        made = connect(self.api, **{"retry_strategy": AT_ONCE, **options})
        made.uploads._uploads.sleep = lambda _: None
        return made

    def count(self, step: str) -> int:
        return Counter(self.steps)[step]

    def puts(self) -> list[tuple[str, int]]:
        """Return the upload and the number of each part that arrived, in order."""
        return [where(seen) for seen in self.store.seen]

    def content(self, pk: str) -> bytes:
        """Return what the parts of an upload come to."""
        return b"".join(data for _, data in sorted(self.parts[pk].items()))

    def _put(self, seen: Seen) -> Answer:
        pk, number = where(seen)
        if len(seen.body) < int(seen.header("Content-Length")):
            # The client broke off; a store keeps nothing of such a part.
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


def where(seen: Seen) -> tuple[str, int]:
    """Return the upload and the number of a part."""
    pk, number = seen.path.partition("?")[0].strip("/").split("/")
    return pk, int(number)


def etag_of(data: bytes) -> str:
    """Return the ETag that a store gives a part."""
    return f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'


def upload(client: Client, *sources: Any) -> list[UserUploadComplete]:
    """Upload as the calls that make cases do."""
    return client.uploads._uploads.upload_all(sources)


def own_threads() -> list[str]:
    """Return the names of the threads of uploads that live."""
    return [one.name for one in threading.enumerate() if one.name.startswith("gcapi-upload")]
