"""Calls whose responses fail, and the number of attempts that they make."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from gcapi import Client
from gcapi._http.settings import Settings
from gcapi.exceptions import StatusError
from gcapi.retries import BaseRetryStrategy, PatientStrategy, SelectiveBackoffStrategy
from grand_challenge_api.api.archives import archives_items_list
from tests.support.servers.loopback import Answer, Loopback, connect, in_turn

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
AT_ONCE = SelectiveBackoffStrategy(backoff_factor=0.0, maximum_number_of_retries=8)
#: The default, without its waits.
QUICK = partial(PatientStrategy, backoff_factor=0.0)
EMPTY = Answer(body={"count": 0, "next": None, "previous": None, "results": []})
ITEM: dict[str, Any] = {"pk": PK, "title": "", "archive": "https://gc.localhost/a/", "values": []}
ITEM |= {"hanging_protocol": None, "optional_hanging_protocols": [], "view_content": {}}
UPLOAD = {
    "pk": PK,
    "created": "2026-11-22T00:56:50Z",
    "filename": "a",
    "key": "k",
    "s3_upload_id": "s3",
    "status": "Initialized",
    "api_url": f"https://gc.localhost/api/v1/uploads/{PK}/",
}


class NoRetries(BaseRetryStrategy):
    """Takes every answer as it is, as in the published documentation."""

    def get_delay(self, latest_response: httpx.Response) -> None:  # noqa: ARG002 - the name is published
        """Never wait."""
        return


class Eager(BaseRetryStrategy):
    """Repeats every failure, of an answer or of the connection, up to three times, at once."""

    def __init__(self) -> None:
        self.repeats = 0

    def get_delay(self, latest_response: httpx.Response) -> float | None:
        """Repeat what failed."""
        return self._again() if latest_response.is_error else None

    def get_error_delay(self, error: httpx.TransportError) -> float | None:  # noqa: ARG002
        """Repeat what broke."""
        return self._again()

    def _again(self) -> float | None:
        self.repeats += 1
        return 0.0 if self.repeats <= 3 else None


def attempts(call: Callable[[Client], object], *answers: Answer, strategy: Any = AT_ONCE) -> int:
    """Make a call to a server that answers so; return how many requests were seen."""
    with (
        Loopback(in_turn(*answers)) as server,
        connect(server, retry_strategy=strategy) as client,
    ):
        try:
            call(client)
        finally:
            seen = len(server.seen)
    return seen


def failed_attempts(
    call: Callable[[Client], object],
    *answers: Answer,
    strategy: Any = AT_ONCE,
    error: type[Exception] = StatusError,
) -> int:
    """Make a call that fails; return how many requests were seen."""
    with (
        Loopback(in_turn(*answers)) as server,
        connect(server, retry_strategy=strategy) as client,
    ):
        with pytest.raises(error):
            call(client)
        return len(server.seen)


def settings_of(server: Loopback) -> Settings:
    """Return what a client of a server is told."""
    return Settings(
        token="t",
        base_url=httpx.URL(server.base_url),
        verify=True,
        timeout=5.0,
        max_concurrent_uploads=1,
        max_concurrent_downloads=1,
    )


READS: dict[str, Callable[[Client], object]] = {
    "namespace": lambda client: client.archive_items.count(),
    "raw call": lambda client: client(path="archives/items/"),
    "generated": lambda client: archives_items_list.sync(client=client.raw),
}
#: Writes that would happen twice, or fail the second time, with the answer that they should get.
WRITES: dict[str, tuple[Callable[[Client], object], Answer]] = {
    "create": (
        lambda client: client.archive_items.create(archive="https://gc.localhost/a/"),
        Answer(status=201, body=ITEM),
    ),
    "partial_update": (
        lambda client: client.archive_items.partial_update(PK, title="a"),
        Answer(body=ITEM),
    ),
    "update": (lambda client: client.archive_items.update(PK, title="a"), Answer(body=ITEM)),
    "job": (
        lambda client: client.algorithm_jobs.create(algorithm="https://gc.localhost/a/", inputs=[]),
        Answer(status=201, body={"pk": PK, "inputs": [], "status": "Queued"}),
    ),
    "complete": (
        lambda client: client.uploads.complete_multipart_upload(pk=PK, s3_upload_id="s", parts=[]),
        Answer(body=UPLOAD),
    ),
    "delete": (lambda client: client.notifications.delete(PK), Answer(status=204)),
    "raw call": (lambda client: client("POST", path="archives/items/", json={}), Answer(body={})),
    "raw put": (lambda client: client("PUT", path="timezone/", json={}), Answer(body={})),
    # Whether a PUT may be repeated is said by the caller that sends a part, and not guessed from its URL.
    "raw put to a URL that looks presigned": (
        lambda client: client("PUT", path="timezone/?X-Amz-Signature=0", json={}),
        Answer(body={}),
    ),
}
#: Writes that do no harm when they happen twice.
HARMLESS: dict[str, tuple[Callable[[Client], object], Answer]] = {
    "create an upload": (
        lambda client: client.uploads.create(filename="a"),
        Answer(status=201, body=UPLOAD),
    ),
    "presign": (
        lambda client: client.uploads.generate_presigned_urls(
            pk=PK, s3_upload_id="s", part_numbers=[1]
        ),
        Answer(body={**UPLOAD, "presigned_urls": {"1": "https://store.localhost/"}}),
    ),
    "list parts": (
        lambda client: client.uploads.list_parts(pk=PK, s3_upload_id="s"),
        Answer(body={**UPLOAD, "parts": []}),
    ),
    "abort": (
        lambda client: client.uploads.abort_multipart_upload(pk=PK, s3_upload_id="s"),
        Answer(body=UPLOAD),
    ),
    "keep alive": (
        lambda client: client.sessions.keep_alive(PK),
        Answer(body={"status": "session extended"}),
    ),
}
