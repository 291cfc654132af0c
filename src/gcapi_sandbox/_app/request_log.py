"""The log of the requests to both origins."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, SupportsIndex, overload

from gcapi_sandbox._http import authentication

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gcapi_sandbox.faults import Rule

Origin = Literal["api", "storage"]
_MAX_REQUESTS = 20_000
#: Key of the `RecordedRequest` in the `extensions` of an ASGI scope.
RECORD_EXTENSION = "gcapi_sandbox.record"


@dataclass(slots=True)
class RecordedRequest:
    """A request.

    Attributes:
        origin: The origin that received it.
        method: The method.
        path: The path.
        query: The query.
        authorization: The scheme of the token, without the token.
        status: The status of the response; 0 until then.
        body_size: Number of bytes of the body that were received.
        faults: The rules that struck it.
    """

    origin: Origin
    method: str
    path: str
    query: str
    authorization: str
    status: int = 0
    body_size: int = 0
    faults: tuple[Rule, ...] = ()


class RequestLog:
    """A thread-safe sequence of the last 20,000 requests in order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: deque[RecordedRequest] = deque(maxlen=_MAX_REQUESTS)

    def append(self, request: RecordedRequest) -> None:
        """Append a request."""
        with self._lock:
            self._requests.append(request)

    def clear(self) -> None:
        """Remove all requests."""
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


class RequestLogMiddleware:
    """ASGI middleware that logs the requests to an application."""

    def __init__(self, app: ASGIApp, origin: Origin, log: RequestLog) -> None:
        self._app = app
        self._origin: Origin = origin
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Log a request and pass it on."""
        record = RecordedRequest(
            origin=self._origin,
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            authorization=authentication.scheme(dict(scope["headers"]).get(b"authorization")),
        )
        self._log.append(record)
        scope["extensions"][RECORD_EXTENSION] = record

        async def receive_and_count() -> Message:
            message = await receive()
            record.body_size += len(message.get("body", b""))
            return message

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                record.status = message["status"]
            await send(message)

        await self._app(scope, receive_and_count, send_and_note)
