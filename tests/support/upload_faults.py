"""Helpers of the tests of uploads against a store and an API that fail."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi._transfer.multipart import COMPLETE_PAUSES
from gcapi._transfer.parts import split
from gcapi._transfer.upload_sources import BytesSource, FileObjectSource, PathSource, Source
from tests.support.servers.api_and_store import OnPut, UploadServer, etag_of
from tests.support.servers.loopback import Answer, Seen
from tests.support.servers.raw_http import wait_until

#: Parts are so small here, in bytes, that a file of a few kilobytes has several.
PART = 1000
CONTENT = os.urandom(4 * PART + 123)
REFUSED = Answer(
    status=403,
    body=b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
)
RESET = Answer(reset=True)


def make_parts_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let parts have `PART` bytes, and retry completing without a pause."""
    for name in ("parts.MIN_PART_SIZE", "parts.STREAM_PART_SIZE", "uploads.MIN_PART_SIZE"):
        monkeypatch.setattr(f"gcapi._transfer.{name}", PART)
    pauses = (0.0,) * len(COMPLETE_PAUSES)
    monkeypatch.setattr("gcapi._transfer.multipart.COMPLETE_PAUSES", pauses)


SOURCES: dict[str, Callable[[Path], Source]] = {
    "path": PathSource,
    "bytes": lambda path: BytesSource(path.read_bytes(), path.name),
    "file object": lambda path: FileObjectSource(io.BytesIO(path.read_bytes()), path.name),
}


def numbers(server: UploadServer) -> list[int]:
    """Return the part numbers that arrived, ordered."""
    return sorted(number for _, number in server.puts())


def first_time(answer: Answer, number: int, times: int = 1) -> Callable[[int, Seen], Answer | None]:
    """Give an answer the first times that a part comes."""
    left, lock = [times], threading.Lock()

    def on_put(at: int, _: Seen) -> Answer | None:
        with lock:
            if at != number or not left[0]:
                return None
            left[0] -= 1
            return answer

    return on_put


def in_order(client: Client, answer: Callable[[int], Answer | None]) -> OnPut:
    """Answer a part when the next one waits for the client's only connection, so that parts arrive in order."""
    slots = client.uploads._uploads.connections
    last = len(split(len(CONTENT), PART))

    def on_put(number: int, _: Seen) -> Answer | None:
        wait_until(lambda: number == last or slots.waiting == 1)
        return answer(number)

    return on_put


def planned(client: Client, source: PathSource) -> list[Any]:
    """Return a file in parts of `PART`, however many connections there are."""
    file = client.uploads._uploads._file(source)
    file.plan(split(source.size or 0, PART))
    return [file]


def garbled(number: int, times: int) -> Callable[[int, Seen], Answer | None]:
    """Answer as a store does that got other bytes, the first times that a part comes."""
    without_digest = Answer(headers={"ETag": etag_of(b"other")})
    refused = Answer(status=400, body=b"<Error><Code>BadDigest</Code></Error>")
    is_garbled = first_time(without_digest, number, times)
    return lambda at, seen: (
        is_garbled(at, seen) and (refused if seen.header("Content-MD5") else without_digest)
    )


def only(step: str, answer: Answer) -> Callable[[str, Seen], Answer | None]:
    """Answer one step in the place of the server."""
    return lambda at, _: answer if at == step else None


def resumed(client: Client, error: BaseException) -> Any:
    """Run the call that an error prints."""
    words = "\n".join([str(error), *getattr(error, "__notes__", [])])
    (call,) = [line.strip() for line in words.splitlines() if ".resume(" in line]
    return eval(call, {"client": client})
