"""Remembers every request that reached an origin."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, SupportsIndex, overload

from gcapi_sandbox._http import authentication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

Origin = Literal["api", "storage"]
_KEPT = 20_000


@dataclass(slots=True)
class RecordedRequest:
    """One request; `status` is 0 until it is answered, `authorization` is only the scheme."""

    origin: Origin
    method: str
    path: str
    query: str
    authorization: str
    status: int = 0
    body_size: int = 0


class Recording:
    """The last 20,000 requests in the order of their arrival; a sequence that any thread may read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: deque[RecordedRequest] = deque(maxlen=_KEPT)

    def append(self, request: RecordedRequest) -> None:
        """Add a request at the end."""
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        """Forget all requests so far."""
        with self._lock:
            self._requests.clear()

    def _copy(self) -> list[RecordedRequest]:
        with self._lock:
            return list(self._requests)

    def __iter__(self) -> Iterator[RecordedRequest]:
        return iter(self._copy())

    def __len__(self) -> int:
        return len(self._copy())

    @overload
    def __getitem__(self, index: SupportsIndex) -> RecordedRequest: ...
    @overload
    def __getitem__(self, index: slice) -> list[RecordedRequest]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> RecordedRequest | list[RecordedRequest]:
        return self._copy()[index]

    def __repr__(self) -> str:
        return repr(self._copy())


class Recorder:
    """Wraps an ASGI application and records what it is asked and how it answers."""

    def __init__(self, app: ASGIApp, origin: Origin, recording: Recording) -> None:
        self._app = app
        self._origin: Origin = origin
        self._recording = recording

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        record = RecordedRequest(
            origin=self._origin,
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            authorization=authentication.scheme(dict(scope["headers"]).get(b"authorization")),
        )
        self._recording.append(record)

        async def counted() -> Message:
            message = await receive()
            record.body_size += len(message.get("body", b""))
            return message

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        await self._app(scope, counted, noted)
